//! The client at the other end of the pipes.

use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use trunkline_wire::jsonrpc::{self, ErrorObject, Id, Message, Notification, Request, Response};
use trunkline_wire::ndjson::{DEFAULT_MAX_LINE, Decoder};

use super::Gone;

/// How many lines may wait. Beyond that the client waits.
const WAITING: usize = 64;

/// Something the client said, or that it said nothing.
#[derive(Debug)]
pub(super) enum Heard {
    /// It wants an answer.
    Request { id: Id, method: String, params: Option<Box<RawValue>> },
    /// It tells something.
    Notification { method: String, params: Option<Box<RawValue>> },
    /// It answers a request of ours.
    Answer { id: Id, outcome: Result<Box<RawValue>, ErrorObject> },
    /// It said nothing in the time given.
    Nothing,
}

/// The client.
pub(super) struct Peer {
    lines: Receiver<Vec<u8>>,
    /// How many requests were made: the last one's id.
    asked: u64,
}

impl Peer {
    /// Listens to stdin from now on.
    pub(super) fn new() -> Self {
        let (sender, lines) = sync_channel(WAITING);
        thread::spawn(move || {
            let mut decoder = Decoder::new(DEFAULT_MAX_LINE);
            let mut stdin = io::stdin().lock();
            while let Ok(bytes) = stdin.fill_buf() {
                let read = bytes.len();
                if read == 0 {
                    return;
                }
                decoder.push(bytes);
                stdin.consume(read);
                for line in decoder.by_ref().filter_map(|line| line.text.ok()) {
                    if sender.send(line.to_vec()).is_err() {
                        return;
                    }
                }
            }
        });
        Self { lines, asked: 0 }
    }

    /// Waits for the client.
    pub(super) fn wait(&self) -> Result<Heard, Gone> {
        self.lines.recv().map(|line| understand(&line)).map_err(|_| Gone)
    }

    /// Waits for the client, but not longer than this.
    pub(super) fn wait_for(&self, time: Duration) -> Result<Heard, Gone> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Ok(understand(&line)),
            Err(RecvTimeoutError::Timeout) => Ok(Heard::Nothing),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }

    /// Asks the client. Gives the id its answer will have.
    pub(super) fn ask(&mut self, method: &str, params: &impl Serialize) -> Result<Id, Gone> {
        self.asked += 1;
        let id = Id::from(self.asked);
        write(|out| jsonrpc::write_request(out, &id, method, params))?;
        Ok(id)
    }

    /// Tells the client.
    pub(super) fn tell(&self, method: &str, params: &impl Serialize) -> Result<(), Gone> {
        write(|out| jsonrpc::write_notification(out, method, params))
    }

    /// Answers the client.
    pub(super) fn answer(&self, id: &Id, outcome: &Result<Box<RawValue>, ErrorObject>) -> Result<(), Gone> {
        write(|out| match outcome {
            Ok(result) => jsonrpc::write_result(out, id, result),
            Err(error) => {
                jsonrpc::write_error(out, id, error);
                Ok(())
            }
        })
    }
}

fn write(encode: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) -> Result<(), Gone> {
    let mut line = Vec::new();
    encode(&mut line).map_err(|_| Gone)?;
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).map_err(|_| Gone)
}

/// A line that is no message is passed over: there is nobody to tell.
fn understand(line: &[u8]) -> Heard {
    let own = |params: Option<&RawValue>| params.map(ToOwned::to_owned);
    match Message::parse(line) {
        Ok(Message::Request(Request { id, method, params })) => {
            Heard::Request { id, method: method.into_owned(), params: own(params) }
        }
        Ok(Message::Notification(Notification { method, params })) => {
            Heard::Notification { method: method.into_owned(), params: own(params) }
        }
        Ok(Message::Response(Response { id, outcome })) => {
            Heard::Answer { id, outcome: outcome.map(ToOwned::to_owned) }
        }
        Err(_) => Heard::Nothing,
    }
}
