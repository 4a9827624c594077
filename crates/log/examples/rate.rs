//! How fast the store is, beside the disk it stands on, in one run.
//!
//! `cargo run --release -p trunkline-log --example rate [directory] [seconds] [writers …]`
//!
//! Beside it stand two limits, with the same tasks and channels and one thread that commits whatever is queued: one file,
//! flushed with `fdatasync`, which is what the disk can do; and SQLite with one bare table, which is what SQLite can do.
#![expect(clippy::print_stdout, reason = "this program prints a table")]

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use trunkline_core::id::{LogId, Seq};
use trunkline_core::raw::Raw;
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;
use trunkline_log::frame::{Frame, Want};
use trunkline_log::{Log, Sqlite};
use uuid::Uuid;

/// Bytes of an event.
const EVENT: usize = 256;

/// Where the file begins again.
const FILE_BYTES: u64 = 16 << 20;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = args.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(3);
    let counts: Vec<u64> = args.filter_map(|count| count.parse().ok()).collect();
    let counts = if counts.is_empty() { vec![1, 16, 64, 256] } else { counts };
    let dir = tempfile::tempdir_in(dir).expect("a directory to write to");
    let span = Duration::from_secs(seconds);

    println!("durable appends per second, {EVENT} bytes each, {seconds} s per cell");
    println!(
        "{:>8} {:>10} {:>12} {:>10} {:>10}",
        "writers", "one file", "bare SQLite", "the store", "with rows"
    );
    for writers in counts {
        let file = file_rate(dir.path(), writers, span).await;
        let bare = bare_rate(dir.path(), writers, span).await;
        let store = store_rate(dir.path(), writers, span, false).await;
        let rows = store_rate(dir.path(), writers, span, true).await;
        println!("{writers:>8} {file:>10.0} {bare:>12.0} {store:>10.0} {rows:>10.0}");
    }
    reads(dir.path()).await;
}

/// Runs `writers` tasks that do one thing after the other, and gives how many things they did per second.
async fn rate<F, Fut>(writers: u64, span: Duration, make: F) -> f64
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..writers {
        tasks.spawn(make(n));
    }
    let done: u64 = tasks.join_all().await.iter().sum();
    assert!(start.elapsed() >= span);
    done as f64 / start.elapsed().as_secs_f64()
}

/// Something queued, and whom to answer.
type Job = (u64, Arc<str>, oneshot::Sender<()>);

/// A thread that does with `commit` whatever is queued, and then answers.
async fn group_commit(writers: u64, span: Duration, mut commit: impl FnMut(&[Job]) + Send + 'static) -> f64 {
    let (jobs, queue) = mpsc::channel::<Job>();
    let thread = std::thread::spawn(move || {
        while let Ok(first) = queue.recv() {
            let batch: Vec<Job> = std::iter::once(first).chain(queue.try_iter()).collect();
            commit(&batch);
            for (_, _, reply) in batch {
                reply.send(()).expect("a writer that waits");
            }
        }
    });
    let line: Arc<str> = "x".repeat(EVENT).into();
    let rate = rate(writers, span, |n| {
        let (jobs, line) = (jobs.clone(), Arc::clone(&line));
        async move {
            let start = Instant::now();
            let mut done = 0;
            while start.elapsed() < span {
                let (reply, answer) = oneshot::channel();
                jobs.send((n, Arc::clone(&line), reply)).expect("the thread");
                answer.await.expect("a reply");
                done += 1;
            }
            done
        }
    })
    .await;
    drop(jobs);
    thread.join().expect("the thread ends");
    rate
}

/// One file, written over in place once it has its size, as a write-ahead log is.
async fn file_rate(dir: &Path, writers: u64, span: Duration) -> f64 {
    let path = dir.join(format!("file-{writers}"));
    let mut file = OpenOptions::new().create_new(true).write(true).open(path).expect("a new file");
    group_commit(writers, span, move |batch| {
        let bytes: Vec<u8> = batch.iter().flat_map(|(_, line, _)| line.bytes()).collect();
        if file.stream_position().expect("a place") > FILE_BYTES {
            file.seek(SeekFrom::Start(0)).expect("the beginning");
        }
        file.write_all(&bytes).expect("space");
        file.sync_data().expect("a flush");
    })
    .await
}

