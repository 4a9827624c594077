//! Custody of processes: whatever is started here is watched, bounded and ended, with all that it starts itself.
//!
//! Each child runs under a [`keep`](crate::keep), whose documentation draws who is whose parent and says what is
//! guaranteed about ending. This is the daemon's side:
//!
//! - [`Custody::spawn`] starts a command for a *resource* (a session's agent, a terminal) and gives a [`Child`]. A
//!   resource has one process tree at a time: the next can start when the last is reaped.
//! - [`Child::stop`], dropping the child, [`Custody::stop_all`], and the death of this process, however it dies, end
//!   the tree.
//! - [`Custody::scan`] tells what runs.
//! - stdout and stdin are pipes of ours, as raw bytes or as [`Stdio`], lines bounded both ways. stderr is read always,
//!   and its last 64 KiB are kept.
//!
//! Each child costs five descriptors here (three pipes, the control socket, a pidfd) and two tasks.
//!
//! Nothing here reaps a child that it did not start or inherit, so others in the process may use `waitpid` on theirs.

mod child;
mod files;
mod orphans;
mod spawn;
mod stdio;
mod tail;
mod watch;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio as Passed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::Pid;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use crate::keep::control::{Exit, Failure, FailureKind, Limits, ProcessId};
pub use crate::keep::probe;
pub use child::{Child, Stuck};
pub use files::raise_open_files;
pub use orphans::{Subreaper, become_subreaper};
pub use spawn::{Spawn, SpawnError, Stderr, Stdin};
pub use stdio::{Lines, Said, SendError, Stdio, Writer};

use crate::sandbox::{Mode, Policy, Sandbox};
use child::{Handle, Life, Owner, Starting};
use tail::Tail;
use watch::Watch;

/// How a custody works.
#[derive(Debug)]
pub struct CustodyOptions {
    /// The program whose `keep` command is [`keep::main`](crate::keep::main): this binary. `/proc/self/exe` stays the
    /// right one when the file is replaced by an upgrade.
    pub keep_program: PathBuf,
    /// Between SIGTERM and SIGKILL when nobody says how long: a child was dropped, its command left descendants
    /// behind, or this process died.
    pub grace: Duration,
    /// With it, what a killed keep leaves behind is ended too. One custody of a process can have it.
    pub subreaper: Option<Subreaper>,
}

/// The register of all children. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Custody {
    inner: Arc<Inner>,
}

/// One process tree that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// What it is.
    pub resource: String,
    /// Which life of it.
    pub incarnation: Uuid,
    /// The command, or `None` while it is being started.
    pub process: Option<ProcessId>,
    /// The keep above it.
    pub keep_pid: u32,
}

#[derive(Debug)]
struct Inner {
    options: CustodyOptions,
    sandbox: Sandbox,
    register: Mutex<Register>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Register {
    closed: bool,
    /// Whether there ever was a tree.
    held: bool,
    entries: HashMap<String, (Uuid, Handle)>,
}

/// Our ends of a command's pipes.
struct Pipes {
    stdin: Option<pipe::Sender>,
    stdout: pipe::Receiver,
    stderr: Option<pipe::Receiver>,
}

/// Identifies this boot of the machine, without which a pid and its start time say nothing.
///
/// # Errors
/// `/proc` is not mounted.
pub fn boot_id() -> io::Result<Uuid> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    id.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl Custody {
    /// A custody of nothing yet.
    pub fn new(options: CustodyOptions) -> Self {
        Self::confining(
            options,
            Sandbox { policy: Policy { mode: Some(Mode::Off), ..Policy::default() }, ..Sandbox::default() },
        )
    }

    /// The same, whose agents are confined by this.
    pub fn confining(options: CustodyOptions, sandbox: Sandbox) -> Self {
        let inner = Inner { options, sandbox, register: Mutex::default(), tasks: TaskTracker::new() };
        Self { inner: Arc::new(inner) }
    }

    /// How agents are confined.
    pub fn sandbox(&self) -> &Sandbox {
        &self.inner.sandbox
    }

    /// Starts a command and waits until it runs or is known not to. To be called within a tokio runtime with I/O and
    /// time; dropping the future ends what was started.
    ///
    /// # Errors
    /// See [`SpawnError`]; nothing is left running then.
    pub async fn spawn(&self, spawn: Spawn) -> Result<Child, SpawnError> {
        let start = spawn.order(self.inner.options.grace)?;
        let (starting, watch) = self.inner.start_keep(&spawn)?;
        self.inner.tasks.spawn(watch.run(start));
        Ok(starting.started().await?)
    }

    /// What runs, by resource.
    pub fn scan(&self) -> Vec<Running> {
        let register = self.inner.register();
        let mut running: Vec<Running> = register.entries.iter().map(Running::new).collect();
        running.sort_by(|a, b| a.resource.cmp(&b.resource));
        running
    }

    /// Whether any tree ran in this life: what one of them left in a connection may still arrive.
    pub fn has_held(&self) -> bool {
        self.inner.register().held
    }

    /// Ends every tree, all at once, and starts nothing from now on. Returns what could not be killed, within 5
    /// seconds after the grace period.
    pub async fn stop_all(&self, grace: Duration) -> Vec<(Running, Stuck)> {
        let entries = {
            let mut register = self.inner.register();
            register.closed = true;
            register.entries.clone()
        };
        entries.values().for_each(|(_, handle)| handle.ask_to_stop(grace));
        let mut stuck = Vec::new();
        let ended = entries.iter().map(async |entry| (entry, entry.1.1.ended_within(grace).await));
        for (entry, ended) in join_all(ended).await {
            if let Err(left) = ended {
                stuck.push((Running::new(entry), left));
            }
        }
        stuck
    }
}

impl Running {
    fn new((resource, (incarnation, handle)): (&String, &(Uuid, Handle))) -> Self {
        Self {
            resource: resource.clone(),
            incarnation: *incarnation,
            process: handle.life.borrow().process(),
            keep_pid: handle.keep.as_raw_pid().unsigned_abs(),
        }
    }
}

impl Inner {
    /// The lock is never held across an await.
    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, resource: &str) {
        self.register().entries.remove(resource);
    }

