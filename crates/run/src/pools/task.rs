//! The task that owns the router: it tells the router what happens, and does what the router says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trunkline_wire::router::{Action, ClientId, Ended, Peer, Record, Router, WorkerId};
use uuid::Uuid;

use super::worker::{Control, Job, Life};
use super::{PoolView, Settings, Wish, WorkerView};
use crate::acp::trouble::last;
use crate::catalog::environment;
use crate::custody::{Child, Custody, Spawn};

/// How many bytes are handed over at once.
const CHUNK: usize = 64 << 10;

/// What happens.
pub(super) enum Input {
    Connect(mpsc::Sender<Chunk>, oneshot::Sender<Option<ClientId>>),
    Line(ClientId, Bytes),
    Leave(ClientId),
    Took(ClientId, usize),
    Started(Life, Arc<Child>),
    Said(Life, Vec<u8>),
    Wrote(Life, usize),
    Ended(Life, Ended),
    /// All that the process wrote to stderr, at its end.
    Words(Life, String),
    /// Which process a session is bound to.
    Seat(String, oneshot::Sender<Option<Life>>),
    List(oneshot::Sender<Vec<PoolView>>),
    Wish(String, Wish, oneshot::Sender<Option<PoolView>>),
}

/// What a client gets at once: whole lines with their ends, and records about what it sent.
pub(super) struct Chunk {
    pub(super) records: Vec<Record>,
    pub(super) lines: Bytes,
}

/// The task.
pub(super) struct Task {
    pub(super) router: Router,
    pub(super) pools: Arc<BTreeMap<String, Settings>>,
    pub(super) custody: Custody,
    pub(super) env: Vec<(OsString, OsString)>,
    /// Where workers run that have no directory of their own.
    pub(super) cwd: PathBuf,
    pub(super) tasks: TaskTracker,
    /// For the processes, to say what happens to them.
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) began: Instant,
    /// By the client's slot.
    pub(super) clients: Vec<Option<Client>>,
    /// By the worker's index.
    pub(super) places: Vec<Place>,
}

/// A client, as the task sees it.
pub(super) struct Client {
    id: ClientId,
    chunks: mpsc::Sender<Chunk>,
    /// A chunk is on its way.
    busy: bool,
    records: Vec<Record>,
}

/// A worker's place.
#[derive(Default)]
pub(super) struct Place {
    lives: u64,
    process: Option<Process>,
    /// Resolves once the last process of this place is gone.
    over: Option<oneshot::Receiver<()>>,
    /// The last process's last words.
    words: String,
}

struct Process {
    number: u64,
    child: Option<Arc<Child>>,
    chunks: mpsc::Sender<Bytes>,
    control: watch::Sender<Control>,
    /// A chunk is on its way.
    busy: bool,
}

