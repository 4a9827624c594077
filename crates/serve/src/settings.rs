//! What the agent of a session can be set to: modes, models, options.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_core::id::{Pos, SessionId};
use trunkline_core::principal::Caller;
use trunkline_core::session::Command;
use trunkline_core::setting::{Setting, Value};

use crate::app::{App, Shared, at};
use crate::extract::{Id, Ids, Json, Who};
use crate::problem::Answer;

/// The mode to choose.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChooseMode")]
pub(crate) struct Mode {
    /// Its id, or its name.
    mode: String,
}

/// The model to choose.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChooseModel")]
pub(crate) struct Model {
    /// Its id, or its name.
    model: String,
}

/// The value to choose.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChooseValue")]
pub(crate) struct Choose {
    /// On or off, or one of the values by id or name.
    value: Value,
}

pub(crate) async fn show(app: Shared, Who(caller): Who, Id(id): Id<SessionId>) -> Answer<Response> {
    caller.may_read(id)?;
    view(&app, id, Pos(0)).await
}

pub(crate) async fn mode(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Mode>,
) -> Answer<Response> {
    choose(&app, &caller, id, Setting::Mode(json.body.mode), json.key).await
}

pub(crate) async fn model(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Model>,
) -> Answer<Response> {
    choose(&app, &caller, id, Setting::Model(json.body.model), json.key).await
}

pub(crate) async fn option(
    app: Shared,
    Who(caller): Who,
    Ids(id, option): Ids<SessionId, String>,
    json: Json<Choose>,
) -> Answer<Response> {
    choose(&app, &caller, id, Setting::Option { id: option, value: json.body.value }, json.key).await
}

async fn choose(
    app: &App,
    caller: &Caller,
    id: SessionId,
    setting: Setting,
    key: Option<(String, String)>,
) -> Answer<Response> {
    let done = app.hub.command(caller, id, Command::Set(setting), key).await?;
    view(app, id, done.pos).await
}

async fn view(app: &App, id: SessionId, written: Pos) -> Answer<Response> {
    let (view, pos) = app.hub.look(id, |session| session.offered()).await?;
    Ok(at(StatusCode::OK, pos.max(written), &view))
}
