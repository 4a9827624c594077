//! The pipes of an agent: lines out, lines in, and how they break.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use serde::Serialize;
use tokio::time::Instant;
use trunkline_wire::jsonrpc::{self, ErrorObject, Id};

use crate::custody::{Child, Lines, Said, SendError, Stdio, Writer};

/// How many bytes may wait to be written. While there are more nothing is read: an agent that asks and asks and does not
/// read the answers waits.
const MAX_OUTBOX: usize = 8 << 20;
/// How long an agent that does not read any more is listened to. It may have said its last word already.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long stdout may stay open after the agent's whole tree has ended: somebody outside may hold it.
const DRAIN: Duration = Duration::from_millis(200);

/// Both pipes of an agent.
///
/// What is to be written waits here and is written while [`next`](Self::next) waits for lines, so that neither
/// direction holds up the other.
pub(super) struct Link {
    lines: Lines,
    writer: Option<Writer>,
    outbox: VecDeque<Bytes>,
    outbox_bytes: usize,
    deaf: Option<(SendError, Instant)>,
    gone: Fuse<BoxFuture<'static, ()>>,
}

/// Why there is no conversation any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Stdout is at its end.
    #[error("it closed its output")]
    Closed,
    /// It does not read.
    #[error(transparent)]
    Deaf(SendError),
    /// Reading failed.
    #[error("its output cannot be read: {0}")]
    Unreadable(io::Error),
}

impl Link {
    /// Takes the pipes of a child; `None` if they are taken already.
    pub(super) fn of(child: &mut Child) -> Option<Self> {
        let Stdio { lines, writer } = child.stdio()?;
        let ended = child.ended();
        let gone = async {
            ended.await;
            tokio::time::sleep(DRAIN).await;
        };
        Some(Self {
            lines,
            writer: Some(writer),
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            deaf: None,
            gone: gone.boxed().fuse(),
        })
    }

    pub(super) fn request(&mut self, id: &Id, method: &str, params: &impl Serialize) {
        let mut line = Vec::new();
        jsonrpc::write_request(&mut line, id, method, params).expect(STRING_KEYS);
        self.post(line);
    }

    pub(super) fn notify(&mut self, method: &str, params: &impl Serialize) {
        let mut line = Vec::new();
        jsonrpc::write_notification(&mut line, method, params).expect(STRING_KEYS);
        self.post(line);
    }

    pub(super) fn answer(&mut self, id: &Id, answer: Result<&(impl Serialize + ?Sized), &ErrorObject>) {
        let mut line = Vec::new();
        match answer {
            Ok(result) => jsonrpc::write_result(&mut line, id, result).expect(STRING_KEYS),
            Err(error) => jsonrpc::write_error(&mut line, id, error),
        }
        self.post(line);
    }

    fn post(&mut self, mut line: Vec<u8>) {
        // The writer adds the line's end itself.
        line.pop();
        self.outbox_bytes += line.len();
        self.outbox.push_back(line.into());
    }

    /// Writes what waits, until the agent says something. Cancelling loses nothing.
    ///
    /// # Errors
    /// The conversation is over. What an agent said before that has been given.
    pub(super) async fn next(&mut self) -> Result<Said, Broken> {
        loop {
            let line = self.outbox.front().filter(|_| self.deaf.is_none()).cloned();
            tokio::select! {
                sent = send(self.writer.as_ref(), line) => match sent {
                    Ok(()) => self.outbox_bytes -= self.outbox.pop_front().map_or(0, |line| line.len()),
                    Err(error) => {
                        self.deaf = Some((error, Instant::now() + LAST_WORDS));
                        self.outbox.clear();
                        self.outbox_bytes = 0;
                    }
                },
                said = self.lines.next(), if self.outbox_bytes < MAX_OUTBOX => return match said {
                    Ok(Some(said)) => Ok(said),
                    Ok(None) => Err(Broken::Closed),
                    Err(error) => Err(Broken::Unreadable(error)),
                },
                error = silenced(self.deaf) => return Err(Broken::Deaf(error)),
                () = &mut self.gone => return Err(Broken::Closed),
            }
        }
    }

    /// Closes the agent's stdin. What was not yet written is lost.
    pub(super) fn hang_up(&mut self) {
        self.writer = None;
    }
}

const STRING_KEYS: &str = "messages have string keys only";

async fn send(writer: Option<&Writer>, line: Option<Bytes>) -> Result<(), SendError> {
    match (writer, line) {
        (Some(writer), Some(line)) => writer.send(line).await,
        (None, Some(_)) => Err(SendError::Closed),
        (_, None) => std::future::pending().await,
    }
}

async fn silenced(deaf: Option<(SendError, Instant)>) -> SendError {
    match deaf {
        Some((error, until)) => {
            tokio::time::sleep_until(until).await;
            error
        }
        None => std::future::pending().await,
    }
}
