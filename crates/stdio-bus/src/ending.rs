//! How the router ends: what was asked is answered, then the workers are told to end, then what waits is written.

use rustix::event::epoll;

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
    Draining { until: u64, kill_at: u64 },
    /// The workers were told to end.
    Ending { kill_at: u64 },
    /// The workers were killed.
    Killed { until: u64 },
    /// No worker is left; clients read what there is.
    Flushing { until: u64 },
    /// All is done.
    Over,
}

impl Phase {
    /// When it must go on.
    pub(crate) fn next(self) -> Option<u64> {
        match self {
            Self::Serving | Self::Over => None,
            Self::Draining { until, .. } | Self::Killed { until } | Self::Flushing { until } => Some(until),
            Self::Ending { kill_at } => Some(kill_at),
        }
    }
}

impl Bus {
    /// Takes nothing new. Half of the time that workers have is for what was asked before.
    pub(crate) fn begin_drain(&mut self) {
        if self.phase != Phase::Serving {
            return;
        }
        if let Some(listener) = self.listener.take() {
            let _unwatched = epoll::delete(&self.epoll, &listener);
        }
        self.router.drain();
        let timeout = self.router.config().limits.drain_timeout_ms;
        self.phase = Phase::Draining { until: self.now + timeout / 2, kill_at: self.now + timeout };
    }

    /// A signal came: the first begins the end, the second does not wait for answers, the third not for workers.
    pub(crate) fn told_to_end(&mut self) {
        match self.phase {
            Phase::Serving => {
                self.log.info(None, "Shutdown requested, draining...");
                self.begin_drain();
            }
            Phase::Draining { kill_at, .. } => self.end(kill_at),
            Phase::Ending { .. } => self.kill(),
            Phase::Killed { .. } | Phase::Flushing { .. } | Phase::Over => self.phase = Phase::Over,
        }
    }

    /// Goes on to the next phase if it is time; whether it did.
    pub(crate) fn advance(&mut self) -> bool {
        let before = self.phase;
        match self.phase {
            Phase::Serving | Phase::Over => {}
            Phase::Draining { until, kill_at } => {
                if self.router.is_quiet() || until <= self.now {
                    self.end(kill_at);
                }
            }
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

    fn end(&mut self, kill_at: u64) {
        self.end_workers();
        self.phase = Phase::Ending { kill_at };
    }

    fn kill(&mut self) {
        self.kill_workers();
        self.phase = Phase::Killed { until: self.now + LAST_READ };
    }
}
