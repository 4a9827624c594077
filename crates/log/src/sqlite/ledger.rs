//! What an append and a trim do to the database, inside a transaction that somebody else begins and ends.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::Row;

use super::{int, rows, uint};
use crate::contract::{AppendError, LogError};
use crate::frame::{Commit, Frame};

/// How many logs are remembered, so that an append need not look them up: about 2 MiB.
const LOGS: usize = 8192;

/// The writing side of the database. After a transaction that failed, [`Ledger::forget`].
pub(super) struct Ledger {
    pub(super) db: Connection,
    /// The last commit.
    pos: Pos,
    /// The last commit that is on disk.
    kept: Pos,
    logs: HashMap<LogId, Entry>,
}

/// A log as a reader or the next append finds it.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) id: i64,
    /// The oldest event that is kept.
    pub(super) first: Seq,
    pub(super) head: Seq,
    /// Where it was removed.
    pub(super) gone: Option<Pos>,
}

impl Entry {
    /// Looks a log up.
    pub(super) fn find(db: &Connection, log: &LogId) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(
            "SELECT id, first, max(head, coalesce((SELECT max(last) FROM frame WHERE frame.log = l.id), 0)), gone
             FROM log AS l WHERE name = ?1",
        )?
        .query_row([log.as_str()], |row| {
            let gone: Option<i64> = row.get(3)?;
            Ok(Self {
                id: row.get(0)?,
                first: Seq(uint(row.get(1)?)),
                head: Seq(uint(row.get(2)?)),
                gone: gone.map(|pos| Pos(uint(pos))),
            })
        })
        .optional()
    }
}

/// What an append did.
pub(super) struct Appended {
    pub(super) commit: Commit,
    /// The oldest event of the log.
    pub(super) first: Seq,
}

/// What a trim did.
pub(super) struct Trimmed {
    pub(super) commit: Commit,
    /// Whether the log was removed by it, and the removals of its rows.
    pub(super) removed: Option<Vec<Row>>,
    /// The log, if frames of it must be reaped.
    pub(super) litter: Option<i64>,
}