impl Task {
    /// Routes until it is told to end. All processes end with it.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Input>, stop: CancellationToken) {
        loop {
            self.settle();
            let due = self.router.next_tick().map(|due| self.began + Duration::from_millis(due));
            let tick = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                input = inbox.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                () = tick => {}
            }
            let now = self.now();
            self.router.tick(now);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn take(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Connect(chunks, reply) => self.connect(chunks, reply, now),
            Input::Line(client, line) => {
                self.router.client_bytes(client, &line, now);
                self.router.client_bytes(client, b"\n", now);
            }
            Input::Leave(client) => self.leave(client),
            Input::Took(client, count) => {
                if let Some(known) = self.client(client) {
                    known.busy = false;
                    self.router.written(Peer::Client(client), count, now);
                    self.serve(client);
                }
            }
            Input::Started(life, child) => {
                if let Some(process) = self.process(life) {
                    tracing::info!(
                        worker = life.worker.index(),
                        pid = child.process().pid,
                        "a worker started"
                    );
                    process.child = Some(child);
                }
            }
            Input::Said(life, bytes) => {
                if self.process(life).is_some() {
                    self.router.worker_bytes(life.worker, &bytes, now);
                }
            }
            Input::Wrote(life, count) => {
                if let Some(process) = self.process(life) {
                    process.busy = false;
                    self.router.written(Peer::Worker(life.worker), count, now);
                    self.feed(life.worker);
                }
            }
            Input::Ended(life, how) => {
                if self.process(life).is_some() {
                    self.places[life.worker.index()].process = None;
                    self.router.worker_ended(life.worker, &how, now);
                }
            }
            Input::Words(life, words) => self.places[life.worker.index()].words = last(&words).to_owned(),
            Input::Seat(session, reply) => {
                let worker = self.router.worker_of(session.as_bytes());
                let seat = worker.map(|worker| Life { worker, number: self.places[worker.index()].lives });
                let _nobody_waits = reply.send(seat);
            }
            Input::List(reply) => {
                let names = self.router.pool_names().map(str::to_owned).collect::<Vec<_>>();
                let views = names.iter().filter_map(|name| self.view(name, now)).collect();
                let _nobody_waits = reply.send(views);
            }
            Input::Wish(pool, wish, reply) => {
                let _known = match wish {
                    Wish::Look => true,
                    Wish::Restart => self.router.restart_pool(&pool, now),
                    Wish::Drain => self.router.drain_pool(&pool),
                    Wish::Resume => self.router.resume_pool(&pool, now),
                };
                self.obey();
                let _nobody_waits = reply.send(self.view(&pool, now));
            }
        }
    }

    /// Does what is to be done and writes what can be written, until there is nothing more.
    fn settle(&mut self) {
        let mut ready = Vec::new();
        loop {
            self.obey();
            self.router.take_ready(&mut ready);
            for peer in ready.drain(..) {
                match peer {
                    Peer::Client(client) => self.serve(client),
                    Peer::Worker(worker) => self.feed(worker),
                }
            }
            self.router.take_ready(&mut ready);
            if ready.is_empty() && !self.router.has_actions() {
                return;
            }
        }
    }

    fn obey(&mut self) {
        while let Some(action) = self.router.next_action() {
            match action {
                Action::Start(worker) => self.start(worker),
                Action::Stop(worker) => {
                    if let Some(process) = self.places[worker.index()].process.take() {
                        process.control.send_modify(|control| control.stop = true);
                    }
                }
                Action::Pause(worker) => self.pause(worker, true),
                Action::Resume(worker) => self.pause(worker, false),
                Action::Close(client) => self.leave(client),
                Action::Record(record) => self.record(record),
                Action::Say(notice) => {
                    let worker = notice.worker;
                    let pool = worker.map(|worker| self.router.pool(worker).id.clone()).unwrap_or_default();
                    let worker = worker.map(WorkerId::index);
                    if notice.warning {
                        tracing::warn!(pool, worker, "{}", notice.text);
                    } else {
                        tracing::info!(pool, worker, "{}", notice.text);
                    }
                }
            }
        }
    }

    fn start(&mut self, worker: WorkerId) {
        let name = &self.router.pool(worker).id;
        let Some(settings) = self.pools.get(name) else { return };
        let entry = settings.entry(name);
        let cwd = settings.cwd.clone().unwrap_or_else(|| self.cwd.clone());
        let place = &mut self.places[worker.index()];
        place.lives += 1;
        let life = Life { worker, number: place.lives };
        let spawn = Spawn {
            // No part of it may be taken for a session's id: who connects from here is nobody's agent.
            resource: format!("pool:{name}/{}", worker.index()),
            incarnation: Uuid::from_u128(u128::from(life.number)),
            env: environment(&self.env, &entry),
            ..Spawn::new(&entry.argv, cwd)
        };
        let (chunks, inbox) = mpsc::channel(1);
        let control = watch::Sender::new(Control::default());
        let (over, ended) = oneshot::channel();
        let job = Job {
            life,
            greets: settings.acp,
            custody: self.custody.clone(),
            spawn,
            grace: Duration::from_millis(self.router.config().limits.drain_timeout_ms),
            inputs: self.inputs.clone(),
            chunks: inbox,
            control: control.subscribe(),
            before: place.over.replace(ended),
            _over: over,
        };
        place.process = Some(Process { number: life.number, child: None, chunks, control, busy: false });
        self.tasks.spawn(job.run());
        // Lines may wait for it already.
        self.feed(worker);
    }

    fn pause(&mut self, worker: WorkerId, paused: bool) {
        if let Some(process) = &self.places[worker.index()].process {
            process.control.send_modify(|control| control.paused = paused);
        }
    }

    /// Hands over what waits for a worker.
    fn feed(&mut self, worker: WorkerId) {
        let output = self.router.output(Peer::Worker(worker));
        let Some(process) = &mut self.places[worker.index()].process else { return };
        if output.is_empty() || process.busy {
            return;
        }
        let chunk = Bytes::copy_from_slice(&output[..output.len().min(CHUNK)]);
        process.busy = process.chunks.try_send(chunk).is_ok();
    }

    /// Hands over what waits for a client: whole lines.
    fn serve(&mut self, client: ClientId) {
        let output = self.router.output(Peer::Client(client));
        let Some(known) = self.clients.get_mut(client.slot()).and_then(Option::as_mut) else { return };
        if known.id != client || known.busy || (output.is_empty() && known.records.is_empty()) {
            return;
        }
        let within = output[..output.len().min(CHUNK)].iter().rposition(|&byte| byte == b'\n');
        let first = || output.iter().position(|&byte| byte == b'\n');
        let end = within.or_else(first).map_or(0, |at| at + 1);
        let records = std::mem::take(&mut known.records);
        let chunk = Chunk { records, lines: Bytes::copy_from_slice(&output[..end]) };
        known.busy = known.chunks.try_send(chunk).is_ok();
    }

    fn connect(&mut self, chunks: mpsc::Sender<Chunk>, reply: oneshot::Sender<Option<ClientId>>, now: u64) {
        let id = self.router.connect(false, now);
        if let Some(id) = id {
            if self.clients.len() <= id.slot() {
                self.clients.resize_with(id.slot() + 1, || None);
            }
            self.clients[id.slot()] = Some(Client { id, chunks, busy: false, records: Vec::new() });
        }
        if reply.send(id).is_err()
            && let Some(id) = id
        {
            self.leave(id);
        }
    }

    fn leave(&mut self, client: ClientId) {
        self.router.disconnect(client);
        if self.client(client).is_some() {
            self.clients[client.slot()] = None;
        }
    }

    /// A record goes to the client that it is about, where somebody asked for it or said more than who calls: who
    /// calls is in the session's log already.
    fn record(&mut self, record: Record) {
        let asked = self.pools.get(&record.pool).is_some_and(|settings| settings.policy.is_some());
        if let (true, Some(Some(client))) =
            (asked || !record.audit.is_null(), self.clients.get_mut(record.client as usize))
        {
            client.records.push(record);
            let id = client.id;
            self.serve(id);
        }
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(id.slot())?.as_mut().filter(|client| client.id == id)
    }

    fn process(&mut self, life: Life) -> Option<&mut Process> {
        let process = self.places[life.worker.index()].process.as_mut();
        process.filter(|process| process.number == life.number)
    }

    fn view(&self, pool: &str, now: u64) -> Option<PoolView> {
        let workers = self.router.workers_of(pool)?;
        let settings = self.pools.get(pool)?;
        Some(PoolView {
            name: pool.to_owned(),
            title: settings.entry(pool).title,
            argv: settings.entry(pool).argv,
            drained: self.router.is_drained(pool),
            workers: workers.into_iter().enumerate().map(|(n, worker)| self.worker(n, worker, now)).collect(),
        })
    }

    fn worker(&self, n: usize, worker: WorkerId, now: u64) -> WorkerView {
        let seen = self.router.worker_status(worker, now);
        let acp = self.pools.get(&self.router.pool(worker).id).is_some_and(|settings| settings.acp);
        let place = &self.places[worker.index()];
        let child = place.process.as_ref().and_then(|process| process.child.as_ref());
        let words = child.map(|child| last(&child.stderr_tail()).to_owned()).unwrap_or_default();
        WorkerView {
            worker: n,
            state: if seen.state == "up" && child.is_none() { "starting" } else { seen.state }.to_owned(),
            pid: child.map(|child| child.process().pid),
            retry_ms: seen.retry_ms,
            restarts: seen.restarts,
            // At a worker that has ids of its own each session has two names.
            sessions: if acp { seen.sessions.div_ceil(2) } else { seen.sessions },
            in_flight: seen.pending,
            queued_bytes: seen.queued_bytes,
            garbage_lines: seen.garbage_lines,
            // A process that has said nothing yet does not hide why the one before it ended.
            stderr: if words.is_empty() { place.words.clone() } else { words },
        }
    }
}
