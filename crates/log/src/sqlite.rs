//! A store in one SQLite file: the `disk` store.
//!
//! ```text
//!   append ──▶ queue ──▶ one thread, one connection: BEGIN, every job, COMMIT (fsync) ──▶ tail, then replies
//!   read   ──▶ newest frames in memory, else a reading connection on a thread that may block
//!   changes ─▶ a reading connection while behind the tail's ring, then the ring, then live
//! ```
//!
//! - `writer`: the thread; it commits together whatever is queued. `ledger`: what an append or a trim writes. `rows`: what
//!   a row writes. `reap`: deleting what was trimmed.
//! - `reader`: the connections that read. `find`: the statements for rows. `hot`: the newest frames.
//! - `reindex`: all rows made anew from the logs.
//! - `schema`: opening, migrations, and the lock.

mod find;
mod hot;
mod ledger;
mod reader;
mod reap;
mod reindex;
mod rows;
mod schema;
mod writer;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::Row;
use trunkline_core::time::Time;

pub use self::reindex::Reindexed;

use self::hot::Hot;
use self::ledger::Ledger;
use self::reader::Readers;
use self::writer::{Job, Writer};
use crate::contract::{AppendError, Log, LogError, OpenError};
use crate::frame::{Change, Commit, Found, Frame, MAX_FRAME_BYTES, Page, Query, Want, last_of_each};
use crate::memory::boot_pos;
use crate::tail::{self, Limits, Tail};

/// How much of the tail is in memory. A reader that is further behind reads the database.
const TAIL: Limits = Limits { changes: 8192, bytes: 4 << 20 };

/// How many bytes may be queued. Who comes then waits.
const QUEUE_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// What a job costs in the queue beside its bytes.
const JOB_BYTES: usize = 512;

/// A store in one file. Dropping or [closing](Self::close) it ends its writer, which takes as long as what is queued needs
/// to reach the disk.
///
/// What was acknowledged is on disk: every commit is flushed. Beside the file stand `-wal` and `-shm`, which are part of
/// it while it is open, and `.lock`, which is empty. In memory it keeps at most 4 MiB of frames, 4 MiB of changes, 64 MiB of
/// what waits to be written, and SQLite's own caches: 8 MiB for the writer, 1 MiB for each of four readers.
#[derive(Debug)]
pub struct Sqlite {
    writer: Mutex<Option<Running>>,
    queue: Arc<Semaphore>,
    shared: Arc<Shared>,
    readers: Arc<Readers>,
}

/// The writer while it runs. Without the sender it ends as soon as what is queued is on disk.
#[derive(Debug)]
struct Running {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Running {
    fn end(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the writer of the database ended in an unexpected way");
        }
    }
}

/// What the writer tells the readers.
#[derive(Debug)]
struct Shared {
    tail: Arc<Tail>,
    hot: Mutex<Hot>,
}

