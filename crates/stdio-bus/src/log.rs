//! Lines on stderr, which never hold the router up.

use std::io::IsTerminal;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};

use crate::clock::wall_clock_ms;
use crate::pulse::{EVERY, Pulse};

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    /// Stderr opened anew, so that it may refuse to block; `None` if it cannot block, or cannot be opened.
    pipe: Option<OwnedFd>,
    colour: bool,
    debug: bool,
    /// Where stderr is to be kept moving.
    pulse: Option<Pulse>,
}

impl Log {
    pub(crate) fn new(debug: bool) -> Self {
        let stderr = rustix::stdio::stderr();
        let is_pipe = rustix::fs::fstat(stderr).is_ok_and(|stat| is(&stat, FileType::Fifo));
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = is_pipe.then(|| rustix::fs::open("/proc/self/fd/2", flags, Mode::empty()).ok()).flatten();
        Self { pipe, colour: std::io::stderr().is_terminal(), debug, pulse: None }
    }

    pub(crate) fn info(&mut self, worker: Option<usize>, text: &str) {
        self.line("INFO", "32", worker, text);
    }

    pub(crate) fn warn(&mut self, worker: Option<usize>, text: &str) {
        self.line("WARN", "33", worker, text);
    }

    pub(crate) fn debug(&mut self, worker: Option<usize>, text: &str) {
        if self.debug {
            self.line("DEBUG", "36", worker, text);
        }
    }

    /// Keeps stderr moving from now on, if it is a pipe.
    pub(crate) fn keep_moving(&mut self, now: u64) {
        self.pulse = self.pipe.is_some().then(|| Pulse::new(EVERY, now));
    }

    /// When [`beat`](Self::beat) is due.
    pub(crate) fn next_beat(&self) -> Option<u64> {
        self.pulse.as_ref().map(Pulse::next)
    }

    /// Writes an empty line if it is time for one.
    pub(crate) fn beat(&mut self, now: u64) {
        if let (Some(pipe), Some(pulse)) = (&self.pipe, &mut self.pulse)
            && pulse.is_due(pipe, now)
        {
            // If there is no room, whoever reads has something to read.
            let _written = rustix::io::write(pipe, b"\n");
        }
    }

    fn line(&mut self, level: &str, colour: &str, worker: Option<usize>, text: &str) {
        let worker = worker.map(|worker| format!(" [worker={worker}]")).unwrap_or_default();
        let level =
            if self.colour { format!("\x1b[{colour}m[{level}]\x1b[0m") } else { format!("[{level}]") };
        let line = format!("[{}] {level}{worker} {text}\n", timestamp(wall_clock_ms() / 1000));
        // A log that cannot be written is no reason to stop or to wait.
        let _written = match &self.pipe {
            Some(pipe) => rustix::io::write(pipe, line.as_bytes()),
            None => rustix::io::write(rustix::stdio::stderr(), line.as_bytes()),
        };
    }
}

/// Whether a file is of this type.
pub(crate) fn is(stat: &rustix::fs::Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

/// Seconds since 1970 as a date and time of UTC. The date is found by counting in years that begin in March, so that
/// a leap day is the last of its year.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_right_around_leap_days() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
        ] {
            assert_eq!(super::timestamp(seconds), text);
        }
    }
}
