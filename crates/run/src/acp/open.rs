//! From a process that has just started to a session that takes prompts: `initialize`, then `session/resume`,
//! `session/load` or `session/new`.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use trunkline_core::raw::Raw;
use trunkline_wire::acp::{
    AgentCapabilities, ClientCapabilities, CurrentModeUpdate, FileSystemCapabilities, Implementation,
    InitializeRequest, InitializeResponse, LoadSessionRequest, LoadSessionResponse, NewSessionRequest,
    NewSessionResponse, PROTOCOL_VERSION, SessionModeState, SessionUpdate, method,
};
use trunkline_wire::claude;
use trunkline_wire::jsonrpc::code;

use super::Mcp;
use super::agent::Agent;
use super::conversation::{MAX_GAUGE, NoAnswer, Phase, Scope, Wait};
use super::trouble::Trouble;
use crate::catalog::Entry;
use crate::driver::SessionPort;

/// After `session/load`, how long nothing must be said until the replay is taken to be over. Gemini replays on after
/// the answer, and even after the next prompt.
const SILENCE: Duration = Duration::from_millis(300);
/// The same if the agent has not told its commands, with which all agents tried end their replay.
const LONG_SILENCE: Duration = Duration::from_secs(1);

/// What agents know the daemon's MCP server by.
const NAME: &str = "trunkline";

/// What must be known to go on with a session in another process. What the agent can do it tells each time anew, and an
/// upgrade may have changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The agent's id of the session.
    pub(crate) acp_session: String,
}

/// The update that tells a session's options.
#[derive(Serialize)]
pub(super) struct Options {
    #[serde(rename = "sessionUpdate")]
    kind: &'static str,
    #[serde(rename = "configOptions")]
    options: Box<RawValue>,
}

impl Mcp {
    /// The server as an agent is told of it.
    fn server(&self, speaks_http: bool) -> Option<Box<RawValue>> {
        let name = NAME;
        let server = if speaks_http {
            json!({ "type": "http", "name": name, "url": format!("{}/mcp", self.base_url), "headers": [] })
        } else {
            let args = ["mcp", "--url", &self.base_url];
            json!({ "name": name, "command": self.bridge.as_ref()?, "args": args, "env": [] })
        };
        to_raw_value(&server).ok()
    }

    /// The server as Claude Code is told of it on its command line.
    pub(super) fn for_claude(&self) -> [String; 2] {
        let server = json!({ "type": "http", "url": format!("{}/mcp", self.base_url) });
        [claude::MCP_CONFIG.to_owned(), json!({ "mcpServers": { NAME: server } }).to_string()]
    }
}

impl Options {
    /// The options as a gauge, with its name.
    pub(super) fn gauge(options: Box<RawValue>) -> (&'static str, Raw) {
        let kind = "config_option_update";
        (kind, Raw::of(&Self { kind, options }).expect("gauges have string keys only"))
    }
}

impl Agent {
    /// Opens the session, the one remembered if that can be.
    ///
    /// # Errors
    /// The agent is of no use then.
    pub(super) async fn open(
        &mut self,
        scope: &mut Scope<'_>,
        memory: Option<Memory>,
        patience: Duration,
    ) -> Result<(), Trouble> {
        let offers = self.greet(scope, patience).await?;
        if let Some(memory) = memory
            && self.restore(scope, &offers, memory, patience).await?
        {
            return Ok(());
        }
        self.begin(scope, patience).await
    }

    async fn greet(
        &mut self,
        scope: &mut Scope<'_>,
        patience: Duration,
    ) -> Result<AgentCapabilities, Trouble> {
        let answer = self.ask(scope, method::INITIALIZE, &greeting(&self.entry), patience).await?;
        let answer: InitializeResponse = read(method::INITIALIZE, &answer)?;
        if answer.protocol_version != PROTOCOL_VERSION {
            return Err(Trouble::Version(answer.protocol_version));
        }
        self.login = answer.auth_methods;
        self.takes = answer.agent_capabilities.prompt_capabilities;
        let speaks_http = answer.agent_capabilities.mcp_capabilities.http;
        self.servers = self.mcp.iter().filter_map(|mcp| mcp.server(speaks_http)).collect();
        Ok(answer.agent_capabilities)
    }

