//! The memory of a thousand clients that wait, and of what such a client is made of.

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::idle::REST;
use super::{MANY, SHORT};
use crate::Bench;
use crate::daemon::{Daemon, Home, Memory};
use crate::report::{Figure, Unit};
use crate::store;

const BUDGET: f64 = 12e3;
const CLIENTS: usize = 1_000;
/// Clients that come first, so that code and caches that are there only once are not counted.
const FIRST: usize = 20;
/// How often a thousand clients come and go.
const ROUNDS: usize = 10;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let (home, ids) = store::home(&bench.dir, MANY, SHORT).await?;
    let one = &ids[..1];
    let connected = growth(bench, &home, async |daemon, count| {
        daemon.connect_all(count, |_, http| async { Ok(http) }).await
    });
    let connected = connected.await?;
    let asked = growth(bench, &home, async |daemon, count| {
        daemon
            .connect_all(count, |_, mut http| async {
                http.get("/health").await?;
                Ok(http)
            })
            .await
    });
    let asked = asked.await?;
    let same = growth(bench, &home, async |daemon, count| daemon.attach(count, one).await).await?;
    let apart = growth(bench, &home, async |daemon, count| daemon.attach(count, &ids[..count]).await).await?;
    let feeds = growth(bench, &home, async |daemon, count| {
        daemon
            .connect_all(count, |_, http| async {
                let mut feed = http.stream("/v1/feed?client=bench").await?;
                feed.catch_up().await?;
                Ok(feed)
            })
            .await
    });
    let feeds = feeds.await?;
    let kept = come_and_go(bench, &home, one).await?;
    Ok(vec![
        figure("a stream, all on one session", same).at_most(BUDGET),
        figure("a stream, each on a session of its own", apart).at_most(BUDGET),
        figure("a feed of the lists", feeds),
        figure("of that: a connection that has sent nothing", connected),
        figure("of that: a connection between two requests", asked),
        Figure::new("left behind by a stream that came and went", kept, Unit::Bytes).note(format!(
            "resident memory after 1 and after {ROUNDS} rounds of {CLIENTS} streams, divided by their number"
        )),
    ])
}

fn figure(what: &str, each: Memory) -> Figure {
    let note = format!(
        "anonymous {:.1} KB, of files {:.1} KB",
        each.anonymous / 1e3,
        (each.resident - each.anonymous) / 1e3
    );
    Figure::new(what, each.resident, Unit::Bytes).note(note)
}

/// What each of a thousand clients adds to a new daemon.
async fn growth<T>(
    bench: &Bench,
    home: &Home,
    open: impl AsyncFn(&Daemon, usize) -> Result<Vec<T>>,
) -> Result<Memory> {
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let first = open(&daemon, FIRST).await?;
    sleep(REST).await;
    let before = daemon.memory()?;
    let clients = open(&daemon, CLIENTS).await?;
    sleep(REST).await;
    let after = daemon.memory()?;
    drop((first, clients));
    daemon.stop().await?;
    let each = |of: fn(Memory) -> f64| ((of(after) - of(before)) / CLIENTS as f64).max(0.0);
    Ok(Memory {
        resident: each(|memory| memory.resident),
        proportional: each(|memory| memory.proportional),
        private: each(|memory| memory.private),
        anonymous: each(|memory| memory.anonymous),
    })
}

/// What stays in memory when clients come and go, for each of them.
async fn come_and_go(bench: &Bench, home: &Home, sessions: &[String]) -> Result<f64> {
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let mut after_first = 0.0;
    for round in 0..ROUNDS {
        drop(daemon.attach(CLIENTS, sessions).await?);
        gone(&daemon, &sessions[0]).await?;
        if round == 0 {
            after_first = daemon.memory()?.resident;
        }
    }
    let kept = (daemon.memory()?.resident - after_first) / (CLIENTS * (ROUNDS - 1)) as f64;
    daemon.stop().await?;
    Ok(kept.max(0.0))
}

/// Waits until nobody is listed as attached.
async fn gone(daemon: &Daemon, session: &str) -> Result<()> {
    let mut http = daemon.connect().await?;
    let start = Instant::now();
    loop {
        let present = http.get(&format!("/v1/sessions/{session}/presence")).await?.json()?;
        if present["items"].as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        anyhow::ensure!(start.elapsed().as_secs() < 30, "clients that left are still listed");
        sleep(REST / 20).await;
    }
}
