//! A hub with one session whose agent is scripted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Node, Seq, SessionId};
use trunkline_core::request::Answer;
use trunkline_core::session::{Command, Created};
use trunkline_core::time::Time;
use trunkline_core::turn::{Ended, StopReason, WhenBusy, Why};
use trunkline_log::Log;
use trunkline_run::acp::AcpDriver;
use trunkline_run::catalog::{Catalog, Custom};
use trunkline_run::clock::Clock;
use trunkline_run::custody::{Custody, CustodyOptions, probe};
use trunkline_run::driver::Driver;
use trunkline_run::hub::{Hub, Options};
use trunkline_run::sandbox::Sandbox;

use crate::oracle;
use crate::world::{Reader, created, inbox, memory, owner, prompt};

/// How long anything may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program that has `keep`.
const KEEP: &str = env!("CARGO_BIN_EXE_keep-fixture");

/// As the daemon confines agents, with this home.
fn sandbox(home: PathBuf) -> Sandbox {
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("token"), "secret").unwrap();
    Sandbox { found: probe(Path::new(KEEP)), home, ..Sandbox::default() }
}

/// How the stage is set.
pub(crate) struct Set {
    /// Python that the agent runs before anything else.
    pub(crate) setup: &'static str,
    /// The command line instead of the scripted agent's.
    pub(crate) argv: Option<Vec<String>>,
    /// How long the agent may say nothing while it starts.
    pub(crate) start: Duration,
    /// What the catalog says of it.
    pub(crate) custom: Custom,
    /// Its name there.
    pub(crate) agent: &'static str,
    /// Where programs are.
    pub(crate) path: String,
    /// Where everything is kept.
    pub(crate) dir: TempDir,
    /// Whether it is shut in, where this machine can do that.
    pub(crate) confined: bool,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            setup: "",
            argv: None,
            start: PATIENCE,
            custom: Custom::default(),
            agent: "actor",
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            dir: tempfile::tempdir().unwrap(),
            confined: false,
        }
    }
}

pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) id: SessionId,
    pub(crate) reader: Reader,
    pub(crate) custody: Arc<Custody>,
    dir: TempDir,
    disk: Arc<dyn Log>,
    driver: Arc<dyn Driver>,
    life: u64,
    seen: Seq,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Set::default()).await
    }

    pub(crate) async fn set(setup: &'static str) -> Self {
        Self::with(Set { setup, ..Set::default() }).await
    }

    pub(crate) async fn with(Set { setup, argv, start, custom, agent, path, dir, confined }: Set) -> Self {
        std::fs::create_dir(dir.path().join("work")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/acp/agents/agent.py");
        let record = dir.path().join("record");
        let scripted = || ["python3", script, record.to_str().unwrap(), setup].map(str::to_owned).to_vec();
        let custom = Custom { argv: Some(argv.unwrap_or_else(scripted)), ..custom };
        let catalog = Arc::new(Catalog::new([(agent.to_owned(), custom)].into(), &path).unwrap());
        let options =
            CustodyOptions { keep_program: KEEP.into(), grace: Duration::from_millis(100), subreaper: None };
        let custody = if confined {
            Custody::confining(options, sandbox(dir.path().join("daemon")))
        } else {
            Custody::new(options)
        };
        let custody = Arc::new(custody);
        let env = vec![("PATH".into(), path.into()), ("TRUNKLINE_HOME".into(), "/secret".into())];
        let driver = AcpDriver::new(Arc::clone(&custody), catalog, env).with_start_timeout(start);
        let (disk, driver): (_, Arc<dyn Driver>) = (memory(), Arc::new(driver));
        let hub = hub(&disk, &driver, 1).await;
        let workspace = dir.path().join("work").to_str().unwrap().to_owned();
        let made = Created { workspace: Some(workspace), agent: agent.to_owned(), ..created("acp") };
        let (id, _) = hub.create(&owner(), made, None).await.unwrap();
        let reader = Reader::attach(&hub, id, Seq::ZERO).await;
        Self { hub, id, reader, custody, dir, disk, driver, life: 1, seen: Seq::ZERO }
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.dir.path().join("record")
    }

    /// Sends a prompt.
    pub(crate) async fn prompt(&self, text: &str) {
        self.command(prompt(text, WhenBusy::Reject)).await;
    }

    pub(crate) async fn command(&self, command: Command) {
        self.hub.command(&owner(), self.id, command, None).await.unwrap();
    }

    pub(crate) async fn cancel(&self) {
        self.cancel_within(60_000).await;
    }

    pub(crate) async fn cancel_within(&self, grace_ms: u64) {
        self.command(Command::Stop { turn: None, why: Why::Cancelled, grace_ms }).await;
    }

    /// Answers the one request that is open.
    pub(crate) async fn answer(&self, option: &str) {
        let asked = inbox(&self.hub).await;
        assert_eq!(asked.len(), 1);
        let answer = Answer { option: Some(option.to_owned()), ..Answer::default() };
        self.hub.answer(&owner(), &asked[0], answer, None).await.unwrap();
    }

    /// All events up to one of this type.
    pub(crate) async fn until(&mut self, tag: &str) -> Vec<Event> {
        let events = tokio::time::timeout(PATIENCE, self.reader.until(tag)).await.expect("it comes");
        self.seen = events.last().map_or(self.seen, |event| event.seq);
        events
    }

    /// Takes a turn.
    pub(crate) async fn turn(&mut self, text: &str) -> Vec<Event> {
        self.prompt(text).await;
        self.until("turn.ended").await
    }

    /// Takes a turn that ends well, and gives what the agent said.
    pub(crate) async fn hears(&mut self, text: &str) -> String {
        let events = self.turn(text).await;
        let end = end(&events);
        assert_eq!(end.stop_reason, StopReason::EndTurn, "{end:?}");
        said(&events)
    }

    /// The daemon stops in good order, and starts again.
    pub(crate) async fn restart(&mut self) {
        self.hub.shutdown().await;
        self.life += 1;
        self.hub = hub(&self.disk, &self.driver, self.life).await;
        self.reader = Reader::attach(&self.hub, self.id, self.seen).await;
    }

    /// Waits until no process is left.
    pub(crate) async fn empty(&self) {
        let empty = async {
            while !self.custody.scan().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, empty).await.expect("every process ends");
    }

    /// Closes the session, and sees that nothing is left and nothing was said wrong. Gives the methods that we called.
    pub(crate) async fn finish(self) -> Vec<String> {
        self.command(Command::Close).await;
        self.empty().await;
        self.hub.shutdown().await;
        oracle::check(&self.record())
    }
}

async fn hub(disk: &Arc<dyn Log>, driver: &Arc<dyn Driver>, incarnation: u64) -> Hub {
    let drivers = HashMap::from([("acp".to_owned(), Arc::clone(driver))]);
    let node = Node { name: "here".to_owned(), incarnation };
    let clock = Clock::at(Time(1_000_000 * i64::try_from(incarnation).unwrap()));
    Hub::start(Options { disk: Arc::clone(disk), live: memory(), clock, node, drivers }).await.unwrap()
}

/// The end of the turn.
pub(crate) fn end(events: &[Event]) -> &Ended {
    let ended = events.iter().rev().find_map(|event| match &event.fact {
        Fact::TurnEnded(ended) => Some(ended),
        _ => None,
    });
    ended.expect("the turn ended")
}

/// Why the turn failed.
pub(crate) fn error(events: &[Event]) -> &str {
    let end = end(events);
    assert_eq!(end.stop_reason, StopReason::Error, "{end:?}");
    end.error.as_deref().unwrap()
}

/// What the agent said.
pub(crate) fn said(events: &[Event]) -> String {
    let text = |event: &Event| match &event.fact {
        Fact::TurnUpdate(update) => {
            let update: Value = update.update.read().unwrap();
            update["content"]["text"].as_str().map(str::to_owned)
        }
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// The codes of the notes.
pub(crate) fn notes(events: &[Event]) -> Vec<&str> {
    fn code(event: &Event) -> Option<&str> {
        match &event.fact {
            Fact::TurnNote(note) => Some(&note.code),
            _ => None,
        }
    }
    events.iter().filter_map(code).collect()
}

/// Whether a process has ended. A dead one that nobody has reaped yet is gone.
pub(crate) fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|fields| fields.is_empty() || fields.trim_start().starts_with(['Z', 'X']))
}
