//! The MCP servers of one session: which it is to be connected to, and what a person changes about that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trunkline_core::agent::Status as Gauge;
use trunkline_core::id::SessionId;
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::session::{Command, Run, Session};

use super::connections::{Connections, How, Over, Phase};
use super::{
    Defined, Found, Listed, Mcp, Named, SessionServer, SessionServers, Source, Status, ToolView, names,
};
use crate::cell::CommandError;
use crate::hub::Hub;
use crate::model::MODEL;

/// The gauge of a session that keeps what people have wished for.
const GAUGE: &str = "mcp";

/// Why something about a session's servers was not done.
pub type SessionError = CommandError;

/// What people have wished for in a session, beside what is usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wishes {
    /// Those to connect to although that is not usual.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    on: BTreeSet<String>,
    /// Those not to connect to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    off: BTreeSet<String>,
    /// Those that are usual, where the agent says.
    #[serde(skip)]
    only: Option<Vec<String>>,
}

impl Wishes {
    pub(crate) fn of(session: &Session) -> Self {
        session.agent.status.get(GAUGE).and_then(|raw| raw.read().ok()).unwrap_or_default()
    }

    /// The same, where only these are usual.
    pub(crate) fn among(self, only: Option<Vec<String>>) -> Self {
        Self { only, ..self }
    }

    fn wants(&self, defined: &Defined) -> bool {
        let named = |only: &Vec<String>| only.contains(&defined.name);
        let usual = self.only.as_ref().map_or_else(|| defined.enabled(), named);
        (usual || self.on.contains(&defined.name)) && !self.off.contains(&defined.name)
    }
}

impl Connections {
    /// Connects to what the session is to be connected to, and ends what it is not. Returns before anything is connected.
    pub(crate) async fn sync(&self, mcp: &Mcp, workspace: &Path, found: &Found, wishes: &Wishes) {
        for name in self.phases().into_keys() {
            if !found.servers.contains_key(&name) {
                self.forget(&name).await;
            }
        }
        for defined in found.servers.values() {
            if wishes.wants(defined) && mcp.trusts(workspace, defined) {
                self.connect(defined).await;
            } else {
                self.disconnect(&defined.name).await;
            }
        }
    }
}

impl Hub {
    /// The MCP servers there are.
    #[must_use]
    pub fn mcp(&self) -> &Mcp {
        self.mcp_kept()
    }

    /// The servers that a session can use, and how it stands to each.
    ///
    /// # Errors
    /// When the caller may not read the session, there is none, or its agent is no built-in one.
    pub async fn mcp_session(&self, caller: &Caller, id: SessionId) -> Result<SessionServers, SessionError> {
        caller.may_read(id)?;
        let (workspace, _) = self.mcp_place(id).await?;
        Ok(self.mcp_view(id, &workspace, &self.mcp_found(&workspace).await))
    }

    /// Connects a session to a server, and waits until that is done or has failed, half a minute at most. It stays so until it
    /// is disconnected, also when the daemon was started anew meanwhile.
    ///
    /// # Errors
    /// When there is no such server, it comes from a project and no person has let it run, or the caller may not do that. That
    /// the server could not be reached is no error: its status says so.
    pub async fn mcp_connect(
        &self,
        caller: &Caller,
        id: SessionId,
        name: &str,
    ) -> Result<SessionServer, SessionError> {
        caller.may_operate()?;
        let (workspace, wishes) = self.mcp_place(id).await?;
        let found = self.mcp_found(&workspace).await;
        let defined = found.servers.get(name).ok_or_else(|| Refused::not_found("MCP server", name))?;
        if !self.mcp().trusts(&workspace, defined) {
            let why = "comes from the project, and nobody has let it run: look at what it would start, and trust it by its \
                       fingerprint";
            return Err(Refused::invalid("server", why).into());
        }
        let mut wished = wishes.clone();
        wished.off.remove(name);
        wished.on.insert(name.to_owned());
        self.mcp_wish(id, &wishes, &wished).await?;
        let connections = self.mcp_connections(id).await?;
        connections.connect(defined).await;
        connections.made(name).await;
        self.mcp_one(id, &workspace, &found, name)
    }

