//! A running command, as its owner holds it.

use std::future::Future;
use std::time::Duration;

use rustix::process::Pid;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::spawn::broken;
use super::stdio::Stdio;
use super::tail::Tail;
use crate::keep::control::{Exit, Failure, ProcessId};
use crate::keep::tree;

/// Beyond the grace period, how long a tree may take to end before its owner is told that it is stuck.
const KILLING: Duration = Duration::from_secs(5);

/// A command in custody. Dropping it ends its process tree with the custody's own grace period, in the background.
#[derive(Debug)]
pub struct Child {
    /// The command's stdin, unless it was to have none.
    pub stdin: Option<pipe::Sender>,
    /// Its stdout, and stderr too where that was asked for.
    pub stdout: Option<pipe::Receiver>,
    pub(super) process: ProcessId,
    pub(super) owner: Owner,
    pub(super) stderr: Tail,
}

/// A tree that did not end though everything in it was killed: a process in an uninterruptible call (a dead network
/// drive), or of another user (`sudo`). Its keep stays with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these processes cannot be killed: {pids:?}")]
pub struct Stuck {
    /// What was left when we gave up waiting.
    pub pids: Vec<u32>,
}

/// What is known of a child and what is wanted of it: shared by its owner, its watcher and the custody.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) keep: Pid,
    pub(super) life: watch::Receiver<Life>,
    /// The shortest grace period asked for so far; `None` while it is to run.
    pub(super) stop: watch::Sender<Option<Duration>>,
}

/// The right to a tree: without an owner it ends.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) handle: Handle,
    pub(super) grace: Duration,
}

/// A child that is not known to run yet.
pub(super) struct Starting {
    pub(super) stdin: Option<pipe::Sender>,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: Tail,
    pub(super) owner: Owner,
}

/// Where a child is in its life. It goes down this list only; who looks may miss what was in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Starting,
    Running(ProcessId),
    Exited(ProcessId, Exit),
    /// Nothing of the tree is left, the keep is reaped, and all of stderr is read.
    Ended(ProcessId, Exit),
    Failed(Failure),
}

impl Child {
    /// The command's process.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Both pipes as lines, the first time it is asked for, if it has both.
    pub fn stdio(&mut self) -> Option<Stdio> {
        Some(Stdio::new(self.stdin.take()?, self.stdout.take()?))
    }

    /// Waits until the command itself is over. Its descendants are then being ended, and its pipes may still hold what
    /// it wrote.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        exit(self.owner.handle.life.clone(), |life| matches!(life, Life::Exited(..) | Life::Ended(..)))
    }

    /// Waits until nothing of its tree is left and all of its stderr is read.
    pub fn ended(&self) -> impl Future<Output = Exit> + Send + use<> {
        exit(self.owner.handle.life.clone(), |life| matches!(life, Life::Ended(..)))
    }

    /// Ends the tree: SIGTERM to all of it, SIGKILL to what is left after `grace` (zero: at once). Waits until nothing
    /// is left. A command that is over already is no error, and cancelling leaves the stop asked for.
    ///
    /// # Errors
    /// [`Stuck`] if something is left 5 seconds after it was killed.
    pub async fn stop(&self, grace: Duration) -> Result<Exit, Stuck> {
        self.owner.handle.ask_to_stop(grace);
        self.owner.handle.ended_within(grace).await
    }

    /// The end of what it wrote to stderr: up to 64 KiB, as text, beginning with a whole line. Complete once it has
    /// [`ended`](Self::ended).
    pub fn stderr_tail(&self) -> String {
        self.stderr.text()
    }
}

impl Starting {
    /// Waits until the command runs or is known not to.
    pub(super) async fn started(self) -> Result<Child, Failure> {
        let mut life = self.owner.handle.life.clone();
        let started = life.wait_for(|life| *life != Life::Starting).await.map(|life| life.clone());
        let process = match started {
            Ok(Life::Running(process) | Life::Exited(process, _) | Life::Ended(process, _)) => process,
            Ok(Life::Failed(failure)) => return Err(failure),
            Ok(Life::Starting) | Err(_) => return Err(broken("the runtime is shutting down".to_owned())),
        };
        let Self { stdin, stdout, stderr, owner } = self;
        Ok(Child { stdin, stdout: Some(stdout), process, owner, stderr })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.handle.ask_to_stop(self.grace);
    }
}

impl Handle {
    /// Says that the tree is to end. Of several grace periods the shortest holds.
    pub(super) fn ask_to_stop(&self, grace: Duration) {
        self.stop.send_if_modified(|stop| {
            let shorter = stop.is_none_or(|stop| grace < stop);
            if shorter {
                *stop = Some(grace);
            }
            shorter
        });
    }

    pub(super) async fn ended_within(&self, grace: Duration) -> Result<Exit, Stuck> {
        let ended = exit(self.life.clone(), |life| matches!(life, Life::Ended(..)));
        tokio::time::timeout(grace.saturating_add(KILLING), ended).await.map_err(|_| self.stuck())
    }

    fn stuck(&self) -> Stuck {
        let left = tree::descendants(self.keep).into_iter().map(|process| process.pid);
        let pids = left.map(|pid| pid.as_raw_pid().unsigned_abs()).collect();
        Stuck { pids }
    }
}

impl Life {
    /// The command, once it has started.
    pub(super) fn process(&self) -> Option<ProcessId> {
        match *self {
            Self::Running(process) | Self::Exited(process, _) | Self::Ended(process, _) => Some(process),
            Self::Starting | Self::Failed(_) => None,
        }
    }
}

/// How the command ended, once it is as far as `enough` asks.
async fn exit(mut life: watch::Receiver<Life>, enough: impl Fn(&Life) -> bool) -> Exit {
    match life.wait_for(|life| enough(life)).await.as_deref() {
        Ok(Life::Exited(_, exit) | Life::Ended(_, exit)) => *exit,
        // The watcher is gone before the end: its runtime is shutting down.
        Ok(Life::Starting | Life::Running(_) | Life::Failed(_)) | Err(_) => Exit::Lost,
    }
}
