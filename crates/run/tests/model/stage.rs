//! A hub with one session, whose model answers from a script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use trunkline_core::event::{Event, Fact};
use trunkline_core::grant::{Added, Mode};
use trunkline_core::id::{GrantId, Seq, SessionId};
use trunkline_core::profile::{Profile, Provider};
use trunkline_core::request::Answer;
use trunkline_core::session::{Command, Created};
use trunkline_core::spending::DailyBudget;
use trunkline_core::turn::{WhenBusy, Why};
use trunkline_log::Log;
pub(crate) use trunkline_model_server::Script;
pub(crate) use trunkline_model_server::call;
use trunkline_model_server::{ModelServer, Recorded};
use trunkline_run::catalog::Catalog;
use trunkline_run::custody::{Custody, probe};
use trunkline_run::driver::Driver;
use trunkline_run::hub::Hub;
use trunkline_run::mcp::Mcp;
use trunkline_run::model::{MODEL, ModelDriver};
use trunkline_run::profiles::{OfFile, Profiles};
use trunkline_run::sandbox::Sandbox;
use trunkline_run::secrets::Secrets;
use trunkline_wire::model::Secret;
use uuid::Uuid;

use crate::world::{Reader, created, inbox, memory, owner, prompt};

#[expect(dead_code, reason = "the stages of agents use the rest")]
#[path = "../fixtures/played.rs"]
pub(crate) mod played;

use played::{KEEP, PATIENCE};

/// The providers, one for each wire.
pub(crate) const WIRES: [Provider; 4] =
    [Provider::Anthropic, Provider::Openai, Provider::OpenaiResponses, Provider::Gemini];

/// A key that must be nowhere but where it is to be.
pub(crate) const CANARY: &str = "canary-of-the-key";

pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) id: SessionId,
    pub(crate) reader: Reader,
    pub(crate) server: ModelServer,
    pub(crate) custody: Custody,
    pub(crate) disk: Arc<dyn Log>,
    dir: TempDir,
    driver: Arc<dyn Driver>,
    mcp: Mcp,
    life: u64,
    seen: Seq,
}

/// A script that answers in this order, each once.
pub(crate) fn answers(answers: &[Value]) -> Script {
    Script::in_order(answers).unwrap()
}

/// The profile of a scripted provider.
pub(crate) fn profile(provider: Provider, server: &ModelServer) -> Profile {
    let base = match provider {
        Provider::Openai | Provider::OpenaiResponses | Provider::Custom => format!("{}/v1", server.url()),
        _ => server.url(),
    };
    Profile { base_url: Some(base), ..Profile::new(provider, format!("{}-model", provider.name())) }
}

impl Stage {
    pub(crate) async fn new(provider: Provider, script: Script) -> Self {
        Self::with(provider, script, |_| {}).await
    }

    pub(crate) async fn with(provider: Provider, script: Script, change: impl FnOnce(&mut Profile)) -> Self {
        Self::limited(provider, script, change, None).await
    }

    /// One whose profiles together may use so much on a day.
    pub(crate) async fn limited(
        provider: Provider,
        script: Script,
        change: impl FnOnce(&mut Profile),
        daily: Option<DailyBudget>,
    ) -> Self {
        let server = ModelServer::start(script).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("daemon");
        std::fs::create_dir(&home).unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        let mut first = profile(provider, &server);
        change(&mut first);
        let other = Profile { model: "other-model".to_owned(), ..first.clone() };
        let of = |profile| OfFile { profile, api_key: Some(Secret::new(CANARY)), headers: Vec::new() };
        let file = BTreeMap::from([("default".to_owned(), of(first)), ("other".to_owned(), of(other))]);
        let secrets = Secrets::open(&home).unwrap();
        let profiles = Profiles::new(file, &[], secrets.clone()).with_daily_budget(daily);
        let sandbox = Sandbox { found: probe(Path::new(KEEP)), home, ..Sandbox::default() };
        let custody = Custody::confining(played::custody(), sandbox);
        let env = vec![
            ("PATH".into(), played::PATH.into()),
            ("ANTHROPIC_API_KEY".into(), CANARY.into()),
            ("TRUNKLINE_HOME".into(), "/secret".into()),
        ];
        let catalog = Arc::new(Catalog::new(BTreeMap::new(), played::PATH).unwrap());
        let mcp = Mcp::new(BTreeMap::new(), env.clone(), secrets);
        let driver = ModelDriver::new(custody.clone(), catalog, profiles, mcp.clone(), env);
        let (disk, driver): (_, Arc<dyn Driver>) = (memory(), Arc::new(driver));
        let hub = played::hub_with(&disk, MODEL, &driver, 1, mcp.clone()).await;
        let (id, reader) = session(&hub, &dir.path().join("work")).await;
        Self { hub, id, reader, server, custody, disk, dir, driver, mcp, life: 1, seen: Seq::ZERO }
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.dir.path().join("work").canonicalize().unwrap()
    }

