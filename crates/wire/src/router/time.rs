//! What happens because time passes.

use super::book::{Ask, NONE};
use super::core::{Router, State, code};

impl Router {
    /// Does what is due: restarts, timeouts of requests, health checks, and clients that do not read.
    pub fn tick(&mut self, now: u64) {
        if now < self.due {
            return;
        }
        self.due = u64::MAX;
        for worker in 0..self.workers.len() as u32 {
            match self.workers[worker as usize].state {
                State::Up => {
                    self.expire(worker, now);
                    self.check_health(worker, now);
                }
                State::Down { until, .. } if until <= now && !self.draining => self.restart(worker, now),
                State::Down { until, .. } if !self.draining => self.wake_at(until),
                State::Down { .. } | State::Gone => {}
            }
        }
        let timeout = self.config.limits.backpressure_timeout_ms;
        for slot in 0..self.clients.len() as u32 {
            let client = &self.clients[slot as usize];
            if let (Some(since), false, false) = (client.full_since, client.patient, client.closing) {
                if now.saturating_sub(since) >= timeout {
                    self.cut_off(slot, "its queue stayed full");
                } else {
                    self.wake_at(since.saturating_add(timeout));
                }
            }
        }
    }

    /// Requests that are unanswered for too long. They stand in the order in which they were sent.
    fn expire(&mut self, worker: u32, now: u64) {
        let pool = &self.config.pools[self.workers[worker as usize].pool];
        let Some(timeout) = pool.request_timeout_ms else { return };
        let mut next = self.requests.first_of_answerer(worker);
        while let Some(place) = next {
            next = self.requests.after(place);
            let Some(entry) = self.requests.get(place).filter(|entry| !entry.own) else { continue };
            let until = entry.sent.saturating_add(timeout);
            if until > now {
                self.wake_at(until);
                break;
            }
            let why = format!("The worker did not answer within {timeout} ms");
            self.abandon(place, code::TIMEOUT, &why, now);
        }
    }

    fn check_health(&mut self, worker: u32, now: u64) {
        let known = &self.workers[worker as usize];
        let Some(health) = &self.config.pools[known.pool].health else { return };
        if let Some((_, until)) = known.check {
            if known.spoke.saturating_add(health.timeout_ms) > until {
                // It speaks, so it lives: it has until its last word and as long again.
                let until = known.spoke.saturating_add(health.timeout_ms);
                self.workers[worker as usize].check.as_mut().expect("it was there a line above").1 = until;
                self.wake_at(until);
            } else if until <= now {
                self.give_up(worker, "The worker did not answer its health check; it is replaced", now);
            } else {
                self.wake_at(until);
            }
            return;
        }
        // A worker at work is not asked: it may do one thing at a time.
        if known.check_at > now || self.requests.owed_by(worker) > 0 {
            let later = now + health.interval_ms.min(1000);
            let at = if known.check_at > now { known.check_at } else { later };
            return self.wake_at(at);
        }
        let (method, until) = (serde_json::Value::from(&*health.method).to_string(), now + health.timeout_ms);
        let id = b"\"stdio_bus:health\"";
        let ask = Ask { asker: NONE, answerer: worker, id, session: NONE, sent: now, own: true };
        if let Some((place, renamed)) = self.requests.ask(&ask, usize::MAX) {
            let id = renamed.as_deref().unwrap_or(&id[..]);
            let start: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":";
            self.send_worker(worker, &[start, id, b",\"method\":", method.as_bytes(), b",\"params\":{}}"]);
            self.workers[worker as usize].check = Some((place, until));
            self.wake_at(until);
        }
    }

    /// A worker has answered its health check.
    pub(super) fn checked(&mut self, worker: u32, now: u64) {
        let known = &mut self.workers[worker as usize];
        known.check = None;
        if let Some(health) = &self.config.pools[known.pool].health {
            known.check_at = now + health.interval_ms;
            let at = known.check_at;
            self.wake_at(at);
        }
    }
}
