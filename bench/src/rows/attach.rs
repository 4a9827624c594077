//! From a connection to everything a session has: on `/v1`, by the dialect of attachable sessions, and after a pause.

use anyhow::Result;
use tokio::time::Instant;

use crate::Bench;
use crate::daemon::Daemon;
use crate::report::{Figure, Unit};
use crate::stats::Samples;
use crate::store::{self, Past};

/// How many events a session has, how many such sessions there are, and how many milliseconds it may take.
const SIZES: [(u64, usize, Option<f64>); 3] = [(100, 20, None), (10_000, 20, Some(50.0)), (100_000, 3, None)];
/// How many events a client that comes back has missed.
const MISSED: u64 = 100;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (events, sessions, budget) in SIZES {
        figures.extend(attach(bench, events, sessions, budget).await?);
    }
    Ok(figures)
}

async fn attach(bench: &Bench, events: u64, sessions: usize, budget: Option<f64>) -> Result<Vec<Figure>> {
    // One event to a frame: what an agent that talks slowly leaves.
    let past = Past { updates: events, per_frame: 1 };
    let (home, ids) = store::home(&bench.dir, sessions, past).await?;
    let (mut read, mut head) = (Samples::default(), 0);
    for id in &ids {
        let start = Instant::now();
        head = store::read(&home.database(), id).await?;
        read.push(start.elapsed());
    }
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let first = rounds(&daemon, &ids, |id| format!("/v1/sessions/{id}/events")).await?;
    let again = rounds(&daemon, &ids, |id| format!("/v1/sessions/{id}/events")).await?;
    let blocks = rounds(&daemon, &ids, |id| format!("/api/session/{id}/stream")).await?;
    let deltas = rounds(&daemon, &ids, |id| format!("/api/session/{id}/stream?deltas=1")).await?;
    let missed = head - MISSED;
    let resumed = rounds(&daemon, &ids, |id| format!("/v1/sessions/{id}/events?after={missed}")).await?;
    daemon.stop().await?;
    let figure = |what: &str, samples: &Samples| {
        Figure::new(format!("{events} events, {what}"), samples.median(), Unit::Milliseconds)
            .note(format!("slowest of {sessions}: {:.1} ms", samples.percentile(100)))
    };
    let whole = |what: &str, samples: &Samples| {
        let figure = figure(what, samples).beside("our store alone", read.median());
        budget.map_or_else(|| figure.clone(), |budget| figure.clone().at_most(budget))
    };
    Ok(vec![
        whole("session not in memory", &first),
        whole("session in memory", &again),
        whole("by the dialect of attachable sessions", &blocks),
        whole("by that dialect, piece by piece", &deltas),
        figure(&format!("the last {MISSED} after a pause"), &resumed),
    ])
}

/// Attaches to each session once.
async fn rounds(daemon: &Daemon, ids: &[String], path: impl Fn(&str) -> String) -> Result<Samples> {
    let mut samples = Samples::default();
    for id in ids {
        let start = Instant::now();
        let http = daemon.connect().await?;
        let mut stream = http.stream(&path(id)).await?;
        stream.catch_up().await?;
        samples.push(start.elapsed());
    }
    Ok(samples)
}
