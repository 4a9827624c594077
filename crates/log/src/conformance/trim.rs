//! Trimming and removing.

use trunkline_core::id::Seq;
use trunkline_core::row::RowKind;

use super::kit::{ALL, Store, fill, find, frame, is_gone, log, put, read, row};
use crate::contract::AppendError;
use crate::frame::{Commit, Query};

/// A frame that ends after the place stays whole; what is forgotten is not read any more.
pub async fn whole_frames_are_forgotten(store: Store) {
    let id = log("trimmed");
    let frames = fill(&store, &id, &[2, 3, 1]).await;
    let pos = store.pos();
    for (upto, first, left) in [(1, 1, 0), (2, 3, 1), (4, 3, 1), (1, 3, 1), (5, 6, 2)] {
        let commit = store.trim(&id, Some(Seq(upto))).await.unwrap();
        assert_eq!(commit, Commit { head: Seq(6), pos }, "up to {upto}");
        for after in 0..first {
            let page = read(&store, &id, Seq(after)).await;
            assert_eq!((page.first, page.head), (Seq(first), Seq(6)), "up to {upto}");
            assert_eq!(page.frames, frames[left..], "up to {upto}, after {after}");
        }
    }
}

/// A log without events keeps its head, and the next event is the next number.
pub async fn numbers_go_on_when_all_is_forgotten(store: Store) {
    let id = log("emptied");
    fill(&store, &id, &[2, 2]).await;
    store.trim(&id, Some(Seq(u64::MAX))).await.unwrap();
    let page = read(&store, &id, Seq::ZERO).await;
    assert_eq!((page.frames.len(), page.first, page.head), (0, Seq(5), Seq(4)));
    let again = store.append(&id, Seq::ZERO, frame(Seq::ZERO, 1), Vec::new()).await;
    assert_eq!(again, Err(AppendError::Moved { head: Seq(4) }));
    let frames = fill(&store, &id, &[1]).await;
    assert_eq!(read(&store, &id, Seq::ZERO).await.frames, frames);
    assert_eq!(frames[0].last, Seq(5));
}

/// After a removal nothing of the log is read, found or appended, and other logs are as they were.
pub async fn a_removed_log_takes_nothing_and_leaves_no_rows(store: Store) {
    let (id, other) = (log("removed"), log("other"));
    put(&store, &id, vec![row(RowKind::Session, "a", (1, 0), "a"), row(RowKind::Request, "r", (1, 0), "r")])
        .await;
    put(&store, &other, vec![row(RowKind::Session, "b", (2, 0), "b")]).await;
    let before = put(&store, &id, vec![row(RowKind::Session, "c", (3, 0), "c")]).await;
    let removed = store.trim(&id, None).await.unwrap();
    assert!(removed.pos > before.pos);
    assert_eq!((removed.head, store.pos()), (Seq(2), removed.pos));
    is_gone(store.read(&id, Seq::ZERO, ALL).await);
    is_gone(store.read(&id, Seq(2), ALL).await);
    is_gone(store.trim(&id, Some(Seq(1))).await);
    for after in [0, 2] {
        let refused = store.append(&id, Seq(after), frame(Seq(after), 1), Vec::new()).await;
        assert_eq!(refused, Err(AppendError::Gone));
    }
    assert_eq!(store.trim(&id, None).await, Ok(removed), "a removal can be done again");
    let sessions = find(&store, &Query::all(RowKind::Session)).await.rows;
    assert_eq!(sessions.iter().map(|(log, row)| (log, &*row.key)).collect::<Vec<_>>(), [(&other, "b")]);
    assert!(find(&store, &Query::all(RowKind::Request)).await.rows.is_empty());
    assert_eq!(put(&store, &other, Vec::new()).await.head, Seq(2));
}

/// A removal fences also what has not begun.
pub async fn a_log_that_was_never_made_can_be_removed(store: Store) {
    let id = log("unborn");
    assert_eq!(store.trim(&id, Some(Seq(9))).await.unwrap().head, Seq::ZERO);
    assert_eq!(store.trim(&id, None).await.unwrap().head, Seq::ZERO);
    let refused = store.append(&id, Seq::ZERO, frame(Seq::ZERO, 1), Vec::new()).await;
    assert_eq!(refused, Err(AppendError::Gone));
}
