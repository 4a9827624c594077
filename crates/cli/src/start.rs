//! Starting the daemon in the background.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use tokio::time::{Instant, MissedTickBehavior, interval};
use trunkline_client::{Client, Runtime};

use crate::config::Config;
use crate::env::Env;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::logging;

/// How long a daemon may take to answer. Loading ten thousand sessions takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one may take to stop that was told to.
pub(crate) const STOPPING: Duration = Duration::from_secs(10);
/// The lock that a daemon holds for as long as it lives, below its home.
pub(crate) const LOCK: &str = "run/lock";
/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// What there is of a daemon in a home directory.
pub(crate) enum Found {
    /// None.
    Nothing,
    /// One that answers.
    Daemon(Client),
    /// A process that holds the home and does not answer: one that stops, or that hangs.
    Deaf(u32),
}

impl Found {
    pub(crate) fn daemon(self) -> Option<Client> {
        match self {
            Self::Daemon(client) => Some(client),
            Self::Nothing | Self::Deaf(_) => None,
        }
    }
}

/// Looks for the daemon of a home directory.
pub(crate) async fn find(home: &Path) -> Result<Found> {
    // A daemon that was killed leaves its address behind. Whoever listens there now must not get the token.
    let Some(runtime) = Runtime::read(home)?.filter(|runtime| is_alive(runtime.pid)) else {
        return Ok(Found::Nothing);
    };
    let answer = match Client::discover(home) {
        Ok(client) => client.health().await.map(|_| client),
        Err(error) => Err(error),
    };
    match answer {
        Ok(client) => Ok(Found::Daemon(client)),
        // Another process may have been given the number of one that was killed; the home is not its own.
        Err(error) if error.is_unreachable() && is_held(home) => Ok(Found::Deaf(runtime.pid)),
        Err(error) if error.is_unreachable() => Ok(Found::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// Whether a daemon holds the lock of its home. For a moment we may hold it, which a daemon that starts sits out.
fn is_held(home: &Path) -> bool {
    let lock = File::open(home.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Waits for a process to end; whether it has.
pub(crate) async fn wait_for_end(pid: u32, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        if !is_alive(pid) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
    }
}

/// The error of a daemon that neither answers nor ends.
pub(crate) fn is_stuck(pid: u32, home: &Path) -> CliError {
    let what = format!("process {pid} is the daemon of {} and does not answer", home.display());
    CliError::new(Exit::Unreachable, what)
        .hint("`trunkline logs` says what it does")
        .hint(format!("`kill -9 {pid}` ends it at once; its sessions are kept"))
}

/// Whether there is a process of this number that has not ended. One that has may stay listed for as long as nobody asks
/// how it went, as in a container whose first process does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    // The name in brackets may hold anything, so what counts stands behind the last bracket.
    let state = stat.as_deref().ok().and_then(|stat| stat.rsplit_once(") ")?.1.chars().next());
    match state {
        Some(state) => !matches!(state, 'Z' | 'X'),
        None => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
        }
    }
}

/// Starts `trunkline serve` in a session of its own and waits until it answers.
///
/// # Errors
/// When it ends before that, with its last words, or takes too long.
pub(crate) async fn start(env: &Env, config: &Config, args: &[String]) -> Result<Client> {
    let _alone = one_at_a_time(&config.home).await?;
    match find(&config.home).await? {
        Found::Daemon(client) => return Ok(client),
        // It most likely stops, which takes it two seconds at most.
        Found::Deaf(pid) if !wait_for_end(pid, STOPPING).await => return Err(is_stuck(pid, &config.home)),
        Found::Deaf(_) | Found::Nothing => {}
    }
    let mut child = spawn(env, config, args)?;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let deadline = Instant::now() + PATIENCE;
    loop {
        look.tick().await;
        let ended = child.try_wait()?;
        if let Found::Daemon(client) = find(&config.home).await? {
            return Ok(client);
        }
        if let Some(status) = ended {
            return Err(died(&config.home, status));
        }
        if Instant::now() > deadline {
            let late = format!("the daemon did not answer within {} s", PATIENCE.as_secs());
            return Err(CliError::new(Exit::Unreachable, late).hint("`trunkline logs` says how far it got"));
        }
    }
}

/// Two commands that both find no daemon must not both start one. The second waits for the first, and finds its daemon.
async fn one_at_a_time(home: &Path) -> Result<File> {
    let run = home.join("run");
    DirBuilder::new().recursive(true).mode(0o700).create(&run).map_err(|error| cannot(home, &error))?;
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(run.join("start"));
    let file = file.map_err(|error| cannot(home, &error))?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(|error| CliError::failure(error.to_string()))?.map_err(|error| cannot(home, &error))
}

fn cannot(home: &Path, error: &io::Error) -> CliError {
    CliError::failure(format!("{} cannot be used: {error}", home.display()))
        .hint("it must be a directory that your user may write to")
}

/// Leaves the terminal, so that closing it does not end the daemon. For the process that was started.
pub(crate) fn leave_terminal() {
    // This fails only for the leader of a process group, which whoever was started by a command is not.
    let _ = rustix::process::setsid();
}

fn spawn(env: &Env, config: &Config, args: &[String]) -> Result<Child> {
    let exe = env
        .exe
        .as_ref()
        .ok_or_else(|| CliError::failure("this program cannot find itself to start the daemon"))?;
    let home = &config.home;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home.join("logs"))
        .map_err(|error| cannot(home, &error))?;
    let stderr = home.join(logging::STDERR);
    let stderr = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(stderr)
        .map_err(|error| cannot(home, &error))?;
    let mut command = Command::new(exe);
    command.arg("--home").arg(home).args(["serve", "--background"]).args(args).current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    #[expect(
        clippy::disallowed_methods,
        reason = "the daemon is nobody's to keep: it outlives whoever starts it"
    )]
    let child = command.spawn();
    child.map_err(|error| CliError::failure(format!("{} cannot be started: {error}", exe.display())))
}

fn died(home: &Path, status: std::process::ExitStatus) -> CliError {
    let said = last_words(&home.join(logging::STDERR)).unwrap_or_default();
    let error = CliError::new(Exit::Unreachable, format!("the daemon did not start ({status})"));
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    // The daemon's own error is written for a person: what it says is said here again.
    let error = lines.by_ref().fold(error, |error, line| match line.split_once(": ") {
        Some(("hint", hint)) => error.hint(hint),
        Some(("error" | "  caused by", cause)) => error.because(cause),
        Some(_) | None => error.because(line.trim()),
    });
    error.hint(format!("its log is {}", home.join(logging::LOG).display()))
}

/// The last 4 KiB of a file.
fn last_words(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(4 << 10);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(4 << 10).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
