//! Events per second to the streams of one session, while many write to it.

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::appends::write;
use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::limits;
use crate::report::{Figure, Unit};

const BUDGET: f64 = 400e3;
/// How many streams there are and how many write, and whether the budget is meant for it.
const CASES: [(usize, usize, bool); 4] =
    [(100, 64, true), (100, 256, true), (1, 64, false), (1_000, 64, false)];

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (streams, writers, is_budgeted) in CASES {
        let figure = fan_out(bench, streams, writers).await?;
        figures.push(if is_budgeted { figure.at_least(BUDGET) } else { figure });
    }
    Ok(figures)
}

async fn fan_out(bench: &Bench, count: usize, writers: usize) -> Result<Figure> {
    let home = Home::new(&bench.dir)?;
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let sessions = daemon.make_sessions(1).await?;
    let streams = daemon.attach(count, &sessions).await?;
    let first: u64 = streams.iter().map(|stream| stream.last).sum();
    let before = daemon.cpu()?;
    let start = Instant::now();
    let (done, head) = tokio::sync::watch::channel(None);
    let mut reading = JoinSet::new();
    for mut stream in streams {
        let mut head = head.clone();
        reading.spawn(async move {
            loop {
                let reached = head.borrow().is_some_and(|head| stream.last >= head);
                if reached {
                    return anyhow::Ok((stream.last, stream.bytes));
                }
                tokio::select! {
                    more = stream.more() => more?,
                    _ = head.changed() => {}
                }
            }
        });
    }
    let commands = write(&daemon, writers, &sessions, bench.span).await?;
    let page =
        daemon.connect().await?.get(&format!("/v1/sessions/{}/events?limit=1", sessions[0])).await?.json()?;
    done.send_replace(page["head"].as_u64());
    let read = reading.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let took = start.elapsed().as_secs_f64();
    let cost = daemon.cpu()?;
    daemon.stop().await?;
    let events = read.iter().map(|(last, _)| last).sum::<u64>() - first;
    let bytes: u64 = read.iter().map(|(_, bytes)| bytes).sum();
    let each = bytes as f64 / events as f64;
    let bare = limits::throughput(count, writers * each as usize, bench.span).await?;
    let note = format!(
        "{:.0} commands/s, {:.0} MB/s; {}",
        commands,
        bytes as f64 / took / 1e6,
        cost.per(before, events as f64)
    );
    let what = format!("deliveries to {count}, {writers} writers");
    Ok(Figure::new(what, events as f64 / took, Unit::PerSecond)
        .beside("bare writes of as many bytes at a time", bare / each)
        .note(note))
}
