//! What is sent and received, beside the types of `trunkline_core`.
//!
//! A reader here passes over members it does not know, so that a newer daemon can say more.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use trunkline_core::id::{MessageId, Seq, SessionId, TokenId, TurnId};
use trunkline_core::principal::{Principal, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::request::{Choice, Kind, OnTimeout, Priority};
use trunkline_core::time::Time;
use trunkline_core::turn::{Ended, WhenBusy};
use trunkline_core::view::{RequestStatus, SessionState};

pub use crate::audit::{AuditEntry, AuditPage, AuditQuery};
pub use crate::grants::{Covered, Grant, NewGrant, Preview};
pub use crate::handoffs::{HandoffQuery, NewHandoff, OldHandoff, OldLane, Restored};
pub use crate::mcp::{McpServerView, McpSessionServer, McpSessionServers, McpToolView};
pub use crate::messages::SentMessage;
pub use crate::operator::{Action, ActionRun};
pub use crate::profiles::{ProfileTested, ProfileView};

/// A place to go on from, as the daemon gave it: for the next page of a list, or the feed after it. It says nothing to
/// anybody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// Takes a cursor that was kept as text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to keep.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Cursor {
    /// The daemon may count its places in numbers; to a client that makes no difference.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Number(u64),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Text(text) => text,
            Either::Number(number) => number.to_string(),
        }))
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
    /// From here the feed goes on without a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Cursor>,
}

/// A list that comes whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Items<T> {
    /// What is in it.
    pub items: Vec<T>,
}

/// What the daemon says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// `healthy`.
    pub status: String,
    /// For how many seconds it has run.
    pub uptime: f64,
    /// `trunkline`.
    #[serde(default)]
    pub service: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Whether agents there are kept from what their user can do.
    #[serde(default)]
    pub confined: bool,
}

/// Who this client is to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// The name that stands in events.
    pub principal: Principal,
    /// What it may do.
    pub scope: Scope,
}

/// A session to be made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewSession {
    /// An agent of the catalog, or a name for `argv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// A command line that speaks ACP on its pipes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// What moves it: `acp`, or `external` for an agent that runs elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The directory it works in, absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// An object to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
}

impl NewSession {
    /// A session of an agent in the catalog.
    pub fn agent(name: impl Into<String>) -> Self {
        Self { agent: Some(name.into()), ..Self::default() }
    }

    /// A session of a command line that speaks ACP.
    #[must_use]
    pub fn command(argv: Vec<String>) -> Self {
        Self { argv: Some(argv), ..Self::default() }
    }

    /// The same in a directory.
    #[must_use]
    pub fn workspace(self, path: impl Into<String>) -> Self {
        Self { workspace: Some(path.into()), ..self }
    }

    /// The same with a title.
    #[must_use]
    pub fn title(self, title: Option<String>) -> Self {
        Self { title, ..self }
    }
}

/// What to change of a session; what is absent stays.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionChange {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// An object to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
}

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct SessionQuery {
    /// Those that do this.
    pub state: Option<SessionState>,
    /// Those of this agent.
    pub agent: Option<String>,
    /// Those in this directory.
    pub workspace: Option<String>,
    /// Those in this repository.
    pub project: Option<String>,
    /// How many on a page.
    pub limit: Option<usize>,
    /// Where the page starts.
    pub cursor: Option<Cursor>,
}

/// Which requests to list.
#[derive(Debug, Clone, Default)]
pub struct RequestQuery {
    /// Those that stand like this. Open ones come by urgency, then age; others newest first.
    pub status: Option<RequestStatus>,
    /// Those of this session.
    pub session: Option<SessionId>,
    /// Those in this repository.
    pub project: Option<String>,
    /// How many on a page.
    pub limit: Option<usize>,
    /// Where the page starts.
    pub cursor: Option<Cursor>,
}

/// A page of a session's events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventPage<T> {
    /// The events, in order.
    pub items: Vec<T>,
    /// The first event the daemon still has.
    pub first: Seq,
    /// The last event there is.
    pub head: Seq,
    /// Whether there are more behind this page.
    pub more: bool,
    /// Whether events between the cursor and this page are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

/// A prompt.
#[derive(Debug, Clone, Serialize)]
pub struct NewTurn {
    /// A text, or content blocks as in the Agent Client Protocol.
    pub prompt: Prompt,
    /// What to do while another turn runs.
    pub when_busy: WhenBusy,
    /// How long it may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What an agent is asked.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Prompt {
    /// In words.
    Text(String),
    /// As content blocks.
    Blocks(Vec<Raw>),
}

impl NewTurn {
    /// A prompt in words, refused while another turn runs.
    pub fn text(text: impl Into<String>) -> Self {
        Self { prompt: Prompt::Text(text.into()), when_busy: WhenBusy::Reject, timeout_ms: None }
    }

    /// The same, but it waits for its turn.
    #[must_use]
    pub fn queued(self) -> Self {
        Self { when_busy: WhenBusy::Queue, ..self }
    }
}

/// Where a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// It waits for another to end.
    Queued,
    /// It runs.
    Running,
    /// It runs and was asked to stop.
    Stopping,
    /// It is over.
    Ended,
    /// It was taken back before it ran.
    Unqueued,
}

