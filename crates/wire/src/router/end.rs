//! How requests, workers and clients end.

use super::book::{Entry, NONE};
use super::core::{Action, ClientId, Ended, Router, State, WorkerId, code};
use super::input::Input;
use super::restart::Verdict;

impl Router {
    /// A worker is no more: its requesters are told, its sessions are released, and it is started again when its
    /// turn comes. Its process, if there still is one, is whoever embeds the router's to end.
    pub fn worker_ended(&mut self, worker: WorkerId, how: &Ended, now: u64) {
        let index = worker.0;
        if self.workers[worker.index()].state != State::Up {
            return;
        }
        let why = match how {
            Ended::Exit(how) => format!("The worker ended before it answered ({how})"),
            Ended::Silent => "The worker closed its stdout before it answered".to_owned(),
            Ended::Deaf => "The worker closed its stdin before it answered".to_owned(),
        };
        self.lose(index, &why, now);
        let said = match how {
            Ended::Exit(how) => format!("Worker ended ({how})"),
            Ended::Silent => "Worker closed its stdout; it is replaced".to_owned(),
            Ended::Deaf => "Worker closed its stdin; it is replaced".to_owned(),
        };
        self.say(!self.draining, Some(index), said);
        self.plan_restart(index, now);
    }

    /// A client is no more. What workers asked it is answered with an error.
    pub fn disconnect(&mut self, client: ClientId) {
        let Some(slot) = self.slot(client) else { return };
        self.clients[slot as usize].closing = true;
        while let Some(place) = self.requests.first_of_asker(slot) {
            let session = self.requests.orphan(place);
            self.uncount(session, place);
        }
        while let Some(place) = self.questions.first_of_answerer(slot) {
            if let Some(question) = self.questions.take(place) {
                let why = "The client has gone";
                self.error_to_worker(question.asker, question.id.bytes(), code::UNAVAILABLE, why);
            }
        }
        self.questions.renew(slot);
        self.sessions.release_owner(slot);
        self.release_holds(slot);
        let client = &mut self.clients[slot as usize];
        client.open = false;
        client.out.clear();
        client.input = Input::default();
        self.free.push(slot);
    }

    /// Takes a request out of the book, and out of its session's count.
    pub(super) fn settle_request(&mut self, place: u32) -> Option<Entry> {
        let entry = self.requests.take(place)?;
        self.uncount(entry.session, place);
        Some(entry)
    }

    /// Answers a request with an error; the worker can answer it no more.
    pub(super) fn fail(&mut self, place: u32, code: i32, why: &str, now: u64) {
        if let Some(entry) = self.settle_request(place)
            && entry.asker != NONE
        {
            self.error_to_client(entry.asker, entry.id.bytes(), code, why, now);
        }
    }

    /// Answers a request with an error; the worker may still answer, and its answer is dropped.
    pub(super) fn abandon(&mut self, place: u32, code: i32, why: &str, now: u64) {
        let Some(entry) = self.requests.get(place) else { return };
        let (asker, id) = (entry.asker, entry.id.clone());
        let session = self.requests.orphan(place);
        self.uncount(session, place);
        if asker != NONE {
            self.error_to_client(asker, id.bytes(), code, why, now);
        }
    }

    /// The router gives a worker up by itself.
    pub(super) fn give_up(&mut self, worker: u32, why: &str, now: u64) {
        self.lose(worker, why, now);
        self.say(true, Some(worker), why.to_owned());
        self.actions.push_back(Action::Stop(WorkerId(worker)));
        self.plan_restart(worker, now);
    }

    /// Everybody who waits for this worker waits no more.
    pub(super) fn lose(&mut self, worker: u32, why: &str, now: u64) {
        self.workers[worker as usize].state = State::Gone;
        while let Some(place) = self.requests.first_of_answerer(worker) {
            self.fail(place, code::TRANSPORT_ERROR, why, now);
        }
        self.requests.renew(worker);
        while let Some(place) = self.questions.first_of_asker(worker) {
            self.questions.orphan(place);
        }
        self.sessions.release_worker(worker);
        let known = &mut self.workers[worker as usize];
        known.check = None;
        known.input = Input::default();
        known.out.clear();
        let holder = std::mem::replace(&mut known.held_by, NONE);
        if let Some(client) = self.clients.get_mut(holder as usize) {
            client.holds.retain(|&held| held != worker);
        }
    }

    fn plan_restart(&mut self, worker: u32, now: u64) {
        if self.draining || self.workers[worker as usize].drained {
            return;
        }
        let (max, window) = (self.config.limits.max_restarts, self.config.limits.restart_window_ms);
        match self.workers[worker as usize].circuit.ended(now, max, window) {
            Verdict::Start(at) if at <= now => self.restart(worker, now),
            Verdict::Start(until) => {
                self.workers[worker as usize].state = State::Down { until, open: false };
                self.wake_at(until);
            }
            Verdict::Open(until) => {
                self.workers[worker as usize].state = State::Down { until, open: true };
                self.wake_at(until);
                let wait = until - now;
                let text = format!(
                    "Restart limit exceeded ({max} restarts in {} seconds): the circuit is open, the next try is in {wait} ms",
                    window / 1000
                );
                self.say(true, Some(worker), text);
            }
            Verdict::Never => {
                self.say(true, Some(worker), "Worker is not restarted: max_restarts is 0".to_owned());
            }
        }
    }

    /// Starts a worker that is down.
    pub(super) fn restart(&mut self, worker: u32, now: u64) {
        let interval =
            self.config.pools[self.workers[worker as usize].pool].health.as_ref().map(|h| h.interval_ms);
        let known = &mut self.workers[worker as usize];
        if matches!(known.state, State::Down { open: true, .. }) {
            known.circuit.tried(now);
        }
        known.state = State::Up;
        known.restarts += 1;
        if let Some(interval) = interval {
            known.check_at = now + interval;
            self.wake_at(now + interval);
        }
        self.actions.push_back(Action::Start(WorkerId(worker)));
    }

    fn uncount(&mut self, session: u32, place: u32) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.unanswered = session.unanswered.saturating_sub(1);
            session.places ^= place;
        }
    }
}
