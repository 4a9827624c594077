//! What is true of this store alone, and the suite for all stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use trunkline_core::time::Time;

use super::Sqlite;
use crate::conformance::durable;
use crate::conformance::kit::Store;

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
