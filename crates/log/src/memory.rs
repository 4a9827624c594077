//! A store in memory: the `live` store, and the reference that says what the others must do.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;

use crate::contract::{AppendError, Log, LogError};
use crate::frame::{Change, Commit, Cursor, Found, Frame, Page, Query, Want, last_of_each};
use crate::tail::{Limits, Past, Tail};

/// How much of the tail a reader of changes may be behind before it is told of a gap.
const TAIL: Limits = Limits { changes: 64 << 10, bytes: 32 << 20 };

/// A store that is empty in each life.
///
/// It keeps every frame until its log is trimmed: whoever writes here trims. A removed log leaves its name and head
/// behind, about a hundred bytes. A reader of changes that is more than 65,536 commits or about 32 MiB behind is told of
/// a [`Gap`](LogError::Gap).
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    tail: Arc<Tail>,
}

impl Memory {
    /// An empty store, whose commits count on from `boot` in microseconds.
    #[must_use]
    pub fn new(boot: Time) -> Self {
        let tail = Arc::new(Tail::new(boot_pos(boot), TAIL));
        Self { state: Mutex::default(), tail }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Everything that can panic is checked before the state is changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place before the first commit of a life that began at `boot`.
pub(crate) fn boot_pos(boot: Time) -> Pos {
    Pos(u64::try_from(boot.0).unwrap_or(0).saturating_mul(1000))
}

#[async_trait]
impl Log for Memory {
    async fn append(
        &self,
        log: &LogId,
        after: Seq,
        frame: Frame,
        rows: Vec<Row>,
    ) -> Result<Commit, AppendError> {
        frame.check(after)?;
        let rows = last_of_each(rows);
        let mut state = self.state();
        let (head, gone) = state.logs.get(log).map_or((Seq::ZERO, None), |kept| (kept.head, kept.gone));
        if gone.is_some() {
            return Err(AppendError::Gone);
        }
        if head != after {
            return Err(AppendError::Moved { head });
        }
        let head = frame.last;
        let kept = state.logs.entry(log.clone()).or_default();
        kept.head = head;
        kept.frames.push_back(frame);
        state.rows.put(log, &rows);
        Ok(Commit { head, pos: self.tell(&state, log, head, rows) })
    }

    async fn read(&self, log: &LogId, after: Seq, want: Want) -> Result<Page, LogError> {
        match self.state().logs.get(log) {
            None => Ok(Kept::default().page(after, want)),
            Some(kept) if kept.gone.is_some() => Err(LogError::Gone),
            Some(kept) => Ok(kept.page(after, want)),
        }
    }

    async fn find(&self, query: &Query, _: Pos) -> Result<Found, LogError> {
        let state = self.state();
        let (rows, next) = state.rows.find(query);
        Ok(Found { rows, next, pos: self.tail.pos() })
    }

    async fn trim(&self, log: &LogId, upto: Option<Seq>) -> Result<Commit, LogError> {
        let mut state = self.state();
        let kept = state.logs.get_mut(log);
        let (head, gone) = kept.as_ref().map_or((Seq::ZERO, None), |kept| (kept.head, kept.gone));
        match (upto, gone) {
            (Some(_), Some(_)) => Err(LogError::Gone),
            (Some(upto), None) => {
                kept.into_iter().for_each(|kept| kept.trim(upto));
                Ok(Commit { head, pos: self.tail.pos() })
            }
            (None, Some(pos)) => Ok(Commit { head, pos }),
            (None, None) => {
                let rows = state.rows.remove(log);
                let pos = self.tell(&state, log, Seq::ZERO, rows);
                state.logs.insert(log.clone(), Kept { head, gone: Some(pos), ..Kept::default() });
                Ok(Commit { head, pos })
            }
        }
    }

    fn changes(&self, after: Pos) -> BoxStream<'static, Result<Change, LogError>> {
        Arc::clone(&self.tail).follow(after, Forgotten)
    }

    fn pos(&self) -> Pos {
        self.tail.pos()
    }
}

impl Memory {
    /// Tells a commit. The state is still locked, so that the tail has the order of the commits.
    fn tell(&self, _: &MutexGuard<'_, State>, log: &LogId, head: Seq, rows: Vec<Row>) -> Pos {
        let pos = Pos(self.tail.pos().0 + 1);
        self.tail.push([Change { pos, log: log.clone(), head, rows }]);
        pos
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.tail.close();
    }
}

/// What the tail of a store in memory has dropped is gone.
struct Forgotten;

impl Past for Forgotten {
    async fn past(&self, _: Pos, upto: Pos) -> Result<(Vec<Change>, Pos), LogError> {
        Err(LogError::Gap { first: Pos(upto.0 + 1) })
    }
}

#[derive(Debug, Default)]
struct State {
    logs: HashMap<LogId, Kept>,
    rows: Rows,
}

/// One log.
#[derive(Debug, Default)]
struct Kept {
    head: Seq,
    frames: VecDeque<Frame>,
    /// Where it was removed.
    gone: Option<Pos>,
}

impl Kept {
    fn page(&self, after: Seq, want: Want) -> Page {
        let from = self.frames.partition_point(|frame| frame.last <= after);
        let first = self.frames.front().map_or_else(|| self.head.plus(1), Frame::first);
        Page::of(self.frames.range(from..), first, self.head, want)
    }

