//! What happens in the log of a handoff.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    ACTIVE, CheckpointId, HandoffId, LaneId, MAX_AGENT, MAX_FIELD, MAX_REPO, MAX_SNAPSHOT, MAX_STATUS,
    MAX_SUMMARY, MAX_TEXT, Stamp,
};
use crate::id::SessionId;
use crate::raw::Raw;
use crate::refused::Refused;
use crate::text::check_size;

/// A handoff exists from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HandoffSaved")]
pub struct Saved {
    /// Its id.
    pub id: HandoffId,
    /// The agent whose work it is, by name.
    pub agent_id: String,
    /// The repository, normally the path of its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// How it stands, in the agent's own word: `active`, `paused`, `completed`.
    #[serde(default = "active")]
    pub status: String,
    /// What is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_summary: Option<String>,
    /// What was decided; normally a list of texts.
    #[serde(default = "list", deserialize_with = "raw")]
    pub decisions: Raw,
    /// Which files were touched; normally a list of paths.
    #[serde(default = "list", deserialize_with = "raw")]
    pub files_touched: Raw,
    /// What is left to do; normally a list of texts.
    #[serde(default = "list", deserialize_with = "raw")]
    pub todos: Raw,
    /// Whatever else the agent wants to find again.
    #[serde(default = "object", deserialize_with = "raw")]
    pub metadata: Raw,
    /// The session it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The protocol of the client that saved it, where that was none of ours: `engram`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// Whether the daemon keeps it by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub automatic: bool,
    /// When it was saved.
    pub created: Stamp,
    /// When it was last changed. Lanes and checkpoints do not change it.
    pub updated: Stamp,
}

/// Some fields of a handoff are others now. What is absent stays; `null` is a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HandoffUpdated")]
pub struct Updated {
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What is being done.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub task_summary: Option<Option<String>>,
    /// The repository.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub repo: Option<Option<String>>,
    /// What was decided, whole.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Raw>,
    /// Which files were touched, whole.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub files_touched: Option<Raw>,
    /// What is left to do, whole.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub todos: Option<Raw>,
    /// Whatever else, whole.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
    /// When. The daemon says it.
    #[serde(default)]
    pub updated: Stamp,
}

/// Agents may write to each other in a lane from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneOpened {
    /// Its id.
    pub id: LaneId,
    /// The agent that opened it.
    pub from_agent: String,
    /// The agent it leads to.
    pub to_agent: String,
    /// What that agent should know.
    #[serde(default = "object", deserialize_with = "raw")]
    pub context: Raw,
    /// When.
    pub created: Stamp,
}

/// One of the two agents of a lane wrote something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneSaid {
    /// The lane.
    pub lane: LaneId,
    /// Which of the two.
    pub from_agent: String,
    /// What.
    pub text: String,
    /// When.
    pub created: Stamp,
}

/// Nothing more is written in a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneClosed {
    /// The lane.
    pub id: LaneId,
    /// When.
    pub updated: Stamp,
}

/// A checkpoint was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointCreated {
    /// Its id.
    pub id: CheckpointId,
    /// The lane it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneId>,
    /// The agent that made it.
    pub agent_id: String,
    /// Whatever is needed to go on from here.
    #[serde(deserialize_with = "raw")]
    pub snapshot: Raw,
    /// The session it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Whether the daemon made it at the end of a turn. The next of that session takes its place.
    #[serde(default, skip_serializing_if = "is_false")]
    pub automatic: bool,
    /// When.
    pub created: Stamp,
    /// The checkpoints that are gone for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<CheckpointId>,
}

/// A checkpoint of a turn that has ended is kept, in a handoff. Stands in the session's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnCheckpointed {
    /// The handoff; absent when none could be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<HandoffId>,
    /// Why there is none, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn active() -> String {
    ACTIVE.to_owned()
}

fn list() -> Raw {
    Raw::parse("[]").expect("it is JSON")
}

