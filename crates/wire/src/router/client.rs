//! What clients say.

use super::book::{Ask, NONE};
use super::choose::{Refusal, Route};
use super::core::{Router, State, code};
use super::input::Piece;
use super::scan::{Keys, scan, scan_end, scan_start};

impl Router {
    pub(super) fn client_piece(&mut self, slot: u32, piece: &Piece<'_>, now: u64) {
        self.counters.from_clients += 1;
        match piece {
            Piece::Line(line) => self.client_line(slot, line, now),
            Piece::TooLong { start, tail } => {
                let keys = scan_start(start);
                let id = keys.id.map_or_else(|| scan_end(tail), |at| Some(&start[at]));
                self.error_to_client(
                    slot,
                    id.unwrap_or(b"null"),
                    code::INVALID_REQUEST,
                    "Message too large",
                    now,
                );
            }
        }
    }

    fn client_line(&mut self, slot: u32, line: &[u8], now: u64) {
        if self.clients[slot as usize].closing {
            return;
        }
        let Ok(keys) = scan(line, self.config.route_params_session) else {
            return self.error_to_client(slot, b"null", code::PARSE_ERROR, "Parse error", now);
        };
        if keys.is_answer() {
            return self.client_answers(slot, line, &keys);
        }
        if self.answer_myself(slot, line, &keys, now) {
            return;
        }
        if let Err(refusal) = self.forward(slot, line, &keys, now) {
            // What is no request has no id to answer to, but nothing is dropped in silence.
            let id = keys.id.clone().map_or(&b"null"[..], |at| &line[at]);
            self.error_to_client(slot, id, refusal.code, &refusal.message, now);
        }
    }

    /// Sends a request or a notification to a worker.
    fn forward(&mut self, slot: u32, line: &[u8], keys: &Keys<'_>, now: u64) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::new(code::UNAVAILABLE, "The router is shutting down"));
        }
        let route = self.route(keys)?;
        self.refuse_drained(&route, keys)?;
        let pool = self.workers[route.worker as usize].pool;
        if self.config.record.is_some() || self.config.pools[pool].policy.is_some() {
            self.admit(slot, keys, pool)?;
        }
        let waiting = self.workers[route.worker as usize].out.len();
        if waiting > 0 && waiting.saturating_add(line.len()) > self.config.pools[pool].max_worker_queue {
            return Err(Refusal::new(code::RESOURCE_EXHAUSTED, "The worker's queue is full"));
        }
        self.unhold_for(route.worker, slot);
        let session = self.bind(slot, keys, &route)?;
        match &keys.id {
            Some(id) => self.ask(slot, line, id.clone(), keys.id_twice, route.worker, session, now),
            None => {
                self.send_worker(route.worker, &[line]);
                Ok(())
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is one request")]
    fn ask(
        &mut self,
        slot: u32,
        line: &[u8],
        id: std::ops::Range<usize>,
        id_twice: bool,
        worker: u32,
        session: u32,
        now: u64,
    ) -> Result<(), Refusal> {
        let pool = &self.config.pools[self.workers[worker as usize].pool];
        // Only its owner's requests count for a session: they end when it does.
        let session =
            if self.sessions.get(session).is_some_and(|s| s.owner == slot) { session } else { NONE };
        let ask =
            Ask { asker: slot, answerer: worker, id: &line[id.clone()], session, sent: now, own: false };
        let Some((place, renamed)) = self.requests.ask(&ask, pool.max_pending) else {
            return Err(Refusal::new(code::RESOURCE_EXHAUSTED, "The worker owes too many answers"));
        };
        if let Some(timeout) = pool.request_timeout_ms {
            self.wake_at(now.saturating_add(timeout));
        }
        match renamed {
            // A worker that looks at the first of two ids would answer in another's name.
            Some(_) if id_twice => {
                self.requests.take(place);
                return Err(Refusal::new(
                    code::INVALID_ARGUMENT,
                    "The id is in use, and in the message twice",
                ));
            }
            Some(name) => {
                self.counters.renamed += 1;
                self.send_worker(worker, &[&line[..id.start], &name, &line[id.end..]]);
            }
            None => self.send_worker(worker, &[line]),
        }
        if let Some(session) = self.sessions.get_mut(session) {
            session.unanswered += 1;
            session.places ^= place;
        }
        Ok(())
    }

    /// Binds the sessions that a message names and that are not bound; returns the one that it belongs to.
    fn bind(&mut self, slot: u32, keys: &Keys<'_>, route: &Route) -> Result<u32, Refusal> {
        if route.session != NONE && (keys.session.is_none() || keys.inner_session.is_none()) {
            self.take_over(route.session, slot);
            return Ok(route.session);
        }
        let mut session = route.session;
        for name in [&keys.session, &keys.inner_session].into_iter().flatten() {
            let bound = self.sessions.find(name);
            if bound.is_none() && self.sessions.len() >= self.config.limits.max_sessions {
                return Err(Refusal::new(code::RESOURCE_EXHAUSTED, "Session table full"));
            }
            let bound = bound.unwrap_or_else(|| self.sessions.bind(name, route.worker, slot));
            self.take_over(bound, slot);
            if session == NONE {
                session = bound;
            }
        }
        Ok(session)
    }

    /// A session whose owner sends no more, and only waits for answers, is taken over by who uses it next: a client
    /// that was lost and came back, most likely.
    fn take_over(&mut self, session: u32, slot: u32) {
        let owner = self.sessions.get(session).map(|session| session.owner);
        if owner.is_some_and(|owner| owner != slot && self.clients[owner as usize].finished) {
            self.sessions.give(session, slot);
        }
    }

    /// A client answers what a worker asked: by its id, else by its session.
    fn client_answers(&mut self, slot: u32, line: &[u8], keys: &Keys<'_>) {
        let Some(id) = keys.id.clone() else { return };
        if let Some(place) = self.questions.find(slot, &line[id.clone()])
            && let Some(question) = self.questions.take(place)
        {
            if question.asker == NONE {
                self.counters.stray += 1;
            } else {
                let pieces = [&line[..id.start], question.id.bytes(), &line[id.end..]];
                self.send_worker(question.asker, &pieces);
            }
            return;
        }
        let names = [&keys.session, &keys.inner_session].into_iter().flatten();
        let worker =
            names.filter_map(|name| self.sessions.find(name)).find_map(|place| self.sessions.get(place));
        match worker.map(|session| session.worker) {
            Some(worker) if self.workers[worker as usize].state == State::Up => {
                self.send_worker(worker, &[line]);
            }
            Some(_) | None => self.counters.stray += 1,
        }
    }
}
