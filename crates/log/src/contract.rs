//! The contract of a store.

use std::io;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::Row;

use crate::frame::{Change, Commit, Found, Frame, Page, Query, Want};

/// Many logs in one store.
///
/// ```text
///            first            head
///              |               |
///   1 2 3 . . [7 8][9][10 11 12]          a log: events in frames; 1..6 were trimmed
///
///   pos 41: log a ─ pos 42: log b ─ pos 45: log a ─ …   the tail: every commit of the store, in order
/// ```
///
/// - An append writes one frame to one log, whole or not at all, if the log's head is `after`, and returns when the
///   store keeps it. There is no append without that condition: compare-and-swap is the only lock and the only fence.
///   Of several appends with the same `after`, one wins.
/// - Events of a log are numbered 1, 2, 3 … without holes. A number never comes twice: the head survives trimming and
///   removal. (A `live` store starts empty in each life.)
/// - `pos` grows with every commit of the store, and never comes twice either. A `live` store starts at its boot time in
///   microseconds, so that a cursor from an earlier life is told of a gap and not of silence.
/// - Rows are written in the same transaction as the frame, by kind and key; the later commit wins. A row without a body
///   is removed.
/// - What `append` acknowledged, every later `read`, `find` and `changes` shows. What failed shows nowhere, except after
///   [`AppendError::Unknown`], which [`settle`](crate::settle) resolves.
/// - All calls may be made side by side, from any task; dropping one leaves the store sound (an append that was dropped
///   may still happen).
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Appends a frame if the head of the log is `after`. The first append, at 0, makes the log. Rows need no frame of
    /// their own. Of several rows with one kind and key the last counts.
    ///
    /// # Panics
    /// When the frame's first event is not the one after `after`.
    async fn append(
        &self,
        log: &LogId,
        after: Seq,
        frame: Frame,
        rows: Vec<Row>,
    ) -> Result<Commit, AppendError>;

    /// Reads frames that end after `after`. A log that was never made reads as empty, with head 0 and first event 1.
    async fn read(&self, log: &LogId, after: Seq, want: Want) -> Result<Page, LogError>;

    /// Finds rows of one kind, in the order of their rank, from a view that has reached `at`, a place that this store gave
    /// out. Rows that were committed after the place in the answer may be in it; a reader of changes is told them again.
    async fn find(&self, query: &Query, at: Pos) -> Result<Found, LogError>;

    /// Forgets events up to and including `upto` (whole frames only: a frame that ends later stays), or, with `None`, the
    /// whole log and its rows. A log removed keeps its head: it reads as [`LogError::Gone`], and nothing can be appended,
    /// even if the log was never made. Only a removal is a commit, with a place of its own; done twice, it gives the first.
    async fn trim(&self, log: &LogId, upto: Option<Seq>) -> Result<Commit, LogError>;

    /// Every commit after `after`, past ones first, then live, until the store is dropped. Commits whose frames were
    /// trimmed since are told without them or not at all.
    ///
    /// [`LogError::Gap`] tells that commits are missing, and the stream goes on with the first that can be told: when
    /// `after`, or a slow reader, is before what a `live` store still has, and when `after` is a place that this store has
    /// not reached. After any other error the stream ends, and may be begun again where it was.
    fn changes(&self, after: Pos) -> BoxStream<'static, Result<Change, LogError>>;

    /// The place of the last commit.
    fn pos(&self) -> Pos;
}

/// Why an append failed. Nothing was written, except perhaps after `Unknown`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else was first.
    #[error("the log has moved on to {head}")]
    Moved {
        /// The head now.
        head: Seq,
    },
    /// The log was removed.
    #[error("the log was removed")]
    Gone,
    /// It may or may not have been written.
    #[error("it is not known whether this was written")]
    Unknown,
    /// There is no space.
    #[error("the disk is full")]
    Full,
    /// The frame is larger than [`MAX_FRAME_BYTES`](crate::frame::MAX_FRAME_BYTES).
    #[error("the events are {bytes} bytes together; the limit is {limit}", limit = crate::frame::MAX_FRAME_BYTES)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The store does not work.
    #[error("the store does not work: {0}")]
    Down(String),
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log was removed.
    #[error("the log was removed")]
    Gone,
    /// Commits before this place cannot be told any more.
    #[error("commits before {first} are not known any more")]
    Gap {
        /// The first place that can be told.
        first: Pos,
    },
    /// There is no space.
    #[error("the disk is full")]
    Full,
    /// The store does not work.
    #[error("the store does not work: {0}")]
    Down(String),
}

/// Why a store could not be opened. It was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer version of Trunkline wrote it.
    #[error(
        "{path} has schema {found}, and this version knows schemas up to {known}; run the version that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its schema.
        found: i64,
        /// The newest this version knows.
        known: i64,
    },
    /// It is not a database, or not one of ours, or damaged.
    #[error(
        "{path} is not a sound Trunkline database: {why}. Nothing was changed. Move it away to start anew, or restore it from a copy"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        why: String,
    },
    /// Another process has it open.
    #[error("{path} is in use by another daemon")]
    InUse {
        /// The file.
        path: String,
    },
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}
