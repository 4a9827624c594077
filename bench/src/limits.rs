//! What the machine can do without us, measured in the same run and with the same tasks and channels: the disk by one file
//! that is flushed, SQLite by one bare table, the network by bytes that mean nothing.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Result;
use rusqlite::{Connection, params};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use trunkline_core::id::{LogId, Seq};
use trunkline_core::raw::Raw;
use trunkline_core::row::{Row, RowKind};
use trunkline_core::time::Time;
use trunkline_log::frame::Frame;
use trunkline_log::{Log as _, Sqlite};
use uuid::Uuid;

use crate::daemon::Home;
use crate::stats::Samples;

/// Bytes of an event.
pub(crate) const EVENT: usize = 256;
/// How large the file is.
const FILE_BYTES: usize = 16 << 20;

/// A disk whose flushes are timed one by one, so that they can be measured among the things that wait for them.
pub(crate) struct Disk {
    file: RawFile,
    line: String,
    took: Samples,
    _home: Home,
}

impl Disk {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let home = Home::new(dir)?;
        let file = RawFile::new(home.path())?;
        Ok(Self { file, line: "x".repeat(EVENT), took: Samples::default(), _home: home })
    }

    /// Writes an event and waits until it is on the disk.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let start = Instant::now();
        self.file.write(self.line.as_bytes())?;
        self.took.push(start.elapsed());
        Ok(())
    }

    /// How long that took each time.
    pub(crate) fn took(&self) -> &Samples {
        &self.took
    }
}

/// Durable appends per second by a number of writers: to one file, to bare SQLite, and to our store, each with its row.
pub(crate) struct Appends {
    pub(crate) file: f64,
    pub(crate) bare: f64,
    pub(crate) store: f64,
}

/// Measures each for as long as `span`.
pub(crate) async fn appends(dir: &Path, writers: usize, span: Duration) -> Result<Appends> {
    let home = Home::new(dir)?;
    Ok(Appends {
        file: file_rate(home.path(), writers, span).await?,
        bare: bare_rate(home.path(), writers, span).await?,
        store: store_rate(home.path(), writers, span).await?,
    })
}

/// How long until each of many sockets has been written to and has been read, for each of `rounds` rounds and each socket.
pub(crate) async fn fan_out_latency(sockets: usize, rounds: usize, bytes: usize) -> Result<Samples> {
    let (mut writing, mut reading) = (Vec::new(), JoinSet::new());
    for _ in 0..sockets {
        let (near, mut far) = pair().await?;
        writing.push(near);
        reading.spawn(async move {
            let (mut buffer, mut seen) = (vec![0; bytes], Vec::with_capacity(rounds));
            for _ in 0..rounds {
                far.read_exact(&mut buffer).await?;
                far.write_all(b".").await?;
                seen.push(Instant::now());
            }
            anyhow::Ok(seen)
        });
    }
    let block = vec![b'x'; bytes];
    let mut starts = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        starts.push(Instant::now());
        for socket in &mut writing {
            socket.write_all(&block).await?;
        }
        for socket in &mut writing {
            socket.read_u8().await?;
        }
    }
    let mut samples = Samples::default();
    for seen in reading.join_all().await {
        seen?.iter().zip(&starts).for_each(|(seen, start)| samples.push(*seen - *start));
    }
    Ok(samples)
}

