//! Commands that the daemon runs for an agent: `terminal/*`. Each is a child in custody.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use trunkline_core::agent::{TerminalExited, TerminalOutput, TerminalStarted};
use trunkline_core::event::Fact;
use trunkline_core::id::TurnId;
use trunkline_core::refused::Refused;
use trunkline_core::session::Run;
use trunkline_wire::acp::{CreateTerminalRequest, TerminalExitStatus, TerminalOutputResponse};
use trunkline_wire::jsonrpc::ErrorObject;
use uuid::Uuid;

use super::link::until;
use super::output::{Decoder, Tail};
use super::shut::Shut;
use crate::catalog::which;
use crate::cell::CommandError;
use crate::custody::{Child, Custody, Exit, Spawn, Stderr, Stdin};
use crate::driver::SessionPort;

/// How many terminals an agent may have at a time; it gets rid of one by releasing it.
pub(crate) const MAX_TERMINALS: usize = 64;
/// How many bytes of output are kept for the agent if it does not say.
const KEPT: usize = 1 << 20;
/// How many it may ask for.
const MAX_KEPT: usize = 16 << 20;
/// How many bytes of a terminal's output go into the log from its beginning, and how many from its end.
const LOGGED: usize = 256 << 10;
const LOGGED_END: usize = 16 << 10;
/// Output goes into the log when it is this much or this old.
const CHUNK: usize = 16 << 10;
const WINDOW: Duration = Duration::from_millis(100);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);
/// How long the pipe may stay open after the command's whole tree has ended: somebody outside may hold it.
const DRAIN: Duration = Duration::from_millis(200);

/// The terminals of one agent process. Dropped, it ends their commands.
pub(crate) struct Terminals {
    custody: Arc<Custody>,
    port: SessionPort,
    env: Vec<(OsString, OsString)>,
    workspace: PathBuf,
    incarnation: u64,
    shut: Shut,
    made: u64,
    open: BTreeMap<String, Listed>,
    /// Room for more. One that is just starting has its place already.
    places: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

/// A terminal that was not released, and its place among the few that there may be.
struct Listed {
    terminal: Terminal,
    _place: OwnedSemaphorePermit,
}

/// One terminal, as requests about it see it.
#[derive(Clone)]
pub(crate) struct Terminal {
    child: Arc<Child>,
    output: Arc<Mutex<Tail>>,
    exit: watch::Receiver<Option<Exit>>,
}

/// A command that has been started and is not listed yet.
pub(crate) struct Made {
    /// What to tell the log.
    pub(crate) started: TerminalStarted,
    child: Child,
    limit: usize,
    place: OwnedSemaphorePermit,
}

impl Terminals {
    pub(crate) fn new(
        custody: Arc<Custody>,
        port: SessionPort,
        env: Vec<(OsString, OsString)>,
        workspace: PathBuf,
        incarnation: u64,
        shut: Shut,
    ) -> Self {
        let (open, tasks) = (BTreeMap::new(), JoinSet::new());
        let places = Arc::new(Semaphore::new(MAX_TERMINALS));
        Self { custody, port, env, workspace, incarnation, shut, made: 0, open, places, tasks }
    }

    /// Starts a command. The future does not borrow, so that others are served meanwhile.
    pub(crate) fn create(
        &mut self,
        asked: &CreateTerminalRequest,
    ) -> impl Future<Output = Result<Made, ErrorObject>> + Send + use<> {
        self.made += 1;
        let terminal = format!("term-{}-{}", self.incarnation, self.made);
        let cwd = asked.cwd.clone().unwrap_or_else(|| self.workspace.clone());
        let mut env = self.env.clone();
        let argv = argv(asked, &cwd, &env);
        env.extend(asked.env.iter().map(|set| (OsString::from(&set.name), OsString::from(&set.value))));
        let spawn = Spawn {
            resource: format!("terminal/{}/{terminal}", self.port.id),
            incarnation: Uuid::from_u128(u128::from(self.incarnation)),
            env,
            confine: self.shut.confinement(&argv),
            limits: self.shut.limits,
            stdin: Stdin::Null,
            stderr: Stderr::Stdout,
            ..Spawn::new(&argv, &cwd)
        };
        let limit = asked.output_byte_limit.map_or(KEPT, |limit| usize::try_from(limit).unwrap_or(MAX_KEPT));
        let cwd = cwd.to_string_lossy().into_owned();
        let (custody, started) = (Arc::clone(&self.custody), TerminalStarted { terminal, argv, cwd });
        let place = Arc::clone(&self.places).try_acquire_owned();
        async move {
            let place = place.map_err(|_| {
                let why = format!("{MAX_TERMINALS} terminals are open, which is the limit; release one");
                ErrorObject::internal(why)
            })?;
            let child = custody.spawn(spawn).await.map_err(ErrorObject::invalid_params)?;
            Ok(Made { started, child, limit: limit.min(MAX_KEPT), place })
        }
    }

