//! The tail: every commit once, from anywhere.

use std::collections::BTreeMap;

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinSet;
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::{Row, RowKind};

use super::kit::{Store, changes, fill, frame, log, put, row};
use crate::contract::LogError;
use crate::frame::Change;

const WRITERS: u64 = 64;
const EACH: u64 = 160;

/// While 64 writers append more than a store's memory holds, a quick reader and one that begins to read when all is
/// written are told the same: every commit, once, in the order of places, the logs' own order kept.
pub async fn every_reader_is_told_every_commit_once(store: Store) {
    let start = store.pos();
    let quick = store.changes(start);
    let mut slow = store.changes(start);
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let id = log(&format!("writer/{n}"));
            for i in 0..EACH {
                let rows = vec![row(RowKind::Owed, &format!("{n}/{i}"), (0, 0), "x")];
                store.append(&id, Seq(i), frame(Seq(i), 1), rows).await.unwrap();
            }
        });
    }
    let total = usize::try_from(WRITERS * EACH).unwrap();
    let mut reading = JoinSet::new();
    reading.spawn(quick.take(total).map(Result::unwrap).collect::<Vec<Change>>());
    let first = slow.next().await.unwrap().unwrap();
    writers.join_all().await;
    let mut told = vec![first];
    told.extend(slow.by_ref().take(total - 1).map(Result::unwrap).collect::<Vec<_>>().await);
    assert!(slow.next().now_or_never().is_none(), "the last commit is the last that is told");

    assert_eq!(told.last().map(|change| change.pos), Some(store.pos()));
    assert!(told.is_sorted_by(|a, b| a.pos < b.pos));
    let mut heads: BTreeMap<LogId, Seq> = BTreeMap::new();
    for change in &told {
        let head = heads.entry(change.log.clone()).or_default();
        *head = head.plus(1);
        assert_eq!(change.head, *head, "{}", change.log);
        assert_eq!(change.rows.len(), 1);
    }
    assert_eq!(heads.len() as u64, WRITERS);
    assert!(reading.join_all().await == [told]);
}

/// Whatever place a reader has reached, it is told the rest; at the end it waits for what comes.
pub async fn a_reader_may_begin_anywhere(store: Store) {
    let start = store.pos();
    fill(&store, &log("a"), &[1, 2]).await;
    fill(&store, &log("b"), &[3]).await;
    put(&store, &log("a"), vec![row(RowKind::Session, "s", (1, 2), "x")]).await;
    let end = store.pos();
    let all = changes(&store, start, end).await;
    let told: Vec<_> =
        all.iter().map(|change| (change.log.as_str(), change.head.0, change.rows.len())).collect();
    assert_eq!(told, [("a", 1, 0), ("a", 3, 0), ("b", 3, 0), ("a", 4, 1)]);
    for (at, change) in all.iter().enumerate() {
        assert_eq!(changes(&store, change.pos, end).await, all[at + 1..]);
    }
    let mut waiting = store.changes(end);
    assert!(waiting.next().now_or_never().is_none());
    let next = put(&store, &log("c"), Vec::new()).await;
    assert_eq!(waiting.next().await.unwrap().unwrap().pos, next.pos);
}

/// The removal of a row, and of a log.
pub async fn removals_are_told(store: Store) {
    let start = store.pos();
    let id = log("removed");
    put(&store, &id, vec![row(RowKind::Owed, "o", (0, 0), "x"), row(RowKind::Session, "s", (0, 0), "x")])
        .await;
    let none = Row::removed(RowKind::Owed, "o".to_owned());
    put(&store, &id, vec![row(RowKind::Owed, "o", (0, 0), "of two the last counts"), none]).await;
    let removed = store.trim(&id, None).await.unwrap();
    let told = changes(&store, start, removed.pos).await;
    let [written, row, log] = &told[..] else { panic!("{told:?}") };
    assert_eq!(written.rows.len(), 2);
    assert_eq!((row.head, &row.rows[..]), (Seq(2), &[Row::removed(RowKind::Owed, "o".to_owned())][..]));
    assert_eq!((&log.log, log.head), (&id, Seq::ZERO));
    assert_eq!(log.rows, [Row::removed(RowKind::Session, "s".to_owned())]);
}

/// A place that the store has not reached is told as a gap; then the reader goes on.
pub async fn an_unknown_place_is_a_gap(store: Store) {
    put(&store, &log("a"), Vec::new()).await;
    let mut lost = store.changes(Pos(store.pos().0 + 1000));
    let first = Pos(store.pos().0 + 1);
    assert_eq!(lost.next().await, Some(Err(LogError::Gap { first })));
    let next = put(&store, &log("a"), Vec::new()).await;
    assert_eq!(lost.next().await.unwrap().unwrap().pos, next.pos);
}

/// A reader that waits is not left waiting when the store is dropped.
pub async fn readers_end_with_the_store(store: Store) {
    let mut reader = store.changes(store.pos());
    assert!(reader.next().now_or_never().is_none());
    drop(store);
    assert_eq!(reader.next().await, None);
}
