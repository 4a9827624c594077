//! The router's state, what it is told and what it says.

use std::collections::VecDeque;

use super::book::{Book, NONE};
use super::choose::Groups;
use super::config::{Config, Pool};
use super::input::Input;
use super::outbox::Outbox;
use super::policy::Record;
use super::restart::Circuit;
use super::sessions::Sessions;
use super::status::Counters;

/// Codes of the errors that the router answers with. The clients of stdio_bus know the small ones by name.
pub mod code {
    /// The message cannot be routed as it is.
    pub const INVALID_ARGUMENT: i32 = 1;
    /// The worker did not answer in the pool's time.
    pub const TIMEOUT: i32 = 3;
    /// The worker ended, or said something that could not be forwarded, before it answered.
    pub const TRANSPORT_ERROR: i32 = 5;
    /// An extension was required that is not there.
    pub const NEGOTIATION_FAILED: i32 = 6;
    /// The pool's policy forbids the method.
    pub const POLICY_DENIED: i32 = 7;
    /// No worker can take the message now.
    pub const UNAVAILABLE: i32 = 8;
    /// A queue or table is full.
    pub const RESOURCE_EXHAUSTED: i32 = 9;
    /// JSON-RPC: the line is over the limit.
    pub const INVALID_REQUEST: i32 = -32600;
    /// JSON-RPC: the line is no JSON object.
    pub const PARSE_ERROR: i32 = -32700;
}

/// A connected client. The slot is used again after it is gone, the id never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId {
    slot: u32,
    generation: u32,
}

impl ClientId {
    /// A small number that no other connected client has.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// One place for a worker in a pool: the processes that run in it come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub(super) u32);

impl WorkerId {
    /// Its number: workers are counted from 0 through all pools.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Somebody who is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A client.
    Client(ClientId),
    /// A worker.
    Worker(WorkerId),
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a process in this place. Lines may be queued for it already. If that fails, call
    /// [`Router::worker_ended`].
    Start(WorkerId),
    /// End the process in this place; the router is done with it.
    Stop(WorkerId),
    /// Stop reading what this worker says.
    Pause(WorkerId),
    /// Read it again.
    Resume(WorkerId),
    /// Close this client's connection, then call [`Router::disconnect`].
    Close(ClientId),
    /// Keep this record.
    Record(Record),
    /// Tell whoever watches.
    Say(Notice),
}

/// A sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether something is wrong.
    pub warning: bool,
    /// The worker that it is about.
    pub worker: Option<WorkerId>,
    /// What happened.
    pub text: String,
}

/// How a worker ended, as far as it can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its process exited, or could not be started; in words.
    Exit(String),
    /// It closed its stdout.
    Silent,
    /// It closed its stdin.
    Deaf,
}

/// The router. See the module's documentation.
#[derive(Debug)]
pub struct Router {
    pub(super) config: Config,
    pub(super) clients: Vec<Client>,
    pub(super) free: Vec<u32>,
    pub(super) workers: Vec<Worker>,
    pub(super) groups: Groups,
    /// What clients asked workers.
    pub(super) requests: Book,
    /// What workers asked clients.
    pub(super) questions: Book,
    pub(super) sessions: Sessions,
    pub(super) counters: Counters,
    pub(super) actions: VecDeque<Action>,
    ready: Vec<Peer>,
    /// No later than this something is due.
    pub(super) due: u64,
    pub(super) draining: bool,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) generation: u32,
    pub(super) open: bool,
    /// It never times out for not reading: it is the only one there will be.
    pub(super) patient: bool,
    /// It sends no more, but still reads.
    pub(super) finished: bool,
    /// It is about to be closed: nothing more is written to it.
    pub(super) closing: bool,
    pub(super) input: Input,
    pub(super) out: Outbox,
    /// Since when its queue is over the limit, without a byte leaving it.
    pub(super) full_since: Option<u64>,
    /// From this length on it is looked again whether a worker can be paused for it.
    pub(super) look_at: usize,
    /// Workers that are not read until its queue is shorter.
    pub(super) holds: Vec<u32>,
}

