//! MCP servers: where the built-in agent gets more tools from.
//!
//! ```text
//! Mcp ────────── which servers there are: of the user's file, made through the API, of a session's project
//!  └ Connections  those of one session, as long as its agent is kept running
//!     └ link      one connection: start, handshake, tools, and why it ended
//!        └ pipes | remote   over a program's stdin and stdout, or over streamable HTTP
//! ```
//!
//! - A server that a project brings is not started before a person has let it: a checkout is untrusted. What was let is that
//!   definition, by its hash; another one asks anew.
//! - A program gets the usual variables, those that its definition names, and nothing else of the daemon's environment. It
//!   runs in the workspace, in custody, and, unless its definition says otherwise, in the sandbox of the agent's own commands.
//! - A connection that cannot be made, or breaks, says why, and its tools are offered no longer. Nothing waits for it without
//!   a bound.
//! - The values of variables and headers come in and go to the server, and stand in no answer and no log. What a server itself
//!   tells of them through a tool is its own matter.

mod connections;
mod content;
mod link;
mod made;
mod names;
mod pipes;
mod project;
mod remote;
mod session;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use trunkline_core::id::SessionId;
use trunkline_core::mcp::{Book, McpTrusted, Server};
use trunkline_wire::model::Secret;

use crate::secrets::Secrets;

pub(crate) use connections::{Connections, Ground};
pub(crate) use content::content;
pub(crate) use link::Link;
pub(crate) use made::Keep as KeepMade;
pub use made::{Given, NotPut, Values};
pub(crate) use names::{Named, named, permission_name};
pub use session::SessionError;
pub(crate) use session::Wishes;
pub use view::{Connected, Listed, MASK, SessionServer, SessionServers, Source, Status, ToolView};

/// How long one of a server's tools may take, unless its definition says, in seconds.
const TIMEOUT_S: u64 = 180;

/// The MCP servers there are. Cheap to clone. The default has none, and keeps no secret.
#[derive(Clone, Debug, Default)]
pub struct Mcp(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    file: BTreeMap<String, OfFile>,
    book: RwLock<Book>,
    secrets: Secrets,
    env: Vec<(OsString, OsString)>,
    sessions: Mutex<HashMap<SessionId, Weak<Connections>>>,
}

/// A server of the user's file, with the secrets that stand there.
#[derive(Clone, Debug)]
pub struct OfFile {
    /// The server.
    pub server: Server,
    /// Its variables.
    pub env: Vec<(String, Secret)>,
    /// Its headers.
    pub headers: Vec<(String, Secret)>,
}

/// A server as a session would use it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Defined {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) server: Server,
    pub(crate) env: Vec<(String, Secret)>,
    pub(crate) headers: Vec<(String, Secret)>,
    /// Of a project's: by which it is let.
    pub(crate) fingerprint: Option<String>,
    /// Why it cannot be connected to, if that is known before.
    pub(crate) why: Option<String>,
}

/// What there is for a session.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By name.
    pub(crate) servers: BTreeMap<String, Defined>,
    /// What is wrong with the project's file.
    pub(crate) trouble: Option<String>,
}

impl Mcp {
    /// Gathers those of the file. Servers may get what their definitions name of `env`, the daemon's environment.
    #[must_use]
    pub fn new(file: BTreeMap<String, OfFile>, env: Vec<(OsString, OsString)>, secrets: Secrets) -> Self {
        Self(Arc::new(Inner { file, env, secrets, ..Inner::default() }))
    }

