//! When a worker that ended is started again: a backoff that grows, inside a circuit that opens.
//!
//! The first restart is immediate, so that one crash costs nobody a pause; each further one within the window waits
//! twice as long as the one before. When the window holds as many restarts as are allowed the circuit opens: the
//! worker stays down for a while, then one start is tried (half open). If that worker says something, or lives for a
//! second, the circuit closes and all is forgotten; if not, it opens for twice as long.

use std::collections::VecDeque;

/// The wait before the second restart in a row, and the longest.
const FIRST_WAIT: u64 = 100;
const LONGEST_WAIT: u64 = 10_000;

/// How long a circuit stays open the first time, and at most.
const FIRST_BREAK: u64 = 5_000;
const LONGEST_BREAK: u64 = 600_000;

/// A worker on trial that lived this long is trusted again.
const TRIAL: u64 = 1_000;

/// What to do about a worker that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it at this time.
    Start(u64),
    /// Its circuit is open; try it at this time.
    Open(u64),
    /// Leave it down: restarts are not allowed.
    Never,
}

/// What is remembered of one worker's ends.
#[derive(Clone, Debug, Default)]
pub struct Circuit {
    /// When it was restarted, within the window.
    restarts: VecDeque<u64>,
    /// Since when it is on trial.
    trial: Option<u64>,
    /// How often in a row the circuit opened.
    opened: u32,
}

impl Circuit {
    /// The worker ended.
    pub fn ended(&mut self, now: u64, max: usize, window: u64) -> Verdict {
        if max == 0 {
            return Verdict::Never;
        }
        match self.trial.take() {
            Some(since) if now.saturating_sub(since) < TRIAL => return self.open(now),
            Some(_) => self.close(),
            None => {}
        }
        while self.restarts.front().is_some_and(|&then| now.saturating_sub(then) > window) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= max {
            return self.open(now);
        }
        let wait = match self.restarts.len() {
            0 => 0,
            before => FIRST_WAIT.saturating_mul(1 << (before - 1).min(16)).min(LONGEST_WAIT),
        };
        self.restarts.push_back(now + wait);
        Verdict::Start(now + wait)
    }

    /// The worker was started after the circuit had been open.
    pub fn tried(&mut self, now: u64) {
        self.trial = Some(now);
    }

    /// The worker said something: if it was on trial, it passed.
    pub fn spoke(&mut self) {
        if self.trial.is_some() {
            self.close();
        }
    }

    /// Whether the circuit is half open.
    pub fn on_trial(&self) -> bool {
        self.trial.is_some()
    }

    fn open(&mut self, now: u64) -> Verdict {
        self.restarts.clear();
        let wait = FIRST_BREAK.saturating_mul(1 << self.opened.min(16)).min(LONGEST_BREAK);
        self.opened = self.opened.saturating_add(1);
        Verdict::Open(now + wait)
    }

    fn close(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_the_circuit_opens_half_opens_and_closes() {
        let mut circuit = Circuit::default();
        let mut now = 1_000_000;
        let mut waits = Vec::new();
        let open = loop {
            match circuit.ended(now, 5, 60_000) {
                Verdict::Start(at) => {
                    waits.push(at - now);
                    now = at;
                }
                Verdict::Open(at) => break at,
                Verdict::Never => unreachable!("restarts are allowed"),
            }
        };
        assert_eq!((waits, open - now), (vec![0, 100, 200, 400, 800], 5_000));
        circuit.tried(open);
        assert_eq!(circuit.ended(open + 10, 5, 60_000), Verdict::Open(open + 10_010), "the trial failed");
        circuit.tried(open + 10_010);
        circuit.spoke();
        assert_eq!(
            circuit.ended(open + 10_020, 5, 60_000),
            Verdict::Start(open + 10_020),
            "all is forgotten"
        );
    }

    #[test]
    fn ends_that_are_far_apart_do_not_add_up() {
        let mut circuit = Circuit::default();
        for n in 0..100 {
            assert_eq!(circuit.ended(n * 2000, 2, 1000), Verdict::Start(n * 2000));
        }
        assert_eq!(circuit.ended(0, 0, 1000), Verdict::Never);
    }
}
