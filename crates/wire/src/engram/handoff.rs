//! Operations on handoffs, which the protocol calls sessions, with their lanes and checkpoints.

use serde_json::value::RawValue;

use super::fields::{Fields, is_truthy};
use super::shown;
use crate::raw::as_str;

/// What can be asked for of handoffs.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of the protocol")]
pub enum Handoff {
    Save { agent_id: String, filled: Filled },
    Get { session_id: Option<String>, agent_id: Option<String>, repo: Option<String> },
    List { agent_id: Option<String>, status: Option<String>, repo: Option<String> },
    Update { session_id: String, filled: Filled },
    OpenLane { session_id: String, from_agent: String, to_agent: String, context: Box<RawValue> },
    GetLane { lane_id: String },
    ListLanes { session_id: Option<String> },
    CloseLane { lane_id: String },
    Checkpoint { session_id: String, agent_id: String, snapshot: Box<RawValue>, lane_id: Option<String> },
    ListCheckpoints { session_id: Option<String>, lane_id: Option<String> },
}

/// The members of a handoff that were given.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the members are those of the protocol")]
pub struct Filled {
    pub status: Option<String>,
    pub task_summary: Option<Option<String>>,
    pub repo: Option<Option<String>>,
    pub decisions: Option<Box<RawValue>>,
    pub files_touched: Option<Box<RawValue>>,
    pub todos: Option<Box<RawValue>>,
    pub metadata: Option<Box<RawValue>>,
}

/// The members that a new handoff may have, besides `op` and `id`.
const KNOWN: [&str; 8] =
    ["agent_id", "repo", "status", "task_summary", "decisions", "files_touched", "todos", "metadata"];

impl Handoff {
    pub(super) fn read(op: &str, fields: &Fields<'_>) -> Result<Option<Self>, String> {
        Ok(Some(match op {
            "save_session" => {
                let stranger = fields
                    .all()
                    .find(|(name, _)| !KNOWN.contains(&&**name) && **name != *"op" && **name != *"id");
                if let Some((name, _)) = stranger {
                    return Err(format!("a session has no '{name}'; it has {}", KNOWN.join(", ")));
                }
                Self::Save { agent_id: needed(fields, "agent_id")?, filled: Filled::of(fields, true)? }
            }
            "get_session" => Self::Get {
                session_id: truthy(fields, "session_id")?,
                agent_id: truthy(fields, "agent_id")?,
                repo: scalar(fields.get("repo"), "repo")?,
            },
            "list_sessions" => Self::List {
                agent_id: truthy(fields, "agent_id")?,
                status: truthy(fields, "status")?,
                repo: scalar(fields.get("repo"), "repo")?,
            },
            "update_session" => {
                Self::Update { session_id: needed(fields, "session_id")?, filled: Filled::of(fields, false)? }
            }
            "open_lane" => Self::OpenLane {
                session_id: needed(fields, "session_id")?,
                from_agent: needed(fields, "from_agent")?,
                to_agent: needed(fields, "to_agent")?,
                context: fields.truthy("context").unwrap_or_else(|| json("{}")),
            },
            "get_lane" => Self::GetLane { lane_id: needed(fields, "lane_id")? },
            "list_lanes" => Self::ListLanes { session_id: truthy(fields, "session_id")? },
            "close_lane" => Self::CloseLane { lane_id: needed(fields, "lane_id")? },
            "checkpoint" => Self::Checkpoint {
                session_id: needed(fields, "session_id")?,
                agent_id: needed(fields, "agent_id")?,
                snapshot: fields.required("snapshot")?.to_owned(),
                lane_id: truthy(fields, "lane_id")?,
            },
            "list_checkpoints" => Self::ListCheckpoints {
                session_id: truthy(fields, "session_id")?,
                lane_id: truthy(fields, "lane_id")?,
            },
            _ => return Ok(None),
        }))
    }
}

impl Filled {
    /// In a new handoff what is false in Python is nothing; in a changed one it stays what it is.
    fn of(fields: &Fields<'_>, new: bool) -> Result<Self, String> {
        let list = |field: &str, empty: &str| match fields.get(field) {
            None if new => Some(json(empty)),
            Some(value) if new && !is_truthy(value) => Some(json(empty)),
            value => value.map(ToOwned::to_owned),
        };
        let status = fields.get("status").map(|value| scalar(Some(value), "status")).transpose()?;
        let text = |field: &str| fields.get(field).map(|value| scalar(Some(value), field)).transpose();
        Ok(Self {
            status: status.map(|status| status.ok_or("status must not be null")).transpose()?,
            task_summary: text("task_summary")?,
            repo: text("repo")?,
            decisions: list("decisions", "[]"),
            files_touched: list("files_touched", "[]"),
            todos: list("todos", "[]"),
            metadata: list("metadata", "{}"),
        })
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { status, task_summary, repo, decisions, files_touched, todos, metadata } = self;
        let texts = status.is_none() && task_summary.is_none() && repo.is_none();
        texts && decisions.is_none() && files_touched.is_none() && todos.is_none() && metadata.is_none()
    }
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A scalar as the database of the original keeps it: as text.
fn scalar(value: Option<&RawValue>, field: &str) -> Result<Option<String>, String> {
    let Some(value) = value else { return Ok(None) };
    match value.get() {
        "null" => Ok(None),
        "true" => Ok(Some("1".to_owned())),
        "false" => Ok(Some("0".to_owned())),
        other if other.starts_with(['[', '{']) => {
            Err(format!("{field} must be a text, not {}", shown(Some(value))))
        }
        other => Ok(Some(as_str(value).map_or_else(|| other.to_owned(), std::borrow::Cow::into_owned))),
    }
}

fn needed(fields: &Fields<'_>, field: &str) -> Result<String, String> {
    scalar(Some(fields.required(field)?), field)?.ok_or_else(|| format!("{field} must not be null"))
}

fn truthy(fields: &Fields<'_>, field: &str) -> Result<Option<String>, String> {
    scalar(fields.get(field).filter(|value| is_truthy(value)), field)
}
