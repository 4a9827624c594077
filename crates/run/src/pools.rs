//! Pools of workers: processes that many sessions share, behind the router of `trunkline_wire`.
//!
//! One task owns the router; each worker is a child in custody with a keep of its own. A client is in this process: it
//! sends lines and gets lines, and the router pins its session to a worker. See [`trunkline_wire::router`] for how
//! lines are routed and what happens when a worker ends.
//!
//! - `task`: the loop around the router. `worker`: one process. `settings`: what a user says about pools.
//! - `host`: the driver `worker`, by which a session's turns go to a pool.
//! - `greet`, `open`: what is more to do for workers that speak the Agent Client Protocol.

mod greet;
mod host;
mod open;
mod settings;
mod task;
mod worker;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use trunkline_wire::router::{ClientId, Record, Router};

use crate::custody::Custody;
use task::{Chunk, Input, Task};
use worker::Life as Seat;

pub use host::WorkerDriver;
pub use settings::{Health, Limits, Otherwise, Policy, Rule, Settings};

/// The driver of sessions whose turns go to a pool.
pub const WORKER: &str = "worker";

/// The longest line, unless the limits say otherwise: a prompt of the largest size fits, and so does its echo.
pub const MAX_LINE: usize = 16 << 20;

/// How many things may wait for the task; whoever has more to say waits.
const INBOX: usize = 256;

/// How many lines may wait on either side of a connection.
const LINES: usize = 64;

/// The pools. Clones are handles of the same ones; with the last of them all workers end.
#[derive(Clone, Debug)]
pub struct Pools {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pools: Arc<BTreeMap<String, Settings>>,
    inputs: mpsc::Sender<Input>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _guard: DropGuard,
}

/// The pools are closed: the daemon stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pools take no more: the daemon is shutting down, or there are too many sessions")]
pub struct Closed;

/// A client in this process. Dropping it ends its sessions at their workers.
#[derive(Debug)]
pub struct Connection {
    lines: mpsc::Sender<Bytes>,
    heard: mpsc::Receiver<Heard>,
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A line of a worker, or an error of the router, without its line end.
    Line(Bytes),
    /// What is known of a message that it sent: who called, and whether the pool's policy let it pass.
    Record(Box<Record>),
}

/// A pool, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Pool")]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The program that each worker runs, and its arguments.
    pub argv: Vec<String>,
    /// Whether it takes no requests until it is resumed.
    pub drained: bool,
    /// Its workers.
    pub workers: Vec<WorkerView>,
}

/// A worker, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Worker")]
pub struct WorkerView {
    /// Its number in the pool.
    pub worker: usize,
    /// `starting`, `up`, `waiting` (it is started again soon), `open` (it ended too often and is tried later),
    /// `half-open` (that try), `gone` (it stays down).
    pub state: String,
    /// Its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// In how many milliseconds it is started, where that is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// How often it was started again.
    pub restarts: u64,
    /// How many sessions are pinned to it.
    pub sessions: usize,
    /// How many answers it owes.
    pub in_flight: usize,
    /// How many bytes wait for it.
    pub queued_bytes: usize,
    /// How many of its lines were no JSON objects.
    pub garbage_lines: u64,
    /// The last lines on its stderr.
    pub stderr: String,
}

/// What is wanted of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Look,
    Restart,
    Drain,
    Resume,
}

impl Pools {
    /// Starts all workers. They get what they may have of `env`, the daemon's environment; `cwd` is the directory of
    /// those that have none of their own. To be called within a runtime.
    #[must_use]
    pub fn start(
        custody: Custody,
        pools: BTreeMap<String, Settings>,
        limits: &Limits,
        env: Vec<(OsString, OsString)>,
        cwd: PathBuf,
    ) -> Self {
        let router = Router::new(settings::config(&pools, limits));
        let (inputs, inbox) = mpsc::channel(INBOX);
        let (tasks, stop, pools) = (TaskTracker::new(), CancellationToken::new(), Arc::new(pools));
        let places = router.workers().map(|_| task::Place::default()).collect();
        let task = Task {
            router,
            pools: Arc::clone(&pools),
            custody,
            env,
            cwd,
            tasks: tasks.clone(),
            inputs: inputs.clone(),
            began: Instant::now(),
            clients: Vec::new(),
            places,
        };
        tasks.spawn(task.run(inbox, stop.clone()));
        let _guard = stop.clone().drop_guard();
        Self { inner: Arc::new(Inner { pools, inputs, tasks, stop, _guard }) }
    }