/// SQLite with nothing but the numbered lines of each log, and none of the promises.
async fn bare_rate(dir: &Path, writers: u64, span: Duration) -> f64 {
    let db = Connection::open(dir.join(format!("bare-{writers}.db"))).expect("a new database");
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
         CREATE TABLE event (pos INTEGER PRIMARY KEY, log INTEGER, seq INTEGER, body TEXT, UNIQUE (log, seq)) STRICT;",
    )
    .expect("a table");
    let mut heads = vec![0; usize::try_from(writers).expect("a small number")];
    group_commit(writers, span, move |batch| {
        let run = |sql| {
            db.prepare_cached(sql).and_then(|mut statement| statement.execute([])).expect("a transaction")
        };
        run("BEGIN IMMEDIATE");
        let mut insert =
            db.prepare_cached("INSERT INTO event (log, seq, body) VALUES (?1, ?2, ?3)").expect("SQL");
        for (log, line, _) in batch {
            let head = &mut heads[usize::try_from(*log).expect("a small number")];
            *head += 1;
            insert.execute(params![log.cast_signed(), *head, &**line]).expect("an insert");
        }
        run("COMMIT");
    })
    .await
}

async fn store_rate(dir: &Path, writers: u64, span: Duration, with_row: bool) -> f64 {
    let store = Arc::new(open(&dir.join(format!("store-{writers}-{with_row}.db"))));
    rate(writers, span, |n| {
        let store = Arc::clone(&store);
        async move {
            let (start, log) = (Instant::now(), log(n));
            let mut head = Seq::ZERO;
            while start.elapsed() < span {
                let rows = if with_row { vec![row(n, head)] } else { Vec::new() };
                head = store.append(&log, head, frame(head, 1), rows).await.expect("an append").head;
            }
            head.0
        }
    })
    .await
}

async fn reads(dir: &Path) {
    let path = dir.join("reads.db");
    let store = open(&path);
    let log = log(0);
    for batch in 0..2000 {
        let head = Seq(batch * 100);
        store.append(&log, head, frame(head, 100), Vec::new()).await.expect("an append");
    }
    let want = Want { bytes: 1 << 20, folded: false };
    let mut after = Seq::ZERO;
    let start = Instant::now();
    loop {
        let page = store.read(&log, after, want).await.expect("a page");
        after = page.frames.last().map_or(after, |frame| frame.last);
        if !page.more {
            break;
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "\nreplay, frames of 100 events: {:.2} M events/s, {:.0} MB/s",
        after.0 as f64 / took / 1e6,
        after.0 as f64 * EVENT as f64 / took / 1e6
    );
    let micros = tail_read(&store, &log, Seq(after.0 - 1), want).await;
    println!("a read at the tail, in memory: {micros:.2} µs");
    drop(store);
    let store = open(&path);
    let micros = tail_read(&store, &log, Seq(after.0 - 1), want).await;
    println!("a read at the tail, from the database: {micros:.2} µs");
    let micros = tail_read(&store, &log, after, want).await;
    println!("a read behind the tail, from the database: {micros:.2} µs");
}

async fn tail_read(store: &Sqlite, log: &LogId, after: Seq, want: Want) -> f64 {
    const READS: u32 = 20_000;
    let start = Instant::now();
    for _ in 0..READS {
        let page = store.read(log, after, want).await.expect("a page");
        assert!(page.frames.len() < 2);
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(READS)
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Time(0)).expect("a new database")
}

fn log(n: u64) -> LogId {
    format!("session/{n}").parse().expect("a name")
}

fn frame(after: Seq, count: u64) -> Frame {
    let lines = vec!["x".repeat(EVENT); usize::try_from(count).expect("a small number")].join("\n");
    Frame {
        id: Uuid::from_u128(u128::from(after.0)),
        last: after.plus(count),
        count,
        quiet: true,
        lines: lines.into(),
    }
}

fn row(n: u64, head: Seq) -> Row {
    let body = Raw::of(&"x".repeat(EVENT)).expect("a text");
    Row {
        kind: RowKind::Session,
        key: format!("{n}"),
        rank: (-head.0.cast_signed(), 0),
        due: None,
        facets: vec!["agent=a".to_owned(), "state=running".to_owned()],
        body: Some(body),
    }
}