    /// Starts a keep and puts it on the register. The lock is held meanwhile, so that two of one resource cannot
    /// start, and no keep exists that is not on it.
    fn start_keep(self: &Arc<Self>, spawn: &Spawn) -> Result<(Starting, Watch), SpawnError> {
        let mut register = self.register();
        register.admit(spawn)?;
        let failed = |source| SpawnError::Keep { program: self.options.keep_program.clone(), source };
        let (keep, control, pipes) = self.run_keep(spawn).map_err(failed)?;
        let pid = keep.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.expect("a process that nobody has waited for has a pid");

        let (life, seen) = tokio::sync::watch::channel(Life::Starting);
        let (stop, wanted) = tokio::sync::watch::channel(None);
        let handle = Handle { keep: pid, life: seen, stop };
        register.held = true;
        register.entries.insert(spawn.resource.clone(), (spawn.incarnation, handle.clone()));
        drop(register);

        let stderr = Tail::default();
        let drain = pipes.stderr.map(|pipe| self.tasks.spawn(stderr.clone().drain(pipe)));
        let watch = Watch {
            inner: self.clone(),
            resource: spawn.resource.clone(),
            keep,
            control,
            stop: wanted,
            life,
            stderr: stderr.clone(),
            drain,
        };
        let owner = Owner { handle, grace: self.options.grace };
        Ok((Starting { stdin: pipes.stdin, stdout: pipes.stdout, stderr, owner }, watch))
    }

    /// Runs `keep` with the command's pipes as its own, an empty environment, and one descriptor more.
    fn run_keep(&self, spawn: &Spawn) -> io::Result<(tokio::process::Child, UnixStream, Pipes)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let (pipes, [stdin, stdout, stderr]) = Pipes::new(spawn)?;
        let number = OsString::from(theirs.as_raw_fd().to_string());
        let mut command = tokio::process::Command::new(&self.options.keep_program);
        command.arg0("trunkline").arg("keep").arg(number).arg(spawn.label()).env_clear();
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        // Inheritable from here to the end of this function. Should another thread start a program by itself in this
        // moment, that program holds the keep's end too, which does no harm: what counts is that ours closes.
        rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty())?;
        #[expect(clippy::disallowed_methods, reason = "this is where custody starts every keep")]
        let keep = command.spawn()?;
        ours.set_nonblocking(true)?;
        Ok((keep, UnixStream::from_std(ours)?, pipes))
    }
}

impl Register {
    fn admit(&self, spawn: &Spawn) -> Result<(), SpawnError> {
        if self.closed {
            return Err(SpawnError::Closed);
        }
        match self.entries.get(&spawn.resource) {
            Some(&(incarnation, _)) => {
                Err(SpawnError::Running { resource: spawn.resource.clone(), incarnation })
            }
            None => Ok(()),
        }
    }

    fn is_keep(&self, pid: Pid) -> bool {
        self.entries.values().any(|(_, handle)| handle.keep == pid)
    }
}

impl Pipes {
    /// Our ends, and the command's for stdin, stdout and stderr.
    fn new(spawn: &Spawn) -> io::Result<(Self, [Passed; 3])> {
        let (stdout, write_stdout) = io::pipe()?;
        let (stdin, read_stdin) = match spawn.stdin {
            Stdin::Null => (None, Passed::null()),
            Stdin::Piped => {
                let (read, write) = io::pipe()?;
                (Some(pipe::Sender::from_owned_fd(OwnedFd::from(write))?), read.into())
            }
        };
        let (stderr, write_stderr) = match spawn.stderr {
            Stderr::Stdout => (None, write_stdout.try_clone()?),
            Stderr::Tail => {
                let (read, write) = io::pipe()?;
                (Some(pipe::Receiver::from_owned_fd(OwnedFd::from(read))?), write)
            }
        };
        let stdout = pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?;
        Ok((Self { stdin, stdout, stderr }, [read_stdin, write_stdout.into(), write_stderr.into()]))
    }
}