/// A prompt was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnTaken {
    /// The turn.
    pub turn: TurnId,
    /// Whether it runs or waits.
    pub state: TurnState,
    /// Its session.
    pub session: SessionId,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnView {
    /// The turn.
    pub turn: TurnId,
    /// Its session.
    pub session: SessionId,
    /// Where it stands.
    pub state: TurnState,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A turn was asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The turn.
    pub turn: TurnId,
}

/// A prompt that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The turn it will be.
    pub turn: TurnId,
    /// Content blocks.
    pub prompt: Vec<Raw>,
    /// Who asked.
    pub by: Principal,
    /// When.
    pub at: Time,
}

/// A request to be opened.
#[derive(Debug, Clone, Serialize)]
pub struct NewRequest {
    /// What kind of answer it wants.
    pub kind: Kind,
    /// One line.
    pub title: String,
    /// The question in full.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub question: String,
    /// The answers offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// JSON Schema of a form's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Raw>,
    /// Whatever helps to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Raw>,
    /// How soon.
    pub priority: Priority,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// When it stops waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// What happens then.
    pub on_timeout: OnTimeout,
}

impl NewRequest {
    /// A question that waits as long as it takes.
    pub fn question(title: impl Into<String>) -> Self {
        Self {
            kind: Kind::Question,
            title: title.into(),
            question: String::new(),
            options: Vec::new(),
            schema: None,
            context: None,
            priority: Priority::default(),
            tags: None,
            deadline: None,
            on_timeout: OnTimeout::Wait,
        }
    }
}

/// A message in the inbox of an agent that runs elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message.
    pub id: MessageId,
    /// What it is: `request.closed` for an answer.
    pub kind: String,
    /// What it says.
    pub payload: Raw,
    /// Its place in the log.
    pub seq: Seq,
    /// When it was left.
    pub at: Time,
    /// When it was first fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Time>,
}

/// A client attached to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The connection.
    pub client: u64,
    /// Who.
    pub principal: Principal,
    /// What it calls itself.
    pub name: String,
    /// Since when.
    pub since: Time,
}

/// An agent one can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogEntry {
    /// What to call it by.
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub title: String,
    /// What moves it.
    pub driver: String,
    /// Its command line.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Where its program is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether it can be run here.
    pub found: bool,
    /// Why not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// A process of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningAgent {
    /// Its session.
    pub session: SessionId,
    /// Its name.
    pub agent: String,
    /// The process, once it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Which run of the agent it is in its session.
    pub incarnation: u64,
    /// The turn it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// A token in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id, which is no secret.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub scope: Scope,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Principal>,
    /// When it stops opening anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// The secret; told once, in the answer that makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A token to be made.
#[derive(Debug, Clone, Serialize)]
pub struct NewToken {
    /// What people call it; unique.
    pub name: String,
    /// What its holder may do.
    pub scope: Scope,
    /// For how many seconds; absent: until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
}

/// A pool of workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub title: String,
    /// What each worker runs.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Whether it takes no requests until it is resumed.
    #[serde(default)]
    pub drained: bool,
    /// Its workers.
    #[serde(default)]
    pub workers: Vec<PoolWorker>,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// A worker of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolWorker {
    /// Its number in the pool.
    pub worker: u64,
    /// `up`, or why not: `starting`, `waiting`, `open`, `half-open`, `gone`.
    pub state: String,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// In how many milliseconds it is started, where that is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u64,
    /// How many sessions are pinned to it.
    #[serde(default)]
    pub sessions: u64,
    /// How many answers it owes.
    #[serde(default)]
    pub in_flight: u64,
    /// How many of its lines were no JSON objects.
    #[serde(default)]
    pub garbage_lines: u64,
    /// The last lines on its stderr.
    #[serde(default)]
    pub stderr: String,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// A link that opens the page once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The link.
    pub url: String,
    /// The same by the address at which other machines find the daemon, if it knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
    /// The code in its fragment.
    pub code: String,
    /// When it stops working.
    pub expires: Time,
}

/// What a one-time link was exchanged for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanged {
    /// The secret, told this once.
    pub token: String,
    /// What the token is called in the list of tokens.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_text_or_a_number() {
        let page: Page<u8> = serde_json::from_str(r#"{"items":[1],"next":"a/b","at":17,"more":1}"#).unwrap();
        assert_eq!(page.next.unwrap().as_str(), "a/b");
        assert_eq!(page.at.unwrap().as_str(), "17");
    }

    #[test]
    fn a_prompt_is_text_or_blocks() {
        let json = |turn: &NewTurn| serde_json::to_string(turn).unwrap();
        let turn = NewTurn::text("hi");
        assert_eq!(json(&turn), r#"{"prompt":"hi","when_busy":"reject"}"#);
        let blocks = Prompt::Blocks(vec![Raw::parse(r#"{"type":"text","text":"hi"}"#).unwrap()]);
        let turn = NewTurn { prompt: blocks, timeout_ms: Some(5), ..turn.queued() };
        assert_eq!(
            json(&turn),
            r#"{"prompt":[{"type":"text","text":"hi"}],"when_busy":"queue","timeout_ms":5}"#
        );
    }

    #[test]
    fn what_a_newer_daemon_says_of_an_agent_is_kept() {
        let json = r#"{"name":"x","title":"X","driver":"acp","argv":["x"],"found":true,"icon":"i"}"#;
        let entry: CatalogEntry = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), json);
    }
}
