//! The MCP servers of a session, as its agent uses them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_core::raw::Raw;
use trunkline_wire::acp::{ToolCall, ToolKind};
use trunkline_wire::model::{Call, Tool};

use super::tools::{Done, MAX_OUTPUT, Plan, bare};
use super::{MODEL, Shared};
use crate::acp::shut::Shut;
use crate::bundle::Bundle;
use crate::catalog::{Entry as Agent, environment};
use crate::driver::SessionPort;
use crate::mcp::{self, Connections, Found, Ground, Link, Named, Wishes};
use crate::turn::Turn;

/// How long a turn waits for servers that it has not met before. Those that are slower are there for a later question.
const PATIENCE: Duration = Duration::from_secs(10);

/// The servers of one session.
pub(super) struct Servers {
    connections: Arc<Connections>,
    workspace: PathBuf,
    /// What was told of each that is not there.
    told: BTreeMap<String, String>,
}

/// A tool of a server that is connected.
pub(super) struct Remote {
    named: Named,
    link: Arc<Link>,
    about: Tool,
}

/// A call of such a tool that has been understood.
pub(super) struct RemoteCall {
    link: Arc<Link>,
    tool: String,
    arguments: serde_json::Map<String, Value>,
}

impl Servers {
    /// None is connected yet.
    ///
    /// # Errors
    /// When their programs could not be shut in.
    pub(super) fn open(port: &SessionPort, shared: &Shared) -> Result<Self, String> {
        let created = &port.created;
        let workspace = created.workspace.as_deref().map(PathBuf::from);
        let workspace = workspace.ok_or_else(|| "this session has no workspace".to_owned())?;
        let agent = shared.catalog.resolve(Some(&created.agent), None);
        let agent = agent.unwrap_or_else(|_| Agent::plain(MODEL, Vec::new()));
        let env = environment(&shared.env, &agent);
        let name = format!("{}-mcp-{}", port.id, uuid::Uuid::now_v7().simple());
        let shut = Shut::new(shared.custody.sandbox(), &name, &agent, &env, &workspace);
        let shut = shut.map_err(|_| "its MCP servers cannot be shut in as the agent is".to_owned())?;
        let ground = Ground {
            port: port.clone(),
            workspace: workspace.clone(),
            mcp: shared.mcp.clone(),
            custody: shared.custody.clone(),
            http: shared.profiles.http().clone(),
            env,
            shut,
        };
        let connections = Connections::new(ground);
        shared.mcp.register(port.id, &connections);
        Ok(Self { connections, workspace, told: BTreeMap::new() })
    }

    /// Connects to what the session is to be connected to, and waits a while for what was not met before.
    pub(super) async fn meet(
        &mut self,
        port: &SessionPort,
        shared: &Shared,
        turn: &Turn,
        only: Option<Vec<String>>,
    ) {
        let (mcp, workspace) = (shared.mcp.clone(), self.workspace.clone());
        let found = tokio::task::spawn_blocking(move || mcp.found(&workspace)).await.unwrap_or_default();
        let wishes = port.look(Wishes::of).await.unwrap_or_default().among(only);
        self.connections.sync(&shared.mcp, &self.workspace, &found, &wishes).await;
        tokio::select! {
            biased;
            _ = turn.stopping() => {}
            _ = tokio::time::timeout(PATIENCE, self.connections.ready()) => {}
        }
        self.tell((port, shared), &found, turn).await;
    }

    /// Tells of each server that is not there, once.
    async fn tell(&mut self, (port, shared): (&SessionPort, &Shared), found: &Found, turn: &Turn) {
        let mut missing = self.connections.missing();
        for defined in found.servers.values() {
            if !shared.mcp.trusts(&self.workspace, defined) {
                let why = format!(
                    "the project brings this MCP server, and nobody has let it run; `trunkline mcp-servers trust {} {}` \
                     shows what it would start",
                    port.id, defined.name
                );
                missing.insert(defined.name.clone(), why);
            }
        }
        if let Some(trouble) = &found.trouble {
            missing.insert(String::new(), trouble.clone());
        }
        for (server, why) in &missing {
            if self.told.get(server) != Some(why) {
                let message = if server.is_empty() { why.clone() } else { format!("{server}: {why}") };
                let data = Raw::of(&json!({ "server": server })).ok();
                turn.note("mcp_unavailable", message, data).await;
            }
        }
        self.told = missing;
    }

    /// The tools of those that are connected now.
    pub(super) fn tools(&self, bundle: &Bundle) -> Vec<Remote> {
        let links = self.connections.links();
        let listed: Vec<_> = links.iter().map(|(server, link)| (server, link, link.tools())).collect();
        let names = listed
            .iter()
            .flat_map(|(server, _, tools)| tools.iter().map(|tool| (server.as_str(), &*tool.name)));
        let named = mcp::named(names, &super::built_in());
        let all = listed.iter().flat_map(|(_, link, tools)| tools.iter().map(|tool| (*link, tool)));
        let remote = |((link, tool), named): ((&Arc<Link>, &rmcp::model::Tool), Named)| {
            let mut input = Value::Object((*tool.input_schema).clone());
            if let Some(input) = input.as_object_mut() {
                input.remove("$schema");
                input.insert("type".to_owned(), json!("object"));
                // A schema without any is refused by some.
                input.entry("properties").or_insert_with(|| json!({}));
            }
            let description = tool.description.as_deref().unwrap_or_default().to_owned();
            let about = Tool { name: named.offered.clone(), description, input };
            Remote { named, link: Arc::clone(link), about }
        };
        let remote = all.zip(named).map(remote);
        remote.filter(|one| bundle.offers_of(&one.named.server, &one.named.tool)).collect()
    }

    /// Ends all connections, with their programs.
    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}

impl Remote {
    /// As the model is told of it.
    pub(super) fn about(&self) -> Tool {
        self.about.clone()
    }

    /// Whether this is the one that the model calls so.
    pub(super) fn is(&self, name: &str) -> bool {
        self.named.offered == name
    }

    /// Understands a call.
    pub(super) fn plan(&self, call: &Call) -> Plan {
        let Named { server, tool, .. } = &self.named;
        let meta = json!({ "trunkline": { "tool": mcp::permission_name(server, tool), "server": server } });
        let shown = ToolCall {
            title: Some(format!("{tool} ({server})")),
            kind: Some(ToolKind::Other),
            meta: serde_json::value::to_raw_value(&meta).ok(),
            ..bare(call)
        };
        let (link, tool) = (Arc::clone(&self.link), tool.clone());
        Plan::remote(shown, RemoteCall { link, tool, arguments: call.input.clone() })
    }
}

impl RemoteCall {
    /// Calls it. Dropped, it tells the server that nobody waits any more.
    pub(super) async fn run(self, port: &SessionPort) -> Done {
        match self.link.call(&self.tool, self.arguments, &port.tasks).await {
            Err(why) => Done::failed(why),
            Ok(result) => {
                let (content, failed) = mcp::content(result, MAX_OUTPUT);
                Done { content, failed, ..Done::text("") }
            }
        }
    }
}
