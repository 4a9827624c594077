//! The dialect of the original engine of model turns: sessions of the driver `model`, by the paths, fields and events that its
//! clients know.
//!
//! It is a mapping and keeps nothing: a session that is made here is one like any other, and any session of a model can be used
//! here, wherever it was made.
//!
//! - `route`: every path once, with who may ask. `access`: who asks.
//! - `meta`: health and versions. `session`, `history`, `profile`, `mcp`, `hub`: what the paths do. `permission`: modes, answers, what
//!   was allowed for good.
//! - `fold`: the events that clients know, from the facts of a session. `stream`: a turn, and attaching again. `feed`: the
//!   agents, as they come and go.
//! - `page`: a listener for a browser, and a page in which the original client runs.

mod access;
mod feed;
mod fold;
mod history;
mod hub;
mod mcp;
mod meta;
mod page;
mod permission;
mod profile;
mod route;
mod session;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trunkline_core::id::SessionId;
use trunkline_core::principal::Caller;

use crate::app::App;
use crate::extract::{MAX_BODY, parse};
use crate::gate::Pass;
use crate::problem::Problem;
use route::{Found, Op};

pub(crate) use access::is_page_token;
pub(crate) use page::router;
pub(crate) use route::paths;

/// The name of this dialect in facts.
const DIALECT: &str = "engine";

/// Where the WebSocket is: its client shows its token in its first message.
pub(crate) const FEED: &str = "/ws/hub/feed";

/// What is decided about the dialect.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The hash of the token that clients read from a file of their own; [`sha256`](crate::auth::sha256).
    pub token_sha256: Option<String>,
    /// Below it each session that names no workspace has a directory, which is never removed.
    pub sessions_dir: PathBuf,
    /// The user's home, for a workspace that begins with `~`.
    pub user_home: Option<PathBuf>,
    /// The daemon's home, which has the agents that are folders.
    pub agents_home: Option<PathBuf>,
    /// For how long a permission is asked before it counts as refused.
    pub ask_ms: Option<u64>,
    /// The script of the original client, as the user has installed it.
    pub client: Option<PathBuf>,
}

type Outcome = Result<Response, Problem>;

/// Somebody's request, taken apart.
struct Asked {
    caller: Caller,
    pass: Pass,
    headers: axum::http::HeaderMap,
    query: String,
}

/// All paths of the dialect, on either listener.
pub(crate) async fn api(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(&app, request).await.unwrap_or_else(|problem| fail(&problem))
}

async fn serve(app: &Arc<App>, request: Request) -> Outcome {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    let found = route::find(&method, &parts);
    if let Found::Op(op @ (Op::Version | Op::Ready | Op::Status | Op::Config)) = found {
        return meta::open(app, op, &head.headers, &head.extensions).await;
    }
    if let Found::Op(Op::FeedSocket) = found {
        return feed::socket(app, head).await;
    }
    let (caller, pass) = access::who(app, &head.headers, &head.extensions).await?;
    let op = match found {
        Found::Op(op) => op,
        Found::Method(allowed) => return Ok(no_method(allowed)),
        Found::Nothing => return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "Not Found")),
    };
    let query = head.uri.query().unwrap_or_default().to_owned();
    let asked = Asked { caller, pass, headers: head.headers, query };
    run(app, op, &parts, &asked, body).await
}

