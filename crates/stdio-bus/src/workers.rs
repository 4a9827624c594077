//! The workers' side of the loop.

use rustix::event::epoll::{self, EventFlags};
use rustix::process::Signal;
use trunkline_wire::router::{Ended, Peer, WorkerId};

use crate::bus::{Bus, Token};
use crate::worker::Worker;

/// How long a worker whose pipe has closed may take to end, so that its exit status can be told.
const LAST_WORD: u64 = 20;

/// How many reads a worker that has ended may still fill: its pipe holds no more.
const LAST_READS: usize = 8;

/// The process in a worker's place.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) worker: Option<Worker>,
    /// How its stdout and its stdin are registered.
    serials: [u32; 2],
    /// Whether it is waited for room in its stdin.
    waiting: bool,
    /// Whether it is read.
    paused: bool,
    /// A pipe of it has closed; from then on it is as good as ended.
    closed: Option<(u64, Ended)>,
}

/// A process that the router is done with and that has not ended yet.
#[derive(Debug)]
pub(crate) struct Dying {
    worker: Worker,
    /// When it is killed; `None` once it was.
    kill_at: Option<u64>,
    reaped: bool,
}

impl Bus {
    pub(crate) fn start_worker(&mut self, id: WorkerId) {
        let pool = self.router.pool(id).clone();
        let index = id.index() as u32;
        let started = Worker::start(&pool).and_then(|worker| {
            let out = self.register(
                worker.stdout.as_ref().ok_or(std::io::ErrorKind::BrokenPipe)?,
                Token::WorkerOut(index),
                EventFlags::IN,
            )?;
            // Nothing is waited for on its stdin yet, but an error is told when it closes.
            let stdin = worker.stdin.as_ref().ok_or(std::io::ErrorKind::BrokenPipe)?;
            let input = self.register(stdin, Token::WorkerIn(index), EventFlags::empty())?;
            Ok((worker, [out, input].map(Option::unwrap_or_default)))
        });
        match started {
            Ok((worker, serials)) => {
                let text =
                    format!("Worker started (pid={}, pool={}, cmd={})", worker.pid(), pool.id, pool.command);
                self.log.info(Some(id.index()), &text);
                self.places[id.index()] = Place { worker: Some(worker), serials, ..Place::default() };
            }
            Err(error) => {
                let how = format!("'{}' cannot be started: {error}", pool.command);
                self.worker_ended(index, &Ended::Exit(how));
            }
        }
    }

    /// Reads a worker, or does not. One that is not read is not watched either: were it to hang up meanwhile, that
    /// would be told again and again.
    pub(crate) fn listen_to_worker(&mut self, id: WorkerId, listen: bool) {
        let place = &mut self.places[id.index()];
        let changed = std::mem::replace(&mut place.paused, !listen) == listen;
        let Some(stdout) = place.worker.as_ref().and_then(|worker| worker.stdout.as_ref()) else { return };
        if changed {
            let token = Token::WorkerOut(id.index() as u32).pack(place.serials[0]);
            // It was watched, or not, until now; neither call can fail.
            let _changed = match listen {
                true => epoll::add(&self.epoll, stdout, token, EventFlags::IN),
                false => epoll::delete(&self.epoll, stdout),
            };
        }
    }

    pub(crate) fn worker_speaks(&mut self, index: u32, serial: u32) {
        let place = &self.places[index as usize];
        if place.worker.is_some() && place.serials[0] == serial && !place.paused {
            self.read_worker(index);
        }
    }

    pub(crate) fn worker_listens(&mut self, index: u32, serial: u32, broken: bool) {
        let place = &self.places[index as usize];
        if place.worker.is_none() || place.serials[1] != serial {
            return;
        }
        if broken {
            self.pipe_closed(index, Ended::Deaf);
        } else {
            self.write_worker_at(index);
        }
    }

    /// Reads what a worker has said; whether there may be more.
    fn read_worker(&mut self, index: u32) -> bool {
        self.with_scratch(|bus, scratch| {
            let stdout = bus.places[index as usize].worker.as_ref().and_then(|worker| worker.stdout.as_ref());
            match stdout.and_then(|stdout| stdout.read(scratch)) {
                Some(0) => {
                    bus.pipe_closed(index, Ended::Silent);
                    false
                }
                Some(count) => {
                    if let Some(worker) = bus.router.workers().nth(index as usize) {
                        bus.heard(worker);
                        bus.router.worker_bytes(worker, &scratch[..count], bus.now);
                    }
                    true
                }
                None => false,
            }
        })
    }

    pub(crate) fn write_worker(&mut self, id: WorkerId) {
        self.write_worker_at(id.index() as u32);
    }

