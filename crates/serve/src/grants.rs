//! Standing permissions of a session.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_core::event::Fact;
use trunkline_core::grant::{Added, Grant};
use trunkline_core::id::{GrantId, SessionId};
use trunkline_core::session::Command;
use trunkline_core::time::Time;
use uuid::Uuid;

use crate::app::{Shared, at, nothing};
use crate::extract::{Id, Ids, Json, Who};
use crate::problem::{Answer, Problem};
use crate::routes::List;

/// A permission to give.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AddGrant")]
pub(crate) struct Add {
    /// The tool it covers, by its exact name.
    tool: String,
    /// When it stops counting; with the session, if not said.
    expires: Option<Time>,
}

pub(crate) async fn list(app: Shared, Who(caller): Who, Id(id): Id<SessionId>) -> Answer<Response> {
    caller.may_read(id)?;
    let (items, pos) = app.hub.look(id, |session| session.grants.all.values().cloned().collect()).await?;
    Ok(at(StatusCode::OK, pos, &List::<Grant> { items }))
}

pub(crate) async fn add(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Add>,
) -> Answer<Response> {
    let Add { tool, expires } = json.body;
    let grant = GrantId::new(Uuid::now_v7());
    let done =
        app.hub.command(&caller, id, Command::Grant(Added { id: grant, tool, expires }), json.key).await?;
    let added = done.events.into_iter().find_map(|event| match event.fact {
        Fact::GrantAdded(Added { id, tool, expires }) => {
            Some(Grant { id, tool, expires, by: event.by, at: event.at })
        }
        _ => None,
    });
    let added = added.ok_or_else(|| Problem::not_found("grant", &grant.to_string()))?;
    Ok(at(StatusCode::CREATED, done.pos, &added))
}

pub(crate) async fn revoke(
    app: Shared,
    Who(caller): Who,
    Ids(id, grant): Ids<SessionId, GrantId>,
) -> Answer<Response> {
    let done = app.hub.command(&caller, id, Command::Revoke(grant), None).await?;
    Ok(nothing(done.pos))
}
