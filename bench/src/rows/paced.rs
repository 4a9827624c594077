//! An agent that talks at its usual pace, to one, a hundred and a thousand streams.

use std::time::Duration;

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::deliver::message;
use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::report::{Figure, Unit};
use crate::stats::Samples;

const STREAMS: [usize; 3] = [1, 100, 1_000];
/// Two hundred events a second.
const PACE: Duration = Duration::from_millis(5);
const EVENTS: usize = 600;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for streams in STREAMS {
        figures.extend(paced(bench, streams).await?);
    }
    Ok(figures)
}

async fn paced(bench: &Bench, count: usize) -> Result<[Figure; 2]> {
    let home = Home::new(&bench.dir)?;
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let sessions = daemon.make_sessions(1).await?;
    let path = format!("/v1/sessions/{}/inbox", sessions[0]);
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    let mut streams = JoinSet::new();
    let attached = daemon.attach(count, &sessions).await?;
    let first = attached.iter().map(|stream| stream.last).max().unwrap_or_default();
    for mut stream in attached {
        let seen = seen.clone();
        streams.spawn(async move {
            loop {
                let last = stream.last;
                stream.more().await?;
                let now = Instant::now();
                // Some may come together: each counts.
                for number in last + 1..=stream.last {
                    if seen.send((number, now)).is_err() {
                        return anyhow::Ok(());
                    }
                }
            }
        });
    }
    let (mut http, body) = (daemon.connect().await?, message());
    let before = daemon.cpu()?;
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::with_capacity(EVENTS);
    for _ in 0..EVENTS {
        ticks.tick().await;
        sent.push(Instant::now());
        http.post(&path, &body).await?;
    }
    let mut took = Samples::default();
    for _ in 0..EVENTS * count {
        let (number, at) = arrivals.recv().await.expect("the streams are open");
        took.push(at - sent[usize::try_from(number - first - 1)?]);
    }
    let cost = daemon.cpu()?.per(before, (EVENTS * count) as f64);
    drop(arrivals);
    streams.shutdown().await;
    daemon.stop().await?;
    let figure = |what: &str, value| {
        let plural = if count == 1 { "stream" } else { "streams" };
        Figure::new(
            format!("{what} of deliveries to {count} {plural}, 200 events/s"),
            value,
            Unit::Milliseconds,
        )
    };
    Ok([figure("p50", took.median()).note(cost), figure("p99", took.percentile(99))])
}