    fn write_worker_at(&mut self, index: u32) {
        let Some(id) = self.router.workers().nth(index as usize) else { return };
        let place = &self.places[index as usize];
        let Some(stdin) = place.worker.as_ref().and_then(|worker| worker.stdin.as_ref()) else { return };
        let peer = Peer::Worker(id);
        while !self.router.output(peer).is_empty() {
            match stdin.write(self.router.output(peer)) {
                Ok(0) => break,
                Ok(count) => {
                    let whole = count == self.router.output(peer).len();
                    self.router.written(peer, count, self.now);
                    if !whole {
                        break;
                    }
                }
                Err(_) => return self.pipe_closed(index, Ended::Deaf),
            }
        }
        let wants = !self.router.output(peer).is_empty();
        if place.waiting != wants {
            let flags = if wants { EventFlags::OUT } else { EventFlags::empty() };
            self.watch(stdin, Token::WorkerIn(index), place.serials[1], flags);
            self.places[index as usize].waiting = wants;
        }
    }

    /// A pipe of a worker has closed. Most often the process ends at the same time, and then that is what is told.
    fn pipe_closed(&mut self, index: u32, how: Ended) {
        let place = &mut self.places[index as usize];
        let Some(worker) = place.worker.as_mut() else { return };
        let stream = if how == Ended::Silent { worker.stdout.take() } else { worker.stdin.take() };
        drop(stream);
        place.closed.get_or_insert((self.now + LAST_WORD, how));
    }

    /// Some child has ended.
    pub(crate) fn children_ended(&mut self) {
        for index in 0..self.places.len() as u32 {
            if self.places[index as usize].worker.as_ref().is_some_and(Worker::has_ended) {
                self.worker_exited(index);
            }
        }
        for dying in &mut self.dying {
            if dying.worker.has_ended() {
                dying.worker.reap();
                dying.reaped = true;
            }
        }
        self.dying.retain(|dying| !dying.reaped);
    }

    /// The process has ended: what it said last counts.
    fn worker_exited(&mut self, index: u32) {
        for _ in 0..LAST_READS {
            if !self.read_worker(index) {
                break;
            }
        }
        if let Some(mut worker) = self.places[index as usize].worker.take() {
            let how = worker.reap();
            self.places[index as usize] = Place::default();
            self.worker_ended(index, &Ended::Exit(how));
        }
    }

    /// Ends the process in a worker's place: it is told, and after a while killed.
    pub(crate) fn stop_worker(&mut self, id: WorkerId) {
        let place = std::mem::take(&mut self.places[id.index()]);
        let Some(mut worker) = place.worker else { return };
        worker.signal(Signal::TERM);
        worker.stdin = None;
        worker.stdout = None;
        let kill_at = Some(self.now + self.router.config().limits.drain_timeout_ms);
        self.dying.push(Dying { worker, kill_at, reaped: false });
    }

    /// Workers that had their last word, and processes that took too long to end.
    pub(crate) fn workers_due(&mut self) {
        for index in 0..self.places.len() as u32 {
            let due = self.places[index as usize].closed.take_if(|(at, _)| *at <= self.now);
            if let Some((_, how)) = due
                && let Some(id) = self.router.workers().nth(index as usize)
            {
                // What it still says is for nobody: those who wait for it are told that it is over.
                self.stop_worker(id);
                self.worker_ended(index, &how);
            }
        }
        for dying in &mut self.dying {
            if dying.kill_at.take_if(|at| *at <= self.now).is_some() {
                dying.worker.signal(Signal::KILL);
            }
        }
    }

    /// When the next of them is due.
    pub(crate) fn workers_next(&self) -> Option<u64> {
        let closed = self.places.iter().filter_map(|place| place.closed.as_ref().map(|(at, _)| *at));
        let dying = self.dying.iter().filter_map(|dying| dying.kill_at);
        closed.chain(dying).min()
    }

    /// Tells all processes to end.
    pub(crate) fn end_workers(&mut self) {
        for place in &mut self.places {
            if let Some(worker) = &mut place.worker {
                // The signal first: one that handles it has the word before its stdin ends.
                worker.signal(Signal::TERM);
                worker.stdin = None;
            }
        }
    }

    /// Kills all processes.
    pub(crate) fn kill_workers(&mut self) {
        let places = self.places.iter().filter_map(|place| place.worker.as_ref());
        let dying = self.dying.iter().map(|dying| &dying.worker);
        places.chain(dying).for_each(|worker| worker.signal(Signal::KILL));
    }

    /// Whether no process is left.
    pub(crate) fn no_workers(&self) -> bool {
        self.places.iter().all(|place| place.worker.is_none()) && self.dying.is_empty()
    }
}
