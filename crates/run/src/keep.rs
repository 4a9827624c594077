//! `trunkline keep`: the small process above each child, which sees to it that nothing outlives its session.
//!
//! ```text
//! trunkline serve                      the daemon, a subreaper
//!  ├─ trunkline keep 9 gemini          a session of its own, a subreaper, no tokio, no open pipe
//!  │   ├─ gemini --acp                 the command: a process group of its own
//!  │   │   └─ node worker.js           whatever it starts
//!  │   └─ backgroundd                  a grandchild that called setsid(2) and lost its parent: ours now
//!  └─ trunkline keep 12 cargo          one for each agent, terminal command and tool
//! ```
//!
//! The command's stdin, stdout and stderr are the daemon's own pipes: no byte of them passes through the keep. What
//! ties the two is one control socket, with a line of JSON for each word between them.
//!
//! # What is guaranteed
//! - The tree ends, all of it: on a `stop`, when the control socket closes (the daemon was killed with -9), when the
//!   command itself is over, and when the keep gets SIGTERM, SIGINT, SIGHUP or SIGQUIT. It ends with SIGTERM (and
//!   SIGCONT, so that stopped processes hear it) to everything, a grace period, then SIGKILL to everything, again
//!   and again until the kernel says that no child is left. As the keep is a subreaper, every orphan of its tree
//!   becomes its child, so "no child" means "no descendant".
//! - The command starts with three descriptors, an empty signal mask, default signal actions, exactly the
//!   environment it was given, and the limits asked for, which do not bind the keep.
//! - A command that does not start is reported with what was run, where, and why.
//! - No zombie stays, while the command runs or after.
//! - If the keep itself is killed with -9, the command gets SIGKILL from the kernel (`PR_SET_PDEATHSIG`), and what
//!   that leaves falls to the daemon, which ends it ([`custody`](crate::custody)). The keep has no death signal of
//!   its own: it would come when the *thread* that started it ends, and its tree would lose its keeper.
//!
//! # What is not
//! - A chain of processes in which each one forks, enters a new session and exits can outrun any walk through `/proc`,
//!   and a process of another user (`sudo`) cannot be signalled. The keep goes on trying, once a second, and stays
//!   as long as they do. Only a pid namespace or a cgroup can do better. What is confined has the first, where
//!   that works; no cgroup is used, because a process can leave a writable one.
//! - If the daemon and the keep are killed with -9 together, grandchildren of a command without one live on.
//!
//! Linux 5.9 or newer is needed (`close_range(2)`).

mod confine;
pub(crate) mod control;
mod launch;
mod phase;
mod sys;
pub(crate) mod tree;

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, getpid, waitid, waitpid,
};

pub use confine::probe;
use control::{Control, Exit, Failure, FailureKind, Order, ProcessId, Report, Start};
use phase::{Act, Phase};

/// Runs as a keep until its tree is empty. `args` are those behind `keep`: the number of the control socket's
/// descriptor, then a label that is only there to be seen in `ps`.
///
/// To be called before any thread is started and any file opened, because it closes descriptors, sets signal actions
/// and is sound only in a process with one thread.
///
/// # Errors
/// Exit code 2 and a line on stderr if the first argument is not an inherited socket, as when a person types the
/// command. Anything later is told over the socket.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter().peekable();
    match args.peek().and_then(|mode| mode.to_str()) {
        Some(confine::PROBE) => return confine::look(),
        Some(confine::CONFINED) => return ExitCode::SUCCESS,
        Some(_) | None => {}
    }
    let number = args.next().and_then(|number| number.to_str()?.parse().ok());
    let control = number.ok_or_else(|| std::io::Error::other("none was named")).and_then(sys::inherit);
    match control {
        Ok(control) => {
            run(Control::new(control));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let said = format!(
                "error: `keep` needs a control socket: {error}\nhint: the daemon starts it, not a person\n"
            );
            drop(std::io::stderr().write_all(said.as_bytes()));
            ExitCode::from(2)
        }
    }
}

fn run(mut control: Control) {
    let Some(start) = control.start() else { return };
    match begin(&start) {
        Ok((signals, command)) => Keep::new(control, signals, command, &start).watch(),
        Err(failure) => control.report(&Report::Failed(failure)),
    }
}

/// Becomes what a keep is and starts the command.
fn begin(start: &Start) -> Result<(OwnedFd, Pid), Failure> {
    let failed = |what: &str, error: std::io::Error| Failure {
        kind: FailureKind::Keep,
        message: format!("trunkline keep cannot {what}: {error}"),
    };
    sys::default_signals();
    rustix::process::setsid().map_err(|error| failed("start a session", error.into()))?;
    rustix::process::set_child_subreaper(Some(getpid()))
        .map_err(|error| failed("become a subreaper", error.into()))?;
    let signals = sys::hear_signals().map_err(|error| failed("listen to signals", error))?;
    let command = launch::launch(start, getpid())?;
    let_go();
    Ok((signals, command))
}

