//! Lines over a command's pipes, bounded in both directions.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use trunkline_wire::ndjson::{Decoder, Line};

/// How far reading may be ahead of whoever takes the lines, and how much may wait to be written, in bytes.
const AHEAD: u32 = 8 << 20;

/// What a waiting line counts beside its bytes, so that empty lines are bounded too.
const OVERHEAD: usize = 64;

/// After this long without room a line is refused.
const STALLED: Duration = Duration::from_secs(30);

/// Both directions. Dropping a half closes its pipe; what was not yet written is lost then.
#[derive(Debug)]
pub struct Stdio {
    /// What the command says.
    pub lines: Lines,
    /// What it is told.
    pub writer: Writer,
}

/// The lines of a command's stdout, of up to 64 MiB each, read at most 8 MiB ahead (and the one unfinished line); then
/// the command waits.
#[derive(Debug)]
pub struct Lines {
    lines: mpsc::UnboundedReceiver<io::Result<Said>>,
    _task: JoinSet<()>,
}

/// A line that was read. Its room in the 8 MiB comes free when this is dropped, so keep it until the line is where it
/// has to be.
#[derive(Debug)]
pub struct Said {
    /// The line and where it stood in the stream.
    pub line: Line,
    room: Option<OwnedSemaphorePermit>,
}

impl Said {
    /// What was not read, but stands for what the command might have said.
    pub(crate) fn made(text: Vec<u8>) -> Self {
        Self { line: Line { offset: 0, end: 0, text: Ok(text.into()) }, room: None }
    }

    /// This line in other words. Its room comes free with the last of them.
    pub(crate) fn in_other_words(mut self, words: impl IntoIterator<Item = Vec<u8>>) -> Vec<Self> {
        let mut said: Vec<_> = words.into_iter().map(Self::made).collect();
        if let Some(last) = said.last_mut() {
            last.room = self.room.take();
        }
        said
    }
}

/// Writes lines to a command's stdin, in order.
#[derive(Debug)]
pub struct Writer {
    lines: mpsc::UnboundedSender<(Bytes, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    task: JoinSet<()>,
}

/// Why a line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The command has closed its stdin or is over. Lines taken before may be lost too.
    #[error("the agent does not read any more: its stdin is closed")]
    Closed,
    /// The command has read nothing for 30 seconds while 8 MiB were waiting for it.
    #[error("the agent has not read its stdin for 30 seconds")]
    Stalled,
    /// It holds an LF, so the command would read several lines.
    #[error("a line must not hold a line feed")]
    NotALine,
}

impl Stdio {
    /// Lines over these two pipes. To be called within a tokio runtime.
    pub fn new(stdin: pipe::Sender, stdout: pipe::Receiver) -> Self {
        Self { lines: Lines::new(stdout), writer: Writer::new(stdin) }
    }
}

impl Lines {
    /// Lines from this pipe. To be called within a tokio runtime.
    pub fn new(stdout: pipe::Receiver) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let mut task = JoinSet::new();
        task.spawn(read(stdout, sender));
        Self { lines, _task: task }
    }

    /// The next line. `None` at the end of the stream: the command has closed its stdout, which it may outlive.
    /// Cancelling loses nothing.
    ///
    /// # Errors
    /// Reading failed; the end follows. A line that is too long is no error here, see [`Line::text`].
    pub async fn next(&mut self) -> io::Result<Option<Said>> {
        self.lines.recv().await.transpose()
    }
}

impl Writer {
    /// A writer of this pipe. To be called within a tokio runtime.
    pub fn new(stdin: pipe::Sender) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(AHEAD as usize));
        let mut task = JoinSet::new();
        task.spawn(write(stdin, lines, room.clone()));
        Self { lines: sender, room, task }
    }

    /// Takes a line, to be written with an LF behind it. Returns when there is room for it among the 8 MiB that may
    /// wait, mostly at once: taken is not read. Cancelling before that takes nothing.
    ///
    /// # Errors
    /// See [`SendError`]. The line is not taken then.
    pub async fn send(&self, line: impl Into<Bytes>) -> Result<(), SendError> {
        let line = line.into();
        if line.contains(&b'\n') {
            return Err(SendError::NotALine);
        }
        let room = self.room.clone().acquire_many_owned(weight(line.len()));
        let room = tokio::time::timeout(STALLED, room).await.map_err(|_| SendError::Stalled)?;
        let room = room.map_err(|_| SendError::Closed)?;
        self.lines.send((line, room)).map_err(|_| SendError::Closed)
    }

    /// Writes what is waiting, then closes the pipe. A command that does not read makes this wait until it ends or
    /// the future is dropped, which closes the pipe at once.
    pub async fn close(self) {
        let Self { lines, room: _, mut task } = self;
        drop(lines);
        while task.join_next().await.is_some() {}
    }
}

async fn read(stdout: pipe::Receiver, lines: mpsc::UnboundedSender<io::Result<Said>>) {
    let room = Arc::new(Semaphore::new(AHEAD as usize));
    let mut decoder = Decoder::default();
    loop {
        let end = match read_some(&stdout, &mut decoder).await {
            Ok(n) => n == 0,
            Err(error) => {
                drop(lines.send(Err(error)));
                return;
            }
        };
        while let Some(line) = if end { decoder.finish() } else { decoder.next() } {
            let weight = weight(line.text.as_ref().map_or(0, Bytes::len));
            let Ok(room) = room.clone().acquire_many_owned(weight).await else { return };
            if lines.send(Ok(Said { line, room: Some(room) })).is_err() {
                return;
            }
        }
        if end {
            return;
        }
    }
}

