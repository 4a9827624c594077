//! A database that may not grow: SQLite says the same as for a full disk.

use std::path::Path;

use trunkline_core::id::{LogId, Seq};

use super::{BOOT, path};
use crate::conformance::kit::{ALL, line, log};
use crate::contract::{AppendError, Log as _};
use crate::sqlite::{Sqlite, schema};

/// A store of at most 2 MiB.
fn small(path: &Path) -> Sqlite {
    let lock = schema::lock(path).unwrap();
    let db = schema::open(path).unwrap();
    db.pragma_update(None, "max_page_count", 512).unwrap();
    Sqlite::start(path, lock, db, BOOT).unwrap()
}

/// Appends until there is no space, and gives the head.
async fn fill_up(store: &Sqlite, log: &LogId) -> Seq {
    let text = "x".repeat(20_000);
    let mut head = Seq::ZERO;
    loop {
        match store.append(log, head, line(head, &text), Vec::new()).await {
            Ok(commit) => head = commit.head,
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                return head;
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_and_it_goes_on_when_there_is_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(&path(&dir));
    let (first, second) = (log("first"), log("second"));
    for n in 0..20 {
        store.append(&first, Seq(n), line(Seq(n), &"y".repeat(20_000)), Vec::new()).await.unwrap();
    }
    let head = fill_up(&store, &second).await;
    assert!(head > Seq(40));
    let place = store.pos();
    let kept = store.read(&second, Seq::ZERO, ALL).await.unwrap();
    assert_eq!((kept.head, kept.frames.len() as u64), (head, head.0));

    store.trim(&first, None).await.unwrap();
    store.reaped().await.unwrap();
    let commit = store.append(&second, head, line(head, &"z".repeat(20_000)), Vec::new()).await.unwrap();
    assert_eq!(commit.head, head.plus(1));
    assert!(commit.pos > place);
    drop(store);
    Sqlite::check(path(&dir)).unwrap();
    let store = Sqlite::open(path(&dir), BOOT).unwrap();
    let page = store.read(&second, Seq::ZERO, ALL).await.unwrap();
    assert_eq!(page.frames[..kept.frames.len()], kept.frames);
    assert_eq!(page.head, commit.head);
}

#[tokio::test]
async fn one_that_is_too_large_does_not_fail_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(&path(&dir));
    let (small, large) = (line(Seq::ZERO, "x"), line(Seq::ZERO, &"x".repeat(4 << 20)));
    let names = ["a", "b", "c"].map(log);
    let (first, second, third) = tokio::join!(
        store.append(&names[0], Seq::ZERO, small.clone(), Vec::new()),
        store.append(&names[1], Seq::ZERO, large, Vec::new()),
        store.append(&names[2], Seq::ZERO, small.clone(), Vec::new()),
    );
    assert_eq!(second, Err(AppendError::Full));
    assert!(first.unwrap().pos < third.unwrap().pos);
    let retried = store.append(&names[1], Seq::ZERO, small, Vec::new()).await;
    assert_eq!(retried.unwrap().head, Seq(1));
}
