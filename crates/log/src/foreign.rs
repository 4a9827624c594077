//! Reads databases of other programs, and leaves them as they are.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::contract::OpenError;

/// How often a copy is tried while the file changes.
const COPIES: usize = 3;

/// Loads what is in a database of `whose`. Nothing is written to the file or beside it: what its program has left in a
/// journal is brought in on a copy.
///
/// # Errors
/// When the file cannot be read, is no database of that program, or is being written.
pub(crate) fn read<T>(
    path: &Path,
    whose: &str,
    load: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, OpenError> {
    let io = |source| OpenError::Io { path: path.display().to_string(), source };
    File::open(path).map_err(io)?;
    let damaged = |why: String| OpenError::Damaged { path: path.display().to_string(), why };
    let odd = |error| damaged(format!("it cannot be read as a database of {whose}: {error}"));
    // A write-ahead log is read through files beside it, which only a copy may have.
    if !is_write_ahead(path).map_err(io)? {
        match open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|found| load(&found)) {
            Err(error) if wants_repair(&error) => {}
            outcome => return outcome.map_err(odd),
        }
    }
    let (folder, copy) =
        copy(path).map_err(io)?.ok_or_else(|| damaged(format!("it is being written; stop {whose} first")))?;
    let loaded = open(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|found| load(&found)).map_err(odd);
    drop(folder);
    loaded
}

/// Whether the header says that a write-ahead log belongs to the file.
fn is_write_ahead(path: &Path) -> io::Result<bool> {
    let mut header = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut header)?;
    Ok(header.get(18..20).is_some_and(|versions| versions.contains(&2)))
}

/// Whether a program has died in the middle of a change, which is then undone from its journal.
fn wants_repair(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

/// A copy with what lies beside the file, in a folder that goes with the guard; `None` while somebody writes.
fn copy(path: &Path) -> io::Result<Option<(tempfile::TempDir, PathBuf)>> {
    let folder = tempfile::tempdir()?;
    let to = folder.path().join("copy.db");
    let sides = ["", "-journal", "-wal"];
    let side = |path: &Path, side: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(side);
        PathBuf::from(name)
    };
    let looks =
        || sides.map(|end| side(path, end).metadata().ok().map(|found| (found.len(), found.modified().ok())));
    for _ in 0..COPIES {
        let before = looks();
        for end in sides {
            match std::fs::copy(side(path, end), side(&to, end)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !end.is_empty() => {}
                outcome => drop(outcome?),
            }
        }
        if looks() == before {
            return Ok(Some((folder, to)));
        }
    }
    Ok(None)
}

fn open(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Microseconds since 1970 of a time such as `2026-11-21 07:39:49.459729`, `…T07:39:49+02:00` or `…Z`. Without an offset it
/// is UTC.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, offset) = match time.find(['+', '-', 'Z']) {
        Some(at) => (&time[..at], offset(&time[at..])?),
        None => (time, 0),
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    // Days since 1970-01-01 by the rules of the Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
    Some(seconds * 1_000_000 + fraction.parse::<i64>().ok()?)
}

/// The seconds of `+02:00`, `-0330` or `Z`.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().unwrap_or(0)) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_their_offset() {
        assert_eq!(micros("1970-01-01 00:00:00.000001"), Some(1));
        assert_eq!(micros("2026-11-21T07:57:43.834314+00:00"), Some(1_795_247_863_834_314));
        assert_eq!(micros("2026-11-21T07:57:43Z"), Some(1_795_247_863_000_000));
        assert_eq!(micros("2026-11-21T09:57:43+02:00"), micros("2026-11-21T07:57:43"));
        assert_eq!(micros("2026-11-21T04:27:43-0330"), micros("2026-11-21T07:57:43"));
        assert_eq!([micros(""), micros("yesterday"), micros("2026-11-21T0x:00:00")], [None; 3]);
    }
}
