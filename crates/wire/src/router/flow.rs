//! What bounds the queues of clients.

use super::book::NONE;
use super::core::{Action, Router, WorkerId, code};

/// The least that a client may fall behind before it is cut off, whatever its queue's limit is.
const LEAST_PATIENCE: usize = 32 << 20;

impl Router {
    /// Queues a line for a client, and sees to its queue.
    pub(super) fn send_client(&mut self, slot: u32, pieces: &[&[u8]], from: Option<u32>, now: u64) {
        let length = self.queue(slot, pieces);
        if length > self.config.limits.max_output_queue {
            self.congested(slot, length, from, now);
        }
        self.counters.to_clients += 1;
    }

    /// Answers a client with an error line.
    pub(super) fn error_to_client(&mut self, slot: u32, id: &[u8], code: i32, message: &str, now: u64) {
        self.counters.error(code);
        let (code, message) = (code.to_string(), quoted(message));
        self.send_client(slot, &error_line(id, &code, &message), None, now);
        self.settle(slot);
    }

    /// Answers a worker with an error line.
    pub(super) fn error_to_worker(&mut self, worker: u32, id: &[u8], code: i32, message: &str) {
        if worker != NONE {
            let (code, message) = (code.to_string(), quoted(message));
            self.send_worker(worker, &error_line(id, &code, &message));
        }
    }

    /// A client's queue is over its limit: the worker is held if it works for nobody else.
    fn congested(&mut self, slot: u32, length: usize, from: Option<u32>, now: u64) {
        let soft = self.config.limits.max_output_queue;
        let client = &mut self.clients[slot as usize];
        if client.full_since.is_none() {
            client.full_since = Some(now);
            client.look_at = 0;
            if !client.patient {
                let timeout = self.config.limits.backpressure_timeout_ms;
                self.wake_at(now.saturating_add(timeout));
            }
        }
        let hard =
            soft.saturating_mul(8).max(LEAST_PATIENCE).saturating_add(self.config.limits.max_input_buffer);
        if length > hard {
            return self.cut_off(slot, "it is too far behind");
        }
        let Some(worker) = from else { return };
        let held = self.workers[worker as usize].held_by != NONE;
        if held || length < self.clients[slot as usize].look_at {
            return;
        }
        if self.requests.all_of(worker, slot) && self.sessions.all_of(worker, slot) {
            self.workers[worker as usize].held_by = slot;
            self.clients[slot as usize].holds.push(worker);
            self.actions.push_back(Action::Pause(WorkerId(worker)));
        } else {
            self.clients[slot as usize].look_at = length + soft / 4 + 1;
        }
    }

    /// Bytes have left a client's queue.
    pub(super) fn relieved(&mut self, slot: u32, now: u64) {
        let client = &mut self.clients[slot as usize];
        if client.full_since.is_none() {
            return;
        }
        if client.out.len() <= self.config.limits.max_output_queue / 2 {
            client.full_since = None;
            self.release_holds(slot);
        } else {
            client.full_since = Some(now);
        }
    }

    /// Another client needs this worker: it is read, whatever becomes of the one that it was held for.
    pub(super) fn unhold_for(&mut self, worker: u32, slot: u32) {
        let holder = self.workers[worker as usize].held_by;
        if holder != NONE && holder != slot {
            self.workers[worker as usize].held_by = NONE;
            self.clients[holder as usize].holds.retain(|&held| held != worker);
            self.actions.push_back(Action::Resume(WorkerId(worker)));
        }
    }

    /// Reads all workers again that were held for a client.
    pub(super) fn release_holds(&mut self, slot: u32) {
        for worker in std::mem::take(&mut self.clients[slot as usize].holds) {
            self.workers[worker as usize].held_by = NONE;
            self.actions.push_back(Action::Resume(WorkerId(worker)));
        }
    }

    /// Closes a client that does not read.
    pub(super) fn cut_off(&mut self, slot: u32, why: &str) {
        if !std::mem::replace(&mut self.clients[slot as usize].closing, true) {
            self.counters.cut_off += 1;
            self.say(true, None, format!("Client {slot} is cut off: {why}"));
            self.actions.push_back(Action::Close(self.client_id(slot)));
        }
    }

    /// Closes a client that sends no more and has all its answers.
    pub(super) fn settle(&mut self, slot: u32) {
        let client = &self.clients[slot as usize];
        if client.finished && !client.closing && client.out.len() == 0 && self.requests.asked_by(slot) == 0 {
            self.clients[slot as usize].closing = true;
            self.actions.push_back(Action::Close(self.client_id(slot)));
        }
    }
}

/// An error of the router as a line, in pieces.
fn error_line<'a>(id: &'a [u8], code: &'a str, message: &'a str) -> [&'a [u8]; 7] {
    [
        br#"{"jsonrpc":"2.0","id":"#,
        id,
        br#","error":{"code":"#,
        code.as_bytes(),
        br#","message":"#,
        message.as_bytes(),
        b"}}",
    ]
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The counter's name of a code.
pub(super) fn name_of(code: i32) -> &'static str {
    match code {
        code::INVALID_ARGUMENT => "invalid_argument",
        code::TIMEOUT => "timeout",
        code::TRANSPORT_ERROR => "transport_error",
        code::NEGOTIATION_FAILED => "negotiation_failed",
        code::POLICY_DENIED => "policy_denied",
        code::UNAVAILABLE => "unavailable",
        code::RESOURCE_EXHAUSTED => "resource_exhausted",
        code::INVALID_REQUEST => "too_large",
        code::PARSE_ERROR => "parse_error",
        _ => "other",
    }
}

/// A result of the router as a line, in pieces.
pub(super) fn result_line<'a>(id: &'a [u8], result: &'a str) -> [&'a [u8]; 5] {
    [br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#, result.as_bytes(), b"}"]
}