fn object() -> Raw {
    Raw::parse("{}").expect("it is JSON")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes every field so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Reads a value that may be `null`, which is not the same as absent.
fn raw<'de, D: Deserializer<'de>>(d: D) -> Result<Raw, D::Error> {
    Raw::deserialize(d)
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

impl Saved {
    /// A handoff of an agent, with nothing in it yet.
    #[must_use]
    pub fn of(id: HandoffId, agent_id: impl Into<String>) -> Self {
        Self {
            id,
            agent_id: agent_id.into(),
            repo: None,
            status: active(),
            task_summary: None,
            decisions: list(),
            files_touched: list(),
            todos: list(),
            metadata: object(),
            session: None,
            born: None,
            automatic: false,
            created: Stamp(0),
            updated: Stamp(0),
        }
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        check_size("agent_id", self.agent_id.len(), MAX_AGENT)?;
        check_size("born", self.born.as_ref().map_or(0, String::len), MAX_STATUS)?;
        check_fields(
            Some(&self.status),
            self.task_summary.as_ref(),
            self.repo.as_ref(),
            [&self.decisions, &self.files_touched, &self.todos, &self.metadata].map(Some),
        )
    }
}

impl Updated {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { status, task_summary, repo, decisions, files_touched, todos, metadata, updated: _ } = self;
        status.is_none()
            && task_summary.is_none()
            && repo.is_none()
            && [decisions, files_touched, todos, metadata].iter().all(|raw| raw.is_none())
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        check_fields(
            self.status.as_ref(),
            self.task_summary.as_ref().and_then(Option::as_ref),
            self.repo.as_ref().and_then(Option::as_ref),
            [&self.decisions, &self.files_touched, &self.todos, &self.metadata].map(Option::as_ref),
        )
    }

    pub(super) fn apply_to(&self, saved: &mut Saved) {
        fn set<T: Clone>(field: &mut T, new: Option<&T>) {
            if let Some(new) = new {
                field.clone_from(new);
            }
        }
        set(&mut saved.status, self.status.as_ref());
        set(&mut saved.task_summary, self.task_summary.as_ref());
        set(&mut saved.repo, self.repo.as_ref());
        set(&mut saved.decisions, self.decisions.as_ref());
        set(&mut saved.files_touched, self.files_touched.as_ref());
        set(&mut saved.todos, self.todos.as_ref());
        set(&mut saved.metadata, self.metadata.as_ref());
        saved.updated = self.updated;
    }
}

fn check_fields(
    status: Option<&String>,
    summary: Option<&String>,
    repo: Option<&String>,
    [decisions, files, todos, metadata]: [Option<&Raw>; 4],
) -> Result<(), Refused> {
    for (field, text, max) in
        [("status", status, MAX_STATUS), ("task_summary", summary, MAX_SUMMARY), ("repo", repo, MAX_REPO)]
    {
        check_size(field, text.map_or(0, String::len), max)?;
    }
    for (field, raw) in
        [("decisions", decisions), ("files_touched", files), ("todos", todos), ("metadata", metadata)]
    {
        check_size(field, raw.map_or(0, |raw| raw.get().len()), MAX_FIELD)?;
    }
    Ok(())
}

impl LaneOpened {
    pub(super) fn bytes(&self) -> usize {
        self.context.get().len()
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        check_size("from_agent", self.from_agent.len(), MAX_AGENT)?;
        check_size("to_agent", self.to_agent.len(), MAX_AGENT)?;
        check_size("context", self.bytes(), MAX_FIELD)
    }
}

impl LaneSaid {
    pub(super) fn check(&self) -> Result<(), Refused> {
        if self.text.is_empty() {
            return Err(Refused::invalid("text", "must not be empty"));
        }
        check_size("text", self.text.len(), MAX_TEXT)
    }
}

impl CheckpointCreated {
    pub(super) fn bytes(&self) -> usize {
        self.snapshot.get().len()
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        check_size("agent_id", self.agent_id.len(), MAX_AGENT)?;
        check_size("snapshot", self.bytes(), MAX_SNAPSHOT)
    }
}
