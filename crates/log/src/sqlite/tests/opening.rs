//! Whose file it is, and whether it is sound.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::Connection;
use trunkline_core::id::Seq;

use super::{BOOT, open, path};
use crate::conformance::kit::{fill, log, read};
use crate::contract::OpenError;
use crate::sqlite::Sqlite;

/// Opening fails, and every file of the database is as it was.
fn refused(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = Sqlite::open(path, BOOT).unwrap_err();
    assert!(fs::read(path).unwrap() == before, "the file was changed");
    assert!(!error.to_string().contains('\n'));
    error
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&path(&dir));
    fill(&store, &log("a"), &[1]).await;
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 4);
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn an_empty_file_becomes_a_database() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(path(&dir), "").unwrap();
    drop(open(&path(&dir)));
    drop(open(&path(&dir)));
    Sqlite::check(path(&dir)).unwrap();
}

#[test]
fn what_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for garbage in
        [b"x".to_vec(), b"hello\n".repeat(20_000), vec![0; 4096], b"SQLite format 3\0".repeat(1000)]
    {
        fs::write(path(&dir), garbage).unwrap();
        assert!(matches!(refused(&path(&dir)), OpenError::Damaged { .. }));
    }
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let other = Connection::open(path(&dir)).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);").unwrap();
    drop(other);
    assert!(
        matches!(refused(&path(&dir)), OpenError::Damaged { why, .. } if why.contains("another program"))
    );
    let other = Connection::open(path(&dir)).unwrap();
    other.execute_batch("DROP TABLE theirs; PRAGMA application_id = 7;").unwrap();
    drop(other);
    assert!(
        matches!(refused(&path(&dir)), OpenError::Damaged { why, .. } if why.contains("another program"))
    );
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(&path(&dir)), &log("a"), &[1]).await;
    Connection::open(path(&dir)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(refused(&path(&dir)), OpenError::Newer { found: 99, known: 1, .. }));
    Connection::open(path(&dir)).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(read(&open(&path(&dir)), &log("a"), Seq::ZERO).await.head, Seq(1));
}

#[tokio::test]
async fn half_a_database_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(&path(&dir)), &log("a"), &[1; 500]).await;
    let whole = fs::read(path(&dir)).unwrap();
    fs::write(path(&dir), &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(refused(&path(&dir)), OpenError::Damaged { .. }));
    assert!(matches!(Sqlite::check(path(&dir)), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_database_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&path(&dir));
    assert!(matches!(refused(&path(&dir)), OpenError::InUse { .. }));
    Sqlite::check(path(&dir)).unwrap();
    drop(first);
    drop(open(&path(&dir)));
}

#[test]
fn what_the_system_refuses_is_told_as_the_system_says_it() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Sqlite::open(dir.path().join("no/trunkline.db"), BOOT).unwrap_err();
    assert!(matches!(missing, OpenError::Io { source, .. } if source.kind() == ErrorKind::NotFound));
    fs::create_dir(path(&dir)).unwrap();
    let directory = Sqlite::open(path(&dir), BOOT).unwrap_err();
    assert!(matches!(directory, OpenError::Io { source, .. } if source.kind() == ErrorKind::IsADirectory));
    let missing = Sqlite::check(dir.path().join("none.db")).unwrap_err();
    assert!(matches!(missing, OpenError::Io { source, .. } if source.kind() == ErrorKind::NotFound));
}

#[tokio::test]
async fn a_check_finds_lost_events_and_broken_pages() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(&path(&dir)), &log("a"), &[1, 2, 3]).await;
    Sqlite::check(path(&dir)).unwrap();
    let sound = fs::read(path(&dir)).unwrap();

    Connection::open(path(&dir)).unwrap().execute("DELETE FROM frame WHERE last = 3", []).unwrap();
    let lost = Sqlite::check(path(&dir)).unwrap_err();
    assert!(matches!(lost, OpenError::Damaged { why, .. } if why == "log a has a hole before event 4"));

    let text = br#"{"type":"test""#;
    let at = sound.windows(text.len()).position(|bytes| bytes == text).unwrap();
    let mut broken = sound;
    let page = at / 4096 * 4096;
    broken[page..page + 16].fill(0xff);
    fs::write(path(&dir), broken).unwrap();
    assert!(matches!(Sqlite::check(path(&dir)), Err(OpenError::Damaged { .. })));
}
