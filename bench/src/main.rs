//! Measures the budgets on the release binary, each beside what the machine itself can do in the same run.
//!
//! Nothing here passes or fails by time: the exit code is 0 unless something broke. The daemon and this client share the
//! machine's cores, so every figure is what both get done together; most rows say how much of a core each of them took.
//!
//! - [`daemon`], [`http`]: the program that is measured, and the least client that can measure it.
//! - [`store`]: homes with ten thousand sessions or a million events, without a daemon to make them.
//! - [`limits`]: the disk, bare SQLite, our store alone, and the loopback network.
//! - [`router`]: the stdio router, another program.
//! - [`rows`]: one file for each row of the table. [`report`], [`stats`]: how it is shown.

mod daemon;
mod http;
mod limits;
mod report;
mod router;
mod rows;
mod stats;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::report::{Host, Row};
use crate::router::parts;
use crate::rows::Name;

/// Measures the budgets on the release binary.
#[derive(Parser)]
struct Args {
    /// Measure these rows only
    #[arg(long, value_name = "ROW")]
    only: Vec<Name>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The binary to measure [default: `trunkline` beside this one]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where homes are made; the disk under it is the one that is measured [default: beside the binary]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long each rate is measured, in seconds
    #[arg(long, value_name = "N", default_value_t = 3)]
    seconds: u64,
}

/// How many flushes tell how fast the disk is before anything else is asked of it.
const FLUSHES: usize = 400;

/// What every row has.
pub(crate) struct Bench {
    pub(crate) binary: PathBuf,
    /// The stdio router, beside the binary.
    pub(crate) router: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) span: Duration,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    parts::play(&args).unwrap_or_else(measure)
}

#[tokio::main]
async fn measure() -> Result<()> {
    let Args { only, json, binary, dir, seconds } = Args::parse();
    let beside = std::env::current_exe()?.with_file_name("trunkline");
    let binary = std::path::absolute(binary.unwrap_or(beside))?;
    anyhow::ensure!(
        binary.is_file(),
        "{} is not there: cargo build --release -p trunkline-cli",
        binary.display()
    );
    let dir = dir.or_else(|| Some(binary.parent()?.to_owned())).context("the binary is in no directory")?;
    allow_many_files()?;
    let router = binary.with_file_name("stdio_bus");
    let bench = Bench { binary, router, dir, span: Duration::from_secs(seconds.max(1)) };
    let host = host(&bench)?;
    if !json {
        show(&host.show());
    }
    let rows = if only.is_empty() { Name::value_variants() } else { &only };
    let mut measured = Vec::with_capacity(rows.len());
    for name in rows {
        let figures = name.measure(&bench).await.with_context(|| format!("the row {}", name.text()))?;
        let row = Row { row: name.text(), figures };
        if !json {
            show(&row.show());
        }
        measured.push(row);
    }
    if json {
        show(&format!("{:#}\n", json!({ "host": host, "rows": measured })));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this program prints a table")]
fn show(text: &str) {
    print!("{text}");
}

/// Thousands of connections need as many descriptors, in the daemon too, which inherits this.
fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

fn host(bench: &Bench) -> Result<Host> {
    let kernel = rustix::system::uname();
    let mut disk = limits::Disk::new(&bench.dir)?;
    (0..FLUSHES).try_for_each(|_| disk.flush())?;
    Ok(Host {
        cores: std::thread::available_parallelism()?.get(),
        kernel: format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy()),
        binary: bench.binary.display().to_string(),
        data: format!("{} ({})", bench.dir.display(), file_system(&bench.dir)?),
        flush_ms: disk.took().median(),
    })
}

/// The kind of file system: in memory, flushing costs nothing, and then nothing here says anything about a disk.
fn file_system(dir: &Path) -> Result<&'static str> {
    let found = rustix::fs::statfs(dir)?;
    Ok(match found.f_type {
        0xEF53 => "ext4",
        0x9123_683E => "btrfs",
        0x5846_5342 => "xfs",
        0x0102_1994 => "tmpfs, which is no disk",
        0x794C_7630 => "overlayfs",
        _ => "a file system",
    })
}
