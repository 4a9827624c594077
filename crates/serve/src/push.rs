//! The devices that Web Push tells of requests.

use axum::Json as Body;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use trunkline_core::principal::{Caller, Scope};
use trunkline_run::notify::push::{Device, NotKept, Sent, Subscription};
use trunkline_run::secrets::SecretsError;

use crate::app::{App, Shared};
use crate::extract::{Id, Json, NoBody, Who};
use crate::problem::{Answer, Problem};

/// What a browser subscribes with, and who is told.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Push")]
pub(crate) struct Push {
    /// The daemon's key: `applicationServerKey` of a subscription.
    key: String,
    /// The devices that are told.
    devices: Vec<Device>,
}

pub(crate) async fn show(app: Shared, Who(caller): Who) -> Answer<Body<Push>> {
    caller.may_list()?;
    let key = app.push.key().map_err(unwritable)?;
    Ok(Body(Push { key, devices: app.push.devices() }))
}

pub(crate) async fn add(
    app: Shared,
    Who(caller): Who,
    json: Json<Subscription>,
) -> Answer<(StatusCode, Body<Device>)> {
    caller.may_list()?;
    if caller.scope == Scope::Local {
        let detail = "this needs a token: a device is told for as long as its token counts";
        return Err(Problem::forbidden("forbidden", detail));
    }
    let device = app.push.add(&caller.principal, json.body, app.hub.now())?;
    Ok((StatusCode::CREATED, Body(device)))
}

pub(crate) async fn remove(app: Shared, Who(caller): Who, Id(id): Id<String>) -> Answer<StatusCode> {
    own(&app, &caller, &id)?;
    app.push.remove(&id).map_err(unwritable)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn test(app: Shared, Who(caller): Who, Id(id): Id<String>, _: NoBody) -> Answer<Body<Sent>> {
    own(&app, &caller, &id)?;
    let sent = app.push.test(&app.hub, &id).await.map_err(unwritable)?;
    sent.map(Body).ok_or_else(|| Problem::not_found("device", &id))
}

/// Checks that a device is the caller's own, or that the caller may do what operators do.
fn own(app: &App, caller: &Caller, id: &str) -> Answer<()> {
    caller.may_list()?;
    let device = app.push.devices().into_iter().find(|device| device.id == id);
    let device = device.ok_or_else(|| Problem::not_found("device", id))?;
    if device.by != caller.principal {
        caller.may_operate()?;
    }
    Ok(())
}

fn unwritable(error: SecretsError) -> Problem {
    NotKept::from(error).into()
}

impl From<NotKept> for Problem {
    fn from(error: NotKept) -> Self {
        match error {
            NotKept::Refused(refused) => refused.into(),
            NotKept::Secrets(error) => {
                tracing::error!(%error, "the store of secrets cannot be written");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "secrets_unwritable", error.to_string())
            }
        }
    }
}
