//! Worker processes: each leads a process group of its own, which ends with it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use trunkline_wire::router::Pool;

use crate::stream::{PIPE, Stream};
use crate::sys;

/// A process and the pipes to it.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pid: Pid,
    pub(crate) stdin: Option<Stream>,
    pub(crate) stdout: Option<Stream>,
}

impl Worker {
    /// Starts a worker of a pool. Its stderr is ours.
    ///
    /// # Errors
    /// If that fails.
    pub(crate) fn start(pool: &Pool) -> io::Result<Self> {
        let (their_stdin, our_stdin) = pipe()?;
        let (our_stdout, their_stdout) = pipe()?;
        not_blocking(&our_stdin)?;
        not_blocking(&our_stdout)?;
        let mut command = Command::new(&pool.command);
        command
            .args(&pool.args)
            .stdin(their_stdin)
            .stdout(their_stdout)
            .stderr(Stdio::inherit())
            .process_group(0);
        for (name, value) in &pool.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(cwd) = &pool.cwd {
            command.current_dir(cwd);
        }
        sys::prepare_child(&mut command);
        #[expect(clippy::disallowed_methods, reason = "this program is the custody of its workers")]
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (stdin, stdout) = (Some(Stream::Free(our_stdin)), Some(Stream::Free(our_stdout)));
        Ok(Self { child, pid, stdin, stdout })
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended. It is not reaped by that.
    pub(crate) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error says that there is no such child to wait for.
        !matches!(rustix::process::waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    /// Signals the whole group. While the process is not reaped, its number is nobody else's.
    pub(crate) fn signal(&self, signal: Signal) {
        // A group that is gone needs no signal.
        let _gone = rustix::process::kill_process_group(self.pid, signal);
    }

    /// The process has ended: ends what is left of its group, then reaps it.
    pub(crate) fn reap(&mut self) -> String {
        self.signal(Signal::KILL);
        match self.child.wait() {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // Users have a budget for large pipes; a small one is only slower.
    let _larger = rustix::pipe::fcntl_setpipe_size(&write, PIPE);
    debug_assert!(rustix::io::fcntl_getfd(&read).is_ok_and(|flags| flags.contains(FdFlags::CLOEXEC)));
    Ok((read, write))
}

fn not_blocking(fd: &OwnedFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}