async fn run(app: &Arc<App>, op: Op, parts: &[&str], asked: &Asked, body: Body) -> Outcome {
    // A name in a path is its second part; what belongs to it by a name of its own, the fourth.
    let name = parts.get(1).copied().unwrap_or_default();
    match op {
        Op::Version | Op::Ready | Op::Status | Op::Config | Op::FeedSocket => {
            unreachable!("they were answered before")
        }
        Op::Sessions => session::list(app, asked).await,
        Op::Create => session::create(app, &asked.caller, body).await,
        Op::Profiles => profile::list(app, &asked.caller),
        Op::MakeProfile => profile::make(app, &asked.caller, body).await,
        Op::Profile => profile::show(app, &asked.caller, name),
        Op::ChangeProfile => profile::change(app, &asked.caller, name, body).await,
        Op::DropProfile => profile::delete(app, &asked.caller, name).await,
        Op::TestProfile => profile::test(app, &asked.caller, name).await,
        Op::Servers => mcp::list(app, &asked.caller),
        Op::AddServer => mcp::add(app, &asked.caller, body).await,
        Op::PutServer => mcp::put(app, &asked.caller, parts[2], body).await,
        Op::DropServer => mcp::delete(app, &asked.caller, parts[2]).await,
        Op::Agents => hub::list(app, &asked.caller).await,
        Op::Agent => hub::show(app, asked, parts[2]).await,
        Op::AgentOutput => hub::output(app, asked, parts[2]).await,
        Op::AgentStatus => hub::status(app, &asked.caller, parts[2]).await,
        Op::Tell => hub::tell(app, &asked.caller, body).await,
        Op::Feed => feed::stream(app, asked).await,
        Op::Session
        | Op::Patch
        | Op::Delete
        | Op::History
        | Op::Forget
        | Op::UserToken
        | Op::SessionServers
        | Op::Connect
        | Op::Disconnect
        | Op::ServerTools
        | Op::ServerStatus
        | Op::Prompt
        | Op::Rebuild
        | Op::Message
        | Op::Events
        | Op::Cancel
        | Op::Answer
        | Op::Permissions
        | Op::Mode
        | Op::Revoke => {
            let id = session::resolve(app, name).await?;
            of_session(app, op, id, parts, asked, body).await
        }
    }
}

async fn of_session(
    app: &Arc<App>,
    op: Op,
    id: SessionId,
    parts: &[&str],
    asked: &Asked,
    body: Body,
) -> Outcome {
    let name = parts[1];
    match op {
        Op::Session => session::show(app, &asked.caller, id).await,
        Op::Patch => session::patch(app, &asked.caller, id, name, body).await,
        Op::Delete => session::delete(app, &asked.caller, id, name).await,
        Op::History => history::show(app, asked, id, name).await,
        Op::Forget => history::forget(app, &asked.caller, id, name).await,
        Op::UserToken => {
            let detail = "there is no third product here whose tokens sessions would have";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_user_token", detail))
        }
        Op::SessionServers => mcp::of_session(app, &asked.caller, id, name).await,
        Op::Connect => mcp::connect(app, &asked.caller, id, name, parts[3]).await,
        Op::Disconnect => mcp::disconnect(app, &asked.caller, id, name, parts[3]).await,
        Op::ServerTools => mcp::tools(app, &asked.caller, id, parts[3]).await,
        Op::ServerStatus => mcp::status(app, &asked.caller, id, parts[3]).await,
        Op::Prompt => history::system_prompt(app, &asked.caller, id, name).await,
        Op::Rebuild => history::rebuild(app, &asked.caller, id, name).await,
        Op::Message => stream::message(app, asked, id, name, body).await,
        Op::Events => stream::events(app, asked, id, name).await,
        Op::Cancel => session::cancel(app, &asked.caller, id, name).await,
        Op::Answer => permission::answer(app, &asked.caller, id, body).await,
        Op::Permissions => permission::show(app, &asked.caller, id, name).await,
        Op::Mode => permission::mode(app, &asked.caller, id, body).await,
        Op::Revoke => permission::revoke(app, &asked.caller, id, parts[4]).await,
        _ => unreachable!("these are of no session"),
    }
}

/// The body as JSON; what a client sends beside what is known is passed over, as the original does.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| {
        let detail = format!("the body is larger than {MAX_BODY} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    })?;
    parse(&bytes)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn ok(body: &Value) -> Response {
    answer(StatusCode::OK, body)
}

fn no_method(allowed: &'static str) -> Response {
    let body = json!({ "detail": "Method Not Allowed", "code": "method_not_allowed" });
    let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, &body);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Every failure has a text in `detail`, which clients show, and a stable `code`.
fn fail(problem: &Problem) -> Response {
    let (status, detail) = match problem.code {
        "deleted" => (StatusCode::NOT_FOUND, "Session not found".to_owned()),
        "turn_running" => (StatusCode::CONFLICT, "Turn already in progress".to_owned()),
        _ => (problem.status(), problem.detail.clone()),
    };
    let code = if problem.code == "deleted" { "not_found" } else { problem.code };
    let mut body = json!({ "detail": detail, "code": code });
    if let Some(field) = &problem.field {
        body["field"] = field.clone().into();
    }
    let mut response = answer(status, &body);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The value of a parameter in a query string.
fn param(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(String::from_utf8_lossy(&crate::sessionbus::unescape(value.as_bytes(), true)).into_owned())
}
