//! The registry: who takes part, what they can, and when they were last there.

use axum::Json as Body;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::registry::{Command, Entry};
use trunkline_core::time::Time;

use crate::app::{App, Shared};
use crate::extract::{Id, Json, Who};
use crate::problem::Answer;

/// An agent of the registry.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RegisteredAgent")]
pub(crate) struct AgentView {
    /// Its name.
    agent: String,
    /// What it wants to be known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Raw>,
    /// What it can, in words of its own.
    capabilities: Vec<String>,
    /// When it was first seen.
    first_seen: Time,
    /// When it was last seen.
    last_seen: Time,
    /// Until when its lease runs, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    /// Whether it may be counted on: its lease runs, or it was seen within two minutes.
    present: bool,
}

/// What an agent says of itself; what it has said before is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RegisterAgent")]
pub(crate) struct Register {
    /// Anything: at most 4 KiB of JSON.
    metadata: Option<Raw>,
    /// What it can, in words of its own.
    #[serde(default)]
    capabilities: Vec<String>,
    /// For how long it may be counted on, in milliseconds, at most a day. It registers again before that is over.
    lease_ms: Option<u64>,
}

pub(crate) fn view(entry: &Entry, now: Time) -> AgentView {
    AgentView {
        agent: entry.agent.to_string(),
        metadata: entry.metadata.clone(),
        capabilities: entry.capabilities.clone(),
        first_seen: entry.first_seen,
        last_seen: entry.last_seen,
        until: entry.until,
        present: entry.is_present(now),
    }
}

pub(crate) async fn get(app: Shared, _: Who, Id(agent): Id<String>) -> Answer<Body<AgentView>> {
    Ok(Body(read(&app, agent).await?))
}

async fn read(app: &App, agent: String) -> Answer<AgentView> {
    let wanted = agent.clone();
    let found = app
        .hub
        .look_registry(move |registry, now| registry.get(&wanted).map(|entry| view(entry, now)))
        .await?;
    Ok(found.ok_or_else(|| Refused::not_found("agent", agent))?)
}

pub(crate) async fn register(
    app: Shared,
    Who(caller): Who,
    Id(agent): Id<String>,
    Json { body: Register { metadata, capabilities, lease_ms }, .. }: Json<Register>,
) -> Answer<Body<AgentView>> {
    let name = agent.as_str().into();
    app.hub.registry(&caller, Command::Register { agent: name, metadata, capabilities, lease_ms }).await?;
    Ok(Body(read(&app, agent).await?))
}

pub(crate) async fn forget(app: Shared, Who(caller): Who, Id(agent): Id<String>) -> Answer<StatusCode> {
    app.hub.registry(&caller, Command::Forget(agent.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}