/// Lets go of the command's pipes, whose ends must close when the command closes them, and of the directory we were
/// started in. The name tells us apart in `top`. Where one of these fails nothing depends on it but tidiness.
fn let_go() {
    if let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    drop(std::env::set_current_dir("/"));
    let _ = rustix::thread::set_name(c"trunkline-keep");
}

/// A keep whose command has started.
struct Keep {
    control: Control,
    signals: OwnedFd,
    me: Pid,
    /// The command. It is not reaped before the tree is empty: as long as its pid is taken, nobody else's process
    /// group can have that number.
    command: Option<Pid>,
    exited: bool,
    phase: Phase,
    grace: Duration,
    began: Instant,
}

impl Keep {
    #[expect(clippy::disallowed_methods, reason = "a keep has no other clock, and tests run it as a process")]
    fn new(mut control: Control, signals: OwnedFd, command: Pid, start: &Start) -> Self {
        // Behind a stand-in and a first process is what was asked for, unless it is over already.
        let below = |pid: Pid| tree::children(pid).first().copied();
        let confined = start.confine.as_ref().filter(|confine| confine.has_first_process());
        let itself = confined.and_then(|_| below(command)).and_then(below).unwrap_or(command);
        let start_time = tree::process(itself).map_or(0, |process| process.start_time);
        let pid = itself.as_raw_pid().unsigned_abs();
        control.report(&Report::Started(ProcessId { pid, start_time }));
        let grace = Duration::from_millis(start.grace_ms);
        let began = Instant::now();
        let me = getpid();
        Self {
            control,
            signals,
            me,
            command: Some(command),
            exited: false,
            phase: Phase::Running,
            grace,
            began,
        }
    }

    /// Waits and acts until the tree is empty.
    fn watch(mut self) {
        loop {
            self.hear_orders();
            if sys::told_to_go(&self.signals) {
                self.stop(self.grace);
            }
            let Some(child_ended) = self.reap() else { break };
            let act = self.phase.tick(self.began.elapsed(), child_ended);
            self.act(act);
            self.sleep();
        }
        self.control.report(&Report::Ended);
    }

    /// Sleeps until an order, a signal or the deadline comes.
    fn sleep(&mut self) {
        let left = self.phase.deadline().map(|at| at.saturating_sub(self.began.elapsed()));
        // A deadline beyond what the kernel can count is none.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let control = self.control.stream();
        let fds = [Some(self.signals.as_fd()), control.map(AsFd::as_fd)];
        let mut fds: Vec<PollFd<'_>> =
            fds.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        // Interrupted or out of memory: we look around and sleep again.
        let _ = poll(&mut fds, left.as_ref());
        if fds.get(1).is_some_and(|control| !control.revents().is_empty()) {
            self.control.read();
        }
    }

    fn hear_orders(&mut self) {
        while let Some(order) = self.control.order() {
            match order {
                Order::Stop { grace_ms } => self.stop(Duration::from_millis(grace_ms)),
                Order::Start(_) => self.stop(self.grace),
            }
        }
        if self.control.stream().is_none() {
            self.stop(self.grace);
        }
    }

    fn stop(&mut self, grace: Duration) {
        let act = self.phase.stop(self.began.elapsed(), grace);
        self.act(act);
    }

    fn act(&self, act: Option<Act>) {
        match act {
            None => {}
            Some(Act::Terminate) => tree::signal(self.me, self.command, &[Signal::TERM, Signal::CONT]),
            Some(Act::Kill) => tree::signal(self.me, self.command, &[Signal::KILL]),
        }
    }

    /// Reaps the dead children: whether there were any, or `None` when no child is left at all.
    fn reap(&mut self) -> Option<bool> {
        let mut reaped = false;
        let mut living = false;
        for child in tree::children(self.me) {
            if Some(child) != self.command {
                match waitpid(Some(child), WaitOptions::NOHANG) {
                    Ok(Some(_)) => reaped = true,
                    Ok(None) => living = true,
                    Err(_) => {}
                }
            }
        }
        if !self.exited
            && let Some(exit) = self.command.and_then(ended)
        {
            self.exited = true;
            reaped = true;
            self.control.report(&Report::Exited(exit));
            self.stop(self.grace);
        }
        if !self.exited || living {
            return Some(reaped);
        }
        // By all we could read nobody is left. The kernel knows for certain.
        self.command = None;
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => reaped = true,
                Ok(None) => return Some(reaped),
                Err(_) => return None,
            }
        }
    }
}

/// How a child ended, if it has; it is not reaped by that.
fn ended(child: Pid) -> Option<Exit> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status: WaitIdStatus = waitid(WaitId::Pid(child), options).ok().flatten()?;
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}
