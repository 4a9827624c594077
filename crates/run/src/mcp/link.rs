//! One connection to one server, from its start to its end.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, CancelledNotificationParam, ClientCapabilities,
    ClientConfig, ClientRequest, Implementation, PaginatedRequestParams, ServerResult, Tool,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService, ServiceError, serve_client};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientHandler, Peer, RoleClient};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use trunkline_core::time::Time;

use super::connections::Ground;
use super::pipes::Pipes;
use super::remote::Remote;
use super::{Connected, Defined};
use crate::custody::{Child, Exit, Spawn};

/// How long a server may take to be there and to tell its tools.
pub(super) const START: Duration = Duration::from_secs(30);
/// How long the end of a program is waited for that has closed its pipes: how it ended tells more than that.
const LAST: Duration = Duration::from_millis(500);
/// How many pages of tools are asked for, and how many tools of one server are taken.
const MAX_PAGES: usize = 64;
const MAX_TOOLS: usize = 512;
/// How large the description and the schema of a tool may be, in bytes. A tool with a larger schema is left out.
const MAX_ABOUT: usize = 8 << 10;
const MAX_SCHEMA: usize = 64 << 10;

/// A connection that works.
pub(crate) struct Link {
    peer: Peer<RoleClient>,
    tools: RwLock<Arc<[Tool]>>,
    since: Time,
    pid: Option<u32>,
    timeout: Duration,
}

/// What the server is told of us, and where it tells that its tools are others now.
struct Client {
    changed: Arc<Notify>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let version = env!("CARGO_PKG_VERSION");
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("trunkline", version))
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// A connection that has begun: what keeps it alive, and what may tell of its end.
pub(super) struct Begun {
    pub(super) link: Arc<Link>,
    service: RunningService<RoleClient, Client>,
    changed: Arc<Notify>,
}

/// Starts its program, if it is one. To be waited for: what is given up half-way ends by itself, and nobody knows when.
pub(super) async fn launch(ground: &Ground, defined: &Defined) -> Result<Option<Child>, String> {
    if let Some(why) = &defined.why {
        return Err(why.clone());
    }
    if defined.server.command.is_none() {
        return Ok(None);
    }
    let spawned = tokio::time::timeout(START, spawn(ground, defined)).await;
    spawned.unwrap_or_else(|_| Err(late())).map(Some)
}

/// Asks it for its tools.
pub(super) async fn begin(
    ground: &Ground,
    defined: &Defined,
    child: Option<&mut Child>,
) -> Result<Begun, String> {
    let begun = tokio::time::timeout(START, ask(ground, defined, child)).await;
    begun.unwrap_or_else(|_| Err(late())).map_err(|why| defined.hide(&why))
}

async fn ask(ground: &Ground, defined: &Defined, child: Option<&mut Child>) -> Result<Begun, String> {
    let changed = Arc::new(Notify::new());
    let client = Client { changed: Arc::clone(&changed) };
    let pid = child.as_ref().map(|child| child.process().pid);
    let service = match (&defined.server.url, child) {
        (_, Some(child)) => {
            let stdio = child.stdio().expect("the program has both pipes, and nobody took them");
            let served = serve_client(client, Pipes::new(stdio)).await;
            if served.is_err()
                && let Ok(exit) = tokio::time::timeout(LAST, child.exited()).await
            {
                return Err(format!("the program ended before it was ready: {}", ended(exit)));
            }
            served
        }
        (Some(url), None) => serve_client(client, remote(ground, defined, url)?).await,
        (None, None) => return Err("it is neither a program nor an address".to_owned()),
    };
    let service = service.map_err(|error| told(&error))?;
    let peer = service.peer().clone();
    let tools = tools(&peer).await?;
    let link = Link {
        tools: RwLock::new(tools.into()),
        since: ground.port.cells.now(),
        pid,
        timeout: defined.timeout(),
        peer,
    };
    Ok(Begun { link: Arc::new(link), service, changed })
}

fn late() -> String {
    format!("it was not ready within {} s", START.as_secs())
}

impl Begun {
    /// Keeps its tools up to date until it is over, and says why it is.
    pub(super) async fn hold(self, child: Option<&Child>, tell: impl Fn()) -> String {
        let Self { link, service, changed } = self;
        let exited = async {
            match child {
                Some(child) => child.exited().await,
                None => std::future::pending().await,
            }
        };
        let waiting = service.waiting();
        tokio::pin!(exited, waiting);
        loop {
            tokio::select! {
                biased;
                exit = &mut exited => return format!("the program ended: {}", ended(exit)),
                _ = &mut waiting => break,
                () = changed.notified() => {
                    let listed = tokio::time::timeout(START, tools(&link.peer)).await;
                    if let Ok(Ok(tools)) = listed {
                        *link.tools.write().unwrap_or_else(PoisonError::into_inner) = tools.into();
                        tell();
                    }
                }
            }
        }
        match tokio::time::timeout(LAST, exited).await {
            Ok(exit) => format!("the program ended: {}", ended(exit)),
            Err(_) => "the server closed the connection".to_owned(),
        }
    }
}

