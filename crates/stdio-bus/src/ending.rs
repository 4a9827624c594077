//! How the router ends: what was asked is answered, then the workers are told to end, then what waits is written.

use rustix::event::epoll;
use trunkline_wire::router::WorkerId;

use crate::bus::Bus;

/// How long clients may take to read what is left. The one on stdio gets longer: it is the only one there was.
const LAST_READ: u64 = 1_000;
const LAST_READ_STDIO: u64 = 5_000;

/// How far the end has come. Each time is when the next phase begins at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not begun.
    Serving,
    /// Nothing new is taken; what was asked may be answered.
    Draining(Drain),
    /// The workers were told to end.
    Ending { kill_at: u64 },
    /// The workers were killed.
    Killed { until: u64 },
    /// No worker is left; clients read what there is.
    Flushing { until: u64 },
    /// All is done.
    Over,
}

/// The wait for answers. Whoever closes our stdin wants them all, however long that takes: it ends when those who owe
/// one fall silent. Whoever signals wants an end, so then it also ends at half of the time that workers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drain {
    /// When the workers are killed, if the end was asked for by a signal.
    kill_at: Option<u64>,
    /// When it ends, whatever comes.
    until: u64,
    /// When somebody who owes an answer last said something.
    heard: u64,
    /// How long they may say nothing.
    silence: u64,
}

impl Drain {
    const fn due(self) -> u64 {
        let silent = self.heard.saturating_add(self.silence);
        if silent < self.until { silent } else { self.until }
    }
}

impl Phase {
    /// When it must go on.
    pub(crate) fn next(self) -> Option<u64> {
        match self {
            Self::Serving | Self::Over => None,
            Self::Draining(drain) => Some(drain.due()),
            Self::Killed { until } | Self::Flushing { until } => Some(until),
            Self::Ending { kill_at } => Some(kill_at),
        }
    }
}

impl Bus {
    /// Takes nothing new; whether a signal is the reason.
    pub(crate) fn begin_drain(&mut self, signal: bool) {
        if self.phase != Phase::Serving {
            return;
        }
        if let Some(listener) = self.listener.take() {
            let _unwatched = epoll::delete(&self.epoll, &listener);
        }
        self.router.drain();
        let limits = &self.router.config().limits;
        let (now, timeout, silence) = (self.now, limits.drain_timeout_ms, limits.drain_silence_ms);
        let kill_at = signal.then(|| now.saturating_add(timeout));
        let until = if signal { now.saturating_add(timeout / 2) } else { u64::MAX };
        self.phase = Phase::Draining(Drain { kill_at, until, heard: now, silence });
    }

    /// A worker has said something that is not read yet.
    pub(crate) fn heard(&mut self, worker: WorkerId) {
        if let Phase::Draining(drain) = &mut self.phase
            && self.router.owes(worker)
        {
            drain.heard = self.now;
        }
    }

    /// A signal came: the first begins the end, the second does not wait for answers, the third not for workers.
    pub(crate) fn told_to_end(&mut self) {
        match self.phase {
            Phase::Serving => {
                self.log.info(None, "Shutdown requested, draining...");
                self.begin_drain(true);
            }
            Phase::Draining(drain) => self.end(drain.kill_at),
            Phase::Ending { .. } => self.kill(),
            Phase::Killed { .. } | Phase::Flushing { .. } | Phase::Over => self.phase = Phase::Over,
        }
    }

    /// Goes on to the next phase if it is time; whether it did.
    pub(crate) fn advance(&mut self) -> bool {
        let before = self.phase;
        match self.phase {
            Phase::Serving | Phase::Over => {}
            Phase::Draining(drain) if self.router.is_quiet() => self.end(drain.kill_at),
            // Whoever cannot speak because nobody reads it is not silent.
            Phase::Draining(mut drain) if drain.until > self.now && self.router.is_held() => {
                drain.heard = self.now;
                self.phase = Phase::Draining(drain);
                return false;
            }
            Phase::Draining(drain) if drain.due() <= self.now => {
                self.log.warn(None, "Not all requests were answered; nobody waits any longer");
                self.end(drain.kill_at);
            }
            Phase::Draining(_) => {}
            Phase::Ending { .. } | Phase::Killed { .. } if self.no_workers() => {
                let time = if self.stdio { LAST_READ_STDIO } else { LAST_READ };
                self.phase = Phase::Flushing { until: self.now + time };
            }
            Phase::Ending { kill_at } if kill_at <= self.now => self.kill(),
            // What cannot be killed is left to the kernel.
            Phase::Killed { until } if until <= self.now => self.phase = Phase::Over,
            Phase::Ending { .. } | Phase::Killed { .. } => {}
            Phase::Flushing { until } => {
                if self.router.is_flushed() || until <= self.now {
                    self.phase = Phase::Over;
                }
            }
        }
        self.phase != before
    }

    /// Tells the workers to end.
    fn end(&mut self, kill_at: Option<u64>) {
        self.end_workers();
        let timeout = self.router.config().limits.drain_timeout_ms;
        self.phase = Phase::Ending { kill_at: kill_at.unwrap_or_else(|| self.now.saturating_add(timeout)) };
    }

    fn kill(&mut self) {
        self.kill_workers();
        self.phase = Phase::Killed { until: self.now + LAST_READ };
    }
}
