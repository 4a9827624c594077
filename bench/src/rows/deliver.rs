//! From a command to the events at a hundred streams.

use std::time::Duration;

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::limits;
use crate::report::{Figure, Unit};
use crate::stats::Samples;

const STREAMS: usize = 100;
const ROUNDS: usize = 500;
/// How long both rest between two commands: this row is about delay, not about load.
const PAUSE: Duration = Duration::from_millis(2);
/// About how many bytes an event has on the wire.
const EVENT_BYTES: usize = 420;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new(&bench.dir)?;
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let sessions = daemon.make_sessions(1).await?;
    let path = format!("/v1/sessions/{}/inbox", sessions[0]);
    let body = message();
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    let mut streams = JoinSet::new();
    for mut stream in daemon.attach(STREAMS, &sessions).await? {
        let seen = seen.clone();
        streams.spawn(async move {
            loop {
                let last = stream.last;
                stream.more().await?;
                let now = Instant::now();
                if stream.last > last && seen.send(now).is_err() {
                    return anyhow::Ok(());
                }
            }
        });
    }
    let (mut http, mut disk) = (daemon.connect().await?, limits::Disk::new(&bench.dir)?);
    let (mut all, mut lasts, mut answers) = (Samples::default(), Samples::default(), Samples::default());
    let before = daemon.cpu()?;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        http.post(&path, &body).await?;
        answers.push(start.elapsed());
        let mut last = Duration::ZERO;
        for _ in 0..STREAMS {
            let arrival = arrivals.recv().await.expect("the streams are open") - start;
            all.push(arrival);
            last = last.max(arrival);
        }
        lasts.push(last);
        sleep(PAUSE).await;
        disk.flush()?;
    }
    let cost = daemon.cpu()?.per(before, ROUNDS as f64);
    drop(arrivals);
    streams.shutdown().await;
    daemon.stop().await?;
    let bare = limits::fan_out_latency(STREAMS, ROUNDS, EVENT_BYTES).await?;
    let (flush, slow) = (disk.took().median(), disk.took().percentile(99));
    Ok(vec![
        Figure::new("p50 of all deliveries", all.median(), Unit::Milliseconds)
            .at_most(1.0 + flush)
            .beside("flush + bare writes", flush + bare.median())
            .note(cost),
        Figure::new("p99 of all deliveries", all.percentile(99), Unit::Milliseconds)
            .at_most(5.0)
            .beside("flush + bare writes", slow + bare.percentile(99)),
        Figure::new("p50 of the last of the hundred", lasts.median(), Unit::Milliseconds),
        Figure::new("p50 of the answer to the command", answers.median(), Unit::Milliseconds)
            .beside("flush", flush),
    ])
}

/// A message that makes an event of about [`limits::EVENT`] bytes.
pub(super) fn message() -> String {
    let text = "x".repeat(limits::EVENT - 156);
    format!(r#"{{"kind":"note","payload":{{"text":"{text}"}}}}"#)
}