impl Sqlite {
    /// Opens a database, or makes one. Takes the lock, and a thread; blocks for a few milliseconds.
    ///
    /// Commits count on from the last one, or from `boot` in microseconds if that is later: so a place does not come twice
    /// even if the file was replaced by an older copy of itself.
    ///
    /// # Errors
    /// See [`OpenError`]. A file that is not a sound database of ours is left as it is.
    pub fn open(path: impl AsRef<Path>, boot: Time) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let lock = schema::lock(path)?;
        let db = schema::open(path)?;
        Self::start(path, lock, db, boot)
    }

    /// Looks for damage in every page and every log. Blocks for as long as it takes to read the whole file, changes
    /// nothing, and may be done while a daemon has the database open.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] with what was found, or why it could not be looked at.
    pub fn check(path: impl AsRef<Path>) -> Result<(), OpenError> {
        let path = path.as_ref();
        match path.try_exists() {
            Ok(true) => schema::check(path),
            Ok(false) => Err(OpenError::Io {
                path: path.display().to_string(),
                source: io::ErrorKind::NotFound.into(),
            }),
            Err(source) => Err(OpenError::Io { path: path.display().to_string(), source }),
        }
    }

    /// Waits until what was trimmed so far is deleted from the file and its space is given back.
    ///
    /// # Errors
    /// When deleting failed. It is tried again after the next commit.
    pub async fn reaped(&self) -> Result<(), LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Reaped { reply }).map_err(LogError::Down)?;
        answer.await.unwrap_or_else(|_| Err(LogError::Down(STOPPED.to_owned())))
    }

    /// Closes the database while others still hold the store: reads that have begun and what is queued are done, the whole
    /// of it is left in its one file, and nobody writes to it or reads it any more.
    pub async fn close(&self) {
        self.readers.drain().await;
        let writer = self.writer().take();
        if let Some(writer) = writer {
            // That it cannot be awaited means that it panicked, which it has said itself.
            tokio::task::spawn_blocking(|| writer.end()).await.ok();
        }
    }

    fn start(path: &Path, lock: File, db: Connection, boot: Time) -> Result<Self, OpenError> {
        let refuse = |error: rusqlite::Error| schema::refuse(path, &error);
        let ledger = Ledger::new(db, boot_pos(boot)).map_err(refuse)?;
        let tail = Arc::new(Tail::new(ledger.pos(), TAIL));
        let shared = Arc::new(Shared { tail, hot: Mutex::default() });
        let (sender, jobs) = mpsc::channel();
        let writer = Writer::new(ledger, jobs, Arc::clone(&shared), path.to_owned(), lock).map_err(refuse)?;
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { path: path.display().to_string(), source })?;
        Ok(Self {
            writer: Mutex::new(Some(Running { jobs: sender, thread })),
            queue: Arc::new(Semaphore::new(QUEUE_BYTES)),
            shared,
            readers: Readers::new(path.to_owned()),
        })
    }

    fn send(&self, job: Job) -> Result<(), String> {
        let sent = self.writer().as_ref().and_then(|writer| writer.jobs.send(job).ok());
        sent.ok_or_else(|| STOPPED.to_owned())
    }

    fn writer(&self) -> MutexGuard<'_, Option<Running>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const STOPPED: &str = "its writer has stopped";

#[async_trait]
impl Log for Sqlite {
    async fn append(
        &self,
        log: &LogId,
        after: Seq,
        frame: Frame,
        rows: Vec<Row>,
    ) -> Result<Commit, AppendError> {
        frame.check(after)?;
        let rows = last_of_each(rows);
        let bytes = JOB_BYTES + frame.lines.len() + rows.iter().map(tail::row_weight).sum::<usize>();
        // Rows have no limit of their own; what is larger than the queue waits until the queue is empty.
        let share = u32::try_from(bytes.min(QUEUE_BYTES)).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.queue).acquire_many_owned(share).await;
        let share = share.map_err(|_| AppendError::Down(STOPPED.to_owned()))?;
        let (reply, answer) = oneshot::channel();
        self.send(Job::Append { log: log.clone(), after, frame, rows, reply, share })
            .map_err(AppendError::Down)?;
        answer.await.unwrap_or(Err(AppendError::Unknown))
    }

    async fn read(&self, log: &LogId, after: Seq, want: Want) -> Result<Page, LogError> {
        let page = self.shared.hot().read(log, after, want);
        match page {
            Some(page) => Ok(page),
            None => self.readers.read(log, after, want).await,
        }
    }

    async fn find(&self, query: &Query, _: Pos) -> Result<Found, LogError> {
        // Every commit up to here is on disk, where a read that begins now sees it.
        self.readers.find(query, self.pos()).await
    }

    async fn trim(&self, log: &LogId, upto: Option<Seq>) -> Result<Commit, LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Trim { log: log.clone(), upto, reply }).map_err(LogError::Down)?;
        answer.await.unwrap_or_else(|_| Err(LogError::Down(STOPPED.to_owned())))
    }

    fn changes(&self, after: Pos) -> BoxStream<'static, Result<Change, LogError>> {
        Arc::clone(&self.shared.tail).follow(after, Arc::clone(&self.readers))
    }

    fn pos(&self) -> Pos {
        self.shared.tail.pos()
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.close();
        if let Some(writer) = self.writer().take() {
            writer.end();
        }
    }
}

impl Shared {
    fn hot(&self) -> MutexGuard<'_, Hot> {
        self.hot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number as SQLite keeps it. No log gets as long as to make a difference.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that SQLite kept.
fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