    /// Another session of the same agent.
    pub(crate) async fn another(&self) -> (SessionId, Reader) {
        session(&self.hub, &self.workspace()).await
    }

    pub(crate) async fn prompt(&self, text: &str) {
        self.command(prompt(text, WhenBusy::Reject)).await;
    }

    pub(crate) async fn command(&self, command: Command) {
        self.hub.command(&owner(), self.id, command, None).await.unwrap();
    }

    pub(crate) async fn mode(&self, mode: Mode) {
        let added = Added { unconfined: true, ..Added::mode(GrantId::new(Uuid::now_v7()), mode) };
        self.command(Command::Grant(added)).await;
    }

    pub(crate) async fn cancel(&self) {
        self.command(Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 60_000 }).await;
    }

    /// Answers the one request that is open, and gives it.
    pub(crate) async fn answer(&self, option: &str, text: Option<&str>) -> Value {
        let asked = inbox(&self.hub).await;
        assert_eq!(asked.len(), 1);
        let answer = Answer {
            option: Some(option.to_owned()),
            text: text.map(str::to_owned),
            confirm: true,
            ..Answer::default()
        };
        self.hub.answer(&owner(), &asked[0], answer, None).await.unwrap();
        serde_json::to_value(&asked[0]).unwrap()
    }

    pub(crate) async fn until(&mut self, tag: &str) -> Vec<Event> {
        let events = played::until(&mut self.reader, tag).await;
        self.seen = events.last().map_or(self.seen, |event| event.seq);
        events
    }

    /// Waits until a person is asked whom no grant answers for.
    pub(crate) async fn until_asked(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            events.extend(self.until("request.opened").await);
            if !inbox(&self.hub).await.is_empty() {
                return events;
            }
        }
    }

    /// Takes a turn.
    pub(crate) async fn turn(&mut self, text: &str) -> Vec<Event> {
        self.prompt(text).await;
        self.until("turn.ended").await
    }

    /// Takes a turn that ends well, and gives what the model said.
    pub(crate) async fn hears(&mut self, text: &str) -> String {
        let events = self.turn(text).await;
        assert_eq!(
            played::end(&events).stop_reason,
            trunkline_core::turn::StopReason::EndTurn,
            "{:?}",
            played::end(&events)
        );
        words(&events)
    }

    /// What the model was asked so far.
    pub(crate) fn asked(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    pub(crate) async fn restart(&mut self) {
        self.restart_as(self.life + 1).await;
    }

    /// The same in a later life. Each begins a thousand seconds after the one before.
    pub(crate) async fn restart_as(&mut self, life: u64) {
        self.hub.shutdown().await;
        self.life = life;
        self.hub = played::hub_with(&self.disk, MODEL, &self.driver, self.life, self.mcp.clone()).await;
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

    pub(crate) async fn finish(self) {
        self.command(Command::Close).await;
        self.empty().await;
        self.hub.shutdown().await;
    }
}

async fn session(hub: &Hub, workspace: &Path) -> (SessionId, Reader) {
    let workspace = workspace.to_str().unwrap().to_owned();
    let made = Created { workspace: Some(workspace), agent: MODEL.to_owned(), ..created(MODEL) };
    let (id, _) = hub.create(&owner(), made, None).await.unwrap();
    (id, Reader::attach(hub, id, Seq::ZERO).await)
}

/// All updates of a kind.
pub(crate) fn updates(events: &[Event], kind: &str) -> Vec<Value> {
    let update = |event: &Event| match &event.fact {
        Fact::TurnUpdate(update) => update.update.read::<Value>().ok(),
        _ => None,
    };
    events.iter().filter_map(update).filter(|update| update["sessionUpdate"] == kind).collect()
}

/// What the model said.
pub(crate) fn words(events: &[Event]) -> String {
    let chunks = updates(events, "agent_message_chunk");
    chunks.iter().filter_map(|chunk| chunk["content"]["text"].as_str()).collect()
}

/// The note of this code.
pub(crate) fn note(events: &[Event], code: &str) -> Value {
    let note = events.iter().find_map(|event| match &event.fact {
        Fact::TurnNote(note) if note.code == code => Some(note),
        _ => None,
    });
    let note = note.unwrap_or_else(|| panic!("there is no note {code}: {:?}", played::notes(events)));
    note.data.as_ref().map_or(Value::Null, |data| data.read().unwrap())
}

/// How the calls of a turn ended: tool, status, text.
pub(crate) fn calls(events: &[Event]) -> Vec<(String, String, String)> {
    let over =
        updates(events, "tool_call_update").into_iter().filter(|update| update.get("rawOutput").is_some());
    let calls = updates(events, "tool_call");
    over.map(|over| {
        let call = calls.iter().find(|call| call["toolCallId"] == over["toolCallId"]).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let output = over["rawOutput"].as_object().unwrap().values().next().unwrap();
        (text(&call["_meta"]["trunkline"]["tool"]), text(&over["status"]), text(output))
    })
    .collect()
}
