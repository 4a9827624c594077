//! MCP servers of the built-in agent, as the API shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trunkline_core::id::SessionId;

use crate::call::{Call, encoded};
use crate::client::Client;
use crate::error::Error;
use crate::types::Items;

/// An MCP server. The values of its variables and headers are told nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct McpServerView {
    /// Its name.
    pub name: String,
    /// Where it is defined: `file`, `made` or `project`.
    pub source: String,
    /// The program that is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// The address that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether sessions connect to it by themselves.
    pub enabled: bool,
    /// Why it cannot be connected to; absent if nothing is known against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// A tool of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct McpToolView {
    /// Its name, as the server says it.
    pub name: String,
    /// The name by which the model calls it.
    pub offered_as: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// A server as one session sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct McpSessionServer {
    /// How the session stands to it: `connected`, `connecting`, `disconnected`, `failed`, `untrusted` or `disabled`.
    pub status: String,
    /// Its tools that the model is offered.
    pub tools: Vec<McpToolView>,
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
    pub definition: McpServerView,
    /// Whatever else the daemon knows of it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// The servers of one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct McpSessionServers {
    /// All that there are for it, by name.
    pub items: Vec<McpSessionServer>,
    /// How many tools the model is offered from them.
    pub tools: usize,
    /// What is wrong with the project's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Client {
    /// The MCP servers of the built-in agent.
    pub async fn mcp_servers(&self) -> Result<Items<McpServerView>, Error> {
        self.http.json(&Call::get("/v1/mcp/servers")).await
    }

    /// An MCP server.
    pub async fn mcp_server(&self, name: &str) -> Result<McpServerView, Error> {
        self.http.json(&Call::get(path(name))).await
    }

    /// Makes an MCP server, or puts it in the place of one that was made: `command` with `args` and `env`, or `url` with
    /// `headers`, and what else a view shows. A value given as `********` stays.
    pub async fn put_mcp_server(&self, name: &str, server: &Value) -> Result<McpServerView, Error> {
        self.http.json(&Call::put(path(name), server)).await
    }

    /// Deletes an MCP server that was made, with its secrets.
    pub async fn delete_mcp_server(&self, name: &str) -> Result<(), Error> {
        self.http.done(&Call::delete(path(name))).await
    }

    /// The MCP servers that a session can use, and how it stands to each.
    pub async fn session_mcp(&self, id: SessionId) -> Result<McpSessionServers, Error> {
        self.http.json(&Call::get(format!("/v1/sessions/{id}/mcp"))).await
    }

    /// Connects a session to an MCP server, and waits until that is done or has failed: the status says which.
    pub async fn connect_mcp(&self, id: SessionId, server: &str) -> Result<McpSessionServer, Error> {
        self.http.json(&Call::post(of(id, server, "connect"), &json!({}))).await
    }

    /// Ends a session's connection to an MCP server.
    pub async fn disconnect_mcp(&self, id: SessionId, server: &str) -> Result<McpSessionServer, Error> {
        self.http.json(&Call::post(of(id, server, "disconnect"), &json!({}))).await
    }

    /// Lets an MCP server run that the session's project brings, by the fingerprint of what was looked at.
    pub async fn trust_mcp(
        &self,
        id: SessionId,
        server: &str,
        fingerprint: &str,
    ) -> Result<McpSessionServer, Error> {
        let body = json!({ "fingerprint": fingerprint });
        self.http.json(&Call::put(of(id, server, "trust"), &body)).await
    }

    /// Lets it run no longer.
    pub async fn distrust_mcp(&self, id: SessionId, server: &str) -> Result<McpSessionServer, Error> {
        self.http.json(&Call::delete(of(id, server, "trust"))).await
    }
}

fn path(name: &str) -> String {
    format!("/v1/mcp/servers/{}", encoded(name))
}

fn of(id: SessionId, server: &str, what: &str) -> String {
    format!("/v1/sessions/{id}/mcp/{}/{what}", encoded(server))
}
