//! The dialect of the original human-input hub: its clients work against this daemon as they are.
//!
//! It is a mapping and keeps nothing: a registered session is an external session, a request is a request, an answer lies
//! in the inbox. So everything that came this way is seen and answered from everywhere else, and the other way around.
//!
//! - `json`, `fields`, `moment`: what goes in and out, byte for byte as the original has it.
//! - `route`: its paths. `show`: its objects. `list`: lists and their pages. `sessions`, `requests`, `inbox`, `events`: its operations.
//! - `dashboard`, `page`, `form`: its pages for a browser, on a listener of their own.

mod dashboard;
mod events;
mod fields;
mod form;
pub(crate) mod inbox;
mod json;
mod list;
mod page;
pub(crate) mod requests;
mod route;
pub(crate) mod sessions;
pub(crate) mod show;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, TryFutureExt};
use serde::Serialize;
use trunkline_core::principal::{Caller, Scope};
use trunkline_core::refused::Refused;
use trunkline_run::CommandError;

use crate::app::App;
use crate::extract::MAX_BODY;
use crate::gate::{Came, Pass};
use crate::local::{self, Wire};
use crate::problem::{self, Problem};
pub(crate) use dashboard::{pages, router as dashboard};
pub(crate) use fields::{Wrong, whole};
pub(crate) use form::unescape;
pub(crate) use json::Json;
use route::{Found, Route};

/// Who may use the dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// Programs of the daemon's own user without a credential, and tokens.
    #[default]
    Local,
    /// Tokens.
    Token,
    /// Nobody.
    Off,
}

/// Marks the requests of the dashboard's own listener: a browser is welcome there, from that origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnDashboard;

/// Why a request failed.
pub(crate) enum Fail {
    /// There is no such thing.
    Missing(&'static str),
    /// Values that are not as they must be.
    Wrong(Vec<Wrong>),
    /// Anything else.
    Says(StatusCode, String),
}

type Outcome = Result<Reply, Fail>;

/// What an operation gives: a body as compact JSON, and where a list goes on.
pub(crate) struct Reply {
    body: Vec<u8>,
    next: Option<HeaderValue>,
}

impl Reply {
    pub(crate) fn of(body: &impl Serialize) -> Self {
        Self { body: serde_json::to_vec(body).expect("an answer has a JSON form"), next: None }
    }

    /// A list of this alone.
    pub(crate) fn into_list(self) -> Self {
        Self { body: [b"[", self.body.as_slice(), b"]"].concat(), ..self }
    }

    /// The body as a value, in its order.
    pub(crate) fn json(&self) -> Json {
        let text = std::str::from_utf8(&self.body).expect("an answer is text");
        Json::parse(text).expect("an answer is JSON")
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = json_answer(StatusCode::OK, self.body);
        if let Some(next) = self.next {
            response.headers_mut().insert(header::LINK, next);
        }
        response
    }
}

/// The routes below `/api`.
pub(crate) async fn api(State(app): State<Arc<App>>, request: Request) -> Response {
    if app.sessionbus == Access::Off {
        return Fail::Missing("Not Found").into_response();
    }
    match route::find(request.method(), request.uri().path()) {
        Found::Route(route) => match Box::pin(who(&app, request.headers(), request.extensions())).await {
            Ok((caller, pass)) => {
                run(&app, &caller, pass, route, request).await.unwrap_or_else(Fail::into_response)
            }
            Err(fail) => fail.into_response(),
        },
        Found::Slash(path) => elsewhere(&request, &path),
        Found::Method(allowed) => no_method(allowed),
        Found::Nothing => Fail::Missing("Not Found").into_response(),
    }
}

/// Carries an operation out. Each has a future of its own size, and keeps of the request what it needs: a poll waits for long,
/// and the head of a request holds the buffer that it was read into.
fn run<'a>(
    app: &'a Arc<App>,
    caller: &'a Caller,
    pass: Pass,
    route: Route,
    request: Request,
) -> BoxFuture<'a, Result<Response, Fail>> {
    let (parts, body) = request.into_parts();
    match route {
        Route::Register => {
            replied(async move { sessions::register(app, caller, read(&parts, body).await?).await })
        }
        Route::Heartbeat(id) => {
            replied(async move { sessions::heartbeat(app, caller, &id, read(&parts, body).await?).await })
        }
        Route::State(id) => {
            replied(async move { sessions::state(app, caller, &id, read(&parts, body).await?).await })
        }
        Route::Sessions => replied(async move { sessions::list(app, caller, &parts).await }),
        Route::Ask(id) => replied(async move {
            let key = key(&parts.headers);
            requests::ask(app, caller, &id, read(&parts, body).await?, key).await
        }),
        Route::Requests => replied(async move { requests::list(app, caller, &parts).await }),
        Route::Request(id) => replied(async move { requests::show(app, caller, &id).await }),
        Route::Respond(id) => {
            replied(async move { requests::respond(app, caller, &id, read(&parts, body).await?).await })
        }
        Route::Dismiss(id) => replied(async move { requests::dismiss(app, caller, &id).await }),
        Route::Ack(id, message) => replied(async move { inbox::ack(app, caller, &id, &message).await }),
        Route::Inbox(id) => {
            let wait = inbox::seconds(parameter(&parts, "timeout").as_deref());
            async move { inbox::poll(app, caller, pass, &id, wait?).await }.boxed()
        }
        Route::Events => ready(events::stream(app, caller, pass, &parts)).boxed(),
    }
}

