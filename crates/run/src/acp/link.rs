//! The pipes of an agent: lines out, lines in, and how they break.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use serde::Serialize;
use tokio::net::unix::pipe;
use tokio::time::Instant;
use trunkline_wire::claude::{Adapter, Out};
use trunkline_wire::jsonrpc::{self, ErrorObject, Id};

use crate::custody::{Child, Lines, Said};

/// How many bytes may wait to be written. While there are more nothing is read: an agent that asks and asks and does not
/// read the answers waits.
const MAX_OUTBOX: usize = 8 << 20;
/// How long an agent that does not read any more is listened to. It may have said its last word already.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long nothing may come once the agent's whole tree has ended, before stdout is taken to be at its end though it is
/// open: somebody outside may hold it. The time begins anew with each line, because what was said and is not read yet
/// takes as long as the disk does.
const DRAIN: Duration = Duration::from_millis(200);

/// Both pipes of an agent.
///
/// What is to be written waits here and is written while [`next`](Self::next) waits for lines, so that neither
/// direction holds up the other, and a pipe that nobody reads any more is noticed by the line that is lost in it.
pub(super) struct Link {
    lines: Lines,
    /// Where the agent speaks another protocol: what stands between.
    adapter: Option<Box<Adapter>>,
    /// What it has made of what was said, and was not taken yet.
    adapted: VecDeque<Said>,
    stdin: Option<pipe::Sender>,
    outbox: VecDeque<Vec<u8>>,
    /// How much of the first line in the outbox is written.
    written: usize,
    /// How many bytes wait in the outbox.
    waiting: usize,
    /// Since a line was lost: how long there is still to listen.
    deaf: Option<Instant>,
    /// Resolves when the agent's whole tree has ended.
    ended: Fuse<BoxFuture<'static, ()>>,
    is_over: bool,
    /// Since it ended, and since the last line was taken: how long there is still to listen.
    silent: Option<Instant>,
}

/// Why there is no conversation any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
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
    /// Takes the pipes of a child; `None` if they are taken already. What it speaks is adapted where that is not ACP.
    pub(super) fn of(child: &mut Child, adapter: Option<Adapter>) -> Option<Self> {
        let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        let ended = child.ended();
        let ended = async {
            ended.await;
        };
        let link = Self::over(stdin, stdout, ended.boxed());
        Some(Self { adapter: adapter.map(Box::new), ..link })
    }

    fn over(stdin: pipe::Sender, stdout: pipe::Receiver, ended: BoxFuture<'static, ()>) -> Self {
        Self {
            lines: Lines::new(stdout),
            adapter: None,
            adapted: VecDeque::new(),
            stdin: Some(stdin),
            outbox: VecDeque::new(),
            written: 0,
            waiting: 0,
            deaf: None,
            ended: ended.fuse(),
            is_over: false,
            silent: None,
        }
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

    /// A message to the agent.
    fn post(&mut self, line: Vec<u8>) {
        let Some(adapter) = &mut self.adapter else { return self.put(line) };
        adapter.say(&line);
        let Out { client, claude } = adapter.take();
        claude.into_iter().for_each(|line| self.put(line));
        self.adapted.extend(client.into_iter().map(Said::made));
    }

    /// What the agent said, in the words of ACP.
    fn adapt(&mut self, said: Said) {
        let (Some(adapter), Ok(text)) = (&mut self.adapter, &said.line.text) else {
            return self.adapted.push_back(said);
        };
        adapter.hear(text);
        let Out { client, claude } = adapter.take();
        claude.into_iter().for_each(|line| self.put(line));
        self.adapted.extend(said.in_other_words(client));
    }

    /// A line to be written.
    fn put(&mut self, line: Vec<u8>) {
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
            if let Some(said) = self.adapted.pop_front() {
                return Ok(said);
            }
            if self.is_over && self.silent.is_none() {
                self.silent = Some(Instant::now() + DRAIN);
            }
            tokio::select! {
                // What waits to be written is bounded, so it holds up no line; and a line that is there comes before any
                // reason to listen no longer.
                biased;
                wrote = write(self.stdin.as_ref(), self.outbox.front(), self.written) => self.wrote(wrote.ok()),
                said = self.lines.next(), if self.waiting < MAX_OUTBOX => {
                    self.silent = None;
                    match said {
                        Ok(Some(said)) => self.adapt(said),
                        Ok(None) => return Err(Broken::Closed),
                        Err(error) => return Err(Broken::Unreadable(error)),
                    }
                }
                () = &mut self.ended, if !self.is_over => self.is_over = true,
                () = until(self.silent) => return Err(Broken::Closed),
                () = until(self.deaf) => return Err(Broken::Deaf),
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use super::*;

    /// A link to an agent that has ended, and the pipe that somebody outside still holds.
    fn ended() -> (Link, io::PipeWriter) {
        let (_, stdin) = io::pipe().unwrap();
        let (stdout, held) = io::pipe().unwrap();
        let stdin = pipe::Sender::from_owned_fd(OwnedFd::from(stdin)).unwrap();
        let stdout = pipe::Receiver::from_owned_fd(OwnedFd::from(stdout)).unwrap();
        (Link::over(stdin, stdout, std::future::ready(()).boxed()), held)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_before_the_end_is_heard_however_slow_the_disk_is() {
        let (mut link, mut held) = ended();
        (0..100).for_each(|n| writeln!(held, "{n}").unwrap());
        for n in 0..100 {
            let said = link.next().await.unwrap();
            assert_eq!(said.line.text.as_ref().unwrap(), n.to_string().as_bytes());
            tokio::time::sleep(DRAIN * 3).await;
        }
        let before = Instant::now();
        assert!(matches!(link.next().await, Err(Broken::Closed)));
        assert!(before.elapsed() >= DRAIN, "the time begins when it is listened to");
    }
}
