//! Whether the daemon is well.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

use trunkline_run::sandbox::{Confined, Policy};

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
    /// Whether agents here are kept from what their user can do. If not, an agent that is allowed something may do more than
    /// that: it runs as its owner, and can read the owner's token.
    confined: bool,
    /// By what.
    sandbox: Sandbox,
}

/// What keeps agents to their workspace, where their catalog entry says nothing else.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sandbox {
    /// `namespace`, `landlock`, or `no`: then an agent can do what its owner can.
    mechanism: Confined,
    /// Why nothing stronger holds, in words; empty where the strongest does.
    why: Vec<String>,
}

pub(crate) async fn health(app: Shared) -> Json<Health> {
    let sandbox = &app.sandbox;
    let mechanism = sandbox.confined(&Policy::default());
    Json(Health {
        status: "healthy",
        uptime: app.started.elapsed().as_secs(),
        service: "trunkline",
        version: env!("CARGO_PKG_VERSION"),
        confined: mechanism != Confined::No,
        sandbox: Sandbox { mechanism, why: sandbox.why() },
    })
}
