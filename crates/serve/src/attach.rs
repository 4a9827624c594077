//! The dialect of attachable sessions: its clients open a session, prompt it, cancel, and attach to its stream.
//!
//! It is a mapping and keeps nothing. A session that is made here is one like any other, and any other can be attached to
//! here by its id.
//!
//! - `fold`: the frames that clients know, from the facts of a session. `stream`: attach. `session`: make, prompt, cancel.
//! - `verb`: operator actions.
//! - `access`: who may. `origin`: the listener for a browser, with the one-time link that opens it and a client's files.

mod access;
mod fold;
mod origin;
mod session;
mod stream;
mod verb;

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use trunkline_core::id::SessionId;
use trunkline_core::refused::Refused;
use trunkline_run::CommandError;

use crate::app::App;
use crate::extract::MAX_BODY;
use session::{Prompt, Wrong};

pub(crate) use access::is_cookie_token;
pub use access::{BadNetwork, Network};
pub(crate) use origin::router;

/// What is decided about the dialect.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The agent of the sessions that are made here.
    pub agent: String,
    /// Below it each of them has a directory, made at its first turn and never removed.
    pub sessions_dir: PathBuf,
    /// Whether their turns ask nobody.
    pub trusts_all: bool,
    /// How long a turn may run.
    pub turn_timeout_ms: Option<u64>,
    /// Peers that say who came through them.
    pub proxies: Vec<Network>,
    /// The header in which they do, in lower case.
    pub proxy_header: String,
    /// What a client is made of: a path on the listener for browsers, and the directory that is there.
    pub files: Vec<(String, PathBuf)>,
}

/// Why a request failed.
enum Fail {
    Unauthenticated,
    Forbidden(String),
    NoSession,
    NoPath,
    NoVerb(String),
    Busy,
    Wrong(Value),
    Refused(String),
    TooLarge,
    Unavailable(String),
}

type Outcome = Result<Response, Fail>;

/// The dialect's routes below `/api`.
pub(crate) async fn api(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(&app, request).await.unwrap_or_else(Fail::into_response)
}

async fn serve(app: &App, request: Request) -> Outcome {
    let (parts, body) = request.into_parts();
    let (caller, pass) = access::who(app, &parts.headers, &parts.extensions).await?;
    let path: Vec<_> = parts.uri.path().trim_start_matches("/api/").split('/').collect();
    let id = |text: &str| text.parse::<SessionId>().map_err(|_| Fail::NoSession);
    let method = parts.method.clone();
    match (method, &path[..]) {
        (Method::POST, ["session"]) => session::create(app, &caller).await,
        (Method::GET, ["session", session, "stream"]) => {
            stream::attach(app, &caller, pass, id(session)?, &parts).await
        }
        (Method::POST, ["session", session, "prompt"]) => {
            let id = id(session)?;
            // A session that is not there is told before a body that is wrong, and nothing of the body is read for it.
            app.hub.look(id, |_| ()).await?;
            session::prompt(app, &caller, id, read(&parts.headers, body).await?).await
        }
        (Method::POST, ["session", session, "cancel"]) => session::cancel(app, &caller, id(session)?).await,
        (Method::GET, ["pve", "verbs"]) => verb::list(app, &caller),
        (Method::POST, ["pve", name]) => verb::run(app, &caller, name).await,
        _ => Err(Fail::NoPath),
    }
}

async fn read(headers: &axum::http::HeaderMap, body: Body) -> Result<Prompt, Fail> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    let wrong = |kind: &str, place: &[&str], says: &str| {
        Fail::Wrong(json!([{ "type": kind, "loc": place, "msg": says, "input": null }]))
    };
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(wrong(
            "model_attributes_type",
            &["body"],
            "Input should be a valid dictionary or object to extract fields from",
        ));
    }
    let body = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| Fail::TooLarge)?;
    Prompt::read(&body).map_err(|error| match error {
        Wrong::Missing => wrong("missing", &["body", "prompt"], "Field required"),
        Wrong::Empty => {
            wrong("string_too_short", &["body", "prompt"], "String should have at least 1 character")
        }
        Wrong::Other(why) => wrong("value_error", &["body"], &why),
    })
}

fn answer(body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("an answer has a JSON form");
    json_answer(StatusCode::OK, body)
}

fn json_answer(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let says = |text: &str| Value::from(text);
        let (status, detail) = match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, says("unauthenticated")),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, Value::from(why)),
            Self::NoSession => (StatusCode::NOT_FOUND, says("session not found")),
            Self::NoPath => (StatusCode::NOT_FOUND, says("Not Found")),
            Self::NoVerb(verb) => (StatusCode::BAD_REQUEST, Value::from(format!("unknown verb '{verb}'"))),
            Self::Busy => (StatusCode::CONFLICT, says("a turn is already running")),
            Self::Wrong(detail) => (StatusCode::UNPROCESSABLE_ENTITY, detail),
            Self::Refused(why) => (StatusCode::CONFLICT, Value::from(why)),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                Value::from(format!("the body is larger than {MAX_BODY} bytes")),
            ),
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, Value::from(why)),
        };
        let body = serde_json::to_vec(&json!({ "detail": detail })).expect("an answer has a JSON form");
        let mut response = json_answer(status, body);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Refused> for Fail {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound { what: "session", .. } | Refused::Deleted { .. } => Self::NoSession,
            Refused::Forbidden { .. } => Self::Forbidden(refused.to_string()),
            Refused::Busy { .. } => Self::Busy,
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<CommandError> for Fail {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refused) => refused.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