/// One place for a worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pool: usize,
    pub(super) state: State,
    pub(super) input: Input,
    pub(super) out: Outbox,
    /// The client for whose sake it is not read.
    pub(super) held_by: u32,
    pub(super) circuit: Circuit,
    pub(super) restarts: u64,
    /// Lines that were no JSON objects.
    pub(super) garbage: u64,
    /// The health check that it owes, and until when.
    pub(super) check: Option<(u32, u64)>,
    /// When the next health check is sent.
    pub(super) check_at: u64,
    /// When it last said something; kept only where health is checked.
    pub(super) spoke: u64,
    /// Its pool takes no requests, and it is not started again.
    pub(super) drained: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, or is being started.
    Up,
    /// It is down until then; whether its circuit is open.
    Down { until: u64, open: bool },
    /// It stays down.
    Gone,
}

impl Router {
    /// A router that wants its workers started: the first actions say so.
    pub fn new(config: Config) -> Self {
        let groups = Groups::new(&config);
        let of_pool = |(pool, of): (usize, &Pool)| (0..of.instances).map(move |_| Worker::new(pool));
        let workers: Vec<Worker> = config.pools.iter().enumerate().flat_map(of_pool).collect();
        let actions = (0..workers.len() as u32).map(|worker| Action::Start(WorkerId(worker))).collect();
        let mut router = Self {
            config,
            clients: Vec::new(),
            free: Vec::new(),
            workers,
            groups,
            requests: Book::default(),
            questions: Book::default(),
            sessions: Sessions::default(),
            counters: Counters::default(),
            actions,
            ready: Vec::new(),
            due: u64::MAX,
            draining: false,
        };
        if router.config.pools.iter().any(|pool| pool.health.is_some()) {
            router.due = 0;
        }
        router
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All places for workers.
    pub fn workers(&self) -> impl ExactSizeIterator<Item = WorkerId> + use<> {
        (0..self.workers.len() as u32).map(WorkerId)
    }

    /// The pool that a worker is of.
    pub fn pool(&self, worker: WorkerId) -> &Pool {
        &self.config.pools[self.workers[worker.index()].pool]
    }

    /// A client has come. A `patient` one is the only one there will be: its queue may stay full for ever. `None`
    /// if there are too many.
    pub fn connect(&mut self, patient: bool, _now: u64) -> Option<ClientId> {
        if self.clients.len() - self.free.len() >= self.config.limits.max_clients {
            self.counters.refused_clients += 1;
            return None;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.clients.push(Client::default());
            self.clients.len() as u32 - 1
        });
        let client = &mut self.clients[slot as usize];
        let generation = client.generation + 1;
        *client = Client { generation, open: true, patient, ..Client::default() };
        Some(ClientId { slot, generation })
    }

    /// A client has sent these bytes.
    pub fn client_bytes(&mut self, client: ClientId, bytes: &[u8], now: u64) {
        let Some(slot) = self.slot(client) else { return };
        let mut input = std::mem::take(&mut self.clients[slot as usize].input);
        input.feed(bytes, self.config.limits.max_input_buffer, |piece| self.client_piece(slot, &piece, now));
        self.clients[slot as usize].input = input;
    }

    /// A client sends no more. It is closed when it has all its answers.
    pub fn client_finished(&mut self, client: ClientId) {
        if let Some(slot) = self.slot(client) {
            self.clients[slot as usize].finished = true;
            self.settle(slot);
        }
    }

    /// A worker has said these bytes.
    pub fn worker_bytes(&mut self, worker: WorkerId, bytes: &[u8], now: u64) {
        let mut input = std::mem::take(&mut self.workers[worker.index()].input);
        let max = self.config.limits.max_input_buffer;
        input.feed(bytes, max, |piece| self.worker_piece(worker.0, &piece, now));
        // A worker that was given up while it spoke starts with a clean slate.
        if self.workers[worker.index()].state == State::Up {
            self.workers[worker.index()].input = input;
        }
    }

    /// What waits to be written to a peer.
    pub fn output(&self, peer: Peer) -> &[u8] {
        match peer {
            Peer::Client(client) => match self.slot(client) {
                Some(slot) => self.clients[slot as usize].out.waiting(),
                None => &[],
            },
            Peer::Worker(worker) => self.workers[worker.index()].out.waiting(),
        }
    }

