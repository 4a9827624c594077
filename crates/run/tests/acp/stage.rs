//! A hub with one session whose agent is scripted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::request::Answer;
use trunkline_core::session::{Command, Created};
use trunkline_core::turn::{WhenBusy, Why};
use trunkline_log::Log;
use trunkline_run::acp::AcpDriver;
use trunkline_run::catalog::{Catalog, Custom};
use trunkline_run::custody::{Custody, probe};
use trunkline_run::driver::Driver;
use trunkline_run::hub::Hub;
use trunkline_run::sandbox::Sandbox;

use crate::oracle;
use crate::world::{Reader, created, inbox, memory, owner, prompt};

#[path = "../fixtures/played.rs"]
pub(crate) mod played;

use played::{KEEP, PATIENCE};

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
            path: played::PATH.to_owned(),
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
        let custody = if confined {
            Custody::confining(played::custody(), sandbox(dir.path().join("daemon")))
        } else {
            Custody::new(played::custody())
        };
        let custody = Arc::new(custody);
        let env = vec![("PATH".into(), path.into()), ("TRUNKLINE_HOME".into(), "/secret".into())];
        let driver = AcpDriver::new(Arc::clone(&custody), catalog, env).with_start_timeout(start);
        let (disk, driver): (_, Arc<dyn Driver>) = (memory(), Arc::new(driver));
        let hub = played::hub(&disk, "acp", &driver, 1).await;
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
        let events = played::until(&mut self.reader, tag).await;
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
        played::said_well(&self.turn(text).await)
    }

    /// The daemon stops in good order, and starts again.
    pub(crate) async fn restart(&mut self) {
        self.hub.shutdown().await;
        self.life += 1;
        self.hub = played::hub(&self.disk, "acp", &self.driver, self.life).await;
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

/// Whether a process has ended. A dead one that nobody has reaped yet is gone.
pub(crate) fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|fields| fields.is_empty() || fields.trim_start().starts_with(['Z', 'X']))
}