/// Bytes per second through `sockets` sockets, written `block` bytes at a time, all of them read.
pub(crate) async fn throughput(sockets: usize, block: usize, span: Duration) -> Result<f64> {
    let (mut writing, mut reading) = (JoinSet::new(), JoinSet::new());
    let start = Instant::now();
    for _ in 0..sockets {
        let (mut near, mut far) = pair().await?;
        writing.spawn(async move {
            let block = vec![b'x'; block];
            while start.elapsed() < span {
                near.write_all(&block).await?;
            }
            anyhow::Ok(())
        });
        reading.spawn(async move {
            let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
            loop {
                match far.read(&mut buffer).await? {
                    0 => return anyhow::Ok(total),
                    read => total += read,
                }
            }
        });
    }
    writing.join_all().await.into_iter().collect::<Result<()>>()?;
    let total: usize = reading.join_all().await.into_iter().sum::<Result<usize>>()?;
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

async fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (far, near) = tokio::join!(TcpStream::connect(listener.local_addr()?), listener.accept());
    let (near, far) = (near?.0, far?);
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

/// Runs `writers` tasks that do one thing after the other, and gives how many things they did per second.
pub(crate) async fn rate<F, Fut>(writers: usize, span: Duration, make: F) -> Result<f64>
where
    F: Fn(usize, Instant) -> Fut,
    Fut: Future<Output = Result<u64>> + Send + 'static,
{
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..writers {
        tasks.spawn(make(n, start + span));
    }
    let done: u64 = tasks.join_all().await.into_iter().sum::<Result<u64>>()?;
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

/// Something queued, and whom to answer.
type Job = (usize, Arc<str>, oneshot::Sender<()>);

/// A thread that does with `commit` whatever is queued, and then answers.
async fn group_commit(
    writers: usize,
    span: Duration,
    mut commit: impl FnMut(&[Job]) -> Result<()> + Send + 'static,
) -> Result<f64> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let thread = std::thread::spawn(move || -> Result<()> {
        while let Ok(first) = queue.recv() {
            let batch: Vec<Job> = std::iter::once(first).chain(queue.try_iter()).collect();
            commit(&batch)?;
            for (_, _, reply) in batch {
                reply.send(()).ok();
            }
        }
        Ok(())
    });
    let line: Arc<str> = "x".repeat(EVENT).into();
    let rate = rate(writers, span, |n, end| {
        let (jobs, line) = (jobs.clone(), Arc::clone(&line));
        async move {
            let mut done = 0;
            while Instant::now() < end {
                let (reply, answer) = oneshot::channel();
                jobs.send((n, Arc::clone(&line), reply))?;
                answer.await?;
                done += 1;
            }
            Ok(done)
        }
    })
    .await;
    drop(jobs);
    thread.join().expect("the thread does not panic")?;
    rate
}

/// One file, written over in place, as a write-ahead log is that has its size.
struct RawFile(File);

impl RawFile {
    fn new(dir: &Path) -> Result<Self> {
        let mut file = OpenOptions::new().create_new(true).write(true).open(dir.join("file"))?;
        file.write_all(&vec![0; FILE_BYTES])?;
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self(file))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.0.stream_position()? + bytes.len() as u64 > FILE_BYTES as u64 {
            self.0.seek(SeekFrom::Start(0))?;
        }
        self.0.write_all(bytes)?;
        Ok(self.0.sync_data()?)
    }
}

async fn file_rate(dir: &Path, writers: usize, span: Duration) -> Result<f64> {
    let mut file = RawFile::new(dir)?;
    group_commit(writers, span, move |batch| {
        let bytes: Vec<u8> = batch.iter().flat_map(|(_, line, _)| line.bytes()).collect();
        file.write(&bytes)
    })
    .await
}

/// SQLite with nothing but the numbered lines of each log, and none of the promises.
async fn bare_rate(dir: &Path, writers: usize, span: Duration) -> Result<f64> {
    let db = bare(&dir.join("bare.db"))?;
    db.execute_batch(
        "CREATE TABLE event (pos INTEGER PRIMARY KEY, log INTEGER, seq INTEGER, body TEXT, UNIQUE (log, seq)) STRICT;",
    )?;
    let mut heads = vec![0_i64; writers];
    group_commit(writers, span, move |batch| {
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut insert = db.prepare_cached("INSERT INTO event (log, seq, body) VALUES (?1, ?2, ?3)")?;
        for (log, line, _) in batch {
            heads[*log] += 1;
            insert.execute(params![i64::try_from(*log)?, heads[*log], &**line])?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    })
    .await
}

/// SQLite as our store sets it up.
pub(crate) fn bare(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;",
    )?;
    Ok(db)
}

async fn store_rate(dir: &Path, writers: usize, span: Duration) -> Result<f64> {
    let store = Arc::new(Sqlite::open(dir.join("store.db"), Time(0))?);
    rate(writers, span, |n, end| {
        let store = Arc::clone(&store);
        async move {
            let log: LogId = format!("session/{n}").parse()?;
            let mut head = Seq::ZERO;
            while Instant::now() < end {
                head = store.append(&log, head, frame(head), vec![row(n, head)]).await?.head;
            }
            Ok(head.0)
        }
    })
    .await
}

fn frame(after: Seq) -> Frame {
    Frame {
        id: Uuid::from_u128(u128::from(after.0)),
        last: after.plus(1),
        count: 1,
        quiet: true,
        lines: "x".repeat(EVENT).into(),
    }
}

/// A row that moves to the front of its list with each append, as a session's does.
fn row(n: usize, head: Seq) -> Row {
    Row {
        kind: RowKind::Session,
        key: format!("{n}"),
        rank: (-head.0.cast_signed(), 0),
        due: None,
        facets: vec!["agent=a".to_owned(), "state=running".to_owned()],
        body: Raw::of(&"x".repeat(EVENT)).ok(),
    }
}
