//! What is true of this store alone, and the suite for all stores.

mod full;
mod opening;
mod plans;
mod reindex;
mod space;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{FutureExt as _, StreamExt as _};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;
use trunkline_core::id::Seq;
use trunkline_core::time::Time;

use super::{QUEUE_BYTES, Sqlite, schema, uint};
use crate::conformance::durable;
use crate::conformance::kit::{Store, fill, frame, line, log, read};
use crate::contract::{AppendError, Log as _};

const BOOT: Time = Time(1_732_182_000_000);

crate::conformance!(fresh());

fn fresh() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open(&path(&dir)), dir)
}

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("trunkline.db")
}

fn open(path: &Path) -> Store {
    Arc::new(Sqlite::open(path, BOOT).unwrap())
}

#[tokio::test]
async fn everything_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    durable::everything_is_kept(|| open(&path(&dir))).await;
}

#[tokio::test]
async fn numbers_never_come_twice() {
    let dir = tempfile::tempdir().unwrap();
    durable::numbers_never_come_twice(|| open(&path(&dir))).await;
}

#[tokio::test]
async fn removals_are_told_later() {
    let dir = tempfile::tempdir().unwrap();
    durable::removals_are_told_later(|| open(&path(&dir))).await;
}

#[tokio::test]
async fn a_closed_database_is_one_file_though_the_store_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let closed = Arc::new(Sqlite::open(path(&dir), BOOT).unwrap());
    let store: Store = closed.clone();
    let (start, id) = (store.pos(), log("held"));
    fill(&store, &id, &[1; 600]).await;
    // A connection that reads, and a reader that is not done.
    let mut following = store.changes(start);
    assert!(following.next().await.unwrap().is_ok());
    let mut queued = JoinSet::new();
    let (other, to) = (store.clone(), id.clone());
    queued.spawn(async move { other.append(&to, Seq(600), frame(Seq(600), 1), Vec::new()).await });
    tokio::task::yield_now().await;
    closed.close().await;
    let beside = ["-wal", "-shm"].map(|side| schema::sibling(&path(&dir), side).exists());
    assert_eq!(beside, [false, false]);
    assert_eq!(
        queued.join_next().await.unwrap().unwrap().unwrap().head,
        Seq(601),
        "what was queued is written"
    );
    let late = store.append(&id, Seq(601), frame(Seq(601), 1), Vec::new()).await;
    assert!(matches!(late, Err(AppendError::Down(_))), "{late:?}");
    let again = open(&path(&dir));
    assert_eq!(read(&again, &id, Seq::ZERO).await.head, Seq(601), "another may have it");
    closed.close().await;
}

#[tokio::test]
async fn who_finds_the_queue_full_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(path(&dir), BOOT).unwrap();
    let everything = store.queue.acquire_many(u32::try_from(QUEUE_BYTES).unwrap()).await.unwrap();
    let id = log("waits");
    let mut append = store.append(&id, Seq::ZERO, frame(Seq::ZERO, 1), Vec::new());
    assert!(append.as_mut().now_or_never().is_none());
    assert_eq!(store.pos(), super::boot_pos(BOOT));
    drop(everything);
    assert_eq!(append.await.unwrap().head, Seq(1));
}

#[tokio::test]
async fn more_than_the_queue_holds_is_written_all_the_same() {
    let (store, _dir) = fresh();
    let text = "x".repeat(1 << 20);
    let mut writers = JoinSet::new();
    for n in 0..QUEUE_BYTES / text.len() + 10 {
        let (store, id, next) = (store.clone(), log(&format!("{n}")), line(Seq::ZERO, &text));
        writers.spawn(async move { store.append(&id, Seq::ZERO, next, Vec::new()).await.unwrap() });
    }
    writers.join_all().await;
}

/// A view of the database that stays open would keep the write-ahead log from being emptied, so that it grows for ever.
#[tokio::test]
async fn a_reader_that_pauses_holds_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&path(&dir));
    let start = store.pos();
    fill(&store, &log("a"), &[1; 600]).await;
    drop(store);
    let store = open(&path(&dir));
    let mut pausing = store.changes(start);
    assert!(pausing.next().await.unwrap().is_ok());
    read(&store, &log("a"), Seq::ZERO).await;
    fill(&store, &log("a"), &[1]).await;
    let other = Connection::open(path(&dir)).unwrap();
    let empty = || -> (bool, i64) {
        other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    // The writer may be at the same work in this moment; a view held open would be in the way for ever.
    let emptied = (0..100_000).any(|_| {
        std::thread::yield_now();
        empty() == (false, 0)
    });
    assert!(emptied);
    assert_eq!(pausing.take(600).count().await, 600);
}

/// Readers that overlap leave SQLite no moment to begin the write-ahead log again.
#[tokio::test]
async fn the_write_ahead_log_is_bounded_though_there_is_always_a_reader() {
    // Some milliseconds, and many commits, in one view of the database.
    const LONG: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
                        SELECT count(*) + (SELECT count(*) FROM log) FROM n";
    let dir = tempfile::tempdir().unwrap();
    let store = open(&path(&dir));
    let done = Arc::new(AtomicBool::new(false));
    let readers = [(); 3].map(|()| {
        let (db, done) = (schema::open_reader(&path(&dir)).unwrap(), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                db.query_row(LONG, [], |_| Ok(())).unwrap();
            }
        })
    });
    let (id, text) = (log("a"), "x".repeat(128 << 10));
    let mut most = 0;
    for n in 0..640 {
        store.append(&id, Seq(n), line(Seq(n), &text), Vec::new()).await.unwrap();
        most = most.max(std::fs::metadata(schema::sibling(&path(&dir), "-wal")).unwrap().len());
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    // All in all 84 MB were written. The writer may have to try more than once before the readers make way.
    assert!(most < 2 * uint(schema::WAL_BYTES), "{most} bytes of write-ahead log");
}