    /// That many of those bytes were written.
    pub fn written(&mut self, peer: Peer, count: usize, now: u64) {
        match peer {
            Peer::Client(client) => {
                if let Some(slot) = self.slot(client) {
                    self.clients[slot as usize].out.consume(count);
                    self.relieved(slot, now);
                    self.settle(slot);
                }
            }
            Peer::Worker(worker) => self.workers[worker.index()].out.consume(count),
        }
    }

    /// Moves to `into` the peers for which something waits since it was last asked. Each is told once, until it is
    /// asked again after being told.
    pub fn take_ready(&mut self, into: &mut Vec<Peer>) {
        for &peer in &self.ready {
            match peer {
                Peer::Client(client) => self.clients[client.slot()].out.told = false,
                Peer::Worker(worker) => self.workers[worker.index()].out.told = false,
            }
        }
        into.append(&mut self.ready);
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether there is a next thing to do.
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// When [`tick`](Self::tick) must be called, if nothing else happens.
    pub fn next_tick(&self) -> Option<u64> {
        (self.due != u64::MAX).then_some(self.due)
    }

    /// Takes no more requests and starts no more workers. What was asked may still be answered.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether nobody waits for an answer, and nothing waits to be written to a worker.
    pub fn is_quiet(&self) -> bool {
        let quiet = |(worker, index): (&Worker, u32)| {
            worker.out.len() == 0 && self.requests.owed_by(index) == usize::from(worker.check.is_some())
        };
        self.workers.iter().zip(0..).all(quiet)
    }

    /// The worker that a session is bound to.
    pub fn worker_of(&self, session: &[u8]) -> Option<WorkerId> {
        let bound = self.sessions.get(self.sessions.find(session)?)?;
        Some(WorkerId(bound.worker))
    }

    /// Whether a worker owes an answer that somebody waits for.
    pub fn owes(&self, worker: WorkerId) -> bool {
        self.requests.owed_by(worker.0) > 0
    }

    /// Whether a worker is not read, because a client does not take what it has said.
    pub fn is_held(&self) -> bool {
        self.workers.iter().any(|worker| worker.held_by != NONE)
    }

    /// Whether nothing waits to be written to any client.
    pub fn is_flushed(&self) -> bool {
        self.clients.iter().all(|client| client.out.len() == 0 || client.closing)
    }

    /// How many answers clients wait for, and how many sessions are bound.
    pub fn load(&self) -> (usize, usize) {
        (self.requests.len(), self.sessions.len())
    }

    pub(super) fn slot(&self, client: ClientId) -> Option<u32> {
        let known = self.clients.get(client.slot())?;
        (known.open && known.generation == client.generation).then_some(client.slot)
    }

    pub(super) fn client_id(&self, slot: u32) -> ClientId {
        ClientId { slot, generation: self.clients[slot as usize].generation }
    }

    /// Queues a line for a worker.
    pub(super) fn send_worker(&mut self, worker: u32, pieces: &[&[u8]]) {
        let out = &mut self.workers[worker as usize].out;
        out.push(pieces);
        if !std::mem::replace(&mut out.told, true) {
            self.ready.push(Peer::Worker(WorkerId(worker)));
        }
    }

    /// Queues a line for a client; says how long its queue is now, or 0 if it takes no more.
    pub(super) fn queue(&mut self, slot: u32, pieces: &[&[u8]]) -> usize {
        let client = &mut self.clients[slot as usize];
        if client.closing || !client.open {
            return 0;
        }
        client.out.push(pieces);
        let (length, generation) = (client.out.len(), client.generation);
        if !std::mem::replace(&mut client.out.told, true) {
            self.ready.push(Peer::Client(ClientId { slot, generation }));
        }
        length
    }

    /// Something is due at this time.
    pub(super) fn wake_at(&mut self, time: u64) {
        self.due = self.due.min(time);
    }

    pub(super) fn say(&mut self, warning: bool, worker: Option<u32>, text: String) {
        self.actions.push_back(Action::Say(Notice { warning, worker: worker.map(WorkerId), text }));
    }
}

impl Worker {
    fn new(pool: usize) -> Self {
        Self {
            pool,
            state: State::Up,
            input: Input::default(),
            out: Outbox::default(),
            held_by: NONE,
            circuit: Circuit::default(),
            restarts: 0,
            garbage: 0,
            check: None,
            check_at: 0,
            spoke: 0,
            drained: false,
        }
    }
}
