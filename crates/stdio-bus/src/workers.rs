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
    /// How its stdout, its stdin and its end are registered.
    serials: [u32; 3],
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
    serial: u32,
    /// When it is killed; `None` once it was.
    kill_at: Option<u64>,
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
            let end = self.register(&worker.pidfd, Token::WorkerEnd(index), EventFlags::IN)?;
            Ok((worker, [out, input, end].map(Option::unwrap_or_default)))
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

    /// Reads a worker, or does not.
    pub(crate) fn listen_to_worker(&mut self, id: WorkerId, listen: bool) {
        let place = &mut self.places[id.index()];
        place.paused = !listen;
        let flags = if listen { EventFlags::IN } else { EventFlags::empty() };
        let (place, index) = (&self.places[id.index()], id.index() as u32);
        if let Some(stdout) = place.worker.as_ref().and_then(|worker| worker.stdout.as_ref()) {
            self.watch(stdout, Token::WorkerOut(index), place.serials[0], flags);
        }
    }

    pub(crate) fn worker_event(&mut self, token: Token, serial: u32, flags: EventFlags) {
        let (Token::WorkerOut(index) | Token::WorkerIn(index) | Token::WorkerEnd(index)) = token else {
            return;
        };
        let which = match token {
            Token::WorkerOut(_) => 0,
            Token::WorkerIn(_) => 1,
            _ => 2,
        };
        let place = &self.places[index as usize];
        if place.worker.is_none() || place.serials[which] != serial {
            return;
        }
        match which {
            // A worker that is not read has said all that it will, if it is broken; it is told when it is read again.
            0 if place.paused => {}
            0 => {
                self.read_worker(index);
            }
            1 if flags.contains(EventFlags::ERR) => self.pipe_closed(index, Ended::Deaf),
            1 => self.write_worker_at(index),
            _ => self.worker_exited(index),
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

    /// The process has ended: what it said last counts.
    fn worker_exited(&mut self, index: u32) {
        for _ in 0..LAST_READS {
            if !self.read_worker(index) {
                break;
            }
        }
        if let Some(mut worker) = self.places[index as usize].worker.take() {
            let _unwatched = epoll::delete(&self.epoll, &worker.pidfd);
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
        let _unwatched = epoll::delete(&self.epoll, &worker.pidfd);
        let index = self.dying.iter().position(Option::is_none).unwrap_or_else(|| {
            self.dying.push(None);
            self.dying.len() - 1
        });
        // If it cannot be watched it is killed, and reaped, at once.
        match self.register(&worker.pidfd, Token::Dying(index as u32), EventFlags::IN) {
            Ok(serial) => {
                let kill_at = Some(self.now + self.router.config().limits.drain_timeout_ms);
                self.dying[index] = Some(Dying { worker, serial: serial.unwrap_or_default(), kill_at });
            }
            Err(_) => drop(worker.reap()),
        }
    }

    pub(crate) fn dying_event(&mut self, index: u32, serial: u32) {
        if let Some(place) = self.dying.get_mut(index as usize)
            && place.as_ref().is_some_and(|dying| dying.serial == serial)
            && let Some(mut dying) = place.take()
        {
            let _unwatched = epoll::delete(&self.epoll, &dying.worker.pidfd);
            dying.worker.reap();
        }
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
        for dying in self.dying.iter_mut().flatten() {
            if dying.kill_at.take_if(|at| *at <= self.now).is_some() {
                dying.worker.signal(Signal::KILL);
            }
        }
    }

    /// When the next of them is due.
    pub(crate) fn workers_next(&self) -> Option<u64> {
        let closed = self.places.iter().filter_map(|place| place.closed.as_ref().map(|(at, _)| *at));
        let dying = self.dying.iter().flatten().filter_map(|dying| dying.kill_at);
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
        let dying = self.dying.iter().flatten().map(|dying| &dying.worker);
        places.chain(dying).for_each(|worker| worker.signal(Signal::KILL));
    }

    /// Whether no process is left.
    pub(crate) fn no_workers(&self) -> bool {
        self.places.iter().all(|place| place.worker.is_none()) && self.dying.iter().all(Option::is_none)
    }
}
