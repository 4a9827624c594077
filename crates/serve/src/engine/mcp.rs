//! MCP servers, in the engine's fields: those that there are, and those of one session. No answer has the value of a variable.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use trunkline_core::id::SessionId;
use trunkline_core::mcp::{Server, check_server_name};
use trunkline_core::principal::Caller;
use trunkline_run::mcp::{Given, Listed, MASK, SessionServer, Source, Status, Values};
use trunkline_wire::engine;
use trunkline_wire::model::Secret;

use super::{Outcome, answer, ok, read};
use crate::app::App;
use crate::problem::Problem;

pub(super) fn list(app: &App, caller: &Caller) -> Outcome {
    caller.may_list()?;
    let all = app.hub.mcp().list();
    let enabled = all.iter().filter(|listed| listed.enabled).count();
    let servers: Map<String, Value> = all.iter().map(|listed| (listed.name.clone(), shown(listed))).collect();
    Ok(ok(&json!({ "total": servers.len(), "enabled": enabled, "servers": servers })))
}

fn shown(listed: &Listed) -> Value {
    let values = |all: &std::collections::BTreeMap<String, Option<String>>| {
        all.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<String, Value>>()
    };
    let mut body = json!({
        "enabled": listed.enabled, "description": listed.description, "env": values(&listed.env), "source": listed.source,
        "why": listed.why,
    });
    let words: Vec<String> = listed.command.iter().chain(&listed.args).cloned().collect();
    match &listed.url {
        Some(url) => {
            body["type"] = "http".into();
            body["url"] = url.clone().into();
            body["headers"] = values(&listed.headers).into();
        }
        None => {
            body["type"] = "stdio".into();
            body["command"] = engine::command_line(&words).into();
        }
    }
    body
}

/// A definition, with its values apart. Fields are read by hand: a reader of types quotes what it finds where it expects
/// something else.
fn take(fields: &Map<String, Value>) -> Result<(Server, Values), Problem> {
    let bad = |field: &str, why: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid", format!("{field} {why}")).field(field)
    };
    let text = |field: &str| match fields.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(bad(field, "must be a text")),
    };
    let enabled = match fields.get("enabled") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(enabled)) => *enabled,
        Some(_) => return Err(bad("enabled", "must be true or false")),
    };
    let description = text("description")?.to_owned();
    let values = Values { env: given(fields, "env")?, headers: given(fields, "headers")? };
    let server = match text("type")? {
        "" | "stdio" => {
            let words = engine::command_words(text("command")?).map_err(|why| bad("command", why))?;
            let (program, args) = words.split_first().ok_or_else(|| bad("command", "must not be empty"))?;
            Server {
                command: Some(program.clone()),
                args: args.to_vec(),
                description,
                enabled,
                ..Server::default()
            }
        }
        "http" => Server { url: Some(text("url")?.to_owned()), description, enabled, ..Server::default() },
        _ => return Err(bad("type", "must be stdio, or http with a url")),
    };
    Ok((server, values))
}

/// Values as they are given; one that is the mask stays what it is.
fn given(fields: &Map<String, Value>, field: &str) -> Result<Vec<(String, Given)>, Problem> {
    let wrong = || Problem::invalid(field, format!("{field} must be an object of texts"));
    let all = match fields.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(all)) => all,
        Some(_) => return Err(wrong()),
    };
    let one = |(name, value): (&String, &Value)| match value {
        Value::String(text) if text == MASK => Ok((name.clone(), Given::Kept)),
        Value::String(text) => Ok((name.clone(), Given::New(Secret::new(text.as_str())))),
        Value::Null => Ok((name.clone(), Given::Missing)),
        _ => Err(wrong()),
    };
    all.iter().map(one).collect()
}

fn missing(name: &str) -> Problem {
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("MCP server '{name}' not found"))
}

pub(super) async fn add(app: &App, caller: &Caller, body: Body) -> Outcome {
    caller.may_administer()?;
    let fields: Map<String, Value> = read(body).await?;
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    check_server_name(name)?;
    if app.hub.mcp().get(name).is_some() {
        let detail = format!("MCP server '{name}' already exists");
        return Err(Problem::new(StatusCode::CONFLICT, "exists", detail).field("name"));
    }
    let (server, values) = take(&fields)?;
    let listed = app.hub.put_mcp_server(caller, name, server, values).await?;
    let body = json!({ "ok": true, "name": name, "config": shown(&listed), "file": null });
    Ok(answer(StatusCode::CREATED, &body))
}

/// Puts another definition in the place of one. What is kept beside the engine's fields goes.
pub(super) async fn put(app: &App, caller: &Caller, name: &str, body: Body) -> Outcome {
    caller.may_administer()?;
    app.hub.mcp().get(name).ok_or_else(|| missing(name))?;
    let fields: Map<String, Value> = read(body).await?;
    let (server, values) = take(&fields)?;
    let listed = app.hub.put_mcp_server(caller, name, server, values).await?;
    Ok(ok(&json!({ "ok": true, "name": name, "config": shown(&listed), "file": null })))
}

