//! Whether the daemon is well.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::Shared;

/// The daemon's state.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// Always `healthy`: a daemon that is not does not answer.
    status: &'static str,
    /// Seconds since the daemon started.
    uptime: u64,
    /// Always `trunkline`.
    service: &'static str,
    /// The version.
    version: &'static str,
}

pub(crate) async fn health(app: Shared) -> Json<Health> {
    Json(Health {
        status: "healthy",
        uptime: app.started.elapsed().as_secs(),
        service: "trunkline",
        version: env!("CARGO_PKG_VERSION"),
    })
}