async fn read_some(stdout: &pipe::Receiver, decoder: &mut Decoder) -> io::Result<usize> {
    loop {
        stdout.readable().await?;
        match try_read(stdout, decoder) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// A function of its own, so that the buffer lies on the stack while it is used and not in the task while it waits.
fn try_read(stdout: &pipe::Receiver, decoder: &mut Decoder) -> io::Result<usize> {
    let mut bytes = [0; 32 * 1024];
    let n = stdout.try_read(&mut bytes)?;
    decoder.push(&bytes[..n]);
    Ok(n)
}

async fn write(
    mut stdin: pipe::Sender,
    mut lines: mpsc::UnboundedReceiver<(Bytes, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
) {
    while let Some((line, _room)) = lines.recv().await {
        let mut bytes = line.chain(&b"\n"[..]);
        if stdin.write_all_buf(&mut bytes).await.is_err() {
            break;
        }
    }
    // Whoever waits for room learns that there is none to come.
    room.close();
}

/// What a line takes of the room. One that is longer than all of it takes it all.
fn weight(len: usize) -> u32 {
    u32::try_from(len + OVERHEAD).unwrap_or(AHEAD).min(AHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    /// The other end of a command's pipe, as the command has it, and ours.
    fn pipes() -> (pipe::Sender, pipe::Receiver) {
        let (read, write) = io::pipe().unwrap();
        let ends = (
            pipe::Sender::from_owned_fd(OwnedFd::from(write)),
            pipe::Receiver::from_owned_fd(OwnedFd::from(read)),
        );
        (ends.0.unwrap(), ends.1.unwrap())
    }

    async fn text(lines: &mut Lines) -> Option<String> {
        let said = lines.next().await.unwrap()?;
        Some(String::from_utf8(said.line.text.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn lines_come_with_their_place_and_the_last_needs_no_end() {
        let (mut agent, ours) = pipes();
        let mut lines = Lines::new(ours);
        agent.write_all(b"one\ntwo\r\n\nlast").await.unwrap();
        drop(agent);
        let mut said = Vec::new();
        while let Some(Said { line, .. }) = lines.next().await.unwrap() {
            said.push((line.offset, line.end, line.text.unwrap()));
        }
        let expected = [(0, 4, "one"), (4, 9, "two"), (9, 10, ""), (10, 14, "last")];
        assert_eq!(said, expected.map(|(offset, end, text)| (offset, end, Bytes::from(text))));
    }

    /// With a paused clock, time passes only when nothing else can happen.
    #[tokio::test(start_paused = true)]
    async fn an_agent_waits_when_its_lines_are_8_mib_ahead() {
        let (mut agent, ours) = pipes();
        let mut lines = Lines::new(ours);
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let mut written = 0;
        let mut flood = async || {
            let write = async {
                loop {
                    written += agent.write(&line).await.unwrap();
                }
            };
            assert!(tokio::time::timeout(Duration::from_secs(1), write).await.is_err());
            written
        };
        let ahead = flood().await;
        assert!((7 << 20..(8 << 20) + (128 << 10)).contains(&ahead), "{ahead}");
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(lines.next().await.unwrap().unwrap());
        }
        assert_eq!(flood().await, ahead, "lines taken but still held are not read ahead of");
        drop(held);
        let more = (flood().await - ahead) / 1024;
        assert!((900..1100).contains(&more), "{more}");
    }

    #[tokio::test(start_paused = true)]
    async fn empty_lines_are_bounded_too() {
        let (mut agent, ours) = pipes();
        let _lines = Lines::new(ours);
        let flood = async {
            let mut written = 0;
            let write = async {
                loop {
                    written += agent.write(&[b'\n'; 4096]).await.unwrap();
                }
            };
            assert!(tokio::time::timeout(Duration::from_secs(1), write).await.is_err());
            written
        };
        assert!(flood.await < 256 << 10);
    }

    #[tokio::test]
    async fn a_line_longer_than_what_may_wait_passes_both_ways() {
        let (agent, ours) = pipes();
        let mut lines = Lines::new(ours);
        let writer = Writer::new(agent);
        let long = Bytes::from(vec![b'x'; 20 << 20]);
        writer.send(long.clone()).await.unwrap();
        writer.send("next").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().line.text.unwrap(), long);
        assert_eq!(text(&mut lines).await.unwrap(), "next");
    }

    #[tokio::test]
    async fn closing_writes_what_waits_and_then_ends_the_stream() {
        let (ours, agent) = pipes();
        let writer = Writer::new(ours);
        let mut lines = Lines::new(agent);
        for n in 0..1000 {
            writer.send(n.to_string()).await.unwrap();
        }
        let read = async {
            let mut read = Vec::new();
            while let Some(line) = text(&mut lines).await {
                read.push(line);
            }
            read
        };
        let (read, ()) = tokio::join!(read, writer.close());
        assert_eq!(read, (0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_line_feed_in_a_line_is_refused() {
        let (ours, _agent) = pipes();
        assert_eq!(Writer::new(ours).send("{\n}").await, Err(SendError::NotALine));
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_never_reads_is_told_of_and_one_that_is_gone_too() {
        let (ours, agent) = pipes();
        let writer = Writer::new(ours);
        let line = Bytes::from(vec![b'x'; 1 << 20]);
        let mut taken = 0;
        let refused = loop {
            match writer.send(line.clone()).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((taken, refused), (7, SendError::Stalled));
        let (waiting, ()) = tokio::join!(writer.send(line.clone()), async { drop(agent) });
        assert_eq!(waiting, Err(SendError::Closed));
        assert_eq!(writer.send("x").await, Err(SendError::Closed));
    }
}
