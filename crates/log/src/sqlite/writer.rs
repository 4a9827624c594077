//! The one thread that writes: it commits whatever is queued, together.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use trunkline_core::id::{LogId, Seq};
use trunkline_core::row::Row;

use super::ledger::{Appended, Ledger, Trimmed};
use super::reap::Reaper;
use super::{Shared, schema, uint};
use crate::contract::{AppendError, LogError};
use crate::frame::{Change, Commit, Frame};

/// How many jobs share a commit, and about how many bytes: who comes later waits no longer than that takes.
const JOBS: usize = 1024;
const BYTES: usize = 16 << 20;

/// How often the writer lets others run before it commits what is queued, if the last commit had several jobs: those who
/// were just answered are about to come again, and a commit costs the same for all. A sole writer is not kept waiting.
const YIELDS: u32 = 5;

/// How many commits may go by before housekeeping gets a turn although somebody waits.
const PATIENCE: u32 = 64;

/// How long the writer waits for readers when it empties the write-ahead log. A read takes a few milliseconds.
const READ: Duration = Duration::from_millis(250);

/// Something for the writer to do. The permit is its share of the queue.
pub(super) enum Job {
    /// To append a frame.
    Append {
        log: LogId,
        after: Seq,
        frame: Frame,
        rows: Vec<Row>,
        reply: oneshot::Sender<Result<Commit, AppendError>>,
        share: OwnedSemaphorePermit,
    },
    /// To trim or remove a log.
    Trim { log: LogId, upto: Option<Seq>, reply: oneshot::Sender<Result<Commit, LogError>> },
    /// To say when nothing is left to reap.
    Reaped { reply: oneshot::Sender<Result<(), LogError>> },
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { frame, .. } => frame.lines.len(),
            Self::Trim { .. } | Self::Reaped { .. } => 0,
        }
    }

    fn work(&self, ledger: &mut Ledger) -> rusqlite::Result<Done> {
        Ok(match self {
            Self::Append { log, after, frame, rows, .. } => {
                Done::Append(ledger.append(log, *after, frame, rows)?)
            }
            Self::Trim { log, upto, .. } => Done::Trim(ledger.trim(log, *upto)?),
            Self::Reaped { .. } => Done::Later,
        })
    }
}

/// Why a transaction failed.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    Full,
    Unknown,
    Down(String),
}

impl Fault {
    /// What an error of SQLite means when nothing was committed.
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Down(error.to_string()),
        }
    }
}

impl From<Fault> for AppendError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::Unknown => Self::Unknown,
            Fault::Down(why) => Self::Down(why),
        }
    }
}

impl From<Fault> for LogError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            // Whoever trims or removes again finds out: both can be done twice.
            Fault::Unknown => Self::Down("it is not known whether this was written".to_owned()),
            Fault::Down(why) => Self::Down(why),
        }
    }
}

/// The thread's state. The order of the fields is the order in which they are dropped: the lock goes last.
pub(super) struct Writer {
    ledger: Ledger,
    reaper: Reaper,
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    /// Who waits for the reaper.
    waiting: Vec<oneshot::Sender<Result<(), LogError>>>,
    /// Commits since the last turn of housekeeping.
    commits: u32,
    /// Whether the last commit had several jobs.
    together: bool,
    /// The reaper met an error, and waits for the next commit before it tries again.
    tired: Option<Fault>,
    path: PathBuf,
    lock: File,
}

/// What became of a job.
enum Done {
    Append(Result<Appended, AppendError>),
    Trim(Result<Trimmed, LogError>),
    Later,
}

impl Writer {
    pub(super) fn new(
        ledger: Ledger,
        jobs: Receiver<Job>,
        shared: Arc<Shared>,
        path: PathBuf,
        lock: File,
    ) -> rusqlite::Result<Self> {
        let reaper = Reaper::new(&ledger.db)?;
        let waiting = Vec::new();
        Ok(Self {
            ledger,
            reaper,
            jobs,
            shared,
            waiting,
            commits: 0,
            together: false,
            tired: None,
            path,
            lock,
        })
    }

