//! Sessions: starting and restoring them, turns, modes and options.

use super::Meta;
use super::lenient::{lenient, lenient_list};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::path::PathBuf;

/// Params of `session/new`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSessionRequest {
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// MCP servers to connect to, each a [`McpServer`]; sent also if empty, the protocol demands it.
    #[serde(default, deserialize_with = "lenient")]
    pub mcp_servers: Vec<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Result of `session/new`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSessionResponse {
    /// The agent's id for the session.
    pub session_id: String,
    /// Its modes, if it has any.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub modes: Option<SessionModeState>,
    /// Its models as older agents list them; see [`SESSION_SET_MODEL`](super::method::SESSION_SET_MODEL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Box<RawValue>>,
    /// Its options and their values: a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_options: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Params of `session/load`: the agent replays the session as updates, then answers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadSessionRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// MCP servers to connect to, each a [`McpServer`].
    #[serde(default, deserialize_with = "lenient")]
    pub mcp_servers: Vec<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Result of `session/load`. Some agents answer null: read it as `Option`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadSessionResponse {
    /// Its modes, if it has any.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub modes: Option<SessionModeState>,
    /// Its models as older agents list them; see [`SESSION_SET_MODEL`](super::method::SESSION_SET_MODEL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Box<RawValue>>,
    /// Its options and their values: a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_options: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Params of `session/resume`: as [`LoadSessionRequest`], without the replay.
pub type ResumeSessionRequest = LoadSessionRequest;

/// Result of `session/resume`.
pub type ResumeSessionResponse = LoadSessionResponse;

/// Params of `session/close`. The result is [`Empty`](super::Empty).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CloseSessionRequest {
    /// The agent's id for the session.
    pub session_id: String,
}

/// An MCP server for the agent to connect to.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum McpServer {
    /// Streamable HTTP, if the agent offers `http`.
    Http(McpServerRemote),
    /// HTTP with server-sent events, if the agent offers `sse`.
    Sse(McpServerRemote),
    /// A command, which every agent can run.
    #[serde(untagged)]
    Stdio(McpServerStdio),
}

/// An MCP server behind a URL.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct McpServerRemote {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Headers to send.
    #[serde(default)]
    pub headers: Vec<HttpHeader>,
}

/// An MCP server that is a command.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct McpServerStdio {
    /// Its name.
    pub name: String,
    /// The program.
    pub command: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment to add.
    #[serde(default)]
    pub env: Vec<EnvVariable>,
}

/// A header of HTTP.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A variable of the environment.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct EnvVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Params of `session/prompt`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// What the user says, each item a [`ContentBlock`](super::ContentBlock).
    pub prompt: Vec<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Result of `session/prompt`: the turn is over.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptResponse {
    /// Why it ended.
    pub stop_reason: StopReason,
    /// What it used.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Why a turn ended.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The agent is done.
    EndTurn,
    /// The model's limit of tokens is reached.
    MaxTokens,
    /// The agent's limit of requests to the model is reached.
    MaxTurnRequests,
    /// The agent refuses to go on.
    Refusal,
    /// The client cancelled it.
    Cancelled,
    /// Any other.
    #[serde(untagged)]
    Unknown(String),
}

/// Tokens of a turn. What an agent leaves out is 0 or absent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// All.
    #[serde(default, deserialize_with = "lenient")]
    pub total_tokens: u64,
    /// Read by the model.
    #[serde(default, deserialize_with = "lenient")]
    pub input_tokens: u64,
    /// Written by the model.
    #[serde(default, deserialize_with = "lenient")]
    pub output_tokens: u64,
    /// Written as reasoning.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub thought_tokens: Option<u64>,
    /// Read from the provider's cache.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cached_read_tokens: Option<u64>,
    /// Written to the provider's cache.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cached_write_tokens: Option<u64>,
}

/// Params of `session/cancel`, a notification.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelNotification {
    /// The agent's id for the session.
    pub session_id: String,
}

/// The modes of a session and the one it is in.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SessionModeState {
    /// The id of the mode it is in.
    pub current_mode_id: String,
    /// All modes.
    #[serde(default, deserialize_with = "lenient_list")]
    pub available_modes: Vec<SessionMode>,
}

/// A mode: how much the agent asks, which tools it uses.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct SessionMode {
    /// Its id, any string; URLs occur.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it means.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Params of `session/set_mode`. The result is [`Empty`](super::Empty).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetSessionModeRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The mode to switch to.
    pub mode_id: String,
}

/// Params of `session/set_model`. The result is [`Empty`](super::Empty).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetSessionModelRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The model to switch to.
    pub model_id: String,
}

/// Params of `session/set_config_option`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetSessionConfigOptionRequest {
    /// The agent's id for the session.
    pub session_id: String,
    /// The option's id.
    pub config_id: String,
    /// Its new value.
    #[serde(flatten)]
    pub value: ConfigValue,
}

/// The value of an option.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ConfigValue {
    /// On or off.
    Boolean {
        /// Which.
        value: bool,
    },
    /// The id of one of the option's values.
    #[serde(untagged)]
    Id {
        /// Which.
        value: String,
    },
}

/// Result of `session/set_config_option`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetSessionConfigOptionResponse {
    /// All options and their values: a list. One option may change others.
    pub config_options: Box<RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stop_reason_is_kept() {
        let answer: PromptResponse = serde_json::from_str(r#"{"stopReason":"bored"}"#).unwrap();
        assert_eq!(answer.stop_reason, StopReason::Unknown("bored".into()));
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"stopReason":"bored"}"#);
        assert!(serde_json::from_str::<PromptResponse>(r#"{"usage":{}}"#).is_err());
    }

    #[test]
    fn partial_usage_is_read() {
        let answer: PromptResponse =
            serde_json::from_str(r#"{"stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":"x"}}"#)
                .unwrap();
        assert_eq!(answer.usage, Some(Usage { input_tokens: 5, ..Usage::default() }));
    }

    #[test]
    fn an_answer_to_session_load_may_be_null() {
        assert!(serde_json::from_str::<Option<LoadSessionResponse>>("null").unwrap().is_none());
    }
}
