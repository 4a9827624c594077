//! Clients that keep a number of messages under way, all in one thread that waits for whichever can go on.

use std::collections::VecDeque;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, read, write};

use crate::stats::Samples;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;
/// Nothing takes this long unless something is lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before anything counts, the pair is warm.
const WARM: Duration = Duration::from_millis(100);
/// Digits of an id: all messages are of one length.
const DIGITS: usize = 9;

/// What each client sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Bytes of the payload.
    pub(crate) bytes: usize,
    /// Messages under way.
    pub(crate) window: usize,
    /// Whether it has a session of its own, and so a worker.
    pub(crate) session: bool,
}

/// What came of it.
pub(crate) struct Ran {
    pub(crate) per_second: f64,
    /// From sending to the answer, of a bounded number of messages.
    pub(crate) took: Samples,
}

/// The two ends of a connection.
pub(crate) struct Ends {
    pub(crate) from: OwnedFd,
    pub(crate) to: OwnedFd,
}

struct Client {
    ends: Ends,
    /// A message, with its id at `id`.
    message: Vec<u8>,
    id: usize,
    next: u64,
    /// How many it may still ask.
    left: u64,
    out: Vec<u8>,
    written: usize,
    sent: VecDeque<Instant>,
    buffer: Vec<u8>,
}

/// Runs clients for as long as `span`.
pub(crate) fn run(ends: Vec<Ends>, load: Load, span: Duration) -> Result<Ran> {
    let mut clients = Vec::with_capacity(ends.len());
    for (n, ends) in ends.into_iter().enumerate() {
        clients.push(Client::new(ends, load, n)?);
    }
    for client in &mut clients {
        (0..load.window).for_each(|_| client.ask());
        client.push()?;
    }
    let mut took = Samples::default();
    let start = now();
    let mut counted: Option<(Instant, u64)> = None;
    let mut done = 0;
    loop {
        let at = now();
        match counted {
            None if at - start > WARM => {
                (counted, took) = (Some((at, done)), Samples::default());
            }
            Some((since, before)) if at - since > span => {
                let per_second = (done - before) as f64 / (at - since).as_secs_f64();
                return Ok(Ran { per_second, took });
            }
            None | Some(_) => {}
        }
        done += round(&mut clients, &mut took)?;
    }
}

/// Has one client exchange this many messages.
pub(crate) fn exchange(ends: Ends, load: Load, messages: u64) -> Result<()> {
    let mut client = Client::new(ends, load, 0)?;
    client.left = messages;
    (0..load.window).for_each(|_| client.ask());
    client.push()?;
    let mut clients = [client];
    let (mut took, mut done) = (Samples::default(), 0);
    while done < messages {
        done += round(&mut clients, &mut took)?;
    }
    Ok(())
}

/// Waits until somebody can go on, and goes on. How many answers came.
fn round(clients: &mut [Client], took: &mut Samples) -> Result<u64> {
    let mut ready = Vec::with_capacity(clients.len() * 2);
    for client in clients.iter() {
        ready.push(PollFd::new(&client.ends.from, PollFlags::IN));
        let writing = if client.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        ready.push(PollFd::new(&client.ends.to, writing));
    }
    let patience = Timespec::try_from(PATIENCE)?;
    let some = poll(&mut ready, Some(&patience))?;
    ensure!(some > 0, "no answer came for {PATIENCE:?}: a message was lost");
    let able: Vec<_> =
        ready.chunks(2).map(|pair| (!pair[0].revents().is_empty(), !pair[1].revents().is_empty())).collect();
    drop(ready);
    let mut answers = 0;
    for (client, (readable, writable)) in clients.iter_mut().zip(able) {
        if readable {
            answers += client.hear(took)?;
        }
        if readable || writable {
            client.push()?;
        }
    }
    Ok(answers)
}

impl Client {
    fn new(ends: Ends, load: Load, n: usize) -> Result<Self> {
        for end in [&ends.from, &ends.to] {
            fcntl_setfl(end, OFlags::NONBLOCK)?;
        }
        let zeros = "0".repeat(DIGITS);
        let session = if load.session { format!(r#","sessionId":"sess-{n}""#) } else { String::new() };
        let payload = "x".repeat(load.bytes);
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":"{zeros}","method":"e","params":{{"p":"{payload}"}}{session}}}"#
        );
        let id = message.find(&zeros).context("the message has an id")?;
        let message = (message + "\n").into_bytes();
        let (out, sent, buffer) = (Vec::new(), VecDeque::new(), vec![0; CHUNK]);
        Ok(Self { ends, message, id, next: 0, left: u64::MAX, out, written: 0, sent, buffer })
    }

    fn ask(&mut self) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        self.next += 1;
        let number = format!("{:0DIGITS$}", self.next);
        self.message[self.id..self.id + DIGITS].copy_from_slice(number.as_bytes());
        self.out.extend_from_slice(&self.message);
        self.sent.push_back(now());
    }

    /// Writes as much as can be.
    fn push(&mut self) -> Result<()> {
        while self.written < self.out.len() {
            match write(&self.ends.to, &self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(error) => return Err(error).context("writing a message"),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what there is and asks as often anew.
    fn hear(&mut self, took: &mut Samples) -> Result<u64> {
        let count = match read(&self.ends.from, &mut self.buffer) {
            Ok(0) => bail!("the connection was closed"),
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(0),
            Err(error) => return Err(error).context("reading an answer"),
        };
        let answers = memchr::memchr_iter(b'\n', &self.buffer[..count]).count();
        let at = now();
        for _ in 0..answers {
            let sent = self.sent.pop_front().context("an answer that nobody asked for")?;
            took.push_some(at - sent);
            self.ask();
        }
        Ok(answers as u64)
    }
}

/// Sends a line and waits for the next one; how long that took.
pub(crate) fn ask(ends: &Ends, question: &[u8]) -> Result<(Vec<u8>, Duration)> {
    let mut file = std::fs::File::from(ends.to.try_clone()?);
    let sent = now();
    file.write_all(question)?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\n") {
        ensure!(read(&ends.from, &mut byte)? == 1, "the connection was closed before the answer");
        answer.push(byte[0]);
    }
    Ok((answer, now() - sent))
}

/// Checks that an answer is the one to the question, which the load itself does not look at.
pub(crate) fn check(ends: &Ends) -> Result<()> {
    let question = b"{\"jsonrpc\":\"2.0\",\"id\":\"first\",\"method\":\"e\",\"params\":7}\n";
    let (answer, _) = ask(ends, question)?;
    let expected = b"{\"jsonrpc\":\"2.0\",\"id\":\"first\",\"result\":7}\n";
    ensure!(answer == expected, "an odd answer: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "time is what is measured here")]
fn now() -> Instant {
    Instant::now()
}
