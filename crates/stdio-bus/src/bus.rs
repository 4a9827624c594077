//! The loop: waits for what can be read or written, tells the router, and does what it says.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use trunkline_wire::router::{Action, ClientId, Config, Ended, Peer, Router};

use crate::args::Listen;
use crate::clients::Connection;
use crate::clock::monotonic_ms;
use crate::ending::Phase;
use crate::listen::Listener;
use crate::log::Log;
use crate::pulse::Pulse;
use crate::record::Records;
use crate::sys;
use crate::workers::{Dying, Place};

/// How much is read at once.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many events are taken at once.
const EVENTS: usize = 256;

/// What an event is about. The number fences events of a descriptor that was closed while they waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Signals,
    Listener,
    /// A client's socket, or stdin.
    Client(u32),
    /// Stdout, where that is not the client's socket.
    Stdout(u32),
    WorkerOut(u32),
    WorkerIn(u32),
}

impl Token {
    pub(crate) fn pack(self, serial: u32) -> EventData {
        let (kind, index) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Client(index) => (2, index),
            Self::Stdout(index) => (3, index),
            Self::WorkerOut(index) => (4, index),
            Self::WorkerIn(index) => (5, index),
        };
        EventData::new_u64(kind << 56 | u64::from(serial & 0xFF_FFFF) << 32 | u64::from(index))
    }

    fn unpack(data: EventData) -> Option<(Self, u32)> {
        let data = data.u64();
        let (serial, index) = ((data >> 32) as u32 & 0xFF_FFFF, data as u32);
        let token = match data >> 56 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Client(index),
            3 => Self::Stdout(index),
            4 => Self::WorkerOut(index),
            5 => Self::WorkerIn(index),
            _ => return None,
        };
        Some((token, serial))
    }
}

/// Everything that the loop holds.
#[derive(Debug)]
pub(crate) struct Bus {
    pub(crate) router: Router,
    pub(crate) epoll: OwnedFd,
    pub(crate) listener: Option<Listener>,
    /// Until then nobody is accepted: there were no descriptors left.
    pub(crate) accept_at: Option<u64>,
    pub(crate) signals: OwnedFd,
    /// By the client's slot.
    pub(crate) clients: Vec<Option<Connection>>,
    /// By the worker's index.
    pub(crate) places: Vec<Place>,
    pub(crate) dying: Vec<Dying>,
    pub(crate) phase: Phase,
    pub(crate) log: Log,
    pub(crate) stdio: bool,
    pub(crate) now: u64,
    records: Option<Records>,
    /// Where stdout is to be kept moving.
    pulse: Option<Pulse>,
    /// Numbers what is registered with epoll.
    serial: u32,
    scratch: Vec<u8>,
    ready: Vec<Peer>,
}

impl Bus {
    /// Routes until it is told to end.
    ///
    /// # Errors
    /// If it cannot begin; in words.
    pub(crate) fn run(config: Config, listen: &Listen) -> Result<(), String> {
        let listener = Listener::bind(listen)?;
        let records = config.record.as_deref().map(Records::open).transpose()?;
        let mut bus =
            Self::new(config, listener, records).map_err(|error| format!("Failed to start: {error}"))?;
        let (workers, pools) = (bus.places.len(), bus.router.config().pools.len());
        bus.log.info(None, &format!("stdio_bus {} starting", env!("CARGO_PKG_VERSION")));
        bus.log.info(None, &format!("{workers} workers across {pools} pools"));
        bus.obey();
        match &bus.listener {
            Some(listener) => bus.log.info(None, &format!("Listening on {}", listener.at)),
            None => {
                bus.open_stdio().map_err(|error| format!("Failed to use stdin and stdout: {error}"))?;
                bus.log.info(None, "Stdio mode initialized (read=stdin, write=stdout)");
            }
        }
        bus.log.info(None, "stdio_bus ready");
        bus.serve().map_err(|error| format!("Failed to wait for events: {error}"))?;
        bus.log.info(None, "stdio_bus shutdown complete");
        Ok(())
    }

    fn new(config: Config, listener: Option<Listener>, records: Option<Records>) -> std::io::Result<Self> {
        let keepalive = config.keepalive_ms;
        let router = Router::new(config);
        let places = router.workers().map(|_| Place::default()).collect();
        #[expect(clippy::disallowed_methods, reason = "the original's one variable; nothing else reads it")]
        let debug = std::env::var_os("DEBUG_STDIO").is_some();
        let (now, stdio) = (monotonic_ms(), listener.is_none());
        let mut bus = Self {
            router,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            stdio,
            listener,
            accept_at: None,
            signals: sys::hear_signals()?,
            clients: Vec::new(),
            places,
            dying: Vec::new(),
            phase: Phase::Serving,
            log: Log::new(debug),
            now,
            records,
            pulse: keepalive.filter(|&every| stdio && every > 0).map(|every| Pulse::new(every, now)),
            serial: 0,
            scratch: vec![0; CHUNK],
            ready: Vec::new(),
        };
        epoll::add(&bus.epoll, &bus.signals, Token::Signals.pack(0), EventFlags::IN)?;
        if let Some(listener) = &bus.listener {
            epoll::add(&bus.epoll, listener, Token::Listener.pack(0), EventFlags::IN)?;
        }
        bus.raise_limit();
        Ok(bus)
    }

    /// Thousands of clients need thousands of descriptors.
    fn raise_limit(&mut self) {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where it cannot be raised there are fewer clients.
        let _raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }

