//! Standing permissions, as the API shows them.

use serde::{Deserialize, Serialize};
use trunkline_core::grant::{Mode, Scope as GrantScope};
use trunkline_core::id::{GrantId, RequestId, SessionId};
use trunkline_core::principal::Principal;
use trunkline_core::risk::Risk;
use trunkline_core::time::Time;

/// A standing permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The grant.
    pub id: GrantId,
    /// The tool it covers; empty where something else says what it covers.
    #[serde(default)]
    pub tool: String,
    /// What it covers, such as `shell(npm run *)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What is asked about at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How far it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<GrantScope>,
    /// For whose turns it counts; absent: for those of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// Whether it also counts while nothing confines the agent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfined: bool,
    /// The project it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When it stops counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Principal>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// A standing permission to give. One of `tool`, `pattern` and `mode` says what it covers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewGrant {
    /// The session it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Or the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// A tool, by its exact name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// A pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// A mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How far it reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<GrantScope>,
    /// For whose turns it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Whether it also counts while nothing confines the agent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unconfined: bool,
    /// When it stops counting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// The rule.
    pub pattern: String,
    /// From when on requests were looked at.
    pub since: Time,
    /// How many permissions were asked since then.
    pub looked_at: usize,
    /// Whether older ones were left out.
    pub truncated: bool,
    /// How many of them the rule would have allowed.
    pub allowed: usize,
    /// How many it covers that would still have been asked about.
    pub high_risk: usize,
    /// How many it would have allowed that somebody refused.
    pub refused: usize,
    /// The newest that it covers.
    pub items: Vec<Covered>,
}

/// A request that a rule covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Covered {
    /// The request.
    pub request: RequestId,
    /// Its session.
    pub session: SessionId,
    /// When it was asked.
    pub at: Time,
    /// What it was about.
    pub title: String,
    /// Its risk.
    pub risk: Risk,
}
