//! The memory of a daemon that does nothing.

use std::time::Duration;

use anyhow::Result;

use super::{MANY, SHORT};
use crate::Bench;
use crate::daemon::{Daemon, Home, Memory};
use crate::report::{Figure, Unit};
use crate::store;

const BUDGET: f64 = 15e6;
/// How long the daemon is left alone before its memory is looked at.
pub(super) const REST: Duration = Duration::from_secs(1);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let empty = resting(bench, &Home::new(&bench.dir)?).await?;
    let (home, _) = store::home(&bench.dir, MANY, SHORT).await?;
    let many = resting(bench, &home).await?;
    let note = format!(
        "anonymous {:.1} MB, of files {:.1} MB; private {:.1} MB, proportional {:.1} MB",
        empty.anonymous / 1e6,
        (empty.resident - empty.anonymous) / 1e6,
        empty.private / 1e6,
        empty.proportional / 1e6
    );
    let each = (many.resident - empty.resident) / MANY as f64;
    Ok(vec![
        Figure::new("resident, no sessions", empty.resident, Unit::Bytes).at_most(BUDGET).note(note),
        Figure::new("resident, 10,000 sessions on disk", many.resident, Unit::Bytes).at_most(BUDGET),
        Figure::new("for each of them", each.max(0.0), Unit::Bytes)
            .note("what SQLite caches of the first page of the list; none of it grows with the sessions"),
    ])
}

async fn resting(bench: &Bench, home: &Home) -> Result<Memory> {
    let daemon = Daemon::start(&bench.binary, home.path()).await?;
    let mut http = daemon.connect().await?;
    http.get("/health").await?.json()?;
    http.get("/v1/sessions").await?.json()?;
    tokio::time::sleep(REST).await;
    let memory = daemon.memory()?;
    daemon.stop().await?;
    Ok(memory)
}