impl Link {
    /// Its tools, as the server told them last.
    pub(crate) fn tools(&self) -> Arc<[Tool]> {
        Arc::clone(&self.tools.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn view(&self) -> Connected {
        let info = self.peer.peer_info();
        let server = info.as_ref().and_then(|info| info.server_info.clone());
        Connected {
            since: self.since,
            pid: self.pid,
            server: server.as_ref().map(|server| server.name.clone()),
            version: server.map(|server| server.version),
        }
    }

    /// Calls a tool. Dropped, it tells the server that nobody waits any more.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        tasks: &TaskTracker,
    ) -> Result<CallToolResult, String> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::with_timeout(self.timeout);
        let sent = self.peer.send_request_with_option(request, options).await;
        let handle = sent.map_err(|error| failed(&error, self.timeout))?;
        let param = CancelledNotificationParam::new(
            Some(handle.id.clone()),
            Some("nobody waits for this any more".to_owned()),
        );
        let mut unanswered = Unanswered { peer: &self.peer, param: Some(param), tasks };
        let answer = handle.await_response().await;
        unanswered.param = None;
        match answer {
            Ok(ServerResult::CallToolResult(result)) => Ok(result),
            Ok(_) => Err("the server asks for what cannot be given here".to_owned()),
            Err(error) => Err(failed(&error, self.timeout)),
        }
    }
}

/// A call whose answer somebody waits for.
struct Unanswered<'l> {
    peer: &'l Peer<RoleClient>,
    param: Option<CancelledNotificationParam>,
    tasks: &'l TaskTracker,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Some(param) = self.param.take() else { return };
        let peer = self.peer.clone();
        self.tasks.spawn(async move { drop(peer.notify_cancelled(param).await) });
    }
}

/// All tools that can be offered. What is too large, or takes no object, is left out.
async fn tools(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, String> {
    let has = peer.peer_info().is_none_or(|info| info.capabilities.tools.is_some());
    let (mut all, mut cursor) = (Vec::new(), None);
    if !has {
        return Ok(all);
    }
    for _ in 0..MAX_PAGES {
        let params = cursor.take().map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
        let page = peer.list_tools(params).await.map_err(|error| failed(&error, START))?;
        all.extend(page.tools.into_iter().filter(is_usable));
        cursor = page.next_cursor;
        if cursor.is_none() || all.len() >= MAX_TOOLS {
            break;
        }
    }
    all.truncate(MAX_TOOLS);
    for tool in &mut all {
        if let Some(about) = tool.description.take() {
            let end = about.floor_char_boundary(MAX_ABOUT);
            tool.description = Some(about[..end].to_owned().into());
        }
    }
    Ok(all)
}

fn is_usable(tool: &Tool) -> bool {
    let schema = &tool.input_schema;
    let is_object = schema.get("type").is_none_or(|kind| kind == "object");
    let fits = serde_json::to_string(&**schema).is_ok_and(|text| text.len() <= MAX_SCHEMA);
    is_object && fits && !tool.name.is_empty() && tool.name.len() <= 256
}

async fn spawn(ground: &Ground, defined: &Defined) -> Result<Child, String> {
    let server = &defined.server;
    let argv: Vec<String> = server.command.iter().chain(&server.args).cloned().collect();
    let mut env = ground.env.clone();
    env.extend(ground.mcp.passed(server));
    env.extend(defined.env.iter().map(|(name, value)| (name.into(), value.reveal().into())));
    let confine = if server.sandbox == Some(false) { None } else { ground.shut.confinement(&argv) };
    let spawn = Spawn {
        resource: format!("mcp/{}/{}", ground.port.id, defined.name),
        incarnation: uuid::Uuid::now_v7(),
        env,
        confine,
        limits: ground.shut.limits,
        ..Spawn::new(&argv, &ground.workspace)
    };
    ground.custody.spawn(spawn).await.map_err(|error| error.to_string())
}

fn remote(
    ground: &Ground,
    defined: &Defined,
    url: &str,
) -> Result<StreamableHttpClientTransport<Remote>, String> {
    let mut headers = HashMap::new();
    for (name, value) in &defined.headers {
        let read = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.reveal()).ok());
        let (key, mut value) =
            read.ok_or_else(|| format!("the header {name} has characters that none can have"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(headers);
    let remote = Remote { http: ground.http.clone(), silence: defined.timeout().max(START) };
    Ok(StreamableHttpClientTransport::with_client(remote, config))
}

/// Why a handshake failed: the innermost cause that is told.
fn told(error: &dyn std::error::Error) -> String {
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        why = next.to_string();
        cause = next.source();
    }
    let end = why.floor_char_boundary(1_000);
    format!("the handshake failed: {}", &why[..end])
}

fn failed(error: &ServiceError, timeout: Duration) -> String {
    match error {
        ServiceError::McpError(error) => format!("the server says: {}", error.message),
        ServiceError::Timeout { .. } => format!("the server did not answer within {} s", timeout.as_secs()),
        ServiceError::TransportClosed => "the connection to the server is over".to_owned(),
        other => format!("the server was not reached: {other}"),
    }
}

fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::Lost => "nobody knows how".to_owned(),
    }
}
