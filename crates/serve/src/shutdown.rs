//! Stopping the daemon.

use axum::Json as Body;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::Shared;
use crate::extract::{NoBody, Who};
use crate::problem::Answer;

/// The daemon is stopping.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stopping {
    /// Its process: gone when the daemon is.
    pid: u32,
}

pub(crate) async fn shutdown(
    app: Shared,
    Who(caller): Who,
    _: NoBody,
) -> Answer<(StatusCode, Body<Stopping>)> {
    caller.may_administer()?;
    app.stop_asked.cancel();
    Ok((StatusCode::ACCEPTED, Body(Stopping { pid: std::process::id() })))
}
