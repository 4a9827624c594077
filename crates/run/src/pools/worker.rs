//! One process in a worker's place, from its start to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use trunkline_wire::router::{Ended, WorkerId};

use super::greet::greet;
use super::task::Input;
use crate::custody::{Child, Custody, Exit, Spawn};

/// How much is read at once.
const CHUNK: usize = 64 << 10;
/// How long a worker whose pipe has closed may take to end, so that its exit status can be told.
const LAST_WORD: Duration = Duration::from_millis(20);
/// How many reads a worker that has ended may still fill: its pipe holds no more.
const LAST_READS: usize = 8;

/// One life of a worker's place: what an earlier process says is not the later one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) worker: WorkerId,
    pub(super) number: u64,
}

/// What the router wants of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    /// It is not read.
    pub(super) paused: bool,
    /// It is to end.
    pub(super) stop: bool,
}

/// Runs one process.
pub(super) struct Job {
    pub(super) life: Life,
    /// Whether it is greeted first.
    pub(super) greets: bool,
    pub(super) custody: Custody,
    pub(super) spawn: Spawn,
    /// How long it may take to end once it is told to.
    pub(super) grace: Duration,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) chunks: mpsc::Receiver<Bytes>,
    pub(super) control: watch::Receiver<Control>,
    /// Resolves once the process before it in this place is gone.
    pub(super) before: Option<oneshot::Receiver<()>>,
    /// Dropped once this one is gone.
    pub(super) _over: oneshot::Sender<()>,
}

impl Job {
    pub(super) async fn run(mut self) {
        if let Some(before) = self.before.take() {
            let _it_is_gone = before.await;
        }
        if self.control.borrow().stop || self.control.has_changed().is_err() {
            return;
        }
        let mut child = match self.custody.spawn(self.spawn.clone()).await {
            Ok(child) => child,
            Err(error) => return self.ended(Ended::Exit(format!("it did not start: {error}"))).await,
        };
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let child = Arc::new(child);
        if let (Some(stdin), Some(stdout)) = (stdin, stdout) {
            self.attend(&child, &stdin, &stdout).await;
        }
        if let Err(stuck) = child.stop(self.grace).await {
            tracing::error!(resource = self.spawn.resource, %stuck, "a worker could not be ended");
        }
        let _pools_are_gone = self.inputs.send(Input::Words(self.life, child.stderr_tail())).await;
    }

    /// Passes on what it says and what it is told, until it ends or is to end.
    async fn attend(&mut self, child: &Arc<Child>, stdin: &pipe::Sender, stdout: &pipe::Receiver) {
        let mut control = self.control.clone();
        let mut behind = Vec::new();
        if self.greets {
            let greeted = tokio::select! {
                biased;
                () = stopped(&mut control) => return,
                exit = child.exited() => Err(Ended::Exit(words(exit))),
                greeted = greet(stdin, stdout) => greeted,
            };
            behind = match greeted {
                Ok(behind) => behind,
                Err(how) => return self.ended(how).await,
            };
        }
        let _pools_are_gone = self.inputs.send(Input::Started(self.life, Arc::clone(child))).await;
        if !behind.is_empty() {
            let _pools_are_gone = self.inputs.send(Input::Said(self.life, behind)).await;
        }
        let how = tokio::select! {
            biased;
            () = stopped(&mut control) => return,
            exit = child.exited() => Ended::Exit(words(exit)),
            how = read(stdout, self.control.clone(), &self.inputs, self.life) => how,
            how = write(stdin, &mut self.chunks, &self.inputs, self.life) => how,
        };
        let exit = match how {
            Ended::Exit(_) => None,
            // Most often the process ends at the same time, and then that is what is told.
            Ended::Silent | Ended::Deaf => tokio::time::timeout(LAST_WORD, child.exited()).await.ok(),
        };
        let how = exit.map_or(how, |exit| Ended::Exit(words(exit)));
        if let Ended::Exit(_) = how {
            self.last_words(stdout).await;
        }
        self.ended(how).await;
    }

    /// What it said last counts.
    async fn last_words(&self, stdout: &pipe::Receiver) {
        for _ in 0..LAST_READS {
            let Ok(permit) = self.inputs.reserve().await else { return };
            let mut buffer = vec![0; CHUNK];
            match stdout.try_read(&mut buffer) {
                Ok(count @ 1..) => {
                    buffer.truncate(count);
                    permit.send(Input::Said(self.life, buffer));
                }
                Ok(0) | Err(_) => return,
            }
        }
    }

    async fn ended(&self, how: Ended) {
        let _pools_are_gone = self.inputs.send(Input::Ended(self.life, how)).await;
    }
}

/// Resolves when the process is to end, also because nobody is left who wants it.
async fn stopped(control: &mut watch::Receiver<Control>) {
    let _told_or_left_alone = control.wait_for(|control| control.stop).await;
}

/// Reads until the end of the stream. Cancelling loses nothing.
async fn read(
    stdout: &pipe::Receiver,
    mut control: watch::Receiver<Control>,
    inputs: &mpsc::Sender<Input>,
    life: Life,
) -> Ended {
    loop {
        if control.wait_for(|control| !control.paused).await.is_err() || stdout.readable().await.is_err() {
            return Ended::Silent;
        }
        // The place for what is read comes first, so that nothing is read that has none.
        let Ok(permit) = inputs.reserve().await else { return Ended::Silent };
        let mut buffer = vec![0; CHUNK];
        match stdout.try_read(&mut buffer) {
            Ok(count @ 1..) => {
                buffer.truncate(count);
                permit.send(Input::Said(life, buffer));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return Ended::Silent,
        }
    }
}

/// Writes chunk after chunk. Returns when the worker's stdin is closed.
async fn write(
    stdin: &pipe::Sender,
    chunks: &mut mpsc::Receiver<Bytes>,
    inputs: &mpsc::Sender<Input>,
    life: Life,
) -> Ended {
    while let Some(chunk) = chunks.recv().await {
        let count = chunk.len();
        if let Err(how) = write_all(stdin, chunk).await {
            return how;
        }
        if inputs.send(Input::Wrote(life, count)).await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// Writes all of it.
///
/// # Errors
/// When the worker's stdin is closed.
pub(super) async fn write_all(stdin: &pipe::Sender, mut bytes: Bytes) -> Result<(), Ended> {
    while bytes.has_remaining() {
        stdin.writable().await.map_err(|_| Ended::Deaf)?;
        match stdin.try_write(&bytes) {
            Ok(written) => bytes.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(Ended::Deaf),
        }
    }
    Ok(())
}

fn words(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::Lost => "it was lost together with its keeper".to_owned(),
    }
}