fn replied<'a>(work: impl Future<Output = Outcome> + Send + 'a) -> BoxFuture<'a, Result<Response, Fail>> {
    work.map_ok(IntoResponse::into_response).boxed()
}

/// Who asks: the holder of a token, or a program of the daemon's own user. An agent that the daemon runs is neither.
async fn who(
    app: &App,
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
) -> Result<(Caller, Pass), Fail> {
    if extensions.get::<Came>().is_some_and(|came| came.agent.is_some()) {
        let why = "an agent that runs here has its own way to ask: its requests come through the daemon";
        return Err(Fail::Says(StatusCode::FORBIDDEN, why.to_owned()));
    }
    if headers.contains_key(header::AUTHORIZATION) {
        return crate::gate::caller(app, headers, local::source(headers, extensions))
            .await
            .map_err(|problem| Fail::Says(StatusCode::UNAUTHORIZED, problem.detail.clone()));
    }
    if is_local_program(app, headers, extensions).await {
        return Ok((Caller::local().from(local::source(headers, extensions)), Pass(None)));
    }
    let why = "this needs a token: send `Authorization: Bearer …`. Without one it is open to programs of the daemon's own \
               user on this machine, if the setting `sessionbus` is `local`; never to browsers and proxies";
    Err(Fail::Says(StatusCode::UNAUTHORIZED, why.to_owned()))
}

/// Whether it is a program of the daemon's own user, which needs no credential.
pub(crate) async fn is_local_program(
    app: &App,
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
) -> bool {
    let wire = extensions.get::<Arc<Wire>>();
    match wire.filter(|_| app.sessionbus == Access::Local && may_be_local(headers, extensions)) {
        Some(wire) => wire.is_own_user().await,
        None => false,
    }
}

fn may_be_local(headers: &HeaderMap, extensions: &axum::http::Extensions) -> bool {
    let browses_here = extensions.get::<OnDashboard>().is_some();
    !local::was_forwarded(headers) && (browses_here || !local::is_from_browser(headers))
}

/// Reads a JSON body as leniently as the original.
async fn read(parts: &Parts, body: Body) -> Result<Json, Fail> {
    let too_large = || {
        let why = format!("the body is larger than {MAX_BODY} bytes");
        Fail::Says(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    let bytes = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| too_large())?;
    let wrong = |wrong| Fail::Wrong(vec![wrong]);
    if bytes.is_empty() {
        return Err(wrong(Wrong::new("missing", &["body"], "Field required", Json::Null)));
    }
    let body = if is_json(&parts.headers) {
        let text =
            std::str::from_utf8(&bytes).map_err(|_| wrong(not_json("'utf-8' codec can't decode byte", 0)))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Json::parse(text).map_err(|error| wrong(not_json(error.why, error.at)))?
    } else {
        Json::text(String::from_utf8_lossy(&bytes))
    };
    match body {
        Json::Object(_) => Ok(body),
        Json::Null => Err(wrong(Wrong::new("missing", &["body"], "Field required", Json::Null))),
        Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
            let says = "Input should be a valid dictionary or object to extract fields from";
            Err(wrong(Wrong::new("model_attributes_type", &["body"], says, body)))
        }
    }
}

