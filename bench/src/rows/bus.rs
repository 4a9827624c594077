//! The keys of the original agent bus: sixteen connections that wait for each reply, and one that does not.
//!
//! The limit is a server in this process that answers every line of the same requests with `{"ok":true}`, and does nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::report::{Figure, Unit};
use crate::stats::Samples;

const CONNECTIONS: usize = 16;
/// How many requests are under way at a time where none waits.
const WINDOW: usize = 200;
const KEYS: usize = 1_000;
/// What the original did of them, on another machine, as a median of three runs.
const ORIGINAL: [(Op, f64); 2] = [(Op::Put, 143_000.0), (Op::Get, 155_000.0)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Put,
    Get,
}

impl Op {
    const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
        }
    }

    fn request(self, n: usize) -> String {
        let key = n % KEYS;
        match self {
            Self::Put => format!(
                "{{\"op\":\"put\",\"key\":\"k{key}\",\"value\":{{\"n\":{n}}},\"agent\":\"bench\",\"namespace\":\"bench\"}}\n"
            ),
            Self::Get => format!("{{\"op\":\"get\",\"key\":\"k{key}\",\"namespace\":\"bench\"}}\n"),
        }
    }
}

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new(&bench.dir)?;
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let bare = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(answer_all(listener));
    let mut figures = Vec::new();
    for (op, original) in ORIGINAL {
        let before = daemon.cpu()?;
        let ours = side_by_side(daemon.bus, op, bench.span).await?;
        let cost = daemon.cpu()?.per(before, ours.count());
        let limit = side_by_side(bare, op, bench.span).await?;
        let of = |what: &str| format!("{what} of a {}, {CONNECTIONS} connections", op.name());
        figures.push(Figure::new(of("p50"), ours.median(), Unit::Milliseconds).note(cost));
        let p99 = Figure::new(of("p99"), ours.percentile(99), Unit::Milliseconds).at_most(0.3);
        figures.push(p99.beside("a server that only says ok", limit.percentile(99)));
        let before = daemon.cpu()?;
        let ours = pipelined(daemon.bus, op, bench.span).await?;
        let cost = daemon.cpu()?.per(before, ours * bench.span.as_secs_f64());
        let limit = pipelined(bare, op, bench.span).await?;
        let rate = Figure::new(format!("{} without waiting", op.name()), ours, Unit::PerSecond);
        let rate = rate.at_least(5.0 * original).beside("the original", original).note(cost);
        figures.push(rate.beside("a server that only says ok", limit));
    }
    server.shutdown().await;
    daemon.stop().await?;
    Ok(figures)
}

/// How long each of many requests took, while sixteen connections ask one after the other.
async fn side_by_side(address: SocketAddr, op: Op, span: Duration) -> Result<Samples> {
    let mut connections = JoinSet::new();
    let end = Instant::now() + span;
    for first in 0..CONNECTIONS {
        connections.spawn(async move {
            let stream = connect(address).await?;
            let (mut stream, mut line) = (BufReader::new(stream), String::new());
            let (mut took, mut n) = (Vec::new(), first);
            while Instant::now() < end {
                let sent = Instant::now();
                stream.get_mut().write_all(op.request(n).as_bytes()).await?;
                line.clear();
                stream.read_line(&mut line).await?;
                took.push(sent.elapsed());
                ensure!(line.starts_with("{\"ok\""), "the bus says {line}");
                n += CONNECTIONS;
            }
            Ok(took)
        });
    }
    let mut samples = Samples::default();
    while let Some(took) = connections.join_next().await {
        took??.into_iter().for_each(|took| samples.push_some(took));
    }
    Ok(samples)
}

/// How many requests a second one connection gets answered when it does not wait for each.
async fn pipelined(address: SocketAddr, op: Op, span: Duration) -> Result<f64> {
    let mut stream = connect(address).await?;
    let batches: Vec<String> =
        (0..KEYS / WINDOW).map(|b| (0..WINDOW).map(|n| op.request(b * WINDOW + n)).collect()).collect();
    let (mut done, mut buffer, start) = (0, vec![0; 256 << 10], Instant::now());
    // Two batches are always under way, so that the server never waits for this client.
    stream.write_all(batches[0].as_bytes()).await?;
    for batch in batches.iter().cycle().skip(1) {
        stream.write_all(batch.as_bytes()).await?;
        let mut lines = 0;
        while lines < WINDOW {
            let count = stream.read(&mut buffer).await?;
            ensure!(count > 0, "the bus has closed the connection");
            lines += memchr::memchr_iter(b'\n', &buffer[..count]).count();
        }
        done += lines;
        if start.elapsed() >= span {
            break;
        }
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.context("the bus does not listen")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn answer_all(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            stream.set_nodelay(true)?;
            let (mut buffer, mut out) = (vec![0; 64 << 10], Vec::new());
            loop {
                let count = stream.read(&mut buffer).await?;
                if count == 0 {
                    return anyhow::Ok(());
                }
                out.clear();
                memchr::memchr_iter(b'\n', &buffer[..count])
                    .for_each(|_| out.extend_from_slice(b"{\"ok\":true}\n"));
                stream.write_all(&out).await?;
            }
        });
    }
}
