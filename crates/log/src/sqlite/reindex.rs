//! Rows made anew from the logs: they are a projection, and what a projection has lost its logs still have.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use trunkline_core::audit::Chain;
use trunkline_core::id::{LogId, SessionId};
use trunkline_core::machine::Machine as _;
use trunkline_core::row::{self, Row, RowKind};
use trunkline_core::session::Session;
use uuid::Uuid;

use super::{Sqlite, rows, schema, uint};
use crate::contract::OpenError;
use crate::frame::Frame;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// The logs that were read.
    pub logs: u64,
    /// The rows that stand now.
    pub rows: u64,
}

/// Why it was not done; then nothing was changed.
enum Failed {
    Store(rusqlite::Error),
    Unreadable(String),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

/// Rows by kind and key, each with the place of the commit that wrote it last.
type Made = BTreeMap<(u8, String), (i64, Row)>;

/// What a log's rows are made by.
enum Fold {
    Session(Box<Session>),
    Audit(Chain),
    Blob(SessionId),
}

impl Sqlite {
    /// Makes all rows anew from the logs, in one transaction. Blocks for as long as it takes to read all logs, and needs
    /// the database for itself. A log whose beginning was forgotten keeps the rows it has.
    ///
    /// # Errors
    /// See [`OpenError`]: among others `InUse` while a daemon has it open, and `Damaged` with the log that cannot be read.
    /// Nothing was changed then.
    pub fn reindex(path: impl AsRef<Path>) -> Result<Reindexed, OpenError> {
        let path = path.as_ref();
        let _lock = schema::lock(path)?;
        let mut db = schema::open(path)?;
        reindex(&mut db).map_err(|failed| match failed {
            Failed::Store(error) => schema::refuse(path, &error),
            Failed::Unreadable(why) => OpenError::Damaged { path: path.display().to_string(), why },
        })
    }
}

fn reindex(db: &mut Connection) -> Result<Reindexed, Failed> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let logs = logs(&change)?;
    let mut done = Reindexed::default();
    // What waits to be recorded in the audit tells who has done it from where, which no log does until then.
    let waits = RowKind::Unrecorded as u8;
    let whole = "SELECT id FROM log WHERE gone IS NULL AND first > 1";
    rows::clear(&change, &format!("kind = {waits} OR log IN ({whole})"))?;
    for (id, name) in logs {
        let Some(fold) = Fold::of(&name) else { continue };
        let made = made(&change, id, &name, fold)?;
        for (pos, row) in made.values() {
            rows::put(&change, id, *pos, row)?;
        }
        done.logs += 1;
    }
    done.rows = change.query_row("SELECT count(*) FROM row", [], |row| Ok(uint(row.get(0)?)))?;
    change.commit()?;
    Ok(done)
}

/// The logs that are there from their beginning.
fn logs(db: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut logs = db.prepare("SELECT id, name FROM log WHERE gone IS NULL AND first = 1 ORDER BY id")?;
    logs.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The rows of a log.
fn made(db: &Connection, id: i64, name: &str, mut fold: Fold) -> Result<Made, Failed> {
    let mut made = Made::new();
    let sql = "SELECT id, last, count, quiet, body, pos FROM frame WHERE log = ?1 ORDER BY last";
    let mut frames = db.prepare_cached(sql)?;
    let mut found = frames.query(params![id])?;
    while let Some(row) = found.next()? {
        let frame = Frame {
            id: Uuid::from_bytes(row.get(0)?),
            last: trunkline_core::id::Seq(uint(row.get(1)?)),
            count: uint(row.get(2)?),
            quiet: row.get(3)?,
            lines: row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?.into(),
        };
        let pos: i64 = row.get(5)?;
        for row in fold.rows(name, &frame)? {
            let key = (row.kind as u8, row.key.clone());
            match row.body {
                Some(_) => made.insert(key, (pos, row)),
                None => made.remove(&key),
            };
        }
    }
    Ok(made)
}

impl Fold {
    /// How a log of this name gets its rows; `None` for those that have none.
    fn of(name: &str) -> Option<Self> {
        let log: LogId = name.parse().ok()?;
        if log.as_session().is_some() {
            return Some(Self::Session(Box::default()));
        }
        if log == LogId::audit() {
            return Some(Self::Audit(Chain::default()));
        }
        let (session, _) = name.strip_prefix("blob/")?.split_once('/')?;
        session.parse().ok().map(Self::Blob)
    }

    fn rows(&mut self, name: &str, frame: &Frame) -> Result<Vec<Row>, Failed> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Failed::Unreadable(format!("event {} of log {name} cannot be read: {why}", frame.last))
        };
        match self {
            Self::Session(session) => {
                let events = frame.events().map_err(|error| unreadable(&error))?;
                Ok(session.advance(&events))
            }
            Self::Audit(chain) => {
                let events = frame.events().map_err(|error| unreadable(&error))?;
                Ok(chain.advance(&events))
            }
            Self::Blob(session) => {
                let log = name.parse().map_err(|error| unreadable(&error))?;
                Ok(vec![row::blob(*session, &log)])
            }
        }
    }
}