fn not_json(why: &str, at: usize) -> Wrong {
    let wrong = Wrong::new("json_invalid", &["body"], "JSON decode error", Json::Object(Vec::new()));
    wrong.at(at).with("error", Json::text(why))
}

/// Without a type a body is JSON; with another it is a text, which no operation takes.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = given.to_str().unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let subtype = kind.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The idempotency key, in a form of one length. What comes with it a second time does not count.
fn key(headers: &HeaderMap) -> Option<(String, String)> {
    use sha2::{Digest, Sha256};
    let given = headers.get("x-idempotency-key").filter(|key| !key.is_empty())?;
    Some((format!("sessionbus/{}", crate::extract::hex(&Sha256::digest(given.as_bytes()))), String::new()))
}

/// The last value of a parameter.
fn parameter(parts: &Parts, name: &str) -> Option<String> {
    form::pairs(parts.uri.query().unwrap_or("").as_bytes())
        .into_iter()
        .rev()
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn answer(body: &impl Serialize) -> Reply {
    Reply::of(body)
}

fn json_answer(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn no_method(allowed: &'static str) -> Response {
    let mut response =
        Fail::Says(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed".to_owned()).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The same without the slash at the end.
fn elsewhere(request: &Request, path: &str) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    let scheme = crate::tls::scheme(request.headers(), request.extensions());
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{scheme}://{host}{path}{query}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

impl Fail {
    /// A value that the core does not take.
    fn refused(field: &str, why: impl std::fmt::Display) -> Self {
        let says = format!("Value error, {field} {why}");
        Self::Wrong(vec![Wrong::new("value_error", &["body", field], says, Json::Null)])
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let says = |detail: &str| Json::Object(vec![("detail".to_owned(), Json::text(detail))]).compact();
        match self {
            Self::Missing(what) => json_answer(StatusCode::NOT_FOUND, says(what)),
            Self::Wrong(all) => json_answer(StatusCode::UNPROCESSABLE_ENTITY, Wrong::detail(all)),
            Self::Says(status, detail) => {
                let mut response = json_answer(status, says(&detail));
                if status == StatusCode::UNAUTHORIZED {
                    response
                        .headers_mut()
                        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                response
            }
        }
    }
}

impl From<Refused> for Fail {
    fn from(refused: Refused) -> Self {
        if let Refused::Invalid { field, reason } = &refused {
            return Self::refused(field, reason);
        }
        if let Refused::Unconfirmed { reason } = &refused {
            let why = format!(
                "is of high risk ({reason}): if you mean it, add the word confirm, as in `allow confirm`"
            );
            return Self::refused("response_text", why);
        }
        let status = problem::status(&refused);
        let what = if let Refused::NotFound { what, .. } = &refused { what } else { "session" };
        match (status, what) {
            (StatusCode::NOT_FOUND | StatusCode::GONE, "session") => Self::Missing("Session not found"),
            (StatusCode::NOT_FOUND, "request") => Self::Missing("Request not found"),
            (StatusCode::NOT_FOUND, "message") => Self::Missing("Message not found"),
            (StatusCode::NOT_FOUND, "handoff") => Self::Missing("Handoff not found"),
            (StatusCode::NOT_FOUND, _) => Self::Missing("Not Found"),
            (status, _) => Self::Says(status, refused.to_string()),
        }
    }
}

impl From<CommandError> for Fail {
    fn from(error: CommandError) -> Self {
        if let CommandError::Refused(refused) = error {
            return refused.into();
        }
        let problem = Problem::from(error);
        Self::Says(problem.status(), problem.detail.clone())
    }
}

/// Whether somebody's word counts for sessions that were not born here.
const fn is_local(caller: &Caller) -> bool {
    matches!(caller.scope, Scope::Local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_json() {
        for (kind, counts) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_json(&headers), counts, "{kind}");
        }
        assert!(is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_key_has_one_length_and_an_empty_one_is_none() {
        let with =
            |key: &str| HeaderMap::from_iter([("x-idempotency-key".parse().unwrap(), key.parse().unwrap())]);
        assert_eq!(key(&with("")), None);
        assert_eq!(key(&with(&"k".repeat(1_000))).unwrap().0.len(), 75);
        assert_ne!(key(&with("a")), key(&with("b")));
    }
}
