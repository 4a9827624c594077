//! What lists and pages show of sessions and requests. A view is a row's body, served as it is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{RequestId, SessionId, TurnId};
use crate::outside::{Born, Status};
use crate::principal::Principal;
use crate::raw::Raw;
use crate::request::{Choice, Closed, Kind, OnTimeout, Open, Outcome, Priority};
use crate::risk::Risk;
use crate::session::Session;
use crate::time::Time;
use crate::turn::StopReason;

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Ready for a prompt.
    Idle,
    /// A turn runs.
    Running,
    /// Somebody has to answer a request.
    Waiting,
    /// A turn runs and was asked to stop.
    Stopping,
    /// The last turn failed.
    Failed,
    /// It takes no more work.
    Closed,
}

impl SessionState {
    /// The word in lists and filters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// What it is doing.
    pub state: SessionState,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The agent's name.
    pub agent: String,
    /// What moves it.
    pub driver: String,
    /// The directory the agent works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The root of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whatever its maker wanted to find again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: Principal,
    /// When something last moved it.
    pub updated_at: Time,
    /// The turn that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// How many prompts wait.
    pub queued: usize,
    /// How many requests wait for a person.
    pub pending: usize,
    /// How many turns have ended.
    pub turns: u64,
    /// How many tokens they have read, as far as that was told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_tokens: u64,
    /// How many tokens they have written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output_tokens: u64,
    /// How many messages an agent of our own remembers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub remembered: u64,
    /// What it asks about at all, for turns of people, where somebody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<crate::grant::Mode>,
    /// The model, by the agent's name for it, that it is set to or is about to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_stop_reason: Option<StopReason>,
    /// What went wrong in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How it came to be, where a client of another protocol made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<Born>,
    /// What an agent that runs elsewhere says that it is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Status>,
    /// When that agent last did something that the log tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Time>,
    /// Whether nobody has heard of it for two minutes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unseen: bool,
    /// Whether it has taken the last answer it was given, and waits for no other.
    #[serde(default, skip_serializing_if = "is_false")]
    pub answer_taken: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes every field so")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes every field so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Somebody is asked.
    Open,
    /// Set aside; it can still be answered.
    Dismissed,
    /// A person answered.
    Answered,
    /// Its time ran out.
    Expired,
    /// It was taken back.
    Cancelled,
    /// It was asked again in another form.
    Superseded,
}

impl RequestStatus {
    /// The word in lists and filters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Dismissed => "dismissed",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

impl From<Outcome> for RequestStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answered => Self::Answered,
            Outcome::Expired => Self::Expired,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Superseded => Self::Superseded,
        }
    }
}

/// A request in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestView {
    /// The request.
    pub id: RequestId,
    /// The session it belongs to.
    pub session: SessionId,
    /// The agent that asks.
    pub agent: String,
    /// The directory that agent works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The root of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The turn that waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// Where it stands.
    pub status: RequestStatus,
    /// What kind of answer it wants.
    pub kind: Kind,
    /// One line.
    pub title: String,
    /// The question in full.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question: String,
    /// The answers offered.
    #[serde(default)]
    pub options: Vec<Choice>,
    /// The tool call a permission is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call: Option<Raw>,
    /// The tool's name, by which a grant would cover it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// JSON Schema of a form's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Raw>,
    /// Whatever helps to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Raw>,
    /// How much harm what is asked can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// The rule by which a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the agent said last before it asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// How soon.
    pub priority: Priority,
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// When it was asked.
    pub created_at: Time,
    /// Who asked.
    pub created_by: Principal,
    /// When it stops waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// What happens then.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// Its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// How its session came to be, where a client of another protocol made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<Born>,
}

impl Session {
    /// What the session is doing.
    #[must_use]
    pub fn state(&self) -> SessionState {
        let failed = self.turns.last.as_ref().is_some_and(|(_, end)| end.stop_reason == StopReason::Error);
        let asks = self.requests.pending().next().is_some();
        match &self.turns.running {
            _ if self.closed.is_some() => SessionState::Closed,
            Some(running) if running.stopping.is_some() => SessionState::Stopping,
            Some(_) | None if asks => SessionState::Waiting,
            Some(_) => SessionState::Running,
            None if failed => SessionState::Failed,
            None => match self.outside.status {
                Some(Status::Working) => SessionState::Running,
                Some(Status::Waiting) => SessionState::Waiting,
                Some(Status::Error) => SessionState::Failed,
                Some(Status::Done) | None => SessionState::Idle,
            },
        }
    }

    /// The session as lists show it; `None` before it is created.
    #[must_use]
    pub fn view(&self) -> Option<SessionView> {
        let (created, by, at) = self.created.as_ref()?;
        let last = self.turns.last.as_ref().map(|(_, ended)| ended);
        Some(SessionView {
            id: created.id,
            state: self.state(),
            title: self.title.clone(),
            agent: created.agent.clone(),
            driver: created.driver.clone(),
            workspace: created.workspace.clone(),
            project: created.project.clone(),
            metadata: self.metadata.clone(),
            created_at: *at,
            created_by: by.clone(),
            updated_at: self.updated,
            turn: self.turns.running.as_ref().map(|running| running.turn),
            queued: self.turns.queue.len(),
            pending: self.requests.pending().count(),
            turns: self.turns.count,
            input_tokens: self.turns.tokens.0,
            output_tokens: self.turns.tokens.1,
            remembered: self.agent.remembered,
            mode: self.grants.mode(),
            model: self.settings.model_of(&self.agent),
            last_stop_reason: last.map(|ended| ended.stop_reason),
            last_error: last.and_then(|ended| ended.error.clone()),
            born: created.born.clone(),
            reported: self.outside.status,
            seen_at: self.outside.seen,
            unseen: self.outside.unseen,
            answer_taken: self.answer_taken(),
        })
    }

    /// A request of this session as lists show it.
    pub(crate) fn request_view(&self, open: &Open, closed: Option<&Closed>) -> Option<RequestView> {
        let (created, ..) = self.created.as_ref()?;
        let status = match (closed, &open.dismissed) {
            (Some(closed), _) => closed.outcome.into(),
            (None, Some(_)) => RequestStatus::Dismissed,
            (None, None) => RequestStatus::Open,
        };
        let asked = open.asked.clone();
        let judged = open.judged.as_ref();
        Some(RequestView {
            id: asked.id,
            session: created.id,
            agent: created.agent.clone(),
            workspace: created.workspace.clone(),
            project: created.project.clone(),
            turn: open.turn,
            status,
            kind: asked.kind,
            title: asked.title,
            question: asked.question,
            options: asked.options,
            tool_call: asked.tool_call,
            tool: asked.tool,
            schema: asked.schema,
            context: asked.context,
            risk: judged.map(|judged| judged.risk.clone()),
            rule: judged.and_then(|judged| judged.rule.clone()),
            said: judged.and_then(|judged| judged.said.clone()),
            priority: asked.priority,
            tags: asked.tags,
            created_at: open.at,
            created_by: open.by.clone(),
            deadline: asked.deadline,
            on_timeout: asked.on_timeout,
            closed: closed.cloned(),
            born: created.born.clone(),
        })
    }
}