    /// Ends a session's connection to a server, with its program. It stays so until it is connected again.
    ///
    /// # Errors
    /// When there is no such server, or the caller may not do that.
    pub async fn mcp_disconnect(
        &self,
        caller: &Caller,
        id: SessionId,
        name: &str,
    ) -> Result<SessionServer, SessionError> {
        caller.may_operate()?;
        let (workspace, wishes) = self.mcp_place(id).await?;
        let found = self.mcp_found(&workspace).await;
        if !found.servers.contains_key(name) {
            return Err(Refused::not_found("MCP server", name).into());
        }
        let mut wished = wishes.clone();
        wished.on.remove(name);
        wished.off.insert(name.to_owned());
        self.mcp_wish(id, &wishes, &wished).await?;
        if let Some(connections) = self.mcp().connections(id) {
            connections.disconnect(name).await;
        }
        self.mcp_one(id, &workspace, &found, name)
    }

    /// Lets a server run that the session's project brings, in all sessions there, as long as it is just the same.
    ///
    /// # Errors
    /// When the project has no such server, or by now another than that of the fingerprint, or the caller may not do that.
    pub async fn mcp_trust(
        &self,
        caller: &Caller,
        id: SessionId,
        name: &str,
        fingerprint: &str,
    ) -> Result<SessionServer, SessionError> {
        caller.may_operate()?;
        let (workspace, _) = self.mcp_place(id).await?;
        let found = self.mcp_found(&workspace).await;
        let defined = of_project(&found, name)?;
        if defined.fingerprint.as_deref() != Some(fingerprint) {
            let why = "is not that of what the project's file says now: look at it again";
            return Err(Refused::invalid("fingerprint", why).into());
        }
        self.trust_mcp_server(caller, &workspace, name, fingerprint).await?;
        self.mcp_one(id, &workspace, &found, name)
    }

    /// Lets it run no longer; this session's connection to it ends.
    ///
    /// # Errors
    /// When the project has no such server, or the caller may not do that.
    pub async fn mcp_distrust(
        &self,
        caller: &Caller,
        id: SessionId,
        name: &str,
    ) -> Result<SessionServer, SessionError> {
        caller.may_operate()?;
        let (workspace, _) = self.mcp_place(id).await?;
        let found = self.mcp_found(&workspace).await;
        of_project(&found, name)?;
        self.distrust_mcp_server(caller, &workspace, name).await?;
        if let Some(connections) = self.mcp().connections(id) {
            connections.disconnect(name).await;
        }
        self.mcp_one(id, &workspace, &found, name)
    }

    /// Where a session works, and what was wished for in it.
    async fn mcp_place(&self, id: SessionId) -> Result<(PathBuf, Wishes), SessionError> {
        let place = |session: &Session| {
            let created = session.created.as_ref().map(|(created, ..)| created);
            let own = created.filter(|created| created.driver == MODEL);
            let workspace = own.and_then(|created| created.workspace.clone());
            (workspace.map(PathBuf::from), Wishes::of(session))
        };
        let ((workspace, wishes), _) = self.look(id, place).await?;
        let why = "has no built-in agent with a workspace: only that connects to MCP servers";
        Ok((workspace.ok_or_else(|| Refused::invalid("session", why))?, wishes))
    }

    async fn mcp_found(&self, workspace: &Path) -> Found {
        let (mcp, workspace) = (self.mcp().clone(), workspace.to_owned());
        tokio::task::spawn_blocking(move || mcp.found(&workspace)).await.unwrap_or_default()
    }