    fn serve(&mut self) -> std::io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.settle();
            if self.phase == Phase::Over {
                return Ok(());
            }
            let wait = self.wait();
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.now = monotonic_ms();
            for event in &events {
                self.event(*event);
            }
            self.read_plain();
            self.due();
        }
    }

    /// Writes what can be written and does what is to be done, until there is nothing more.
    fn settle(&mut self) {
        loop {
            self.obey();
            let mut ready = std::mem::take(&mut self.ready);
            self.router.take_ready(&mut ready);
            for peer in ready.drain(..) {
                match peer {
                    Peer::Client(client) => self.write_client(client),
                    Peer::Worker(worker) => self.write_worker(worker),
                }
            }
            self.ready = ready;
            if !self.advance() && !self.more() {
                return;
            }
        }
    }

    /// Whether the router has more to say.
    fn more(&mut self) -> bool {
        self.router.take_ready(&mut self.ready);
        !self.ready.is_empty() || self.router.has_actions()
    }

    /// Does what the router says.
    fn obey(&mut self) {
        while let Some(action) = self.router.next_action() {
            match action {
                Action::Start(worker) => self.start_worker(worker),
                Action::Stop(worker) => self.stop_worker(worker),
                Action::Pause(worker) => self.listen_to_worker(worker, false),
                Action::Resume(worker) => self.listen_to_worker(worker, true),
                Action::Close(client) => self.close_client(client),
                Action::Record(record) => {
                    if let Some(Err(error)) = self.records.as_mut().map(|records| records.keep(&record)) {
                        self.log.warn(None, &format!("A record was not kept: {error}"));
                    }
                }
                Action::Say(notice) => {
                    let worker = notice.worker.map(|worker| worker.index());
                    if notice.warning {
                        self.log.warn(worker, &notice.text);
                    } else {
                        self.log.info(worker, &notice.text);
                    }
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        let Some((token, serial)) = Token::unpack(event.data) else { return };
        let flags = event.flags;
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        match token {
            Token::Signals => {
                let (ends, child) = sys::signals(&self.signals);
                if child {
                    self.children_ended();
                }
                (0..ends).for_each(|_| self.told_to_end());
            }
            Token::Listener => self.accept(),
            Token::Client(slot) => {
                let Some(client) = self.client(slot, serial) else { return };
                if flags.contains(EventFlags::OUT) {
                    self.write_client(client);
                }
                if flags.contains(EventFlags::IN) || broken {
                    self.read_client(client, broken);
                }
            }
            Token::Stdout(slot) => {
                let Some(client) = self.client(slot, serial) else { return };
                if broken {
                    self.lose_client(client);
                } else {
                    self.write_client(client);
                }
            }
            Token::WorkerOut(index) => self.worker_speaks(index, serial),
            Token::WorkerIn(index) => self.worker_listens(index, serial, flags.contains(EventFlags::ERR)),
        }
    }

    /// What time brings.
    fn due(&mut self) {
        self.router.tick(self.now);
        self.workers_due();
        self.log.beat(self.now);
        if self.accept_at.is_some_and(|at| at <= self.now) {
            self.accept_again();
        }
        self.beat();
    }

    /// Writes an empty line to stdout if it is time for one, and nothing else waits to be written.
    fn beat(&mut self) {
        if let (Some(pulse), Some(Some(connection))) = (&mut self.pulse, self.clients.first())
            && let Some(stdout) = connection.output()
            && pulse.is_due(stdout, self.now)
            && self.router.output(Peer::Client(connection.id)).is_empty()
        {
            // If there is no room, whoever reads has something to read.
            let _written = stdout.write(b"\n");
        }
    }

    /// How long to wait for events; `None`: until one comes.
    fn wait(&self) -> Option<rustix::event::Timespec> {
        let times = [
            self.router.next_tick(),
            self.workers_next(),
            self.phase.next(),
            self.accept_at,
            self.pulse.as_ref().map(Pulse::next),
            self.log.next_beat(),
        ];
        let next = if self.has_plain_input() { Some(0) } else { times.into_iter().flatten().min() };
        let wait = next?.saturating_sub(self.now);
        Some(rustix::event::Timespec {
            tv_sec: (wait / 1000) as i64,
            tv_nsec: (wait % 1000 * 1_000_000) as i64,
        })
    }

    /// Registers a descriptor. `Ok(None)` if it is a plain file, which is always ready.
    pub(crate) fn register(
        &mut self,
        fd: impl AsFd,
        token: Token,
        flags: EventFlags,
    ) -> std::io::Result<Option<u32>> {
        self.serial = (self.serial + 1) & 0xFF_FFFF;
        match epoll::add(&self.epoll, fd, token.pack(self.serial), flags) {
            Ok(()) => Ok(Some(self.serial)),
            Err(Errno::PERM) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what is waited for. It cannot fail for what is registered.
    pub(crate) fn watch(&self, fd: impl AsFd, token: Token, serial: u32, flags: EventFlags) {
        let _changed = epoll::modify(&self.epoll, fd, token.pack(serial), flags);
    }

    /// Reads once into the scratch space; `None` if nothing is there.
    pub(crate) fn with_scratch<T>(&mut self, read: impl FnOnce(&mut Self, &mut [u8]) -> T) -> T {
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = read(self, &mut scratch);
        self.scratch = scratch;
        result
    }

    /// A worker is no more.
    pub(crate) fn worker_ended(&mut self, index: u32, how: &Ended) {
        if let Some(worker) = self.router.workers().nth(index as usize) {
            self.router.worker_ended(worker, how, self.now);
        }
    }

    fn client(&self, slot: u32, serial: u32) -> Option<ClientId> {
        let connection = self.clients.get(slot as usize)?.as_ref()?;
        connection.has_serial(serial).then_some(connection.id)
    }
}