    /// Works until nobody can send a job any more, and leaves the whole database in its one file.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            self.commit(batch);
        }
        self.checkpoint("TRUNCATE");
    }

    /// Waits for a job and takes with it what else is queued. Reaps while there is none.
    fn next_batch(&mut self) -> Option<Vec<Job>> {
        if self.commits >= PATIENCE {
            self.commits = 0;
            self.reap();
            // SQLite empties the write-ahead log by itself, but only when it finds a moment without a reader.
            if self.wal_bytes() > uint(schema::WAL_BYTES) {
                self.checkpoint("RESTART");
            }
        }
        let first = loop {
            match self.jobs.try_recv() {
                Ok(job) => break job,
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if self.rests() => break self.jobs.recv().ok()?,
                Err(TryRecvError::Empty) => self.reap(),
            }
        };
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        let mut yields = if self.together { 0 } else { YIELDS };
        while batch.len() < JOBS && bytes < BYTES {
            match self.jobs.try_recv() {
                Ok(job) => {
                    bytes += job.bytes();
                    batch.push(job);
                }
                Err(_) if yields == YIELDS => break,
                Err(_) => {
                    yields += 1;
                    std::thread::yield_now();
                }
            }
        }
        self.together = batch.len() > 1;
        Some(batch)
    }

    /// Whether there is nothing to reap for now; tells those who wait for that.
    fn rests(&mut self) -> bool {
        let outcome = match &self.tired {
            Some(fault) => Err(fault.clone().into()),
            None if self.reaper.is_done() => Ok(()),
            None => return false,
        };
        for reply in self.waiting.drain(..) {
            // Who does not wait any more need not be told.
            reply.send(outcome.clone()).ok();
        }
        true
    }

    fn reap(&mut self) {
        if self.reaper.is_done() {
            return;
        }
        if let Err(error) = self.reaper.step(&mut self.ledger.db) {
            tracing::warn!(%error, "forgotten events could not be deleted; trying again after the next commit");
            self.tired = Some(Fault::of(&error));
        }
    }

    fn commit(&mut self, batch: Vec<Job>) {
        self.commits += 1;
        self.tired = None;
        match self.attempt(&batch) {
            Ok(done) => self.publish(batch, done),
            Err(Fault::Unknown) => refuse(batch, &Fault::Unknown),
            Err(fault) => {
                tracing::warn!(
                    ?fault,
                    jobs = batch.len(),
                    "a transaction failed; trying each of its parts alone"
                );
                if matches!(fault, Fault::Full) {
                    // The write-ahead log cannot grow, but there may be room in it once it was moved into the database.
                    self.checkpoint("RESTART");
                }
                // It may be one job that cannot be written: the others must not suffer for it.
                for job in batch {
                    let alone = vec![job];
                    match self.attempt(&alone) {
                        Ok(done) => self.publish(alone, done),
                        Err(fault) => refuse(alone, &fault),
                    }
                }
            }
        }
    }

    /// Does all jobs in one transaction, or none.
    fn attempt(&mut self, batch: &[Job]) -> Result<Vec<Done>, Fault> {
        let done = self.transact(batch);
        if done.is_ok() {
            self.ledger.keep();
        } else {
            // SQLite rolls back by itself after some errors, and then refuses to do it again.
            if !self.ledger.db.is_autocommit() {
                self.ledger.db.execute_batch("ROLLBACK").ok();
            }
            self.ledger.forget();
        }
        done
    }

    fn transact(&mut self, batch: &[Job]) -> Result<Vec<Done>, Fault> {
        let begun = self.ledger.db.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
        let done = begun.and_then(|_| batch.iter().map(|job| job.work(&mut self.ledger)).collect());
        let done: Vec<Done> = done.map_err(|error| self.fault(&error))?;
        let commit = self.ledger.db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        match commit {
            Ok(_) => Ok(done),
            Err(error) if is_unwritten(&error) => Err(self.fault(&error)),
            Err(error) => {
                tracing::error!(%error, "it is not known whether a transaction reached the disk");
                Err(Fault::Unknown)
            }
        }
    }

    /// Tells the tail first, so that whoever gets a reply finds what it speaks of.
    fn publish(&mut self, batch: Vec<Job>, done: Vec<Done>) {
        let mut changes = Vec::with_capacity(batch.len());
        let mut appended = Vec::with_capacity(batch.len());
        let mut trimmed = Vec::new();
        let mut hot = self.shared.hot();
        for (job, done) in batch.into_iter().zip(done) {
            match (job, done) {
                (Job::Append { log, frame, rows, reply, share, .. }, Done::Append(outcome)) => {
                    let outcome = outcome.map(|Appended { commit: Commit { head, pos }, first }| {
                        hot.push(&log, first, frame);
                        changes.push(Change { pos, log, head, rows });
                        Commit { head, pos }
                    });
                    appended.push((reply, outcome, share));
                }
                (Job::Trim { log, reply, .. }, Done::Trim(outcome)) => {
                    hot.forget(&log);
                    let outcome = outcome.map(|Trimmed { commit, removed, litter }| {
                        litter.into_iter().for_each(|log| self.reaper.add(log));
                        let told = removed.map(|rows| Change { pos: commit.pos, log, head: Seq::ZERO, rows });
                        changes.extend(told);
                        commit
                    });
                    trimmed.push((reply, outcome));
                }
                (Job::Reaped { reply }, Done::Later) => self.waiting.push(reply),
                _ => unreachable!("what was done is told in the order of the jobs"),
            }
        }
        drop(hot);
        self.shared.tail.push(changes);
        // Who does not wait any more need not be told.
        for (reply, outcome, share) in appended {
            drop(share);
            reply.send(outcome).ok();
        }
        for (reply, outcome) in trimmed {
            reply.send(outcome).ok();
        }
    }

    /// Moves the write-ahead log into the database. What cannot be moved stays where it is, and is as safe there.
    fn checkpoint(&self, how: &str) {
        let db = &self.ledger.db;
        let sql = format!("PRAGMA wal_checkpoint({how})");
        let moved = db
            .busy_timeout(READ)
            .and_then(|()| db.query_row(&sql, [], |_| Ok(())))
            .and_then(|()| db.busy_timeout(schema::BUSY));
        if let Err(error) = moved {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database");
        }
    }

    fn wal_bytes(&self) -> u64 {
        std::fs::metadata(schema::sibling(&self.path, "-wal")).map_or(0, |wal| wal.len())
    }

    fn fault(&mut self, error: &rusqlite::Error) -> Fault {
        let io = error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
        if io && self.no_space() { Fault::Full } else { Fault::of(error) }
    }

    /// Whether a write at the end of the write-ahead log fails for want of space. SQLite says so only for a full disk; for
    /// a quota or a limit on the size of files it says that writing failed, and keeps the reason to itself.
    fn no_space(&mut self) -> bool {
        let end = SeekFrom::Start(self.wal_bytes());
        let tried = self.lock.seek(end).and_then(|_| self.lock.write_all(&[0; 64 << 10]));
        self.lock.set_len(0).ok();
        tried.is_err_and(|error| {
            use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
            matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Also after a panic: nobody may wait for commits that will not come.
        self.shared.tail.close();
    }
}

/// Whether a commit that failed with this error is certainly not on disk. A failed flush is not: the pages may have got
/// there, and would be found after a crash.
fn is_unwritten(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(error, _) => {
            matches!(error.code, ErrorCode::DiskFull | ErrorCode::DatabaseBusy)
                || error.extended_code == ffi::SQLITE_IOERR_WRITE
        }
        _ => false,
    }
}

fn refuse(batch: Vec<Job>, fault: &Fault) {
    for job in batch {
        match job {
            Job::Append { reply, .. } => drop(reply.send(Err(fault.clone().into()))),
            Job::Trim { reply, .. } => drop(reply.send(Err(fault.clone().into()))),
            Job::Reaped { reply } => drop(reply.send(Err(fault.clone().into()))),
        }
    }
}