    /// Takes up the session of an earlier process, if the agent can. What it replays is in our log already.
    async fn restore(
        &mut self,
        scope: &mut Scope<'_>,
        offers: &AgentCapabilities,
        memory: Memory,
        patience: Duration,
    ) -> Result<bool, Trouble> {
        let ways = [
            (offers.session_capabilities.resume, method::SESSION_RESUME),
            (offers.load_session, method::SESSION_LOAD),
        ];
        let mut refused = None;
        for (_, method) in ways.into_iter().filter(|(offered, _)| *offered) {
            scope.phase = Phase::Replay { commands: false };
            self.session = Some(memory.acp_session.clone());
            let params = LoadSessionRequest {
                session_id: memory.acp_session.clone(),
                cwd: self.workspace.clone(),
                mcp_servers: self.servers.clone(),
                ..LoadSessionRequest::default()
            };
            match self.ask(scope, method, &params, patience).await {
                Ok(answer) => {
                    let answer: Option<LoadSessionResponse> = read(method, &answer)?;
                    if method == method::SESSION_LOAD {
                        self.sit_out(scope).await?;
                    }
                    let LoadSessionResponse { modes, models, config_options, .. } =
                        answer.unwrap_or_default();
                    gauges(&self.port, modes.as_ref(), models, config_options).await?;
                    self.live(scope).await;
                    return Ok(true);
                }
                Err(Trouble::Refused { method, error, .. }) if error.code != code::AUTH_REQUIRED => {
                    refused = Some(format!("`{method}` failed: {error}"));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        self.session = None;
        let had = self.port.look(|session| session.turns.count > 0).await.map_err(Trouble::Store)?;
        if had {
            let why =
                refused.unwrap_or_else(|| "it cannot take up a session of an earlier process".to_owned());
            let message = format!("the agent does not remember what was said before: {why}");
            scope.note("history_lost", message, None).await;
        }
        Ok(false)
    }

    /// Waits until a replay is over.
    async fn sit_out(&mut self, scope: &mut Scope<'_>) -> Result<(), Trouble> {
        for silence in [SILENCE, LONG_SILENCE - SILENCE] {
            match self.listen(scope, None, Wait::Silence(silence)).await {
                Err(NoAnswer::Late) => {}
                Err(other) => return Err(self.trouble(method::SESSION_LOAD, other, silence)),
                Ok(_) => {}
            }
            if matches!(scope.phase, Phase::Replay { commands: true }) {
                break;
            }
        }
        Ok(())
    }

    async fn begin(&mut self, scope: &mut Scope<'_>, patience: Duration) -> Result<(), Trouble> {
        scope.phase = Phase::Opening { early: Vec::new(), bytes: 0 };
        let (cwd, mcp_servers) = (self.workspace.clone(), self.servers.clone());
        let params = NewSessionRequest { cwd, mcp_servers, ..NewSessionRequest::default() };
        let answer = self.ask(scope, method::SESSION_NEW, &params, patience).await?;
        let answer: NewSessionResponse = read(method::SESSION_NEW, &answer)?;
        let memory =
            Raw::of(&Memory { acp_session: answer.session_id.clone() }).expect("a memory has a JSON form");
        self.port.remember(memory).await.map_err(Trouble::Store)?;
        self.session = Some(answer.session_id);
        gauges(&self.port, answer.modes.as_ref(), answer.models, answer.config_options).await?;
        self.live(scope).await;
        Ok(())
    }

    async fn ask(
        &mut self,
        scope: &mut Scope<'_>,
        method: &'static str,
        params: &impl Serialize,
        patience: Duration,
    ) -> Result<Box<RawValue>, Trouble> {
        let answer = self.call(scope, method, params, Wait::Start(patience)).await;
        answer.map_err(|none| self.trouble(method, none, patience))
    }

    /// What it means that there is no answer.
    pub(super) fn trouble(&self, method: &'static str, none: NoAnswer, patience: Duration) -> Trouble {
        match none {
            NoAnswer::Refused(error) => Trouble::Refused { method, error, login: self.login.clone() },
            NoAnswer::Broken(why) => Trouble::Broken { method, why },
            NoAnswer::Late => Trouble::Silent { method, patience },
            NoAnswer::Stopped => Trouble::Stopped,
        }
    }
}

/// Keeps what a session can be set to, in the form of the updates that tell changes of it where there are such.
async fn gauges(
    port: &SessionPort,
    modes: Option<&SessionModeState>,
    models: Option<Box<RawValue>>,
    options: Option<Box<RawValue>>,
) -> Result<(), Trouble> {
    let raw = |gauge: Result<Raw, serde_json::Error>| gauge.expect("gauges have string keys only");
    let mut gauges = Vec::new();
    if let Some(modes) = modes {
        let current = CurrentModeUpdate { current_mode_id: modes.current_mode_id.clone() };
        gauges.push(("modes", raw(Raw::of(modes))));
        gauges.push(("current_mode_update", SessionUpdate::CurrentModeUpdate(current).to_raw().into()));
    }
    gauges.extend(models.map(|models| ("models", models.into())));
    gauges.extend(options.map(Options::gauge));
    for (kind, gauge) in gauges.into_iter().filter(|(_, gauge)| gauge.get().len() <= MAX_GAUGE) {
        port.status(kind, gauge).await.map_err(Trouble::Store)?;
    }
    Ok(())
}

/// What we say of ourselves.
fn greeting(entry: &Entry) -> InitializeRequest {
    let fs = FileSystemCapabilities { read_text_file: entry.offer_read, write_text_file: true };
    let client_info = Implementation {
        name: "trunkline".to_owned(),
        title: Some("Trunkline".to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    InitializeRequest {
        protocol_version: PROTOCOL_VERSION,
        client_capabilities: ClientCapabilities { fs, terminal: true, ..ClientCapabilities::default() },
        client_info: Some(client_info),
        meta: None,
    }
}

/// Reads an answer.
pub(super) fn read<T: DeserializeOwned>(method: &'static str, answer: &RawValue) -> Result<T, Trouble> {
    serde_json::from_str(answer.get()).map_err(|error| Trouble::Nonsense { method, error: error.to_string() })
}