    fn trim(&mut self, upto: Seq) {
        let gone = self.frames.partition_point(|frame| frame.last <= upto);
        self.frames.drain(..gone);
    }
}

/// All rows, by key, and their order.
#[derive(Debug, Default)]
struct Rows {
    by_key: BTreeMap<(RowKind, String), (LogId, Row)>,
    by_rank: BTreeSet<Place>,
}

/// Where a row stands in the list of its kind.
type Place = (RowKind, (i64, i64), String);

impl Rows {
    fn put(&mut self, log: &LogId, rows: &[Row]) {
        for row in rows {
            let key = (row.kind, row.key.clone());
            if let Some((_, old)) = self.by_key.remove(&key) {
                self.by_rank.remove(&place(&old));
            }
            if row.body.is_some() {
                self.by_rank.insert(place(row));
                self.by_key.insert(key, (log.clone(), row.clone()));
            }
        }
    }

    /// Removes the rows that a log wrote, and gives their removals.
    fn remove(&mut self, log: &LogId) -> Vec<Row> {
        let of_log = self.by_key.values().filter(|(owner, _)| owner == log);
        let removals: Vec<Row> = of_log.map(|(_, row)| Row::removed(row.kind, row.key.clone())).collect();
        self.put(log, &removals);
        removals
    }

    fn find(&self, query: &Query) -> (Vec<(LogId, Row)>, Option<Cursor>) {
        if let Some(key) = &query.key {
            let behind = |row: &Row| {
                let after = query.after.as_ref();
                after.is_none_or(|after| (after.rank, &after.key) < (row.rank, &row.key))
            };
            let row = self.by_key.get(&(query.kind, key.clone()));
            let row = row.filter(|(_, row)| fits(query, row) && behind(row));
            return (row.cloned().into_iter().collect(), None);
        }
        let after = match &query.after {
            Some(after) => Bound::Excluded((query.kind, after.rank, after.key.clone())),
            None => Bound::Included((query.kind, (i64::MIN, i64::MIN), String::new())),
        };
        let behind =
            self.by_rank.range((after, Bound::Unbounded)).take_while(|(kind, ..)| *kind == query.kind);
        let mut fitting = behind
            .filter_map(|(kind, _, key)| self.by_key.get(&(*kind, key.clone())))
            .filter(|(_, row)| fits(query, row));
        let rows: Vec<_> = fitting.by_ref().take(query.most()).cloned().collect();
        let more = fitting.next().is_some();
        let next = rows.last().filter(|_| more).map(|(_, row)| Cursor::of(row));
        (rows, next)
    }
}

fn place(row: &Row) -> Place {
    (row.kind, row.rank, row.key.clone())
}

fn fits(query: &Query, row: &Row) -> bool {
    query.facets.iter().all(|facet| row.facets.contains(facet))
        && query.due_before.is_none_or(|before| row.due.is_some_and(|due| due < before))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::conformance::kit::{Store, log, put};

    crate::conformance!((Arc::new(Memory::new(Time(1_732_182_000_000))) as Store, ()));

    #[tokio::test]
    async fn places_count_on_from_the_boot_time_in_microseconds() {
        let store: Store = Arc::new(Memory::new(Time(5)));
        assert_eq!(put(&store, &log("a"), Vec::new()).await.pos, Pos(5001));
        let mut earlier_life = store.changes(Pos(4711));
        assert_eq!(earlier_life.next().await, Some(Err(LogError::Gap { first: Pos(5001) })));
        assert_eq!(earlier_life.next().await.unwrap().unwrap().pos, Pos(5001));
    }

    #[tokio::test]
    async fn a_reader_behind_the_tail_is_told_of_a_gap_and_goes_on() {
        let store: Store = Arc::new(Memory::new(Time(0)));
        let mut reader = store.changes(Pos(0));
        put(&store, &log("a"), Vec::new()).await;
        assert_eq!(reader.next().await.unwrap().unwrap().pos, Pos(1));
        for _ in 0..TAIL.changes + 9 {
            put(&store, &log("a"), Vec::new()).await;
        }
        assert_eq!(reader.next().await, Some(Err(LogError::Gap { first: Pos(11) })));
        assert_eq!(reader.next().await.unwrap().unwrap().pos, Pos(11));
        drop(store);
        assert_eq!(reader.count().await, TAIL.changes - 1);
    }
}
