//! A long log from the first event to the last: out of the store, and out of the daemon.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::Bench;
use crate::daemon::Daemon;
use crate::report::{Figure, Unit};
use crate::store::Past;
use crate::{limits, store};

const EVENTS_BUDGET: f64 = 1e6;
const BYTES_BUDGET: f64 = 300e6;
/// How often a log is read; the fastest counts, which had everything in the page cache.
const ROUNDS: usize = 3;
/// What the daemon writes to a stream at a time, at most.
const BLOCK: usize = 64 << 10;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = replay(bench, "frames of 100", Past { updates: 1_000_000, per_frame: 100 }).await?;
    figures.extend(replay(bench, "frames of one", Past { updates: 200_000, per_frame: 1 }).await?);
    Ok(figures)
}

async fn replay(bench: &Bench, name: &str, past: Past) -> Result<Vec<Figure>> {
    let (home, ids) = store::home(&bench.dir, 1, past).await?;
    let (read, events) = from_store(&home.database(), &ids[0]).await?;
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let (mut fastest, mut bytes, mut cost) = (Duration::MAX, 0, String::new());
    for _ in 0..ROUNDS {
        let before = daemon.cpu()?;
        let http = daemon.connect().await?;
        let start = Instant::now();
        let mut stream = http.stream(&format!("/v1/sessions/{}/events", ids[0])).await?;
        stream.reach(events).await?;
        fastest = fastest.min(start.elapsed());
        bytes = stream.bytes;
        cost = daemon.cpu()?.per(before, events as f64);
    }
    daemon.stop().await?;
    let seconds = fastest.as_secs_f64();
    let bare = limits::throughput(1, BLOCK, bench.span).await?;
    let what = |what: &str| format!("{what}, {name}");
    Ok(vec![
        Figure::new(what("events out of the store"), events as f64 / read.as_secs_f64(), Unit::PerSecond)
            .at_least(EVENTS_BUDGET),
        Figure::new(what("events out of the daemon"), events as f64 / seconds, Unit::PerSecond).note(cost),
        Figure::new(what("bytes out of the daemon"), bytes as f64 / seconds, Unit::BytesPerSecond)
            .at_least(BYTES_BUDGET)
            .beside("bare writes", bare),
    ])
}

async fn from_store(database: &Path, session: &str) -> Result<(Duration, u64)> {
    let (mut fastest, mut events) = (Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        events = store::read(database, session).await?;
        fastest = fastest.min(start.elapsed());
    }
    Ok((fastest, events))
}
