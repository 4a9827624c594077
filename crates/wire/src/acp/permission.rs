//! The agent asks whether it may.

use super::Meta;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Params of `session/request_permission`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPermissionRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// What it wants to do: an update of a tool call, which may be the first one heard of it. Read it with
    /// [`ToolCall`](super::ToolCall) or [`UpdateView`](super::UpdateView).
    pub tool_call: Box<RawValue>,
    /// The answers it understands.
    pub options: Vec<PermissionOption>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// An answer the agent understands.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionOption {
    /// What the answer names.
    pub option_id: String,
    /// Its label.
    pub name: String,
    /// What it means.
    pub kind: PermissionOptionKind,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// What an option means.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PermissionOptionKind {
    /// Yes, this time.
    AllowOnce,
    /// Yes, and do not ask again.
    AllowAlways,
    /// No, this time.
    RejectOnce,
    /// No, and do not ask again.
    RejectAlways,
    /// Any other: neither a yes nor a no to those who do not know it.
    #[serde(untagged)]
    Unknown(String),
}

/// Result of `session/request_permission`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct RequestPermissionResponse {
    /// What was decided.
    pub outcome: RequestPermissionOutcome,
}

/// What was decided.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(tag = "outcome", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum RequestPermissionOutcome {
    /// Nothing: the turn was cancelled first.
    Cancelled,
    /// One of the options.
    Selected {
        /// Which.
        option_id: String,
    },
}
