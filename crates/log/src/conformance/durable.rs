//! What a store that outlives the process must still know in its next life.

use trunkline_core::id::{Pos, Seq};
use trunkline_core::row::{Row, RowKind};

use super::kit::{
    ALL, Store, changes, fill, find, frame, is_gone, log, put, read, row, with_due, with_facets,
};
use crate::contract::AppendError;
use crate::frame::Query;

/// Frames, heads, rows and the tail are there again.
pub async fn everything_is_kept(open: impl Fn() -> Store) {
    let store = open();
    let start = store.pos();
    let frames = fill(&store, &log("a"), &[1, 3, 1]).await;
    let kept = with_due(with_facets(row(RowKind::Session, "s", (4, 5), "é"), &["b", "a"]), 7);
    put(&store, &log("b"), vec![kept.clone(), row(RowKind::Owed, "o", (0, 0), "x")]).await;
    put(&store, &log("b"), vec![Row::removed(RowKind::Owed, "o".to_owned())]).await;
    let (end, told) = (store.pos(), changes(&store, start, store.pos()).await);
    drop(store);

    let store = open();
    assert_eq!(store.pos(), end);
    assert_eq!(read(&store, &log("a"), Seq::ZERO).await.frames, frames);
    assert_eq!(find(&store, &Query::all(RowKind::Session)).await.rows, [(log("b"), kept)]);
    let mut again = changes(&store, start, end).await;
    // The row that was removed since is not told where it was written.
    assert_eq!(again[3].rows.len(), 1);
    again[3].rows = told[3].rows.clone();
    assert_eq!(again, told);
    assert_eq!(put(&store, &log("a"), Vec::new()).await.head, Seq(6));
}

/// Neither the number of an event nor a place in the tail comes again, whatever was deleted in between.
pub async fn numbers_never_come_twice(open: impl Fn() -> Store) {
    let mut last = Pos(0);
    for life in 0..4 {
        let store = open();
        assert!(store.pos() >= last);
        let (emptied, removed) = (log("emptied"), log(&format!("removed/{life}")));
        let after = Seq(life);
        let commit = store.append(&emptied, after, frame(after, 1), Vec::new()).await.unwrap();
        assert!(commit.pos > last);
        store.trim(&emptied, Some(after.plus(1))).await.unwrap();
        fill(&store, &removed, &[2]).await;
        last = store.trim(&removed, None).await.unwrap().pos;
    }
    let store = open();
    assert_eq!(store.pos(), last);
    for life in 0..4 {
        let removed = log(&format!("removed/{life}"));
        is_gone(store.read(&removed, Seq::ZERO, ALL).await);
        let refused = store.append(&removed, Seq(2), frame(Seq(2), 1), Vec::new()).await;
        assert_eq!(refused, Err(AppendError::Gone));
    }
    let page = read(&store, &log("emptied"), Seq::ZERO).await;
    assert_eq!((page.first, page.head, page.frames.len()), (Seq(5), Seq(4), 0));
}

/// The removal of a log is told to a reader that was away, and what the log wrote before is not.
pub async fn removals_are_told_later(open: impl Fn() -> Store) {
    let store = open();
    let start = store.pos();
    put(&store, &log("removed"), vec![row(RowKind::Session, "s", (0, 0), "x")]).await;
    put(&store, &log("kept"), Vec::new()).await;
    store.trim(&log("removed"), None).await.unwrap();
    drop(store);
    let store = open();
    let told = changes(&store, start, store.pos()).await;
    let told: Vec<_> =
        told.iter().map(|change| (change.log.as_str(), change.head, change.rows.len())).collect();
    assert_eq!(told, [("kept", Seq(1), 0), ("removed", Seq::ZERO, 0)]);
}
