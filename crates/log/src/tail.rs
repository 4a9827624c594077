//! The newest commits of a store, kept in memory, and the readers that wait for the next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use trunkline_core::id::Pos;
use trunkline_core::row::Row;

use crate::contract::LogError;
use crate::frame::Change;

/// How many changes a reader takes at once.
pub(crate) const PAGE: usize = 256;

/// How much of the tail is kept. Older changes are dropped from memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) changes: usize,
    pub(crate) bytes: usize,
}

/// A bounded ring of changes. One writer pushes; any number of readers follow without holding it up.
#[derive(Debug)]
pub(crate) struct Tail {
    ring: Mutex<Ring>,
    mark: watch::Sender<Mark>,
}

/// Changes that are older than the ring, from wherever the store keeps them.
pub(crate) trait Past: Send + Sync + 'static {
    /// Changes in `after..=upto`, without `after` itself, oldest first, and the place they reach.
    fn past(
        &self,
        after: Pos,
        upto: Pos,
    ) -> impl Future<Output = Result<(Vec<Change>, Pos), LogError>> + Send;
}

#[derive(Debug)]
struct Ring {
    /// The ring holds every commit after this place.
    before: Pos,
    changes: VecDeque<Change>,
    bytes: usize,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    pos: Pos,
    open: bool,
}

impl Tail {
    /// A tail whose last commit was at `pos`.
    pub(crate) fn new(pos: Pos, limits: Limits) -> Self {
        let ring = Ring { before: pos, changes: VecDeque::new(), bytes: 0, limits };
        Self { ring: Mutex::new(ring), mark: watch::Sender::new(Mark { pos, open: true }) }
    }

    /// The place of the last commit.
    pub(crate) fn pos(&self) -> Pos {
        self.mark.borrow().pos
    }

    /// Adds commits, oldest first, and wakes the readers.
    pub(crate) fn push(&self, changes: impl IntoIterator<Item = Change>) {
        let mut ring = self.ring();
        for change in changes {
            ring.push(change);
        }
        let pos = ring.pos();
        drop(ring);
        self.mark.send_if_modified(|mark| {
            let moved = mark.pos < pos;
            mark.pos = mark.pos.max(pos);
            moved
        });
    }

    /// Ends the readers once they have read what is there.
    pub(crate) fn close(&self) {
        self.mark.send_modify(|mark| mark.open = false);
    }

    /// Every change after `after`: from `past` until the ring has it, then from the ring, then live.
    pub(crate) fn follow<P: Past>(
        self: Arc<Self>,
        after: Pos,
        past: P,
    ) -> BoxStream<'static, Result<Change, LogError>> {
        let mark = self.mark.subscribe();
        let follow =
            Follow { tail: self, mark, past, after, ready: VecDeque::new(), reached: after, failed: false };
        stream::unfold(follow, |mut follow| async move { follow.next().await.map(|item| (item, follow)) })
            .boxed()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic cannot leave the ring half changed in a way that matters: each push is complete in itself.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn pos(&self) -> Pos {
        self.changes.back().map_or(self.before, |change| change.pos)
    }

    fn push(&mut self, change: Change) {
        assert!(change.pos > self.pos(), "the tail cannot go back");
        self.bytes += weight(&change);
        self.changes.push_back(change);
        while self.changes.len() > self.limits.changes || self.bytes > self.limits.bytes {
            let Some(oldest) = self.changes.pop_front() else { return };
            self.bytes -= weight(&oldest);
            self.before = oldest.pos;
        }
    }

    fn after(&self, after: Pos) -> Told {
        if after < self.before {
            return Told::Past { upto: self.before };
        }
        if after > self.pos() {
            return Told::Beyond { pos: self.pos() };
        }
        let from = self.changes.partition_point(|change| change.pos <= after);
        Told::Ring(self.changes.range(from..).take(PAGE).cloned().collect())
    }
}

/// What the ring says to a reader.
enum Told {
    /// The next changes; none yet if empty.
    Ring(VecDeque<Change>),
    /// The ring no longer has what comes next, up to this place.
    Past { upto: Pos },
    /// This store never was where the reader says it has been.
    Beyond { pos: Pos },
}

/// A reader of the tail.
struct Follow<P> {
    tail: Arc<Tail>,
    mark: watch::Receiver<Mark>,
    past: P,
    /// Everything up to here was given out.
    after: Pos,
    ready: VecDeque<Change>,
    /// Where the reader stands once `ready` is empty.
    reached: Pos,
    failed: bool,
}

impl<P: Past> Follow<P> {
    async fn next(&mut self) -> Option<Result<Change, LogError>> {
        while !self.failed {
            if let Some(change) = self.ready.pop_front() {
                self.after = change.pos;
                return Some(Ok(change));
            }
            self.after = self.after.max(self.reached);
            if let Err(error) = self.fetch().await? {
                return Some(Err(error));
            }
        }
        None
    }

    /// Waits for changes and makes them ready. `None` when there will be no more.
    async fn fetch(&mut self) -> Option<Result<(), LogError>> {
        // The mark is taken before the ring is looked at, so that a commit between the two is not slept through.
        let open = self.mark.borrow_and_update().open;
        let told = self.tail.ring().after(self.after);
        match told {
            Told::Ring(changes) if changes.is_empty() => {
                if !open {
                    return None;
                }
                // The sender lives in the tail that this reader holds, so waiting cannot fail.
                self.mark.changed().await.ok()?;
            }
            Told::Ring(changes) => self.ready = changes,
            Told::Past { upto } => match self.past.past(self.after, upto).await {
                Ok((changes, reached)) => {
                    self.ready = changes.into();
                    self.reached = reached;
                }
                Err(error) => return Some(Err(self.stumble(error))),
            },
            Told::Beyond { pos } => return Some(Err(self.stumble(LogError::Gap { first: Pos(pos.0 + 1) }))),
        }
        Some(Ok(()))
    }

    /// A gap is told once, and the reader goes on behind it; after any other error there is nothing to go on with.
    fn stumble(&mut self, error: LogError) -> LogError {
        match error {
            LogError::Gap { first } => {
                self.after = Pos(first.0.saturating_sub(1));
                self.reached = self.after;
            }
            LogError::Gone | LogError::Full | LogError::Down(_) => self.failed = true,
        }
        error
    }
}

/// About how much memory a change takes.
fn weight(change: &Change) -> usize {
    let rows: usize = change.rows.iter().map(row_weight).sum();
    size_of::<Change>() + change.log.as_str().len() + rows
}

/// About how much memory a row takes.
pub(crate) fn row_weight(row: &Row) -> usize {
    let facets: usize = row.facets.iter().map(|facet| size_of::<String>() + facet.len()).sum();
    size_of::<Row>() + row.key.len() + facets + row.body.as_ref().map_or(0, |body| body.get().len())
}
