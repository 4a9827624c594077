//! The daemon's log: to stderr in the foreground, to a bounded file in the background.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

/// The log in the home directory.
pub(crate) const LOG: &str = "logs/trunkline.log";
/// What the daemon in the background wrote to stderr: nothing, unless it could not start or panicked.
pub(crate) const STDERR: &str = "logs/stderr.log";
/// When the log has this many bytes it becomes `trunkline.log.1`, and the one before it goes.
const MAX_BYTES: u64 = 8 << 20;

/// Reads a filter.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|error| format!("`{text}` is not a log filter: {error}"))
}

/// Logs to stderr from now on.
pub(crate) fn to_stderr(filter: EnvFilter) {
    let ansi = io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(io::stderr).init();
}

/// Logs to the home directory's file from now on.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn to_file(filter: EnvFilter, home: &Path) -> io::Result<()> {
    let log = Rotating::open(home.join(LOG), MAX_BYTES)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(log)).init();
    Ok(())
}

/// A file that is put aside when it is full. Two files are kept.
struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
    max: u64,
}

impl Rotating {
    fn open(path: PathBuf, max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, max })
    }
}

impl Write for Rotating {
    /// Takes a line whole: each write is one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.max {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *self = Self::open(std::mem::take(&mut self.path), self.max)?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_put_aside_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.log");
        let mut log = Rotating::open(path.clone(), 10).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "a line longer than all\n", "five\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "five\n");
        assert_eq!(fs::read_to_string(home.path().join("x.log.1")).unwrap(), "a line longer than all\n");
        assert_eq!(Rotating::open(path, 10).unwrap().bytes, 5, "it goes on where it was");
    }

    #[test]
    fn filters_are_checked() {
        assert!(filter("info").is_ok() && filter("warn,trunkline_run=debug").is_ok());
        assert!(filter("a=b=c").is_err());
    }
}
