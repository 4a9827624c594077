//! From a connection to everything a session of ten thousand events has.

use anyhow::Result;
use tokio::time::Instant;

use crate::Bench;
use crate::daemon::Daemon;
use crate::report::{Figure, Unit};
use crate::stats::Samples;
use crate::store::{self, Past};

const BUDGET_MS: f64 = 50.0;
const SESSIONS: usize = 20;
/// One event to a frame: what an agent that talks slowly leaves.
const PAST: Past = Past { updates: 10_000, per_frame: 1 };

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let (home, ids) = store::home(&bench.dir, SESSIONS, PAST).await?;
    let mut read = Samples::default();
    for id in &ids {
        let start = Instant::now();
        store::read(&home.database(), id).await?;
        read.push(start.elapsed());
    }
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let mut rounds = [Samples::default(), Samples::default()];
    for samples in &mut rounds {
        for id in &ids {
            let start = Instant::now();
            let http = daemon.connect().await?;
            let mut stream = http.stream(&format!("/v1/sessions/{id}/events")).await?;
            stream.catch_up().await?;
            samples.push(start.elapsed());
        }
    }
    daemon.stop().await?;
    let [first, again] = rounds;
    let figure = |what: &str, samples: &Samples| {
        Figure::new(what, samples.median(), Unit::Milliseconds)
            .at_most(BUDGET_MS)
            .beside("our store alone", read.median())
            .note(format!("slowest of {SESSIONS}: {:.1} ms", samples.percentile(100)))
    };
    Ok(vec![
        figure("10,000 events, session not in memory", &first),
        figure("10,000 events, session in memory", &again),
    ])
}
