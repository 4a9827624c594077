//! The driver `model`: an agent of our own. It asks a model over its provider's wire, carries out what the model calls, and asks
//! again, until the model has no more to say.
//!
//! ```text
//! Host::turn ── open ─────────── prompt ── step ─────────────────────────── outcome
//!               workspace        into      ask the model  → what it says
//!               what was said    the       carry out      → what its calls give
//!               before           memory    again …
//! ```
//!
//! - What was said is kept as the driver's memory, one entry per message, in the session's own log ([`history`]). So a session
//!   goes on after a restart, and with another model.
//! - A turn that is stopped leaves a conversation that any provider accepts: what was not carried out says so.
//! - What passes is tried again, a few times, and each time is told. A conversation that is too long is made shorter, and that is
//!   told too (`compact`).
//! - Tools are those that are built in and those of the MCP servers that are connected ([`mcp`](crate::mcp)); what is offered is
//!   what can be carried out at that moment.
//! - A tool that only looks into the workspace asks nobody, unless the session asks about all; every other asks by the session's
//!   permissions.

mod budget;
mod calls;
mod compact;
pub mod history;
mod host;
mod park;
mod prompt;
mod servers;
mod skills;
mod stream;
mod tools;

use std::ffi::OsString;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::custody::Custody;
use crate::driver::{Driver, Host, SessionPort};
use crate::mcp::Mcp;
use crate::profiles::Profiles;

/// The name of the driver, and of the agent in the catalog.
pub const MODEL: &str = "model";

/// The names of the tools that are built in.
pub(crate) fn built_in() -> Vec<&'static str> {
    tools::NAMES.iter().copied().chain([skills::NAME]).collect()
}

/// Makes hosts that ask models.
#[derive(Debug)]
pub struct ModelDriver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    custody: Custody,
    catalog: Arc<Catalog>,
    profiles: Profiles,
    mcp: Mcp,
    env: Vec<(OsString, OsString)>,
}

impl ModelDriver {
    /// A driver whose models are those of the profiles, and whose tools beside its own those of MCP servers. Commands get what they may have of `env`, the daemon's environment.
    #[must_use]
    pub fn new(
        custody: Custody,
        catalog: Arc<Catalog>,
        profiles: Profiles,
        mcp: Mcp,
        env: Vec<(OsString, OsString)>,
    ) -> Self {
        Self { shared: Arc::new(Shared { custody, catalog, profiles, mcp, env }) }
    }
}

impl Driver for ModelDriver {
    fn host(&self, port: SessionPort) -> Box<dyn Host> {
        Box::new(host::ModelHost::new(port, Arc::clone(&self.shared)))
    }
}
