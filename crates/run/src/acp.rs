//! The driver of agents that speak the Agent Client Protocol over stdio.
//!
//! ```text
//! Host::turn ── launch ── open ────────────── prompt ───────────── outcome
//!               a child   initialize          session/prompt, and meanwhile
//!               in        session/resume      updates  → the turn
//!               custody   session/load        requests → files, terminals, a person
//!                         session/new         a stop   → session/cancel
//! Host::idle ── what it says is kept, requests refused, the agent's end noticed
//! ```
//!
//! - An agent is started by the first turn that needs it and lives until its session ends or it has been idle for long.
//!   Whatever goes wrong ends the turn with an error that says what was run, where, and its last words, and leaves no
//!   process; the next turn starts the agent anew and takes up the session again, as far as the agent can.
//! - Nothing an agent writes is fatal but silence and its end: lines that are no message, or too long, updates of
//!   unknown kinds and notifications of unknown methods are kept or noted, unknown requests are answered as the protocol
//!   has it.
//! - Its files are those below the session's workspace, and no link leads out. Its terminals are children in custody, shut in as it is.
//! - Between turns nothing is asked of a person.

mod agent;
mod between;
mod client;
mod conversation;
pub(crate) mod files;
pub(crate) mod host;
pub(crate) mod link;
pub(crate) mod open;
pub(crate) mod output;
pub(crate) mod permission;
mod settings;
pub(crate) mod shut;
pub(crate) mod terminal;
pub(crate) mod trouble;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::custody::Custody;
use crate::driver::{Driver, Host, SessionPort};

/// How long an agent may say nothing while its session is being opened.
const START: Duration = Duration::from_secs(60);

/// Makes hosts for agents that speak ACP.
#[derive(Debug)]
pub struct AcpDriver {
    shared: Arc<Shared>,
}

/// What all hosts share.
#[derive(Clone, Debug)]
struct Shared {
    custody: Arc<Custody>,
    catalog: Arc<Catalog>,
    env: Vec<(OsString, OsString)>,
    start: Duration,
    mcp: Option<Mcp>,
}

/// The daemon's own MCP server, as agents reach it. Whoever connects from an agent's tree is that agent, so it needs no token.
#[derive(Clone, Debug)]
pub struct Mcp {
    /// The daemon's address.
    pub base_url: String,
    /// The program that is the bridge to it, for agents that start their servers.
    pub bridge: Option<PathBuf>,
}

impl AcpDriver {
    /// A driver that runs agents as the catalog says. They get what they may have of `env`, the daemon's environment.
    #[must_use]
    pub fn new(custody: Arc<Custody>, catalog: Arc<Catalog>, env: Vec<(OsString, OsString)>) -> Self {
        Self { shared: Arc::new(Shared { custody, catalog, env, start: START, mcp: None }) }
    }

    /// Sets how long an agent may say nothing while its session is being opened; a minute if this is not called.
    #[must_use]
    pub fn with_start_timeout(self, start: Duration) -> Self {
        Self { shared: Arc::new(Shared { start, ..(*self.shared).clone() }) }
    }

    /// Has it give agents the daemon's own MCP server, where their entry says so.
    #[must_use]
    pub fn with_mcp(self, mcp: Mcp) -> Self {
        Self { shared: Arc::new(Shared { mcp: Some(mcp), ..(*self.shared).clone() }) }
    }
}

impl Driver for AcpDriver {
    fn host(&self, port: SessionPort) -> Box<dyn Host> {
        Box::new(host::AcpHost::new(port, Arc::clone(&self.shared)))
    }
}
