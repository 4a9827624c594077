//! Operator actions: runs what the user has named in advance, without a model and without a shell.
//!
//! A run belongs to nobody who watches: whoever asked for it may leave, and it goes on to its end or to its time limit. Its
//! beginning and its end are facts, so a daemon that dies in between leaves a run that its next life ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::unix::pipe;
use tokio::time::Instant;
use trunkline_core::id::{LogId, Seq};
use trunkline_core::operator::{Command, MAX_OUTPUT, Operator, Outcome, Run};
use trunkline_core::principal::Caller;

use crate::catalog::{Entry, environment};
use crate::cell::{CommandError, Done};
use crate::custody::{Child, Custody, Exit, Spawn, Stdin};
use crate::hub::Hub;
use crate::persist::persist;

/// How long an action may run if it does not say.
const TIMEOUT_S: u64 = 120;
/// How long an action that is out of time has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How long the rest of what an action has written may take to come once its processes are gone.
const DRAIN: Duration = Duration::from_secs(1);

/// An action, as the user has named it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its name for people.
    #[serde(default)]
    pub label: Option<String>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether it changes something.
    #[serde(default)]
    pub mutating: bool,
    /// Whether a person is asked once more; what is mutating is, if not said.
    #[serde(default)]
    pub confirm: Option<bool>,
    /// Whether several runs of it may be under way at a time.
    #[serde(default)]
    pub parallel: bool,
    /// Whether it is the one that is shown first.
    #[serde(default)]
    pub primary: bool,
    /// The action that runs before it, so that what it changes was looked at.
    #[serde(default)]
    pub before: Option<String>,
    /// How many seconds it may run.
    #[serde(default = "timeout")]
    pub timeout_s: u64,
    /// Where it runs; the user's home if not said.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// Variables to set.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables of the daemon's to pass on beside the usual ones.
    #[serde(default)]
    pub env_pass: Vec<String>,
}

const fn timeout() -> u64 {
    TIMEOUT_S
}

impl Action {
    /// Whether a person is asked once more.
    #[must_use]
    pub fn must_confirm(&self) -> bool {
        self.confirm.unwrap_or(self.mutating)
    }
}

/// Why an action did not run.
#[derive(Debug, thiserror::Error)]
pub enum NotRun {
    /// No action has this name.
    #[error("there is no action {0}")]
    Unknown(String),
    /// It was refused, or its beginning could not be written down.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// All actions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Actions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: BTreeMap<String, Action>,
    custody: Custody,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
}

impl Actions {
    /// Takes the actions of a configuration; they get what they may have of `env`, and run in `cwd` unless they say.
    ///
    /// # Errors
    /// The name of one that cannot be, and why.
    pub fn new(
        all: BTreeMap<String, Action>,
        custody: Custody,
        env: Vec<(OsString, OsString)>,
        cwd: PathBuf,
    ) -> Result<Self, (String, String)> {
        for (name, action) in &all {
            check(name, action, &all).map_err(|why| (name.clone(), why))?;
        }
        Ok(Self(Arc::new(Inner { all, custody, env, cwd })))
    }

    /// The actions, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Action)> {
        self.0.all.iter()
    }

    /// The action of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Action> {
        self.0.all.get(name)
    }

    /// Runs an action to its end, after the one that is to run before it. How that one ends does not matter: what is broken
    /// cannot always be looked at, and is to be mended all the same.
    ///
    /// # Errors
    /// It did not run. That it failed is no error, see [`Outcome`].
    pub async fn run(&self, hub: &Hub, caller: &Caller, name: &str) -> Result<Run, NotRun> {
        let action = self.get(name).ok_or_else(|| NotRun::Unknown(name.to_owned()))?;
        if let Some(before) = &action.before {
            self.run_one(hub, caller, before).await?;
        }
        self.run_one(hub, caller, name).await
    }

    async fn run_one(&self, hub: &Hub, caller: &Caller, name: &str) -> Result<Run, NotRun> {
        let action = self.get(name).ok_or_else(|| NotRun::Unknown(name.to_owned()))?.clone();
        let (argv, parallel) = (action.argv.clone(), action.parallel);
        let start = Command::Start { action: name.to_owned(), argv, parallel };
        let done = hub.operate(caller, start).await?;
        let run = done.events.first().map_or(Seq::ZERO, |event| event.seq);
        let (actions, hub_of_task, name) = (self.clone(), hub.clone(), name.to_owned());
        let task = hub.tasks().spawn(async move {
            let (began, daemon) = (Instant::now(), Caller::trunkline());
            let outcome = actions.execute(&name, &action, run).await;
            let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let outcome = Outcome { duration_ms, ..outcome };
            let end = || hub_of_task.operate(&daemon, Command::End(run, outcome.clone()));
            persist("the end of an action", end).await.map(drop)
        });
        task.await.map_err(|_| CommandError::Stopping)??;
        let over = move |operator: &Operator| operator.over.iter().find(|over| over.run == run).cloned();
        let over = hub.operator(over).await?;
        Ok(over.ok_or(CommandError::Stopping)?)
    }

    async fn execute(&self, name: &str, action: &Action, run: Seq) -> Outcome {
        let entry = Entry {
            env: action.env.clone(),
            env_pass: action.env_pass.clone(),
            ..Entry::plain(name, action.argv.clone())
        };
        let spawn = Spawn {
            resource: format!("action/{name}/{run}"),
            env: environment(&self.0.env, &entry),
            stdin: Stdin::Null,
            ..Spawn::new(&action.argv, action.cwd.as_ref().unwrap_or(&self.0.cwd))
        };
        match self.0.custody.spawn(spawn).await {
            Ok(child) => watch(child, Duration::from_secs(action.timeout_s)).await,
            Err(error) => Outcome::error(format!("it could not be started: {error}")),
        }
    }
}