    async fn mcp_wish(&self, id: SessionId, before: &Wishes, wished: &Wishes) -> Result<(), SessionError> {
        if before == wished {
            return Ok(());
        }
        let update = Raw::of(wished).expect("it has string keys only");
        let run = Run::Agent(vec![Gauge { kind: GAUGE.to_owned(), update }.into()]);
        self.command(&Caller::agent(id), id, Command::Run(run), None).await.map(drop)
    }

    /// The connections of a session, whose agent is kept running for it.
    async fn mcp_connections(&self, id: SessionId) -> Result<Arc<Connections>, SessionError> {
        if let Some(connections) = self.mcp().connections(id) {
            return Ok(connections);
        }
        self.wake(id).await?;
        self.mcp().connections(id).ok_or(CommandError::Stopping)
    }

    fn mcp_one(
        &self,
        id: SessionId,
        workspace: &Path,
        found: &Found,
        name: &str,
    ) -> Result<SessionServer, SessionError> {
        let view = self.mcp_view(id, workspace, found);
        let one = view.items.into_iter().find(|server| server.definition.name == name);
        one.ok_or_else(|| Refused::not_found("MCP server", name).into())
    }

    fn mcp_view(&self, id: SessionId, workspace: &Path, found: &Found) -> SessionServers {
        let connections = self.mcp().connections(id);
        let phases = connections.as_ref().map(|connections| connections.phases()).unwrap_or_default();
        let links = connections.as_ref().map(|connections| connections.links()).unwrap_or_default();
        let listed: Vec<_> = links.iter().map(|(server, link)| (server.as_str(), link.tools())).collect();
        let all = listed.iter().flat_map(|(server, tools)| tools.iter().map(|tool| (*server, &*tool.name)));
        let named = names::named(all, &crate::model::built_in());
        let view = |defined: &Defined| {
            let phase = phases.get(&defined.name).map(|(_, phase)| phase);
            server(defined, phase, self.mcp().trusts(workspace, defined), &named)
        };
        let items: Vec<_> = found.servers.values().map(view).collect();
        let tools = items.iter().map(|server| server.tools.len()).sum();
        SessionServers { items, tools, trouble: found.trouble.clone() }
    }
}

fn of_project<'f>(found: &'f Found, name: &str) -> Result<&'f Defined, Refused> {
    let defined = found.servers.get(name).filter(|defined| defined.source == Source::Project);
    defined.ok_or_else(|| Refused::not_found("MCP server of the project", name))
}

fn server(defined: &Defined, phase: Option<&Phase>, trusted: bool, named: &[Named]) -> SessionServer {
    let idle = || match (trusted, defined.enabled()) {
        (false, _) => Status::Untrusted,
        (true, false) => Status::Disabled,
        (true, true) => Status::Disconnected,
    };
    let mut view = SessionServer {
        status: idle(),
        tools: Vec::new(),
        connected: None,
        error: None,
        stderr: String::new(),
        fingerprint: defined.fingerprint.clone(),
        definition: Listed::of(defined),
    };
    match phase {
        None => {}
        Some(Phase::Connecting { .. }) => view.status = Status::Connecting,
        Some(Phase::Connected(link)) => {
            view.status = Status::Connected;
            view.connected = Some(link.view());
            view.tools = link.tools().iter().filter_map(|tool| shown(&defined.name, tool, named)).collect();
        }
        Some(Phase::Over(Over { how, error, stderr })) => {
            view.status = match how {
                How::Failed => Status::Failed,
                How::Broke => Status::Disconnected,
                How::Asked => idle(),
            };
            (view.error, view.stderr) = (error.clone(), stderr.clone());
        }
    }
    view
}

fn shown(server: &str, tool: &rmcp::model::Tool, named: &[Named]) -> Option<ToolView> {
    let name = named.iter().find(|named| named.server == server && named.tool == tool.name)?;
    Some(ToolView {
        name: tool.name.to_string(),
        offered_as: name.offered.clone(),
        description: tool.description.as_deref().unwrap_or_default().to_owned(),
        input_schema: serde_json::Value::Object((*tool.input_schema).clone()),
    })
}
