//! `pools`.

use trunkline_client::types::{Pool, PoolWorker};

use crate::app::App;
use crate::args::{self, PoolsAction};
use crate::error::Result;
use crate::exit::Exit;
use crate::style::Tone;
use crate::table::{Cell, Table};

pub(crate) async fn pools(app: &App, args: args::Pools) -> Result<Exit> {
    let client = app.connect().await?;
    let (pool, what) = match args.action {
        None => return list(app, &client.pools().await?.items),
        Some(PoolsAction::Restart { pool }) => (client.restart_pool(&pool).await?, "is restarted"),
        Some(PoolsAction::Drain { pool }) => {
            (client.drain_pool(&pool).await?, "takes no more prompts until it is resumed")
        }
        Some(PoolsAction::Resume { pool }) => (client.resume_pool(&pool).await?, "takes prompts again"),
    };
    if app.screen.json {
        app.screen.json(&pool)?;
    } else {
        app.screen.note(format!("{} {what}", pool.name));
    }
    Ok(Exit::Ok)
}

fn list(app: &App, pools: &[Pool]) -> Result<Exit> {
    if app.screen.json {
        app.screen.json(&serde_json::json!({ "items": pools }))?;
    } else if pools.is_empty() {
        app.screen.note("no pools; a table [pools.NAME] in config.toml makes one");
    } else {
        app.screen.table(&table(pools))?;
    }
    Ok(Exit::Ok)
}

fn table(pools: &[Pool]) -> Table {
    let mut table =
        Table::new(&["POOL", "WORKER", "STATE", "PID", "SESSIONS", "IN FLIGHT", "RESTARTS", "STDERR"]);
    for pool in pools {
        for worker in &pool.workers {
            table.row(row(pool, worker));
        }
    }
    table
}

fn row(pool: &Pool, worker: &PoolWorker) -> Vec<Cell> {
    let tone = if worker.state == "up" { Tone::Good } else { Tone::Bad };
    let state = if pool.drained { format!("{}, drained", worker.state) } else { worker.state.clone() };
    vec![
        Cell::new(Tone::Accent, &pool.name),
        Cell::from(worker.worker.to_string()),
        Cell::new(tone, state),
        Cell::new(Tone::Dim, worker.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
        Cell::from(worker.sessions.to_string()),
        Cell::from(worker.in_flight.to_string()),
        Cell::from(worker.restarts.to_string()),
        Cell::new(Tone::Dim, worker.stderr.lines().last().unwrap_or_default()),
    ]
}
