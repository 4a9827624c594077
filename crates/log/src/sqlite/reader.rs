//! The reading side: connections of their own, on threads that may block.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::Semaphore;
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::Row;
use uuid::Uuid;

use super::ledger::Entry;
use super::rows::{Name, from_json};
use super::{find, int, schema, uint};
use crate::contract::LogError;
use crate::frame::{Change, Found, Frame, Page, Query, Want};
use crate::tail::{PAGE, Past};

/// How many reads run side by side; more wait. Each has a connection with at most 1 MiB of cache.
const READERS: u32 = 4;

/// A pool of connections that only read.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::default(), turns: Arc::new(Semaphore::new(READERS as usize)) })
    }

    /// Reads frames of a log.
    pub(super) async fn read(
        self: &Arc<Self>,
        log: &LogId,
        after: Seq,
        want: Want,
    ) -> Result<Page, LogError> {
        let log = log.clone();
        self.run(move |db| page(db, &log, after, want)).await?
    }

    /// Finds rows; the answer has reached `pos`, at least.
    pub(super) async fn find(self: &Arc<Self>, query: &Query, pos: Pos) -> Result<Found, LogError> {
        let query = query.clone();
        self.run(move |db| find::find(db, &query, pos)).await
    }

    /// Waits for the reads that have begun, closes the connections, and lets no read begin.
    pub(super) async fn drain(&self) {
        // It was closed already, if there is none to be had.
        let all = self.turns.acquire_many(READERS).await.ok();
        self.close();
        drop(all);
    }

    /// Closes the connections that are not in use, and lets no read begin.
    pub(super) fn close(&self) {
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Does one read in one transaction, which ends before anybody is awaited: an old view of the database that stays
    /// open would keep the write-ahead log from being emptied.
    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let down = |why: &str| LogError::Down(why.to_owned());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| down("it was closed"))?;
        let pool = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let db = idle.map_or_else(|| schema::open_reader(&pool.path), Ok)?;
            let view = db.unchecked_transaction()?;
            let answer = work(&view)?;
            drop(view);
            // A connection that met an error is not used again.
            if !turn.semaphore().is_closed() {
                pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            }
            drop(turn);
            Ok::<T, rusqlite::Error>(answer)
        });
        match done.await {
            Ok(answer) => answer.map_err(|error| super::writer::Fault::of(&error).into()),
            Err(_) => Err(down("a read failed in an unexpected way")),
        }
    }
}

impl Past for Arc<Readers> {
    async fn past(&self, after: Pos, upto: Pos) -> Result<(Vec<Change>, Pos), LogError> {
        self.run(move |db| changes(db, after, upto)).await
    }
}

fn page(db: &Connection, log: &LogId, after: Seq, want: Want) -> rusqlite::Result<Result<Page, LogError>> {
    let Some(entry) = Entry::find(db, log)? else {
        return Ok(Ok(Page { frames: Vec::new(), first: Seq(1), head: Seq::ZERO, more: false }));
    };
    if entry.gone.is_some() {
        return Ok(Err(LogError::Gone));
    }
    let mut page = Page { frames: Vec::new(), first: entry.first, head: entry.head, more: false };
    let after = after.max(Seq(entry.first.0 - 1));
    if after >= entry.head {
        return Ok(Ok(page));
    }
    let mut frames = db.prepare_cached(if want.folded {
        "SELECT id, last, count, quiet, body FROM frame WHERE log = ?1 AND last > ?2 AND quiet = 0 ORDER BY last"
    } else {
        "SELECT id, last, count, quiet, body FROM frame WHERE log = ?1 AND last > ?2 ORDER BY last"
    })?;
    let mut found = frames.query(params![entry.id, int(after.0)])?;
    let mut bytes = 0;
    while let Some(row) = found.next()? {
        if !page.frames.is_empty() && bytes >= want.bytes {
            page.more = true;
            break;
        }
        let frame = Frame {
            id: Uuid::from_bytes(row.get(0)?),
            last: Seq(uint(row.get(1)?)),
            count: uint(row.get(2)?),
            quiet: row.get(3)?,
            lines: row.get_ref(4)?.as_str()?.into(),
        };
        bytes += frame.lines.len();
        page.frames.push(frame);
    }
    Ok(Ok(page))
}

/// Commits whose frames are still kept, and removals.
fn changes(db: &Connection, after: Pos, upto: Pos) -> rusqlite::Result<(Vec<Change>, Pos)> {
    let mut commits = db.prepare_cached(
        "SELECT * FROM (
             SELECT f.pos AS pos, l.name, f.last, f.rows FROM frame AS f CROSS JOIN log AS l ON l.id = f.log
             WHERE f.pos > ?1 AND f.pos <= ?2 AND f.last >= l.first ORDER BY f.pos LIMIT ?3)
         UNION ALL SELECT * FROM (
             SELECT gone, name, 0, NULL FROM log INDEXED BY log_gone
             WHERE gone > ?1 AND gone <= ?2 ORDER BY gone LIMIT ?3)
         ORDER BY pos LIMIT ?3",
    )?;
    let mut found = commits.query(params![int(after.0), int(upto.0), int(PAGE as u64)])?;
    let mut changes = Vec::new();
    while let Some(row) = found.next()? {
        let pos: i64 = row.get(0)?;
        let name: String = row.get(1)?;
        let Ok(log) = name.parse() else { continue };
        let rows = if row.get_ref(3)? == rusqlite::types::ValueRef::Null {
            Vec::new()
        } else {
            written(db, pos, from_json::<Vec<Name<'static>>>(row, 3)?)?
        };
        changes.push(Change { pos: Pos(uint(pos)), log, head: Seq(uint(row.get(2)?)), rows });
    }
    let reached = if changes.len() < PAGE { upto } else { changes.last().map_or(upto, |last| last.pos) };
    Ok((changes, reached))
}

/// What is left of the rows that a commit wrote or removed.
fn written(db: &Connection, pos: i64, names: Vec<Name<'static>>) -> rusqlite::Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(names.len());
    let sql = format!("SELECT {}, r.pos FROM row AS r WHERE r.kind = ?1 AND r.key = ?2", find::COLUMNS);
    let mut statement = db.prepare_cached(&sql)?;
    for Name(kind, key, removed) in names {
        let now = statement
            .query_row(params![kind, key], |row| Ok((row.get::<_, i64>(8)? == pos, find::read(row)?.1)))
            .optional()?;
        match now {
            Some((true, row)) if !removed => rows.push(row),
            None if removed => rows.push(Row::removed(super::rows::kind(kind)?, key.into_owned())),
            _ => {}
        }
    }
    Ok(rows)
}
