//! The index of what was said: passages of sessions, found by their words.
//!
//! It is a file of its own beside the store, and holds nothing that the logs do not: it may be deleted at any time, and is made
//! anew from them. So it is written without waiting for the disk, and one that is damaged or of another version is thrown away.

mod words;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use trunkline_core::id::{Pos, Seq, SessionId};
use trunkline_core::passage::{Passage, Said};
use trunkline_core::time::Time;

pub use self::words::Words;

/// The version of the tables here and of how passages are made. Another one is made anew.
const VERSION: i64 = 1;
/// What stands before and behind a word that was found. No passage has control characters.
const MARKS: [char; 2] = ['\u{1}', '\u{2}'];
/// How many words of a passage are shown.
const SHOWN: i64 = 24;

const SCHEMA: &str = "
    CREATE TABLE session(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, upto INTEGER NOT NULL);
    CREATE TABLE passage(id INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
        said TEXT NOT NULL);
    CREATE INDEX passage_session ON passage(session);
    CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
    CREATE TABLE place(pos INTEGER NOT NULL);
    INSERT INTO place VALUES (0);
";

/// The index. All calls block.
#[derive(Debug)]
pub struct Search {
    database: Mutex<Connection>,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its number: the later a passage was indexed, the higher.
    pub id: i64,
    /// Its session.
    pub session: SessionId,
    /// The event with which it begins.
    pub seq: Seq,
    /// When that was.
    pub at: Time,
    /// What it is.
    pub said: Said,
    /// The words around what was found, in pieces; `true` marks what was looked for.
    pub excerpt: Vec<(String, bool)>,
}

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the search index does not work: {0}")]
pub struct SearchError(#[from] rusqlite::Error);

impl Search {
    /// Opens the index, or makes it anew if it is not there, cannot be read or is of another version. That takes no longer
    /// for a large one; [`mend`](Self::mend) looks at all of it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> Result<Self, SearchError> {
        if let Ok(Some(database)) = known(path) {
            return Ok(Self::over(database));
        }
        remove(path).map_err(unwritable)?;
        Ok(Self::over(made(Connection::open(path)?)?))
    }

    /// An index that is gone with this.
    ///
    /// # Errors
    /// When SQLite does not work.
    pub fn in_memory() -> Result<Self, SearchError> {
        Ok(Self::over(made(Connection::open_in_memory()?)?))
    }

    /// Makes the index anew if some of it is damaged. It reads the whole file, and others wait meanwhile.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn mend(&self) -> Result<(), SearchError> {
        let mut database = self.lock();
        let check = database.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        if check.is_ok_and(|found| found == "ok") {
            return Ok(());
        }
        let path = database.path().map(PathBuf::from).unwrap_or_default();
        // The file is closed before it is removed.
        *database = Connection::open_in_memory()?;
        remove(&path).map_err(unwritable)?;
        *database = made(Connection::open(&path)?)?;
        Ok(())
    }

    fn over(database: Connection) -> Self {
        Self { database: Mutex::new(database) }
    }

    /// The place in the store's tail up to which sessions were looked at.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn place(&self) -> Result<Pos, SearchError> {
        let place: i64 = self.lock().query_row("SELECT pos FROM place", [], |row| row.get(0))?;
        Ok(Pos(u64::try_from(place).unwrap_or(0)))
    }

    /// Says up to which place sessions were looked at.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn reached(&self, place: Pos) -> Result<(), SearchError> {
        self.lock().execute("UPDATE place SET pos = ?1", [int(place.0)])?;
        Ok(())
    }

    /// The last event of a session that was looked at.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn upto(&self, session: SessionId) -> Result<Seq, SearchError> {
        let database = self.lock();
        let mut query = database.prepare_cached("SELECT upto FROM session WHERE name = ?1")?;
        let upto: Option<i64> = query.query_row([session.to_string()], |row| row.get(0)).optional()?;
        Ok(Seq(upto.map_or(0, |upto| u64::try_from(upto).unwrap_or(0))))
    }

    /// Adds passages of a session, which was looked at up to this event.
    ///
    /// # Errors
    /// When it cannot be written: then nothing was.
    pub fn add(&self, session: SessionId, passages: &[Passage], upto: Seq) -> Result<(), SearchError> {
        let mut database = self.lock();
        let change = database.transaction()?;
        {
            let id: i64 = change
                .prepare_cached(
                    "INSERT INTO session(name, upto) VALUES (?1, ?2)
                     ON CONFLICT(name) DO UPDATE SET upto = excluded.upto RETURNING id",
                )?
                .query_row(params![session.to_string(), int(upto.0)], |row| row.get(0))?;
            let mut place = change
                .prepare_cached("INSERT INTO passage(session, seq, at, said) VALUES (?1, ?2, ?3, ?4)")?;
            let mut text = change.prepare_cached("INSERT INTO words(rowid, text) VALUES (?1, ?2)")?;
            for passage in passages {
                let said = passage.said.to_string();
                place.execute(params![id, int(passage.seq.0), passage.at.0, said])?;
                text.execute(params![change.last_insert_rowid(), passage.text])?;
            }
        }
        Ok(change.commit()?)
    }

    /// Forgets a session.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget(&self, session: SessionId) -> Result<(), SearchError> {
        let mut database = self.lock();
        let change = database.transaction()?;
        for forget in [
            "DELETE FROM words WHERE rowid IN
                (SELECT passage.id FROM passage JOIN session ON session.id = passage.session WHERE name = ?1)",
            "DELETE FROM passage WHERE session = (SELECT id FROM session WHERE name = ?1)",
            "DELETE FROM session WHERE name = ?1",
        ] {
            change.prepare_cached(forget)?.execute([session.to_string()])?;
        }
        Ok(change.commit()?)
    }

    /// Passages that have all the words, the newest first: those before a number, of one session or of all.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn find(
        &self,
        words: &Words,
        session: Option<SessionId>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Hit>, SearchError> {
        let database = self.lock();
        let mut query = database.prepare_cached(
            "SELECT passage.id, session.name, passage.seq, passage.at, passage.said,
                    snippet(words, 0, ?5, ?6, '…', ?7)
             FROM words JOIN passage ON passage.id = words.rowid JOIN session ON session.id = passage.session
             WHERE words MATCH ?1 AND words.rowid < ?2 AND (?3 IS NULL OR session.name = ?3)
             ORDER BY words.rowid DESC LIMIT ?4",
        )?;
        let [begin, end] = MARKS.map(String::from);
        let rows = query.query_map(
            params![
                words.query(),
                before.unwrap_or(i64::MAX),
                session.map(|session| session.to_string()),
                i64::try_from(limit).unwrap_or(i64::MAX),
                begin,
                end,
                SHOWN
            ],
            hit,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic has left is rolled back when it is dropped.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The index at this path, if it is one of this version.
fn known(path: &Path) -> Result<Option<Connection>, rusqlite::Error> {
    if !path.is_file() {
        return Ok(None);
    }
    let database = Connection::open(path)?;
    settle(&database)?;
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((version == VERSION).then_some(database))
}

/// A new index, with nothing in it.
fn made(database: Connection) -> Result<Connection, rusqlite::Error> {
    settle(&database)?;
    database.execute_batch(&format!("BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    Ok(database)
}

fn settle(database: &Connection) -> Result<(), rusqlite::Error> {
    // What a crash takes is made anew from the logs, so nothing waits for the disk.
    database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000;")
}

fn unwritable(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

fn remove(path: &Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn hit(row: &rusqlite::Row<'_>) -> Result<Hit, rusqlite::Error> {
    let (seq, said, excerpt): (i64, String, String) = (row.get(2)?, row.get(4)?, row.get(5)?);
    let session: String = row.get(1)?;
    let broken =
        |error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error));
    let said = serde_json::from_value(said.into()).unwrap_or(Said::Answer);
    Ok(Hit {
        id: row.get(0)?,
        session: session.parse().map_err(broken)?,
        seq: Seq(u64::try_from(seq).unwrap_or(0)),
        at: Time(row.get(3)?),
        said,
        excerpt: pieces(&excerpt),
    })
}

/// An excerpt in pieces, of which every second was looked for.
fn pieces(excerpt: &str) -> Vec<(String, bool)> {
    let pieces = excerpt.split(MARKS).enumerate().map(|(n, piece)| (piece.to_owned(), n % 2 == 1));
    pieces.filter(|(piece, _)| !piece.is_empty()).collect()
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
