//! What the cases are written with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::raw::Raw;
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;
use uuid::Uuid;

use crate::contract::{AppendError, Log, LogError};
use crate::frame::{Change, Commit, Cursor, Found, Frame, Page, Query, Want};

/// A store under test.
pub type Store = Arc<dyn Log>;

/// Everything that is left of a log.
pub const ALL: Want = Want { bytes: usize::MAX, folded: false };

/// The log with this name.
#[must_use]
pub fn log(name: &str) -> LogId {
    name.parse().unwrap()
}

/// A frame of `count` events after `after`, unlike any other.
#[must_use]
pub fn frame(after: Seq, count: u64) -> Frame {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let lines: Vec<String> =
        (1..=count).map(|i| format!(r#"{{"type":"test","seq":{},"n":{n}}}"#, after.0 + i)).collect();
    let id = Uuid::from_u128(u128::from(n) << 64 | u128::from(after.0));
    Frame { id, last: after.plus(count), count, quiet: false, lines: lines.join("\n").into() }
}

/// A frame of one event with this line.
#[must_use]
pub fn line(after: Seq, line: &str) -> Frame {
    Frame { lines: line.into(), ..frame(after, 1) }
}

/// A row with a body that says `body`.
#[must_use]
pub fn row(kind: RowKind, key: &str, rank: (i64, i64), body: &str) -> Row {
    let body = Some(Raw::of(body).unwrap());
    Row { kind, key: key.to_owned(), rank, due: None, facets: Vec::new(), body }
}

/// The row, filtered by these values.
#[must_use]
pub fn with_facets(row: Row, facets: &[&str]) -> Row {
    Row { facets: facets.iter().map(|&facet| facet.to_owned()).collect(), ..row }
}

/// The row, due then.
#[must_use]
pub fn with_due(row: Row, due: i64) -> Row {
    Row { due: Some(Time(due)), ..row }
}

/// Appends one event at the head of the log, with rows.
pub async fn put(store: &Store, log: &LogId, rows: Vec<Row>) -> Commit {
    let after = head(store, log).await;
    store.append(log, after, frame(after, 1), rows).await.unwrap()
}

/// Appends a frame of each length.
pub async fn fill(store: &Store, log: &LogId, counts: &[u64]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for count in counts {
        let after = head(store, log).await;
        let next = frame(after, *count);
        store.append(log, after, next.clone(), Vec::new()).await.unwrap();
        frames.push(next);
    }
    frames
}

/// The last event of a log.
pub async fn head(store: &Store, log: &LogId) -> Seq {
    read(store, log, Seq(u64::MAX)).await.head
}

/// Everything after `after`.
pub async fn read(store: &Store, log: &LogId, after: Seq) -> Page {
    store.read(log, after, ALL).await.unwrap()
}

/// Finds rows.
pub async fn find(store: &Store, query: &Query) -> Found {
    store.find(query, store.pos()).await.unwrap()
}

/// The keys of the rows that fit, over all pages of this size.
pub async fn keys(store: &Store, query: &Query, page: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut after: Option<Cursor> = query.after.clone();
    loop {
        let found = find(store, &Query { after, limit: page, ..query.clone() }).await;
        assert!(found.rows.len() <= page);
        keys.extend(found.rows.into_iter().map(|(_, row)| row.key));
        after = found.next;
        if after.is_none() {
            return keys;
        }
    }
}

/// The changes after `after`, up to the place `upto`.
pub async fn changes(store: &Store, after: Pos, upto: Pos) -> Vec<Change> {
    let mut stream = store.changes(after);
    let mut told = Vec::new();
    let mut at = after;
    while at < upto {
        let change: Change = stream.next().await.unwrap().unwrap();
        at = change.pos;
        told.push(change);
    }
    told
}

/// Appends when the log's head is known, trying again where somebody else was first.
pub async fn contend(store: &Store, log: &LogId, mut after: Seq) -> Commit {
    loop {
        match store.append(log, after, frame(after, 1), Vec::new()).await {
            Ok(commit) => return commit,
            Err(AppendError::Moved { head }) => after = head,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A log that was removed.
pub fn is_gone<T: std::fmt::Debug>(answer: Result<T, LogError>) {
    assert_eq!(answer.unwrap_err(), LogError::Gone);
}