    /// Those of the file and those that were made. No secret is in this.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.global().into_values().map(|defined| Listed::of(&defined)).collect()
    }

    /// The one of this name, as lists show it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Listed> {
        self.global().get(name).map(Listed::of)
    }

    /// What there is for sessions in this workspace. Reads the project's file, so it blocks.
    pub(crate) fn found(&self, workspace: &Path) -> Found {
        let mut found = Found { servers: self.global(), trouble: None };
        let (project, trouble) = project::read(workspace);
        found.trouble = trouble;
        for defined in project {
            // A checkout takes the place of nothing that the user has set up.
            found.servers.entry(defined.name.clone()).or_insert(defined);
        }
        found
    }

    /// Whether it may be started in this workspace.
    pub(crate) fn trusts(&self, workspace: &Path, defined: &Defined) -> bool {
        let Some(fingerprint) = &defined.fingerprint else { return true };
        let trusted = McpTrusted {
            workspace: workspace.to_string_lossy().into_owned(),
            server: defined.name.clone(),
            fingerprint: fingerprint.clone(),
        };
        self.book().trusts(&trusted)
    }

    /// The variables of the daemon's environment that a server is to have.
    pub(crate) fn passed(&self, server: &Server) -> Vec<(OsString, OsString)> {
        let named =
            |(name, _): &&(OsString, OsString)| server.env_pass.iter().any(|one| name == one.as_str());
        self.0.env.iter().filter(named).cloned().collect()
    }

    /// The connections of a session whose agent is kept running.
    pub(crate) fn connections(&self, id: SessionId) -> Option<Arc<Connections>> {
        self.sessions().get(&id).and_then(Weak::upgrade)
    }

    /// Makes those of a session known. They are forgotten when nobody holds them any more.
    pub(crate) fn register(&self, id: SessionId, connections: &Arc<Connections>) {
        let mut sessions = self.sessions();
        sessions.retain(|_, connections| connections.strong_count() > 0);
        sessions.insert(id, Arc::downgrade(connections));
    }

    fn global(&self) -> BTreeMap<String, Defined> {
        let mut all = BTreeMap::new();
        for (name, of) in &self.0.file {
            let defined = Defined {
                name: name.clone(),
                source: Source::File,
                server: of.server.clone(),
                env: of.env.clone(),
                headers: of.headers.clone(),
                fingerprint: None,
                why: None,
            };
            all.insert(name.clone(), defined);
        }
        for (name, server) in &self.book().servers {
            all.entry(name.clone()).or_insert_with(|| self.made(name, server));
        }
        all
    }

    fn made(&self, name: &str, server: &Server) -> Defined {
        let value = |kind: &str, field: &String| {
            Some((field.clone(), self.0.secrets.get(&secret_name(name, kind, field))?))
        };
        let env: Vec<_> = server.env.iter().filter_map(|field| value("env", field)).collect();
        let headers: Vec<_> = server.headers.iter().filter_map(|field| value("headers", field)).collect();
        let named = server.env.iter().chain(&server.headers);
        let lacking = named.clone().find(|name| !env.iter().chain(&headers).any(|(has, _)| has == *name));
        Defined {
            name: name.to_owned(),
            source: Source::Made,
            server: server.clone(),
            fingerprint: None,
            why: lacking.map(|lacking| format!("{lacking} has no value; set it anew")),
            env,
            headers,
        }
    }

    fn book(&self) -> std::sync::RwLockReadGuard<'_, Book> {
        self.0.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the log says: all of it, in place of what there was.
    fn take_book(&self, book: Book) {
        *self.0.book.write().unwrap_or_else(PoisonError::into_inner) = book;
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Weak<Connections>>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Defined {
    /// Whether sessions connect to it by themselves, once it may run.
    pub(crate) fn enabled(&self) -> bool {
        self.server.enabled
    }

    /// How long one of its tools may take.
    pub(crate) fn timeout(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.server.timeout_s.unwrap_or(TIMEOUT_S))
    }

    /// A text of the server without its secrets: it may print its own environment.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (_, secret) in self.env.iter().chain(&self.headers) {
            // A short value stands in too many words to be struck out, and is no secret.
            if secret.reveal().len() >= 6 && text.contains(secret.reveal()) {
                text = text.replace(secret.reveal(), "[secret]");
            }
        }
        text
    }
}

fn secret_name(server: &str, kind: &str, field: &str) -> String {
    format!("mcp/{server}/{kind}/{field}")
}
