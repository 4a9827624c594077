//! From the start of the process to the first answers, with ten thousand sessions on disk.

use std::path::Path;

use anyhow::{Result, ensure};
use rustix::fs::{Advice, fadvise};
use tokio::process::Command;
use tokio::time::Instant;

use super::{MANY, SHORT};
use crate::Bench;
use crate::daemon::{Daemon, Home};
use crate::report::{Figure, Unit};
use crate::stats::Samples;
use crate::{limits, store};

const BUDGET_MS: f64 = 50.0;
const ROUNDS: usize = 15;

/// When the answers came, counted from the start of the process.
#[derive(Default)]
struct Starts {
    health: Samples,
    sessions: Samples,
}

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let (home, _) = store::home(&bench.dir, MANY, SHORT).await?;
    let mut cached = Starts::default();
    start(bench, &home, &mut cached).await?;
    cached = Starts::default();
    for _ in 0..ROUNDS {
        start(bench, &home, &mut cached).await?;
    }
    let mut uncached = Starts::default();
    for _ in 0..ROUNDS / 3 {
        drop_from_cache(&home.database())?;
        drop_from_cache(&bench.binary)?;
        start(bench, &home, &mut uncached).await?;
    }
    let (exec, open) = (exec(bench).await?, open(&home)?);
    let figure = |what: &str, samples: &Samples| {
        let note = format!("slowest of {ROUNDS}: {:.1} ms", samples.percentile(100));
        Figure::new(what, samples.median(), Unit::Milliseconds).at_most(BUDGET_MS).note(note)
    };
    let size = std::fs::metadata(home.database())?.len() as f64 / 1e6;
    Ok(vec![
        figure("first 200 of /health", &cached.health).beside("exec of the binary", exec),
        figure("first 200 of /v1/sessions", &cached.sessions).beside("exec + bare SQLite open", exec + open),
        Figure::new("the same, files not in the page cache", uncached.sessions.median(), Unit::Milliseconds)
            .note(format!("the database has {size:.0} MB")),
    ])
}

async fn start(bench: &Bench, home: &Home, starts: &mut Starts) -> Result<()> {
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let mut http = daemon.connect().await?;
    ensure!(http.get("/health").await?.status == 200, "the daemon is not well");
    starts.health.push(daemon.spawned.elapsed());
    let page = http.get("/v1/sessions").await?.json()?;
    starts.sessions.push(daemon.spawned.elapsed());
    ensure!(page["items"].as_array().is_some_and(|items| items.len() == 50), "the sessions are not there");
    daemon.stop().await
}

/// How long a process of this binary takes to begin and to end.
async fn exec(bench: &Bench) -> Result<f64> {
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        ensure!(
            Command::new(&bench.binary).arg("--version").output().await?.status.success(),
            "--version failed"
        );
        samples.push(start.elapsed());
    }
    Ok(samples.median())
}

/// How long SQLite takes to open the same file and to read something.
fn open(home: &Home) -> Result<f64> {
    let once = |_| {
        let start = Instant::now();
        limits::bare(&home.database())?.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(start.elapsed())
    };
    Ok((0..ROUNDS).map(once).collect::<Result<Samples>>()?.median())
}

/// Has the file read from the disk the next time. Pages that somebody has mapped stay.
fn drop_from_cache(path: &Path) -> Result<()> {
    let file = std::fs::File::open(path)?;
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}
