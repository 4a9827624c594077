//! The first exchange: versions, capabilities, logging in.

use super::Meta;
use super::lenient::{lenient, lenient_list, offer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Not;

/// The protocol version we speak. An agent that answers `initialize` with another one speaks only that.
pub const PROTOCOL_VERSION: u16 = 1;

/// Params of `initialize`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeRequest {
    /// The newest version the client speaks.
    pub protocol_version: u16,
    /// What the client can do for the agent.
    #[serde(default, deserialize_with = "lenient")]
    pub client_capabilities: ClientCapabilities,
    /// Who the client is.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub client_info: Option<Implementation>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// What a client can do for an agent.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCapabilities {
    /// Files.
    #[serde(default, deserialize_with = "lenient")]
    pub fs: FileSystemCapabilities,
    /// Whether it runs commands (all of `terminal/*`).
    #[serde(default, deserialize_with = "lenient")]
    pub terminal: bool,
    /// How it helps to log in: an object whose `terminal` says whether it runs commands for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Box<RawValue>>,
    /// Which kinds of session updates it takes beyond the basic ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Box<RawValue>>,
    /// Whether agents may show forms to its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elicitation: Option<Box<RawValue>>,
    /// Anything. Some agents look here for extensions of theirs, such as `terminal_output`.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// What a client does with files.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FileSystemCapabilities {
    /// Whether it reads them.
    #[serde(default, deserialize_with = "lenient")]
    pub read_text_file: bool,
    /// Whether it writes them.
    #[serde(default, deserialize_with = "lenient")]
    pub write_text_file: bool,
}

/// A program and its version.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Implementation {
    /// Its name.
    pub name: String,
    /// Its name for people.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its version.
    pub version: String,
}

/// Result of `initialize`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResponse {
    /// The version the agent will speak.
    pub protocol_version: u16,
    /// What the agent can do.
    #[serde(default, deserialize_with = "lenient")]
    pub agent_capabilities: AgentCapabilities,
    /// How one can log in; empty if there is no need or no way.
    #[serde(default, deserialize_with = "lenient_list")]
    pub auth_methods: Vec<AuthMethod>,
    /// Who the agent is.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub agent_info: Option<Implementation>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// What an agent can do. What it does not say it cannot.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentCapabilities {
    /// Whether it answers `session/load`.
    #[serde(default, deserialize_with = "lenient")]
    pub load_session: bool,
    /// What a prompt may hold besides text and resource links.
    #[serde(default, deserialize_with = "lenient")]
    pub prompt_capabilities: PromptCapabilities,
    /// Which MCP servers it connects to besides stdio ones.
    #[serde(default, deserialize_with = "lenient")]
    pub mcp_capabilities: McpCapabilities,
    /// What else it does with sessions.
    #[serde(default, deserialize_with = "lenient")]
    pub session_capabilities: SessionCapabilities,
    /// What else it does with logins: an object whose `logout` says whether it answers `logout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Box<RawValue>>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// What a prompt may hold besides text and resource links.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PromptCapabilities {
    /// Pictures.
    #[serde(default, deserialize_with = "lenient")]
    pub image: bool,
    /// Sound.
    #[serde(default, deserialize_with = "lenient")]
    pub audio: bool,
    /// Embedded resources.
    #[serde(default, deserialize_with = "lenient")]
    pub embedded_context: bool,
}

/// Which MCP servers an agent connects to besides stdio ones.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct McpCapabilities {
    /// Those that speak streamable HTTP.
    #[serde(default, deserialize_with = "lenient")]
    pub http: bool,
    /// Those that speak HTTP with server-sent events, which MCP has deprecated.
    #[serde(default, deserialize_with = "lenient")]
    pub sse: bool,
}

/// What an agent does with sessions besides the basic methods.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct SessionCapabilities {
    /// `session/resume`.
    #[serde(default, with = "offer", skip_serializing_if = "Not::not")]
    pub resume: bool,
    /// `session/close`.
    #[serde(default, with = "offer", skip_serializing_if = "Not::not")]
    pub close: bool,
    /// `session/list`.
    #[serde(default, with = "offer", skip_serializing_if = "Not::not")]
    pub list: bool,
    /// `session/fork`.
    #[serde(default, with = "offer", skip_serializing_if = "Not::not")]
    pub fork: bool,
}

/// A way to log in.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct AuthMethod {
    /// `terminal` if the user logs in by running the agent's command with [`args`](Self::args) and
    /// [`env`](Self::env) in a terminal; absent if the agent does it itself on `authenticate`.
    #[serde(rename = "type", default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What `authenticate` names.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What the user is to do.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Arguments of the command to log in.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment of the command to log in.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Anything.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Meta,
}

/// Params of `authenticate`. The result is [`Empty`](super::Empty).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateRequest {
    /// One of the agent's methods.
    pub method_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_answer_offers_nothing() {
        let answer: InitializeResponse = serde_json::from_str(r#"{"protocolVersion":1}"#).unwrap();
        let AgentCapabilities { load_session, session_capabilities, .. } = answer.agent_capabilities;
        assert!(!load_session);
        assert_eq!(session_capabilities, SessionCapabilities::default());
        assert!(answer.auth_methods.is_empty() && answer.agent_info.is_none());
    }

    #[test]
    fn slips_in_optional_members_cost_only_those() {
        let answer: InitializeResponse = serde_json::from_str(
            r#"{"protocolVersion":1,"agentInfo":"x","authMethods":[{"id":"a","name":"A","args":null},{"id":1},7],
                "agentCapabilities":{"loadSession":"yes","promptCapabilities":null,
                    "sessionCapabilities":{"resume":{},"close":false,"list":null,"fork":true,"x":1}}}"#,
        )
        .unwrap();
        assert_eq!(answer.auth_methods.len(), 1);
        assert!(!answer.agent_capabilities.load_session);
        let offered = SessionCapabilities { resume: true, fork: true, ..SessionCapabilities::default() };
        assert_eq!(answer.agent_capabilities.session_capabilities, offered);
        assert_eq!(serde_json::to_string(&offered).unwrap(), r#"{"resume":{},"fork":{}}"#);
        assert!(serde_json::from_str::<InitializeResponse>("{}").is_err(), "the version is demanded");
    }
}
