//! Opening the file: whose it is, which schema it has, how it is set up.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::contract::OpenError;

/// Stands in the header of every database of ours ("Trnk"), where `file` and SQLite's own tools look for it.
pub(super) const APPLICATION_ID: i32 = 0x5472_6e6b;

/// The schemas, oldest first. Schema `n` is reached by running the first `n`.
const MIGRATIONS: &[&str] = &[include_str!("1.sql")];

/// Pages in the write-ahead log before they are moved into the database: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4_000;

/// How large the write-ahead log may get before the writer waits for readers, so that it can begin again at its start.
pub(super) const WAL_BYTES: i64 = 32 << 20;

/// How long to wait for another process that looks into the database, such as `sqlite3`.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Takes the database for this process, or says that another has it.
///
/// The lock is a file of its own beside the database. SQLite's exclusive mode would lock out our own readers, and a lock
/// on the database itself would be lost with the first of its descriptors that this process closes. The file stays when
/// the lock is gone: removing it would let two processes lock two files of one name.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let beside = sibling(path, ".lock");
    let io = |source| OpenError::Io { path: beside.display().to_string(), source };
    let file = create(&beside).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// The writing connection, after the file was found to be ours, or made.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let found = inspect(path)?;
    drop(create(path).map_err(|source| OpenError::Io { path: path.display().to_string(), source })?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    Connection::open_with_flags(path, flags)
        .and_then(|mut db| set_up(&mut db, found).map(|()| db))
        .map_err(|error| refuse(path, &error))
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "query_only", true)?;
    // Small: what many readers have in common is in the page cache of the system.
    db.pragma_update(None, "cache_size", -1024)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Looks for damage in every page and every log, without changing anything. Takes a while for a large database.
pub(super) fn check(path: &Path) -> Result<(), OpenError> {
    inspect(path)?;
    let problems = open_reader(path).and_then(|db| problems(&db)).map_err(|error| refuse(path, &error))?;
    if problems.is_empty() {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.display().to_string(), why: problems.join("; ") })
}

/// The path with something appended to its last part.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens a file, and makes it if it is not there, so that only its owner may read it. SQLite gives the files that it makes
/// beside the database the same mode.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The schema of the file; 0 when there is nothing in it.
fn inspect(path: &Path) -> Result<usize, OpenError> {
    let name = path.display().to_string();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(OpenError::Io { path: name, source }),
        Ok(file) if file.is_file() && file.len() == 0 => return Ok(0),
        Ok(_) => {}
    }
    if !has_magic(path).map_err(|source| OpenError::Io { path: name.clone(), source })? {
        return Err(OpenError::Damaged { path: name, why: "it is not a database".to_owned() });
    }
    // Read-only: another program's database must not be touched, not even to finish what that program left undone.
    let header = open_reader(path).and_then(|db| header(&db)).map_err(|error| refuse(path, &error))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match header {
        Header { application: 0, schema: 0, empty: true } => Ok(0),
        Header { application: APPLICATION_ID, schema, .. } if schema > known => {
            Err(OpenError::Newer { path: name, found: schema, known })
        }
        Header { application: APPLICATION_ID, schema, .. } if schema > 0 => {
            Ok(usize::try_from(schema).unwrap_or(MIGRATIONS.len()))
        }
        _ => Err(OpenError::Damaged { path: name, why: "it is the database of another program".to_owned() }),
    }
}

/// Whether the file begins as SQLite's files do. SQLite itself takes some short files for new ones, and writes over them.
/// It also does not say why a file cannot be opened; this does.
fn has_magic(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 16];
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    match file.read_exact(&mut magic) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| magic == *b"SQLite format 3\0"),
    }
}

struct Header {
    application: i32,
    schema: i64,
    empty: bool,
}

fn header(db: &Connection) -> rusqlite::Result<Header> {
    Ok(Header {
        application: db.pragma_query_value(None, "application_id", |row| row.get(0))?,
        schema: db.pragma_query_value(None, "user_version", |row| row.get(0))?,
        empty: db.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?,
    })
}

fn set_up(db: &mut Connection, found: usize) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    if found == 0 {
        // Counts only before the first page is written.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let why = "the file system cannot share memory between processes, which the write-ahead log needs";
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(why.to_owned()),
        ));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    db.pragma_update(None, "cache_size", -8192)?;
    db.set_prepared_statement_cache_capacity(64);
    if found < MIGRATIONS.len() {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for migration in &MIGRATIONS[found..] {
            change.execute_batch(migration)?;
        }
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))?;
        change.commit()?;
    }
    Ok(())
}

fn problems(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut pages = db.prepare("PRAGMA integrity_check(20)")?;
    let mut found: Vec<String> = pages.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    found.retain(|line| line != "ok");
    let mut holes = db.prepare(
        "SELECT name, at FROM (
             SELECT log, last - count AS at, lag(last) OVER (PARTITION BY log ORDER BY last) AS before FROM frame
         ) JOIN log ON log.id = log WHERE at <> before LIMIT 20",
    )?;
    let holes = holes.query_map([], |row| {
        Ok(format!("log {} has a hole before event {}", row.get::<_, String>(0)?, row.get::<_, i64>(1)? + 1))
    })?;
    for hole in holes {
        found.push(hole?);
    }
    Ok(found)
}

/// What an error of SQLite means for opening.
pub(super) fn refuse(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path, why: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path },
        Some(ErrorCode::DiskFull) => OpenError::Io { path, source: io::ErrorKind::StorageFull.into() },
        _ => OpenError::Io { path, source: io::Error::other(error.to_string()) },
    }
}
