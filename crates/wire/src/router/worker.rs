//! What workers say.

use super::book::{Ask, NONE};
use super::core::{Router, State, code};
use super::input::Piece;
use super::scan::{Keys, scan, scan_end, scan_start};

/// The most questions of workers that one client may owe answers to.
const MAX_QUESTIONS: usize = 65_536;

impl Router {
    pub(super) fn worker_piece(&mut self, worker: u32, piece: &Piece<'_>, now: u64) {
        let known = &mut self.workers[worker as usize];
        if known.state != State::Up {
            return;
        }
        self.counters.from_workers += 1;
        match piece {
            Piece::Line(line) => match scan(line, self.config.route_params_session) {
                Ok(keys) => {
                    if known.circuit.on_trial() {
                        known.circuit.spoke();
                    }
                    known.spoke = now;
                    self.worker_line(worker, line, &keys, now);
                }
                Err(_) => self.garbage(worker),
            },
            Piece::TooLong { start, tail } => self.worker_too_long(worker, start, tail, now),
        }
    }

    /// A log line on stdout, say. It harms nobody, so it costs the worker nothing.
    fn garbage(&mut self, worker: u32) {
        self.counters.garbage += 1;
        self.workers[worker as usize].garbage += 1;
        if self.workers[worker as usize].garbage == 1 {
            self.say(
                true,
                Some(worker),
                "A line from the worker is no JSON object; such lines are counted".to_owned(),
            );
        }
    }

    fn worker_line(&mut self, worker: u32, line: &[u8], keys: &Keys<'_>, now: u64) {
        if keys.is_answer() {
            return self.worker_answers(worker, line, keys, now);
        }
        let names = [&keys.session, &keys.inner_session].into_iter().flatten();
        let session = names.filter_map(|name| self.sessions.find(name)).next();
        let owner = session.and_then(|place| self.sessions.get(place)).map(|session| session.owner);
        match (owner, keys.id.clone()) {
            (Some(owner), None) => match self.tag(session.unwrap_or(NONE)) {
                Some(tag) => {
                    let rest = line.iter().position(|&byte| byte == b'{').map_or(0, |at| at + 1);
                    self.send_client(
                        owner,
                        &[b"{\"requestId\":", &tag, b",", &line[rest..]],
                        Some(worker),
                        now,
                    );
                }
                None => self.send_client(owner, &[line], Some(worker), now),
            },
            (Some(owner), Some(id)) => self.worker_asks(worker, owner, line, id, now),
            (None, Some(id)) => {
                self.counters.stray += 1;
                let why = "No client owns the session of this request";
                self.error_to_worker(worker, &line[id], code::UNAVAILABLE, why);
            }
            (None, None) => self.counters.stray += 1,
        }
    }

    fn worker_asks(&mut self, worker: u32, owner: u32, line: &[u8], id: std::ops::Range<usize>, now: u64) {
        let ask = Ask {
            asker: worker,
            answerer: owner,
            id: &line[id.clone()],
            session: NONE,
            sent: now,
            own: false,
        };
        match self.questions.ask(&ask, MAX_QUESTIONS) {
            Some((_, None)) => self.send_client(owner, &[line], Some(worker), now),
            Some((_, Some(name))) => {
                self.counters.renamed += 1;
                self.send_client(owner, &[&line[..id.start], &name, &line[id.end..]], Some(worker), now);
            }
            None => {
                let why = "The client owes too many answers";
                self.error_to_worker(worker, &line[id], code::RESOURCE_EXHAUSTED, why);
            }
        }
    }

    fn worker_answers(&mut self, worker: u32, line: &[u8], keys: &Keys<'_>, now: u64) {
        let Some(id) = keys.id.clone() else { return };
        let Some(entry) =
            self.requests.find(worker, &line[id.clone()]).and_then(|place| self.settle_request(place))
        else {
            self.counters.stray += 1;
            return;
        };
        if entry.own {
            self.checked(worker, now);
        } else if entry.asker == NONE {
            self.counters.late += 1;
        } else {
            // A session that the worker made, and whose name is not taken, is the asker's.
            if keys.result.is_some()
                && let Some(name) = &keys.inner_session
                && self.sessions.find(name).is_none()
                && self.sessions.len() < self.config.limits.max_sessions
            {
                self.sessions.bind(name, worker, entry.asker);
            }
            if entry.is_renamed() {
                let pieces = [&line[..id.start], entry.id.bytes(), &line[id.end..]];
                self.send_client(entry.asker, &pieces, Some(worker), now);
            } else {
                self.send_client(entry.asker, &[line], Some(worker), now);
            }
        }
    }

    /// A line over the limit: whoever waited for it is told. Without an id it may have been for any of them.
    fn worker_too_long(&mut self, worker: u32, start: &[u8], tail: &[u8], now: u64) {
        self.counters.oversize += 1;
        let max = self.config.limits.max_input_buffer;
        let why = format!("The worker's message is larger than {max} bytes");
        self.say(true, Some(worker), why.clone());
        let keys = scan_start(start);
        let id = keys.id.clone().map_or_else(|| scan_end(tail), |at| Some(&start[at]));
        let asked = keys.method.is_some();
        match id {
            Some(id) if asked => self.error_to_worker(worker, id, code::INVALID_REQUEST, "Message too large"),
            Some(id) => {
                if let Some(place) = self.requests.find(worker, id) {
                    self.fail(place, code::TRANSPORT_ERROR, &why, now);
                }
            }
            None if asked => {
                let session = keys.session.and_then(|name| self.sessions.find(&name));
                if let Some(owner) = session.and_then(|place| self.sessions.get(place)).map(|s| s.owner) {
                    self.error_to_client(owner, b"null", code::TRANSPORT_ERROR, &why, now);
                }
            }
            None => {
                // These answers will not come, or come for nobody: their ids stay taken.
                while let Some(place) = self.requests.first_of_answerer(worker) {
                    self.abandon(place, code::TRANSPORT_ERROR, &why, now);
                }
            }
        }
    }

    /// The id of the one request that a session waits for, where notifications are to be tagged.
    fn tag(&self, session: u32) -> Option<Vec<u8>> {
        let session = self.sessions.get(session).filter(|s| self.config.tag_streams && s.unanswered == 1)?;
        self.requests.get(session.places).map(|entry| entry.id.bytes().to_vec())
    }
}
