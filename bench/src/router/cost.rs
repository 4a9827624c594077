//! What a message costs the router, whatever else the machine does: system calls, as strace counts them, and
//! instructions outside the kernel, as valgrind does. Where one of the two is not installed a line says so.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::load::Load;
use super::peer::{Kind, Peer, Way};
use crate::daemon::Home;
use crate::report::{Figure, Unit};

/// The router is run with this many echoes and with as many more; what the second run costs more is theirs.
const FEW: u64 = 1_000;
const MORE: u64 = 10_000;

/// System calls for one echo: alone it takes a wait, a read and a write in each direction.
const CALLS_ALONE: f64 = 6.0;
const CALLS_BATCHED: f64 = 1.0;
/// Instructions for one echo of 100 bytes, which is two messages.
const INSTRUCTIONS: f64 = 4_000.0;

/// What was recorded of stdio_bus 2.0.3 on a machine of this kind.
const ORIGINAL_CALLS: [f64; 2] = [10.1, 6.17];
const ORIGINAL_INSTRUCTIONS: [f64; 3] = [22_400.0, 83_000.0, 1_099_000.0];

/// A program that runs another one and counts.
#[derive(Clone, Copy)]
enum Counter {
    Calls,
    Instructions,
}

/// Measures `router`, the binary.
pub(super) fn measure(router: &Path, dir: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let load = |bytes, window| Load { bytes, window, session: true };
    if Counter::Calls.is_there() {
        let loads = [("one after the other", 1, CALLS_ALONE), ("64 under way", 64, CALLS_BATCHED)];
        for ((how, window, budget), original) in loads.into_iter().zip(ORIGINAL_CALLS) {
            // What is due now and then by the clock is no part of an echo.
            let calls = (Counter::Calls.per_echo(router, dir, load(100, window))? * 100.0).round() / 100.0;
            let figure = Figure::new(format!("system calls per echo, 100 B, {how}"), calls, Unit::Count);
            figures.push(figure.at_most(budget).beside("original", original));
        }
    } else {
        figures.push(Figure::missing("system calls per echo", "strace is not installed"));
    }
    if Counter::Instructions.is_there() {
        let loads = [("100 B", 100), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10)];
        for ((name, bytes), original) in loads.into_iter().zip(ORIGINAL_INSTRUCTIONS) {
            let count = Counter::Instructions.per_echo(router, dir, load(bytes, 64))?;
            let figure =
                Figure::new(format!("instructions per echo, {name}, 64 under way"), count, Unit::Count);
            let figure = if bytes == 100 { figure.at_most(INSTRUCTIONS) } else { figure };
            figures.push(figure.beside("original", original));
        }
    } else {
        figures.push(Figure::missing("instructions per echo", "valgrind is not installed"));
    }
    Ok(figures)
}

impl Counter {
    const fn program(self) -> &'static str {
        match self {
            Self::Calls => "strace",
            Self::Instructions => "valgrind",
        }
    }

    fn is_there(self) -> bool {
        Command::new(self.program()).arg("--version").output().is_ok_and(|output| output.status.success())
    }

    fn per_echo(self, router: &Path, dir: &Path, load: Load) -> Result<f64> {
        let few = self.count(router, dir, load, FEW)?;
        Ok((self.count(router, dir, load, FEW + MORE)? - few) / MORE as f64)
    }

    /// What a run with this many echoes costs.
    fn count(self, router: &Path, dir: &Path, load: Load, echoes: u64) -> Result<f64> {
        let home = Home::new(dir)?;
        let file = home.path().join("counted");
        let shown = file.display();
        let command = match self {
            Self::Calls => vec!["strace".to_owned(), "-c".to_owned(), "-o".to_owned(), shown.to_string()],
            Self::Instructions => {
                let out = format!("--callgrind-out-file={shown}");
                vec!["valgrind".to_owned(), "--quiet".to_owned(), "--tool=callgrind".to_owned(), out]
            }
        };
        Peer::start(Kind::Under(&command, router), Way::Stdio, 1, dir)?.exchange(load, echoes)?;
        let text = fs::read_to_string(&file).with_context(|| format!("what {} counted", self.program()))?;
        let count = match self {
            Self::Calls => calls(&text),
            Self::Instructions => instructions(&text),
        };
        ensure!(count > 0.0, "{} said nothing that is understood:\n{text}", self.program());
        Ok(count)
    }
}

/// The sum of strace's column of calls.
fn calls(table: &str) -> f64 {
    let calls = |line: &str| {
        let mut columns = line.split_whitespace();
        let is_call = columns.clone().next_back().is_some_and(|name| name != "total");
        columns.nth(3)?.parse::<f64>().ok().filter(|_| is_call)
    };
    table.lines().filter_map(calls).sum()
}

/// The sum that callgrind writes below its counts.
fn instructions(profile: &str) -> f64 {
    let sum = |line: &str| line.strip_prefix("totals:")?.trim().parse().ok();
    profile.lines().find_map(sum).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_counters_write_is_read() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n \
                     75,00    0,000300           3       100         2 read\n \
                     25.00    0.000100           2        50           write\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     100.00    0.000400           2       150         2 total\n";
        assert_eq!(calls(table), 150.0);
        assert_eq!(instructions("events: Ir\nfn=(1)\n1 20\n\ntotals: 12345\n"), 12_345.0);
    }
}
