//! Handoffs, as the API shows them.

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_core::handoff::{
    CheckpointCreated, CheckpointView, HandoffId, HandoffView, LaneId, LaneOpened, LaneView, Saved, Stamp,
    Whole,
};
use trunkline_core::id::SessionId;
use trunkline_core::raw::Raw;

use crate::call::{Call, Params, encoded};
use crate::client::Client;
use crate::error::Error;
use crate::types::{Cursor, Page};

/// Which handoffs.
#[derive(Debug, Clone, Default)]
pub struct HandoffQuery {
    /// Only those of this agent.
    pub agent: Option<String>,
    /// Only those of this repository.
    pub repo: Option<String>,
    /// Only those that stand so.
    pub status: Option<String>,
    /// Only those that came from this session.
    pub session: Option<SessionId>,
    /// Only those from which a lane leads to this agent.
    pub to: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Where the page begins.
    pub cursor: Option<Cursor>,
}

/// What is saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewHandoff {
    /// The agent whose work it is; the one whose token this is, if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// How it stands; `active`, if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_summary: Option<String>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Raw>,
    /// Which files were touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_touched: Option<Raw>,
    /// What is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todos: Option<Raw>,
    /// Whatever else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
    /// The session it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// A handoff that was kept elsewhere until now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OldHandoff {
    /// The handoff, with its id and its times.
    pub handoff: Saved,
    /// Its lanes.
    pub lanes: Vec<OldLane>,
    /// Its checkpoints.
    pub checkpoints: Vec<CheckpointCreated>,
}

/// A lane that was kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OldLane {
    /// The lane.
    pub lane: LaneOpened,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Stamp>,
}

/// What of it was not here yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Handoffs.
    pub handoffs: usize,
    /// Lanes.
    pub lanes: usize,
    /// Checkpoints.
    pub checkpoints: usize,
}

#[derive(Deserialize)]
struct ResumePrompt {
    prompt: String,
}

impl Client {
    /// Lists handoffs, the one last changed first.
    pub async fn handoffs(&self, query: &HandoffQuery) -> Result<Page<HandoffView>, Error> {
        let session = query.session.map(|session| session.to_string());
        let params = Params::default()
            .maybe("agent", query.agent.as_deref())
            .maybe("repo", query.repo.as_deref())
            .maybe("status", query.status.as_deref())
            .maybe("session", session.as_deref())
            .maybe("to", query.to.as_deref());
        self.page("/v1/handoffs", params, query.limit, query.cursor.as_ref()).await
    }

    /// Saves a handoff.
    pub async fn save_handoff(&self, new: &NewHandoff) -> Result<HandoffView, Error> {
        self.json(&Call::command(Method::POST, "/v1/handoffs", new)).await
    }

    /// One handoff, with its lanes and its newest checkpoints.
    pub async fn handoff(&self, id: &HandoffId) -> Result<Whole, Error> {
        self.get(path(id, "")).await
    }

    /// The prompt with which an agent takes the work over.
    pub async fn handoff_prompt(&self, id: &HandoffId) -> Result<String, Error> {
        self.get::<ResumePrompt>(path(id, "/prompt")).await.map(|resume| resume.prompt)
    }

    /// Changes what is given; the agent and the session stay.
    pub async fn update_handoff(&self, id: &HandoffId, change: &NewHandoff) -> Result<HandoffView, Error> {
        let change = NewHandoff { agent_id: None, session: None, ..change.clone() };
        self.json(&Call::command(Method::PATCH, path(id, ""), &change)).await
    }

    /// Opens a lane from one agent to another.
    pub async fn open_lane(
        &self,
        id: &HandoffId,
        from: Option<&str>,
        to: &str,
        context: Option<&Raw>,
    ) -> Result<LaneView, Error> {
        let body = json!({ "from_agent": from, "to_agent": to, "context": context });
        self.json(&Call::command(Method::POST, path(id, "/lanes"), &body)).await
    }

    /// Writes in a lane, as one of its two agents.
    pub async fn say_in_lane(
        &self,
        id: &HandoffId,
        lane: &LaneId,
        from: Option<&str>,
        text: &str,
    ) -> Result<LaneView, Error> {
        let path = path(id, &format!("/lanes/{}/messages", encoded(lane.as_str())));
        self.json(&Call::command(Method::POST, path, &json!({ "from_agent": from, "text": text }))).await
    }

    /// Closes a lane.
    pub async fn close_lane(&self, id: &HandoffId, lane: &LaneId) -> Result<LaneView, Error> {
        let path = path(id, &format!("/lanes/{}/close", encoded(lane.as_str())));
        self.json(&Call::command(Method::POST, path, &json!({}))).await
    }

    /// Keeps a checkpoint.
    pub async fn checkpoint(
        &self,
        id: &HandoffId,
        agent: Option<&str>,
        lane: Option<&LaneId>,
        snapshot: &Raw,
    ) -> Result<CheckpointView, Error> {
        let body = json!({ "agent_id": agent, "lane": lane, "snapshot": snapshot });
        self.json(&Call::command(Method::POST, path(id, "/checkpoints"), &body)).await
    }

    /// The checkpoints of a handoff, newest first.
    pub async fn checkpoints(
        &self,
        id: &HandoffId,
        limit: Option<usize>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<CheckpointView>, Error> {
        self.page(&path(id, "/checkpoints"), Params::default(), limit, cursor).await
    }

    /// Has the daemon take a handoff that was kept elsewhere. What is there already stays as it is.
    pub async fn restore_handoff(&self, old: &OldHandoff) -> Result<Restored, Error> {
        self.json(&Call::post("/v1/handoffs/import", old)).await
    }
}

fn path(id: &HandoffId, rest: &str) -> String {
    format!("/v1/handoffs/{}{rest}", encoded(id.as_str()))
}