    /// Lists a terminal and begins to read it. Its start must be in the log by now. What it prints is told as part of
    /// the turn as long as that runs.
    pub(crate) fn add(&mut self, made: Made, turn: Option<(TurnId, u32)>) -> String {
        let Made { started: TerminalStarted { terminal, .. }, mut child, limit, place } = made;
        let stdout = child.stdout.take();
        let (told, exit) = watch::channel(None);
        let listed =
            Terminal { child: Arc::new(child), output: Arc::new(Mutex::new(Tail::new(limit))), exit };
        let end = Tail::new(LOGGED_END);
        let (port, name) = (self.port.clone(), terminal.clone());
        let log = Log { port, turn, terminal: name, begun: 0, waiting: String::new(), end };
        self.tasks.spawn(watch_over(listed.clone(), stdout, log, told));
        self.open.insert(terminal.clone(), Listed { terminal: listed, _place: place });
        // Those that are over have nothing more to say.
        while self.tasks.try_join_next().is_some() {}
        terminal
    }

    /// A terminal that was not released.
    pub(crate) fn find(&self, terminal: &str) -> Result<Terminal, ErrorObject> {
        let unknown = || ErrorObject::invalid_params(format_args!("there is no terminal {terminal}"));
        self.open.get(terminal).map(|listed| listed.terminal.clone()).ok_or_else(unknown)
    }

    /// Forgets a terminal, and gives it to be killed.
    pub(crate) fn release(&mut self, terminal: &str) -> Result<Terminal, ErrorObject> {
        let found = self.find(terminal);
        self.open.remove(terminal);
        found
    }

    /// Forgets all terminals: their commands have ended.
    pub(crate) fn release_all(&mut self) {
        self.open.clear();
    }

    /// Ends all commands that run, and waits until their ends are told. They stay listed.
    pub(crate) async fn kill_all(&mut self, grace: Duration) {
        let all = self.open.values().map(|listed| listed.terminal.child.stop(grace));
        for stopped in futures_util::future::join_all(all).await {
            if let Err(stuck) = stopped {
                tracing::error!(session = %self.port.id, %stuck, "a terminal's command could not be ended");
            }
        }
        for listed in self.open.values() {
            let _stuck = tokio::time::timeout(GRACE, listed.terminal.clone().wait()).await;
        }
    }
}

impl Terminal {
    /// What it printed so far, and how it ended if it has.
    pub(crate) fn output(&self) -> TerminalOutputResponse {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let exit_status = self.exit.borrow().map(status);
        TerminalOutputResponse { output: output.kept().to_owned(), truncated: output.is_cut(), exit_status }
    }

    /// Waits until it has ended and all it printed is there.
    pub(crate) async fn wait(mut self) -> TerminalExitStatus {
        let exit = self.exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        status(exit.unwrap_or(Exit::Lost))
    }

