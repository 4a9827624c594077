//! `logs`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::args::Logs;
use crate::clean;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::logging::LOG;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How much is read at a time, and how much of the end is looked through for the first lines.
const CHUNK: u64 = 1 << 20;

pub(crate) async fn logs(app: &App, args: Logs) -> Result<Exit> {
    let path = app.config.home.join(LOG);
    let mut tail = Tail::open(path.clone(), args.lines).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CliError::new(Exit::NotFound, format!("there is no {}", path.display()))
            .hint(
                "a daemon in the foreground logs to its terminal; `trunkline serve --detach` writes the file",
            ),
        _ => CliError::failure(format!("{}: {error}", path.display())),
    })?;
    loop {
        let text = tail.read()?;
        if !text.is_empty() {
            show(app, &text)?;
        } else if args.follow {
            tokio::time::sleep(LOOK).await;
        } else {
            return Ok(Exit::Ok);
        }
    }
}

fn show(app: &App, text: &str) -> Result<()> {
    if !app.screen.json {
        return app.screen.part(&clean::text(text));
    }
    text.lines().try_for_each(|line| app.screen.json(&json!({ "line": line })))
}

/// The end of a file that grows, and that may be put aside for a new one.
struct Tail {
    path: PathBuf,
    file: File,
    /// The start of a character or a line that is not whole yet.
    rest: Vec<u8>,
}

impl Tail {
    /// Begins `lines` lines before the end.
    fn open(path: PathBuf, lines: usize) -> io::Result<Self> {
        let mut file = File::open(&path)?;
        let start = file.metadata()?.len().saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        (&file).take(CHUNK).read_to_end(&mut end)?;
        let ends = end.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let whole = if start == 0 { Some(0) } else { None };
        // The last line ends at the end itself, so one more end is looked for.
        let from = ends.chain(whole).filter(|at| *at < end.len() || lines == 0).nth(lines.saturating_sub(1));
        let from = if lines == 0 { end.len() } else { from.unwrap_or(0) };
        file.seek(SeekFrom::Start(start + from as u64))?;
        Ok(Self { path, file, rest: Vec::new() })
    }

    /// The whole lines that have come; empty if there are none.
    fn read(&mut self) -> io::Result<String> {
        let mut bytes = std::mem::take(&mut self.rest);
        (&self.file).take(CHUNK).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // A line that does not end is shown all the same once it is long.
        let whole = if bytes.len() as u64 >= CHUNK { bytes.len() } else { whole };
        self.rest = bytes.split_off(whole);
        if bytes.is_empty() && self.was_replaced(&self.path)? {
            self.file = File::open(&self.path)?;
            self.rest.clear();
            return self.read();
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn was_replaced(&self, path: &Path) -> io::Result<bool> {
        match path.metadata() {
            Ok(now) => Ok(now.ino() != self.file.metadata()?.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_then_what_comes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.log");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"1\n2\n3\n").unwrap();
        for (lines, expected) in [(0, ""), (1, "3\n"), (2, "2\n3\n"), (3, "1\n2\n3\n"), (9, "1\n2\n3\n")] {
            let mut tail = Tail::open(path.clone(), lines).unwrap();
            assert_eq!(tail.read().unwrap(), expected, "{lines}");
        }
        let mut tail = Tail::open(path.clone(), 1).unwrap();
        assert_eq!(tail.read().unwrap(), "3\n");
        file.write_all("4\nhä".as_bytes()).unwrap();
        assert_eq!(tail.read().unwrap(), "4\n");
        file.write_all(b"lf\n").unwrap();
        assert_eq!(tail.read().unwrap(), "hälf\n");
        std::fs::rename(&path, home.path().join("x.log.1")).unwrap();
        assert_eq!(tail.read().unwrap(), "");
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.read().unwrap(), "new\n");
    }
}