impl Hub {
    /// Looks at the runs of actions.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn operator<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Operator) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        self.operators().view(&LogId::operator(), |operator, _| look(operator)).await
    }

    pub(crate) async fn operate(&self, caller: &Caller, command: Command) -> Result<Done, CommandError> {
        self.operators().command(&LogId::operator(), caller.clone(), command, None).await
    }
}

fn check(name: &str, action: &Action, all: &BTreeMap<String, Action>) -> Result<(), String> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(word) {
        return Err("its name must be 1 to 64 letters, digits, `-`, `_` or `.`".to_owned());
    }
    if action.argv.first().is_none_or(String::is_empty) {
        return Err("argv must name a program".to_owned());
    }
    if !(1..=86_400).contains(&action.timeout_s) {
        return Err("timeout_s must be 1 to 86400".to_owned());
    }
    match action.before.as_ref().map(|before| (before, all.get(before))) {
        Some((before, None)) => Err(format!("before: there is no action {before}")),
        Some((before, Some(first))) if first.before.is_some() || before == name => {
            Err(format!("before: {before} must be another action, which has none before it"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Waits for an action's end, and keeps the end of what it writes.
async fn watch(mut child: Child, timeout: Duration) -> Outcome {
    let mut tail = Tail::default();
    let stdout = child.stdout.take();
    let ended = {
        let reading = async {
            if let Some(stdout) = &stdout {
                // What cannot be read any more is at its end.
                let _end = read(stdout, &mut tail).await;
            }
        };
        let ending = tokio::time::timeout(timeout, child.ended());
        tokio::pin!(reading, ending);
        let mut is_read = false;
        loop {
            tokio::select! {
                () = &mut reading, if !is_read => is_read = true,
                ended = &mut ending => {
                    let ended = ended.ok();
                    if ended.is_none() {
                        // What is stuck stays with its keeper, and is told by the log.
                        let _stuck = child.stop(GRACE).await;
                    }
                    if !is_read {
                        let _somebody_outside_holds_it = tokio::time::timeout(DRAIN, &mut reading).await;
                    }
                    break ended;
                }
            }
        }
    };
    let outcome = Outcome {
        stdout: String::from_utf8_lossy(&tail.bytes).into_owned(),
        stderr: child.stderr_tail(),
        left_out: tail.left_out,
        ..Outcome::default()
    };
    match ended {
        Some(Exit::Code(code)) => Outcome { exit_code: Some(code), ..outcome },
        Some(Exit::Signal(signal)) => {
            Outcome { error: Some(format!("it was ended by signal {signal}")), ..outcome }
        }
        Some(Exit::Lost) => Outcome { error: Some("it was lost with its keeper".to_owned()), ..outcome },
        None => Outcome { error: Some(format!("timeout after {}s", timeout.as_secs())), ..outcome },
    }
}

/// The end of a stream.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    left_out: u64,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Not with each piece, or much output would be moved again and again.
        if self.bytes.len() > 2 * MAX_OUTPUT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let over = self.bytes.len().saturating_sub(MAX_OUTPUT);
        self.left_out += over as u64;
        self.bytes.drain(..over);
    }
}

async fn read(stdout: &pipe::Receiver, tail: &mut Tail) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        stdout.readable().await?;
        match stdout.try_read(&mut buffer) {
            Ok(0) => {
                tail.cut();
                return Ok(());
            }
            Ok(n) => tail.push(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(argv: &[&str]) -> Action {
        let argv: Vec<_> = argv.iter().map(|&word| word.to_owned()).collect();
        serde_json::from_value(serde_json::json!({ "argv": argv })).unwrap()
    }

    #[test]
    fn what_cannot_be_an_action_is_told() {
        let first = action(&["x"]);
        let after = |before: &str| Action { before: Some(before.to_owned()), ..action(&["x"]) };
        let all: BTreeMap<_, _> =
            [("first".to_owned(), first.clone()), ("second".to_owned(), after("first"))].into();
        let why = |name: &str, action: &Action| check(name, action, &all).err().unwrap_or_default();
        assert_eq!(why("ok", &first), "");
        assert_eq!(why("second", &after("first")), "");
        assert!(why("a b", &first).starts_with("its name"));
        assert!(why("a", &action(&[])).starts_with("argv"));
        assert!(why("a", &Action { timeout_s: 0, ..first }).starts_with("timeout_s"));
        assert!(why("a", &after("none")).contains("no action none"));
        assert!(why("a", &after("second")).contains("must be another action"));
    }

    #[test]
    fn what_changes_something_is_confirmed_unless_it_says_otherwise() {
        let with = |mutating, confirm| Action { mutating, confirm, ..action(&["x"]) }.must_confirm();
        assert_eq!(
            [with(true, None), with(false, None), with(true, Some(false)), with(false, Some(true))],
            [true, false, false, true]
        );
    }

    #[test]
    fn only_the_end_of_much_is_kept() {
        let mut tail = Tail::default();
        for _ in 0..5 {
            tail.push(&vec![b'x'; MAX_OUTPUT]);
        }
        tail.push(b"end");
        tail.cut();
        assert_eq!((tail.bytes.len(), tail.left_out), (MAX_OUTPUT, 4 * MAX_OUTPUT as u64 + 3));
        assert!(tail.bytes.ends_with(b"end"));
    }
}