impl Ledger {
    /// Goes on behind the last commit, or behind `boot` if that is later.
    pub(super) fn new(db: Connection, boot: Pos) -> rusqlite::Result<Self> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'frame'";
        let pos = boot.max(Pos(uint(db.query_row(sql, [], |row| row.get(0))?)));
        Ok(Self { db, pos, kept: pos, logs: HashMap::new() })
    }

    pub(super) fn pos(&self) -> Pos {
        self.pos
    }

    /// The transaction was committed.
    pub(super) fn keep(&mut self) {
        self.kept = self.pos;
    }

    /// The transaction was rolled back.
    pub(super) fn forget(&mut self) {
        self.pos = self.kept;
        self.logs.clear();
    }

    /// Writes a frame and its rows. Nothing was written if the inner result is an error.
    pub(super) fn append(
        &mut self,
        log: &LogId,
        after: Seq,
        frame: &Frame,
        written: &[Row],
    ) -> rusqlite::Result<Result<Appended, AppendError>> {
        let entry = match self.entry(log)? {
            Some(Entry { gone: Some(_), .. }) => return Ok(Err(AppendError::Gone)),
            Some(Entry { head, .. }) if head != after => return Ok(Err(AppendError::Moved { head })),
            Some(entry) => entry,
            None if after != Seq::ZERO => return Ok(Err(AppendError::Moved { head: Seq::ZERO })),
            None => self.create(log)?,
        };
        let pos = Pos(self.pos.0 + 1);
        self.db
            .prepare_cached(
                "INSERT INTO frame (pos, log, last, count, quiet, id, rows, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                int(pos.0),
                entry.id,
                int(frame.last.0),
                int(frame.count),
                frame.quiet,
                frame.id.as_bytes(),
                rows::names(written),
                &*frame.lines,
            ])?;
        for row in written {
            rows::put(&self.db, entry.id, int(pos.0), row)?;
        }
        self.pos = pos;
        self.remember(log, Entry { head: frame.last, ..entry });
        Ok(Ok(Appended { commit: Commit { head: frame.last, pos }, first: entry.first }))
    }

    /// Forgets events, or the whole log. The frames are only marked: [`reap`](super::reap) deletes them later.
    pub(super) fn trim(
        &mut self,
        log: &LogId,
        upto: Option<Seq>,
    ) -> rusqlite::Result<Result<Trimmed, LogError>> {
        let entry = self.entry(log)?;
        match (upto, entry) {
            (Some(_), Some(Entry { gone: Some(_), .. })) => Ok(Err(LogError::Gone)),
            (Some(upto), Some(entry)) => self.forget_events(log, entry, upto).map(Ok),
            (Some(_), None) => Ok(Ok(self.nothing(Seq::ZERO, self.pos))),
            (None, Some(Entry { gone: Some(pos), head, .. })) => Ok(Ok(self.nothing(head, pos))),
            (None, Some(entry)) => self.remove(log, entry).map(Ok),
            (None, None) => {
                let entry = self.create(log)?;
                self.remove(log, entry).map(Ok)
            }
        }
    }

    fn nothing(&self, head: Seq, pos: Pos) -> Trimmed {
        Trimmed { commit: Commit { head, pos }, removed: None, litter: None }
    }

    fn forget_events(&mut self, log: &LogId, entry: Entry, upto: Seq) -> rusqlite::Result<Trimmed> {
        let last: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT last FROM frame WHERE log = ?1 AND last <= ?2 ORDER BY last DESC LIMIT 1",
            )?
            .query_row(params![entry.id, int(upto.0)], |row| row.get(0))
            .optional()?;
        let first = Seq(uint(last.unwrap_or(0)) + 1);
        if first <= entry.first {
            return Ok(self.nothing(entry.head, self.pos));
        }
        self.mark(log, Entry { first, ..entry })?;
        let commit = Commit { head: entry.head, pos: self.pos };
        Ok(Trimmed { commit, removed: None, litter: Some(entry.id) })
    }

    fn remove(&mut self, log: &LogId, entry: Entry) -> rusqlite::Result<Trimmed> {
        let pos = Pos(self.pos.0 + 1);
        // No frame stands at this place, and still it must not come twice.
        self.db
            .prepare_cached("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'frame'")?
            .execute([int(pos.0)])?;
        let removed = rows::remove_all(&self.db, entry.id)?;
        self.mark(log, Entry { first: entry.head.plus(1), gone: Some(pos), ..entry })?;
        self.pos = pos;
        let commit = Commit { head: entry.head, pos };
        Ok(Trimmed { commit, removed: Some(removed), litter: Some(entry.id) })
    }

    fn mark(&mut self, log: &LogId, entry: Entry) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("UPDATE log SET first = ?2, head = ?3, gone = ?4, litter = 1 WHERE id = ?1")?
            .execute(params![
                entry.id,
                int(entry.first.0),
                int(entry.head.0),
                entry.gone.map(|pos| int(pos.0))
            ])?;
        self.remember(log, entry);
        Ok(())
    }

    fn create(&mut self, log: &LogId) -> rusqlite::Result<Entry> {
        self.db.prepare_cached("INSERT INTO log (name) VALUES (?1)")?.execute([log.as_str()])?;
        Ok(Entry { id: self.db.last_insert_rowid(), first: Seq(1), head: Seq::ZERO, gone: None })
    }

    fn entry(&mut self, log: &LogId) -> rusqlite::Result<Option<Entry>> {
        if let Some(entry) = self.logs.get(log) {
            return Ok(Some(*entry));
        }
        let entry = Entry::find(&self.db, log)?;
        if let Some(entry) = entry {
            self.remember(log, entry);
        }
        Ok(entry)
    }

    fn remember(&mut self, log: &LogId, entry: Entry) {
        if let Some(known) = self.logs.get_mut(log) {
            *known = entry;
            return;
        }
        if self.logs.len() >= LOGS {
            self.logs.clear();
        }
        self.logs.insert(log.clone(), entry);
    }
}
