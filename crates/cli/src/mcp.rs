//! `mcp`: the daemon's MCP server on stdin and stdout.
//!
//! A bridge, and a thin one: what the host says goes to the daemon's `/mcp`, what the daemon says comes back, and neither is
//! changed. What it adds is what a connection needs that a daemon may leave for a moment: it starts the daemon, finds it
//! again, begins the protocol's session anew, and sends a call again that nobody has answered. `message`: what it must know
//! of a message. `bridge`: the way there and back. `config`: what to write into a host's configuration.

mod bridge;
mod config;
mod message;

use std::io::{self, BufRead, Write};
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use trunkline_client::Passage;

use crate::app::App;
use crate::args::Mcp;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::start;
use bridge::Bridge;
pub(crate) use config::command;

/// How many messages of the host may be under way at a time; more wait.
const MAX_RUNNING: usize = 1_000;
/// How many lines may wait to be written.
const MAX_WAITING: usize = 256;
/// How many bytes a line may have.
const MAX_LINE: u64 = 16 << 20;
/// How long the end of the session may take when the host leaves.
const LEAVING: Duration = Duration::from_millis(500);

pub(crate) async fn mcp(app: &App, args: Mcp) -> Result<Exit> {
    if let Some(host) = args.print_config {
        app.screen.print(config::of(app, host, args.operator).trim_end())?;
        return Ok(Exit::Ok);
    }
    let passage = match &args.url {
        Some(url) => Passage::to_url(url),
        None => {
            find(app).await?;
            Passage::to_home(&app.config.home, args.operator)
        }
    };
    let (out, lines) = mpsc::channel(MAX_WAITING);
    let writer = std::thread::spawn(move || write(lines));
    let bridge = Bridge::new(app, passage, args.url.is_none() && app.env.may_autostart_mcp, out);
    run(&bridge, read()).await?;
    let _the_session_ends_by_itself = tokio::time::timeout(LEAVING, bridge.leave()).await;
    drop(bridge);
    let _a_host_that_has_gone_reads_nothing = writer.join();
    Ok(Exit::Ok)
}

/// Finds the daemon, or starts it.
async fn find(app: &App) -> Result<()> {
    if app.env.may_autostart_mcp {
        return app.connect().await.map(drop);
    }
    if start::find(&app.config.home).await?.daemon().is_some() {
        return Ok(());
    }
    Err(app
        .not_running()
        .hint("start it with `trunkline serve --detach`, or do not set SESSIONBUS_MCP_AUTOSTART to 0"))
}

async fn run(bridge: &Bridge<'_>, mut lines: mpsc::Receiver<io::Result<String>>) -> Result<()> {
    let mut running: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + '_>>> = FuturesUnordered::new();
    running.push(Box::pin(bridge.listen()));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    loop {
        let line = tokio::select! {
            biased;
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            Some(()) = running.next() => continue,
            line = lines.recv(), if running.len() <= MAX_RUNNING => line,
        };
        match line {
            Some(Ok(line)) if line.trim().is_empty() => {}
            Some(Ok(line)) => {
                if let Some(work) = bridge.take(line).await {
                    running.push(Box::pin(work));
                }
            }
            Some(Err(error)) => return Err(CliError::failure(format!("stdin cannot be read: {error}"))),
            None => return Ok(()),
        }
    }
}

/// The lines of stdin, as they come.
fn read() -> mpsc::Receiver<io::Result<String>> {
    let (send, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = io::Read::take(&mut stdin, MAX_LINE).read_until(b'\n', &mut line);
            let line = match read {
                Ok(0) => return,
                Ok(read) if read as u64 == MAX_LINE => Err(io::Error::other("a line is longer than 16 MiB")),
                Ok(_) => Ok(String::from_utf8_lossy(&line).into_owned()),
                Err(error) => Err(error),
            };
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Writes messages, one on each line.
fn write(mut lines: mpsc::Receiver<String>) {
    let mut stdout = io::stdout().lock();
    while let Some(line) = lines.blocking_recv() {
        let line = line.replace(['\r', '\n'], " ");
        if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
            return;
        }
    }
}
