//! MCP servers of the built-in agent: look, make, delete; of one session: status, connect, disconnect, trust. No answer tells
//! the value of a variable or a header.

use std::collections::BTreeMap;

use axum::Json as Body;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use trunkline_core::id::SessionId;
use trunkline_core::mcp::Server;
use trunkline_run::mcp::{Given, Listed, MASK, SessionServer, SessionServers, Values};
use trunkline_wire::model::Secret;

use crate::app::Shared;
use crate::extract::{Id, Ids, Json, NoBody, Who};
use crate::problem::{Answer, Problem};
use crate::routes::List;

/// An MCP server as it is given: a program with its arguments and variables, or an address with its headers. What a view shows
/// beside this may be given back with it, and counts for nothing.
#[derive(JsonSchema)]
#[schemars(rename = "McpServerPut")]
#[expect(dead_code, reason = "it is the document's; the body is read by hand")]
pub(crate) struct Put {
    /// The program that is started in a session's workspace and spoken to over its stdin and stdout.
    command: Option<String>,
    /// The program's arguments. They are shown, so no secret belongs there.
    #[schemars(default)]
    args: Vec<String>,
    /// Its variables. `********` keeps the value of before; none is told again.
    #[schemars(default, extend("writeOnly" = true))]
    env: BTreeMap<String, Option<String>>,
    /// The names of variables of the daemon's own environment that the program gets too.
    #[schemars(default)]
    env_pass: Vec<String>,
    /// The address of a server that is spoken to over streamable HTTP.
    url: Option<String>,
    /// Its headers, given as its variables are.
    #[schemars(default, extend("writeOnly" = true))]
    headers: BTreeMap<String, Option<String>>,
    /// What it is for.
    #[schemars(default)]
    description: String,
    /// Whether sessions connect to it by themselves; they do if absent.
    enabled: Option<bool>,
    /// How many seconds one of its tools may take; 180 if absent.
    timeout_s: Option<u64>,
    /// Whether the program is shut in as the agent's own commands are; it is if absent.
    sandbox: Option<bool>,
}

/// Which definition is let run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "McpTrust")]
pub(crate) struct Trust {
    /// The hash that the session's server shows.
    fingerprint: String,
}

/// What a view has beside a definition.
const SHOWN: [&str; 3] = ["name", "source", "why"];

/// Reads a definition by hand where values stand: a reader of types quotes what it finds where it expects something else.
fn read(mut body: Map<String, Value>) -> Answer<(Server, Values)> {
    let values = Values { env: given(&mut body, "env")?, headers: given(&mut body, "headers")? };
    for field in SHOWN {
        body.remove(field);
    }
    let server = serde_json::from_value(Value::Object(body));
    Ok((server.map_err(|error| Problem::invalid("body", error.to_string()))?, values))
}

fn given(body: &mut Map<String, Value>, field: &str) -> Answer<Vec<(String, Given)>> {
    let wrong = || Problem::invalid(field, format!("{field} must be an object of texts"));
    let values = match body.remove(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(values)) => values,
        Some(_) => return Err(wrong()),
    };
    let read = |(name, value)| match value {
        Value::String(text) if text == MASK => Ok((name, Given::Kept)),
        Value::String(text) => Ok((name, Given::New(Secret::new(text)))),
        Value::Null => Ok((name, Given::Missing)),
        _ => Err(wrong()),
    };
    values.into_iter().map(read).collect()
}

pub(crate) async fn list(app: Shared, Who(caller): Who) -> Answer<Body<List<Listed>>> {
    caller.may_list()?;
    Ok(Body(List { items: app.hub.mcp().list() }))
}

pub(crate) async fn show(app: Shared, Who(caller): Who, Id(name): Id<String>) -> Answer<Body<Listed>> {
    caller.may_list()?;
    app.hub.mcp().get(&name).map(Body).ok_or_else(|| Problem::not_found("MCP server", &name))
}

pub(crate) async fn put(
    app: Shared,
    Who(caller): Who,
    Id(name): Id<String>,
    json: Json<Map<String, Value>>,
) -> Answer<Body<Listed>> {
    let (server, values) = read(json.body)?;
    Ok(Body(app.hub.put_mcp_server(&caller, &name, server, values).await?))
}

pub(crate) async fn delete(app: Shared, Who(caller): Who, Id(name): Id<String>) -> Answer<StatusCode> {
    app.hub.delete_mcp_server(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn of_session(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
) -> Answer<Body<SessionServers>> {
    Ok(Body(app.hub.mcp_session(&caller, id).await?))
}

pub(crate) async fn connect(
    app: Shared,
    Who(caller): Who,
    Ids(id, name): Ids<SessionId, String>,
    _: NoBody,
) -> Answer<Body<SessionServer>> {
    Ok(Body(app.hub.mcp_connect(&caller, id, &name).await?))
}

pub(crate) async fn disconnect(
    app: Shared,
    Who(caller): Who,
    Ids(id, name): Ids<SessionId, String>,
    _: NoBody,
) -> Answer<Body<SessionServer>> {
    Ok(Body(app.hub.mcp_disconnect(&caller, id, &name).await?))
}

pub(crate) async fn trust(
    app: Shared,
    Who(caller): Who,
    Ids(id, name): Ids<SessionId, String>,
    json: Json<Trust>,
) -> Answer<Body<SessionServer>> {
    Ok(Body(app.hub.mcp_trust(&caller, id, &name, &json.body.fingerprint).await?))
}

pub(crate) async fn distrust(
    app: Shared,
    Who(caller): Who,
    Ids(id, name): Ids<SessionId, String>,
) -> Answer<Body<SessionServer>> {
    Ok(Body(app.hub.mcp_distrust(&caller, id, &name).await?))
}
