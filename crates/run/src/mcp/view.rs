//! MCP servers as answers show them. No secret is in any of this: a value is shown as [`MASK`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::time::Time;

use super::Defined;

/// What stands for a value that is kept. Given back, it means that the value stays.
pub const MASK: &str = "********";

/// Where a server is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "McpServerSource")]
pub enum Source {
    /// `config.toml`: it is changed there.
    File,
    /// It was made through the API.
    Made,
    /// A file in the session's workspace.
    Project,
}

/// A server as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpServerView")]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it is defined.
    pub source: Source,
    /// The program that is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables: `********` for a value that is kept, `null` for one that is missing.
    #[serde(default)]
    pub env: BTreeMap<String, Option<String>>,
    /// The names of variables of the daemon's own environment that it gets too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_pass: Vec<String>,
    /// The address that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its headers, shown as its variables are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Option<String>>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether sessions connect to it by themselves.
    pub enabled: bool,
    /// How many seconds one of its tools may take; 180 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Whether the program is shut in as the agent's own commands are; it is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<bool>,
    /// Why it cannot be connected to; absent if nothing is known against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Listed {
    pub(crate) fn of(defined: &Defined) -> Self {
        let shown = |names: &[String], values: &[(String, _)]| {
            let mask = |name: &String| values.iter().any(|(has, _)| has == name).then(|| MASK.to_owned());
            names.iter().map(|name| (name.clone(), mask(name))).collect()
        };
        let server = &defined.server;
        Self {
            name: defined.name.clone(),
            source: defined.source,
            command: server.command.clone(),
            args: server.args.clone(),
            env: shown(&server.env, &defined.env),
            env_pass: server.env_pass.clone(),
            url: server.url.clone(),
            headers: shown(&server.headers, &defined.headers),
            description: server.description.clone(),
            enabled: server.enabled,
            timeout_s: server.timeout_s,
            sandbox: server.sandbox,
            why: defined.why.clone(),
        }
    }
}

/// How a session stands to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "McpStatus")]
pub enum Status {
    /// Its tools are offered to the model.
    Connected,
    /// It is being started, or asked for its tools.
    Connecting,
    /// It is not connected: nobody has asked for it yet, somebody has disconnected it, or the connection is over. `error`
    /// says which, where there is more to say.
    Disconnected,
    /// It could not be connected to.
    Failed,
    /// A project brings it, and no person has let it run.
    Untrusted,
    /// Its definition says that sessions do not connect to it by themselves.
    Disabled,
}

/// A tool of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpTool")]
pub struct ToolView {
    /// Its name, as the server says it.
    pub name: String,
    /// The name by which the model calls it.
    pub offered_as: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it takes, as a JSON Schema.
    pub input_schema: serde_json::Value,
}

/// A living connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpConnected")]
pub struct Connected {
    /// Since when.
    pub since: Time,
    /// The program's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What the server calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A server as one session sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpSessionServer")]
pub struct SessionServer {
    /// How the session stands to it.
    pub status: Status,
    /// Its tools that the model is offered.
    pub tools: Vec<ToolView>,
    /// The connection, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<Connected>,
    /// Why it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The end of what the program wrote to stderr.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Of a project's server: the hash by which it is let run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Its definition.
    pub definition: Listed,
}

/// The servers of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "McpSessionServers")]
pub struct SessionServers {
    /// All that there are for it, by name.
    pub items: Vec<SessionServer>,
    /// How many tools the model is offered from them.
    pub tools: usize,
    /// What is wrong with the project's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
