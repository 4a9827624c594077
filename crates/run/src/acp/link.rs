//! The pipes of an agent: lines out, lines in, and how they break.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use serde::Serialize;
use tokio::net::unix::pipe;
use tokio::time::Instant;
use trunkline_wire::jsonrpc::{self, ErrorObject, Id};

use crate::custody::{Child, Lines, Said};

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
/// direction holds up the other, and a pipe that nobody reads any more is noticed by the line that is lost in it.
pub(super) struct Link {
    lines: Lines,
    stdin: Option<pipe::Sender>,
    outbox: VecDeque<Vec<u8>>,
    /// How much of the first line in the outbox is written.
    written: usize,
    /// How many bytes wait in the outbox.
    waiting: usize,
    /// Since a line was lost: how long there is still to listen.
    deaf: Option<Instant>,
    gone: Fuse<BoxFuture<'static, ()>>,
}

/// Why there is no conversation any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Stdout is at its end.
    #[error("it closed its output")]
    Closed,
    /// Nobody reads its stdin.
    #[error("it does not read its input any more")]
    Deaf,
    /// Reading failed.
    #[error("its output cannot be read: {0}")]
    Unreadable(io::Error),
}

impl Link {
    /// Takes the pipes of a child; `None` if they are taken already.
    pub(super) fn of(child: &mut Child) -> Option<Self> {
        let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        let ended = child.ended();
        let gone = async {
            ended.await;
            tokio::time::sleep(DRAIN).await;
        };
        Some(Self {
            lines: Lines::new(stdout),
            stdin: Some(stdin),
            outbox: VecDeque::new(),
            written: 0,
            waiting: 0,
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

    fn post(&mut self, line: Vec<u8>) {
        if self.deaf.is_none() {
            self.waiting += line.len();
            self.outbox.push_back(line);
        }
    }

    /// Writes what waits, until the agent says something. Cancelling loses nothing.
    ///
    /// # Errors
    /// The conversation is over. What an agent said before that has been given.
    pub(super) async fn next(&mut self) -> Result<Said, Broken> {
        loop {
            tokio::select! {
                wrote = write(self.stdin.as_ref(), self.outbox.front(), self.written) => self.wrote(wrote.ok()),
                said = self.lines.next(), if self.waiting < MAX_OUTBOX => return match said {
                    Ok(Some(said)) => Ok(said),
                    Ok(None) => Err(Broken::Closed),
                    Err(error) => Err(Broken::Unreadable(error)),
                },
                () = until(self.deaf) => return Err(Broken::Deaf),
                () = &mut self.gone => return Err(Broken::Closed),
            }
        }
    }

    /// So much of the first line is written; `None`: it is lost.
    fn wrote(&mut self, wrote: Option<usize>) {
        let Some(n) = wrote else {
            self.deaf = Some(Instant::now() + LAST_WORDS);
            self.outbox.clear();
            self.waiting = 0;
            return;
        };
        self.written += n;
        self.waiting -= n;
        if self.outbox.front().is_some_and(|line| line.len() == self.written) {
            self.outbox.pop_front();
            self.written = 0;
        }
    }

    /// Closes the agent's stdin. What was not yet written is lost.
    pub(super) fn hang_up(&mut self) {
        self.stdin = None;
    }
}

const STRING_KEYS: &str = "messages have string keys only";

/// Writes a part of the first line, if there is one. Cancelling writes nothing.
async fn write(stdin: Option<&pipe::Sender>, line: Option<&Vec<u8>>, from: usize) -> io::Result<usize> {
    let (Some(stdin), Some(line)) = (stdin, line) else { return std::future::pending().await };
    loop {
        stdin.writable().await?;
        match stdin.try_write(&line[from..]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            wrote => return wrote,
        }
    }
}

/// Waits until then, or for ever.
pub(super) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}
