//! The live end of a log: a ring of the newest frames for whoever is attached, and the number everybody waits on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use trunkline_core::id::{LogId, Seq};
use trunkline_log::frame::{Frame, Page, Want};
use trunkline_log::{Log, LogError};

/// How many bytes of frames a ring holds. Who is further behind reads the log.
const RING_BYTES: usize = 64 << 10;
/// How many bytes one read of the log gives a reader.
const READ_BYTES: usize = 256 << 10;

/// In which form a frame is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// For readers of a stream of `/v1`.
    Stream,
    /// For subscribers on the TCP bus.
    Bus,
}

/// A frame on its way to readers, with a place for the one encoding that readers of a form share.
#[derive(Debug)]
pub struct Shown {
    /// The frame.
    pub frame: Frame,
    encoded: [OnceLock<Bytes>; 2],
}

impl Shown {
    fn new(frame: Frame) -> Self {
        Self { frame, encoded: [OnceLock::new(), OnceLock::new()] }
    }

    /// The frame as `encode` writes it, made once for all readers of a form, who must all pass the same function.
    pub fn encoded(&self, form: Encoding, encode: impl FnOnce(&Frame) -> Bytes) -> Bytes {
        self.encoded[form as usize].get_or_init(|| encode(&self.frame)).clone()
    }
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) head: Seq,
    pub(crate) removed: bool,
}

/// The live end of one log.
#[derive(Debug)]
pub(crate) struct Tail {
    end: watch::Sender<End>,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<Arc<Shown>>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn new(head: Seq) -> Self {
        Self { end: watch::Sender::new(End { head, removed: false }), ring: Mutex::default() }
    }

    pub(crate) fn head(&self) -> Seq {
        self.end.borrow().head
    }

    /// How many readers are attached.
    pub(crate) fn readers(&self) -> usize {
        self.end.receiver_count()
    }

    /// Publishes frames that the store keeps. Without readers nothing is held.
    pub(crate) fn push(&self, frames: &[Frame]) {
        let Some(last) = frames.last() else { return };
        {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if self.readers() == 0 {
                *ring = Ring::default();
            } else {
                frames.iter().for_each(|frame| ring.push(frame.clone()));
            }
        }
        self.end.send_modify(|end| end.head = end.head.max(last.last));
    }

    /// Sets the head without frames: the log was trimmed or loaded.
    pub(crate) fn set_head(&self, head: Seq) {
        self.end.send_if_modified(|end| {
            let moved = end.head < head;
            end.head = end.head.max(head);
            moved
        });
    }

    pub(crate) fn remove(&self) {
        self.end.send_modify(|end| end.removed = true);
    }

    fn after(&self, seq: Seq) -> Vec<Arc<Shown>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.frames.front().is_none_or(|oldest| oldest.frame.first() > seq.plus(1)) {
            return Vec::new();
        }
        let from = ring.frames.partition_point(|shown| shown.frame.last <= seq);
        ring.frames.range(from..).cloned().collect()
    }
}

impl Ring {
    /// Adds a frame. The frames of a ring follow each other without holes: where one is missing, it starts anew.
    fn push(&mut self, frame: Frame) {
        if self.frames.back().is_some_and(|newest| newest.frame.last.plus(1) != frame.first()) {
            *self = Self::default();
        }
        self.bytes += frame.lines.len();
        self.frames.push_back(Arc::new(Shown::new(frame)));
        while self.bytes > RING_BYTES && self.frames.len() > 1 {
            if let Some(oldest) = self.frames.pop_front() {
                self.bytes -= oldest.frame.lines.len();
            }
        }
    }
}

/// A reader of one log: a cursor, not a queue. It replays what is kept, then waits for what comes.
///
/// Nothing is skipped and nothing comes twice, however slow the reader is. Dropping it detaches.
pub struct Follow {
    log: Arc<dyn Log>,
    id: LogId,
    after: Seq,
    end: watch::Receiver<End>,
    tail: Arc<Tail>,
    caught_up: bool,
    // Holds the log's cell in memory for as long as somebody follows.
    _lease: Box<dyn Send + Sync>,
}

/// What a reader gets next.
#[derive(Debug, Clone)]
pub enum Next {
    /// Frames that end after the cursor, in order. The first may begin before it.
    Frames(Vec<Arc<Shown>>),
    /// Everything that was kept when the reader came has been given. Told once.
    CaughtUp(Seq),
    /// Events before this one are gone.
    Gap(Seq),
    /// The log was removed; nothing follows.
    Removed,
}

impl Follow {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        id: LogId,
        after: Seq,
        tail: Arc<Tail>,
        lease: Box<dyn Send + Sync>,
    ) -> Self {
        let end = tail.end.subscribe();
        // A cursor beyond the head is the head: a client from another life of the log must not wait for ever.
        let after = after.min(tail.head());
        Self { log, id, after, end, tail, caught_up: false, _lease: lease }
    }

    /// Where the reader stands.
    #[must_use]
    pub const fn cursor(&self) -> Seq {
        self.after
    }

    /// The head of the log as far as it is known here.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.tail.head()
    }

    /// What comes next. Safe to drop: nothing is lost.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next(&mut self) -> Result<Next, LogError> {
        loop {
            let end = *self.end.borrow_and_update();
            if end.removed {
                return Ok(Next::Removed);
            }
            if self.after < end.head {
                return self.step().await;
            }
            if !self.caught_up {
                self.caught_up = true;
                return Ok(Next::CaughtUp(self.after));
            }
            if self.end.changed().await.is_err() {
                return Ok(Next::Removed);
            }
        }
    }

    async fn step(&mut self) -> Result<Next, LogError> {
        let shared = self.tail.after(self.after);
        if let Some(last) = shared.last() {
            self.after = last.frame.last;
            return Ok(Next::Frames(shared));
        }
        let want = Want { bytes: READ_BYTES, folded: false };
        let page = match self.log.read(&self.id, self.after, want).await {
            Ok(page) => page,
            Err(LogError::Gone) => return Ok(Next::Removed),
            Err(error) => return Err(error),
        };
        Ok(self.take(page))
    }

    fn take(&mut self, page: Page) -> Next {
        if self.after.plus(1) < page.first {
            self.after = Seq(page.first.0 - 1);
            return Next::Gap(page.first);
        }
        self.after = page.frames.last().map_or(page.head, |frame| frame.last);
        Next::Frames(page.frames.into_iter().map(|frame| Arc::new(Shown::new(frame))).collect())
    }
}