    /// Ends its command and all that it started.
    pub(crate) async fn kill(self) -> Result<(), ErrorObject> {
        self.child.stop(GRACE).await.map_err(ErrorObject::internal)?;
        self.wait().await;
        Ok(())
    }
}

/// The words of the command. Some agents send a whole line for a shell as the program, with no arguments.
fn argv(asked: &CreateTerminalRequest, cwd: &Path, env: &[(OsString, OsString)]) -> Vec<String> {
    let for_shell = |c: char| c.is_whitespace() || "|&;<>()$`\"'*?[]{}~#\\!".contains(c);
    let is_line = asked.args.is_empty() && asked.command.contains(for_shell);
    if !is_line || cwd.join(&asked.command).is_file() {
        return std::iter::once(&asked.command).chain(&asked.args).cloned().collect();
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH");
    let bash = path.is_some_and(|(_, path)| which("bash", path).is_some());
    let shell = if bash { "bash" } else { "sh" };
    vec![shell.to_owned(), "-c".to_owned(), asked.command.clone()]
}

fn status(exit: Exit) -> TerminalExitStatus {
    match exit {
        Exit::Code(code) => TerminalExitStatus { exit_code: u32::try_from(code).ok(), signal: None },
        Exit::Signal(signal) => TerminalExitStatus { exit_code: None, signal: Some(name(signal)) },
        Exit::Lost => TerminalExitStatus { exit_code: None, signal: Some(name(libc::SIGKILL)) },
    }
}

fn name(signal: i32) -> String {
    let known = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        other => return other.to_string(),
    };
    known.to_owned()
}

/// Reads what a terminal prints until nothing of it is left, and tells the log.
async fn watch_over(
    terminal: Terminal,
    stdout: Option<pipe::Receiver>,
    mut log: Log,
    told: watch::Sender<Option<Exit>>,
) {
    if let Some(stdout) = stdout {
        read(&terminal, stdout, &mut log).await;
    }
    let exit = terminal.child.ended().await;
    log.exited(exit).await;
    told.send_replace(Some(exit));
}

async fn read(terminal: &Terminal, stdout: pipe::Receiver, log: &mut Log) {
    let mut decoder = Decoder::default();
    let ended = terminal.child.ended();
    let over = async {
        ended.await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::pin!(over);
    let mut due = None;
    loop {
        tokio::select! {
            biased;
            () = until(due) => {
                log.flush().await;
                due = None;
            }
            ready = stdout.readable() => {
                if ready.is_err() {
                    break;
                }
                let text = match take(&stdout, &mut decoder) {
                    Ok(Some(text)) => text,
                    Ok(None) => break,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(_) => break,
                };
                keep(terminal, &text);
                log.push(&text);
                if log.waiting.len() >= CHUNK {
                    log.flush().await;
                    due = None;
                } else if due.is_none() && !log.waiting.is_empty() {
                    due = Some(Instant::now() + WINDOW);
                }
            }
            () = &mut over => break,
        }
    }
    let text = decoder.finish();
    keep(terminal, &text);
    log.push(&text);
}

fn keep(terminal: &Terminal, text: &str) {
    terminal.output.lock().unwrap_or_else(PoisonError::into_inner).push(text);
}

/// What can be read now; `None` at the end. A function of its own, so that the buffer lies on the stack while it is
/// used and not in the task while it waits.
fn take(stdout: &pipe::Receiver, decoder: &mut Decoder) -> io::Result<Option<String>> {
    let mut bytes = [0; 16 * 1024];
    let n = stdout.try_read(&mut bytes)?;
    Ok((n > 0).then(|| decoder.push(&bytes[..n])))
}

/// Tells the log what a terminal prints: all of its beginning, and its end.
struct Log {
    port: SessionPort,
    /// The turn that runs it, until that is over.
    turn: Option<(TurnId, u32)>,
    terminal: String,
    /// How much of the beginning was told, or waits to be.
    begun: usize,
    waiting: String,
    end: Tail,
}

impl Log {
    fn push(&mut self, text: &str) {
        let room = LOGGED.saturating_sub(self.begun);
        let (now, later) = text.split_at(text.floor_char_boundary(room));
        self.begun += if later.is_empty() { now.len() } else { room };
        self.waiting.push_str(now);
        self.end.push(later);
    }

    async fn flush(&mut self) {
        let text = std::mem::take(&mut self.waiting);
        if !text.is_empty() {
            self.tell(TerminalOutput { terminal: self.terminal.clone(), text }).await;
        }
    }

    async fn exited(&mut self, exit: Exit) {
        self.flush().await;
        let end = std::mem::replace(&mut self.end, Tail::new(0));
        if end.is_cut() {
            self.waiting.push_str("\n[… some of the output is not kept here …]\n");
        }
        self.waiting.push_str(end.kept());
        self.flush().await;
        let (code, signal) = match exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
            Exit::Lost => (None, None),
        };
        self.tell(TerminalExited { terminal: self.terminal.clone(), code, signal }).await;
    }

    /// Appends a fact. What the store does not take is lost to the log, not to the agent: a command must not hang
    /// because a disk is full.
    async fn tell(&mut self, fact: impl Into<Fact>) {
        let facts = vec![fact.into()];
        if let Some((turn, attempt)) = self.turn {
            match self.port.run(Run::Report { turn, attempt, facts: facts.clone() }).await {
                Err(CommandError::Refused(Refused::Stale { .. })) => self.turn = None,
                told => return self.report(told),
            }
        }
        self.report(self.port.agent(facts).await);
    }

    fn report(&self, told: Result<(), CommandError>) {
        if let Err(error) = told {
            tracing::warn!(session = %self.port.id, terminal = self.terminal, %error, "a terminal's output was not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(command: &str, args: &[&str]) -> CreateTerminalRequest {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        CreateTerminalRequest { command: command.to_owned(), args, ..CreateTerminalRequest::default() }
    }

    #[test]
    fn a_line_for_a_shell_gets_one_and_a_program_does_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("my tool"), "").unwrap();
        let path = [("PATH".into(), "/usr/bin:/bin".into())];
        let words = |command, args: &[&str], env| argv(&asked(command, args), dir.path(), env).join("|");
        assert_eq!(words("ls", &[], &path), "ls");
        assert_eq!(words("ls", &["a b", "$HOME"], &path), "ls|a b|$HOME");
        assert_eq!(words("ls -la && pwd", &[], &path), "bash|-c|ls -la && pwd");
        assert_eq!(words("echo $HOME", &[], &[]), "sh|-c|echo $HOME");
        assert_eq!(words("my tool", &[], &path), "my tool");
        assert_eq!(words("my tool", &["-x"], &path), "my tool|-x");
    }

    #[test]
    fn an_end_is_told_as_the_protocol_has_it() {
        let told = |exit| serde_json::to_string(&status(exit)).unwrap();
        assert_eq!(told(Exit::Code(3)), r#"{"exitCode":3}"#);
        assert_eq!(told(Exit::Signal(15)), r#"{"signal":"SIGTERM"}"#);
        assert_eq!(told(Exit::Signal(40)), r#"{"signal":"40"}"#);
        assert_eq!(told(Exit::Lost), r#"{"signal":"SIGKILL"}"#);
    }
}