pub(super) async fn delete(app: &App, caller: &Caller, name: &str) -> Outcome {
    caller.may_administer()?;
    app.hub.mcp().get(name).ok_or_else(|| missing(name))?;
    app.hub.delete_mcp_server(caller, name).await?;
    let note = "sessions lose it with their next turn";
    Ok(ok(&json!({ "ok": true, "name": name, "file": null, "note": note })))
}

pub(super) async fn of_session(app: &App, caller: &Caller, id: SessionId, session: &str) -> Outcome {
    let all = app.hub.mcp_session(caller, id).await?;
    let server = |one: &SessionServer| {
        let shown = match one.status {
            Status::Connected => {
                json!({ "status": "connected", "tool_count": one.tools.len(), "tools": names(one) })
            }
            _ => {
                json!({ "status": "disconnected", "state": one.status, "error": error(one), "fingerprint": one.fingerprint })
            }
        };
        (one.definition.name.clone(), shown)
    };
    let servers: Map<String, Value> = all.items.iter().map(server).collect();
    Ok(ok(
        &json!({ "session_id": session, "servers": servers, "total_tools": all.tools, "trouble": all.trouble }),
    ))
}

fn names(server: &SessionServer) -> Vec<&str> {
    server.tools.iter().map(|tool| tool.name.as_str()).collect()
}

fn error(server: &SessionServer) -> Option<String> {
    let untrusted = || {
        "the project brings it, and nobody has let it run: `trunkline mcp-servers` shows it and lets it"
            .to_owned()
    };
    let told = server.error.clone().or_else(|| server.definition.why.clone());
    told.or_else(|| (server.status == Status::Untrusted).then(untrusted))
}

/// The names of the servers that a session uses, and of those that it is connected to.
pub(super) async fn used(app: &App, caller: &Caller, id: SessionId) -> (Vec<String>, Vec<String>) {
    let Ok(all) = app.hub.mcp_session(caller, id).await else { return Default::default() };
    let named = |fits: fn(&SessionServer) -> bool| {
        all.items.iter().filter(|one| fits(one)).map(|one| one.definition.name.clone()).collect()
    };
    let used = |one: &SessionServer| !matches!(one.status, Status::Disabled | Status::Untrusted);
    (named(used), named(|one| one.status == Status::Connected))
}

async fn find(app: &App, caller: &Caller, id: SessionId, name: &str) -> Result<SessionServer, Problem> {
    let all = app.hub.mcp_session(caller, id).await?;
    all.items.into_iter().find(|one| one.definition.name == name).ok_or_else(|| missing(name))
}

pub(super) async fn connect(app: &App, caller: &Caller, id: SessionId, session: &str, name: &str) -> Outcome {
    caller.may_operate()?;
    let before = find(app, caller, id, name).await?;
    let refuse =
        |status, code, why: &str| Err(Problem::new(status, code, format!("MCP server '{name}' {why}")));
    if before.status == Status::Connected {
        return refuse(StatusCode::CONFLICT, "connected", "is connected already");
    }
    if !before.definition.enabled && before.definition.source != Source::Project {
        return refuse(StatusCode::BAD_REQUEST, "disabled", "is disabled");
    }
    let server = app.hub.mcp_connect(caller, id, name).await?;
    if server.status != Status::Connected {
        let why = error(&server).unwrap_or_else(|| "it does not answer".to_owned());
        return refuse(
            StatusCode::BAD_GATEWAY,
            "not_connected",
            &format!("could not be connected to: {why}"),
        );
    }
    Ok(ok(&json!({
        "ok": true, "server_name": name, "status": "connected", "tool_count": server.tools.len(), "tools": names(&server),
        "session_id": session,
    })))
}

pub(super) async fn disconnect(
    app: &App,
    caller: &Caller,
    id: SessionId,
    session: &str,
    name: &str,
) -> Outcome {
    let before = find(app, caller, id, name).await?;
    app.hub.mcp_disconnect(caller, id, name).await?;
    Ok(ok(&json!({
        "ok": true, "server_name": name, "status": "disconnected", "tools_removed": before.tools.len(), "session_id": session,
    })))
}

pub(super) async fn tools(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    let server = find(app, caller, id, name).await?;
    let tools: Vec<_> = server
        .tools
        .iter()
        .map(|tool| json!({ "name": tool.name, "offered_as": tool.offered_as, "description": tool.description, "parameters": tool.input_schema }))
        .collect();
    Ok(ok(&json!({ "server_name": name, "status": word(&server), "total": tools.len(), "tools": tools })))
}

fn word(server: &SessionServer) -> &'static str {
    if server.status == Status::Connected { "connected" } else { "disconnected" }
}

pub(super) async fn status(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    let server = find(app, caller, id, name).await?;
    let since = server.connected.as_ref().map(|connected| connected.since);
    let uptime = since.map_or(0, |since| app.hub.now().ms_since(since) / 1_000);
    let process = json!({ "pid": server.connected.as_ref().and_then(|connected| connected.pid), "command": server.definition.command });
    Ok(ok(&json!({
        "server_name": name, "status": word(&server), "connected_at": since.map(crate::moment::naive), "uptime_seconds": uptime,
        "tool_count": server.tools.len(), "tools": names(&server), "process": process, "error": error(&server),
    })))
}