    /// Ends all workers, and waits until they are gone.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// What a user said about a pool.
    #[must_use]
    pub fn settings(&self, pool: &str) -> Option<&Settings> {
        self.inner.pools.get(pool)
    }

    /// Connects a client.
    ///
    /// # Errors
    /// When the daemon stops, or there are too many clients.
    pub async fn connect(&self) -> Result<Connection, Closed> {
        let (chunks, mut handed) = mpsc::channel::<Chunk>(1);
        let id = self.ask(|reply| Input::Connect(chunks, reply)).await?.ok_or(Closed)?;
        let (lines, mut said) = mpsc::channel(LINES);
        let (hears, heard) = mpsc::channel(LINES);
        let (inputs, stop) = (self.inner.inputs.clone(), self.inner.stop.clone());
        self.inner.tasks.spawn(async move {
            let pass = async {
                while let Some(line) = said.recv().await {
                    if inputs.send(Input::Line(id, line)).await.is_err() {
                        return;
                    }
                }
                let _pools_are_gone = inputs.send(Input::Leave(id)).await;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = pass => {}
            }
        });
        let (inputs, stop) = (self.inner.inputs.clone(), self.inner.stop.clone());
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = deliver(id, &mut handed, &hears, &inputs) => {}
            }
        });
        Ok(Connection { lines, heard })
    }

    /// All pools.
    ///
    /// # Errors
    /// When the daemon stops.
    pub async fn list(&self) -> Result<Vec<PoolView>, Closed> {
        self.ask(Input::List).await
    }

    /// One pool, if there is one of this name.
    ///
    /// # Errors
    /// When the daemon stops.
    pub async fn show(&self, pool: &str) -> Result<Option<PoolView>, Closed> {
        self.wish(pool, Wish::Look).await
    }

    /// Replaces all workers of a pool.
    ///
    /// # Errors
    /// When the daemon stops.
    pub async fn restart(&self, pool: &str) -> Result<Option<PoolView>, Closed> {
        self.wish(pool, Wish::Restart).await
    }

    /// Has a pool take no more requests; those under way are answered.
    ///
    /// # Errors
    /// When the daemon stops.
    pub async fn drain(&self, pool: &str) -> Result<Option<PoolView>, Closed> {
        self.wish(pool, Wish::Drain).await
    }

    /// Has a drained pool take requests again.
    ///
    /// # Errors
    /// When the daemon stops.
    pub async fn resume(&self, pool: &str) -> Result<Option<PoolView>, Closed> {
        self.wish(pool, Wish::Resume).await
    }

    /// Where a session is, if it is bound.
    async fn seat(&self, session: &str) -> Result<Option<Seat>, Closed> {
        self.ask(|reply| Input::Seat(session.to_owned(), reply)).await
    }

    async fn wish(&self, pool: &str, wish: Wish) -> Result<Option<PoolView>, Closed> {
        self.ask(|reply| Input::Wish(pool.to_owned(), wish, reply)).await
    }

    async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.inner.inputs.send(input(reply)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

impl Connection {
    /// Sends a line, without its line end. Waits while too many wait already.
    ///
    /// # Errors
    /// When the connection was cut: the daemon stops, or what it was sent was not taken for long.
    pub async fn send(&self, line: impl Into<Bytes>) -> Result<(), Closed> {
        self.lines.send(line.into()).await.map_err(|_| Closed)
    }

    /// What comes next. `None` when the connection was cut. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}

/// Passes on what is handed over, and says when it was taken.
async fn deliver(
    id: ClientId,
    handed: &mut mpsc::Receiver<Chunk>,
    hears: &mpsc::Sender<Heard>,
    inputs: &mpsc::Sender<Input>,
) {
    while let Some(Chunk { records, lines }) = handed.recv().await {
        for record in records {
            if hears.send(Heard::Record(Box::new(record))).await.is_err() {
                return;
            }
        }
        let mut rest = lines.clone();
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line = rest.split_to(end + 1);
            if hears.send(Heard::Line(line.slice(..end))).await.is_err() {
                return;
            }
        }
        if inputs.send(Input::Took(id, lines.len())).await.is_err() {
            return;
        }
    }
}
