//! What is deleted gives its space back.

use std::fs;
use std::path::Path;

use trunkline_core::id::Seq;
use trunkline_core::row::RowKind;

use super::{BOOT, path};
use crate::conformance::kit::{line, log, read, row, with_facets};
use crate::contract::Log as _;
use crate::sqlite::Sqlite;

const FRAMES: u64 = 1500;

/// A store with a large log, about 16 MiB, and a small one.
async fn large(path: &Path) -> Sqlite {
    let store = Sqlite::open(path, BOOT).unwrap();
    let text = "x".repeat(11_000);
    for n in 0..FRAMES {
        let rows = vec![with_facets(row(RowKind::Request, &format!("{n}"), (0, 0), &text[..300]), &["f"])];
        store.append(&log("large"), Seq(n), line(Seq(n), &text), rows).await.unwrap();
    }
    store.append(&log("small"), Seq::ZERO, line(Seq::ZERO, "x"), Vec::new()).await.unwrap();
    store
}

fn megabytes(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len() >> 20
}

#[tokio::test]
async fn a_removed_log_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = large(&path(&dir)).await;
    store.trim(&log("large"), None).await.unwrap();
    store.reaped().await.unwrap();
    assert!(megabytes(&path(&dir)) < 2);
    drop(store);
    Sqlite::check(path(&dir)).unwrap();
    let store: super::Store = std::sync::Arc::new(Sqlite::open(path(&dir), BOOT).unwrap());
    assert_eq!(read(&store, &log("small"), Seq::ZERO).await.frames.len(), 1);
}

#[tokio::test]
async fn forgotten_events_give_their_space_back_in_the_next_life() {
    let dir = tempfile::tempdir().unwrap();
    let store = large(&path(&dir)).await;
    store.trim(&log("large"), Some(Seq(FRAMES - 1))).await.unwrap();
    drop(store);
    let store = Sqlite::open(path(&dir), BOOT).unwrap();
    store.reaped().await.unwrap();
    assert!(megabytes(&path(&dir)) < 4, "the rows are still there");
    let store: super::Store = std::sync::Arc::new(store);
    let page = read(&store, &log("large"), Seq::ZERO).await;
    assert_eq!((page.first, page.frames.len()), (Seq(FRAMES), 1));
}
