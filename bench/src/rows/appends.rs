//! Durable commands per second, each answered when it is on disk.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::deliver::message;
use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::limits;
use crate::report::{Figure, Unit};
use tokio::time::Instant;

const WRITERS: [usize; 4] = [1, 16, 64, 256];
/// From so many writers on, the disk is shared so well that most of its own rate is asked for.
const GROUP: usize = 64;
const SHARE: f64 = 0.9;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for writers in WRITERS {
        let limit = limits::appends(&bench.dir, writers, bench.span).await?;
        let budget =
            |figure: Figure| if writers < GROUP { figure } else { figure.at_least(SHARE * limit.file) };
        let plural = if writers == 1 { "writer" } else { "writers" };
        figures.push(
            budget(Figure::new(format!("{writers} {plural}: our store alone"), limit.store, Unit::PerSecond))
                .beside("file", limit.file)
                .beside("bare SQLite", limit.bare),
        );
        for (sessions, place) in [(writers, "a session each"), (1, "one session")] {
            if writers == 1 && sessions == 1 && place == "one session" {
                continue;
            }
            let (rate, cost) = commands(bench, writers, sessions).await?;
            let what = format!("{writers} {plural} over HTTP, {place}");
            figures.push(
                budget(Figure::new(what, rate, Unit::PerSecond))
                    .beside("file", limit.file)
                    .beside("our store", limit.store)
                    .note(cost),
            );
        }
    }
    Ok(figures)
}

async fn commands(bench: &Bench, writers: usize, sessions: usize) -> Result<(f64, String)> {
    let home = Home::new(&bench.dir)?;
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let sessions = daemon.make_sessions(sessions).await?;
    let before = daemon.cpu()?;
    let rate = write(&daemon, writers, &sessions, bench.span).await?;
    let cost = daemon.cpu()?.per(before, rate * bench.span.as_secs_f64());
    daemon.stop().await?;
    Ok((rate, cost))
}

/// Writers that leave a message and acknowledge it, over and over, spread over sessions. Gives commands per second.
pub(super) async fn write(
    daemon: &Daemon,
    writers: usize,
    sessions: &[String],
    span: Duration,
) -> Result<f64> {
    let connections = daemon.connect_all(writers, |_, http| async { Ok(http) }).await?;
    let connections = std::sync::Mutex::new(connections);
    let body = message();
    limits::rate(writers, span, |n, end| {
        let mut http = connections.lock().expect("nobody panics").pop().expect("one for each");
        let inbox = format!("/v1/sessions/{}/inbox", sessions[n % sessions.len()]);
        let body = body.clone();
        async move {
            let mut done = 0;
            while Instant::now() < end {
                let sent = http.post(&inbox, &body).await?;
                let id = sent["id"].as_str().context("a message has an id")?;
                http.done("POST", &format!("{inbox}/{id}/ack"), Some("{}")).await?;
                done += 2;
            }
            Ok(done)
        }
    })
    .await
}
