//! The dashboard: pages for a browser, and the paths of the original's.
//!
//! A browser has no credential to show, and any page can make it send requests. So the dashboard has a listener, and thereby
//! an origin, of its own, which is off until somebody asks for it. There the user's own browser counts like any program of
//! the user that has no token: the gate has let through only what this origin's own pages send.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use trunkline_core::id::Pos;
use trunkline_core::principal::Caller;
use trunkline_core::time::Time;

use super::fields::{Fields, Need, Wrong};
use super::json::Json;
use super::list::{MAX_LISTED, Part};
use super::show::{self, SOMEBODY};
use super::{Access, Fail, OnDashboard, form, json_answer, no_method, page, requests, sessions};
use crate::app::App;

/// What a page may do: load its own two files and talk to where it comes from.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// How many bytes a form may have.
const MAX_FORM: usize = 4 << 20;
/// How many sessions the page shows.
const SHOWN: usize = 500;

const CSS: &[u8] = include_bytes!("static/app.css");
const JS: &[u8] = include_bytes!("static/app.js");

/// Everything that the dashboard's listener serves.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/{*rest}", axum::routing::any(super::api))
        .fallback(pages)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), crate::gate::gate))
        .layer(axum::Extension(OnDashboard))
        .with_state(app)
}

/// The pages, on either listener.
pub(crate) async fn pages(State(app): State<Arc<App>>, request: Request) -> Response {
    if app.sessionbus == Access::Off {
        return Fail::Missing("Not Found").into_response();
    }
    let path = request.uri().path().to_owned();
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    match parts[..] {
        ["static", name] if get => asset(&app, name, request.headers()),
        ["static", _] | ["" | "partials", ..] | ["ui", "sessionbus", ..] if !get => no_method("GET, HEAD"),
        ["requests", _, "respond" | "dismiss"] if *request.method() != Method::POST => no_method("POST"),
        ["requests", _] if !get => no_method("GET"),
        _ => match super::who(&app, request.headers(), request.extensions()).await {
            Ok((caller, _)) => page(&app, &caller, &parts, request).await.unwrap_or_else(Fail::into_response),
            Err(fail) => fail.into_response(),
        },
    }
}

async fn page(app: &App, caller: &Caller, path: &[&str], request: Request) -> Result<Response, Fail> {
    match path {
        [""] | ["ui", "sessionbus"] | ["ui", "sessionbus", ""] => {
            let (all, waiting) = (known(app, caller).await?, waiting(app, caller).await?);
            Ok(html(page::home(&all, &waiting)))
        }
        ["partials", "sessions"] => Ok(html(page::sessions(&known(app, caller).await?))),
        ["partials", "requests"] => Ok(html(page::requests(&waiting(app, caller).await?))),
        ["requests", id] => {
            caller.may_list()?;
            Ok(html(page::detail(&show::request(requests::find(app, id, Pos(0)).await?))))
        }
        ["requests", id, "respond"] => respond(app, caller, id, request).await,
        ["requests", id, "dismiss"] => {
            requests::set_aside(app, caller, id).await?;
            Ok(back(id))
        }
        _ => Err(Fail::Missing("Not Found")),
    }
}

async fn known(app: &App, caller: &Caller) -> Result<Vec<show::SessionSummary>, Fail> {
    Ok(sessions::all(app, caller, None, &Part::first(SHOWN)).await?.items)
}

async fn waiting(app: &App, caller: &Caller) -> Result<Vec<show::Request>, Fail> {
    let all = requests::all(app, caller, Some("PENDING"), Vec::new(), &Part::first(MAX_LISTED)).await?;
    Ok(all.items.into_iter().map(show::request).collect())
}

async fn respond(app: &App, caller: &Caller, id: &str, request: Request) -> Result<Response, Fail> {
    let (parts, body) = request.into_parts();
    let too_large =
        |_| Fail::Says(StatusCode::PAYLOAD_TOO_LARGE, format!("a form has at most {MAX_FORM} bytes"));
    let body = axum::body::to_bytes(body, MAX_FORM).await.map_err(too_large)?;
    let pairs = form::read(&parts.headers, &body).into_iter().filter(|(_, value)| !value.is_empty());
    let mut fields = Fields::of(Json::Object(pairs.map(|(key, value)| (key, Json::Text(value))).collect()));
    let responder = fields.text("responder", Need::Sometimes, 1, Some(255));
    let text = fields.text("response_text", Need::Sometimes, 1, None);
    fields.done().map_err(Fail::Wrong)?;
    let Some(text) = text else {
        let missing = Wrong::new("missing", &["body", "response_text"], "Field required", Json::Null);
        return Err(Fail::Wrong(vec![missing]));
    };
    requests::say(app, caller, id, text, responder.unwrap_or_else(|| SOMEBODY.to_owned())).await?;
    Ok(back(id))
}

fn back(id: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/requests/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn html(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A file, which needs no credential: it says nothing of anybody.
fn asset(app: &App, name: &str, headers: &HeaderMap) -> Response {
    let (bytes, kind) = match name {
        "app.css" => (CSS, "text/css; charset=utf-8"),
        "app.js" => (JS, "text/javascript; charset=utf-8"),
        _ => return Fail::Missing("Not Found").into_response(),
    };
    let tag = format!("\"{}\"", &crate::extract::hex(&Sha256::digest(bytes))[..32]);
    let since = Time(app.hub.now().0 - i64::try_from(app.started.elapsed().as_millis()).unwrap_or(0));
    let same = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let wanted = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, body) = match wanted.map(|range| part(range, bytes.len())) {
        _ if same => (StatusCode::NOT_MODIFIED, &bytes[..0]),
        Some(Some((from, upto))) => (StatusCode::PARTIAL_CONTENT, &bytes[from..upto]),
        Some(None) => (StatusCode::RANGE_NOT_SATISFIABLE, &bytes[..0]),
        None => (StatusCode::OK, bytes),
    };
    let mut response = json_answer(status, body);
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let range = match wanted.and_then(|range| part(range, bytes.len())) {
        Some((from, upto)) => format!("bytes {from}-{}/{}", upto - 1, bytes.len()),
        None => format!("bytes */{}", bytes.len()),
    };
    let texts = [(header::ETAG, tag), (header::LAST_MODIFIED, crate::moment::http(since))];
    let partial = matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE);
    let range = partial.then_some((header::CONTENT_RANGE, range));
    for (name, text) in texts.into_iter().chain(range) {
        if let Ok(value) = HeaderValue::from_str(&text) {
            out.insert(name, value);
        }
    }
    response
}

/// The bytes a range wants; `None` when there are none of them.
fn part(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, upto) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, upto) = match (from.parse::<usize>().ok(), upto.parse::<usize>().ok()) {
        (Some(from), Some(upto)) => (from, upto.saturating_add(1).min(length)),
        (Some(from), None) if upto.is_empty() => (from, length),
        (None, Some(last)) if from.is_empty() => (length.saturating_sub(last), length),
        (Some(_) | None, _) => return None,
    };
    (from < upto).then_some((from, upto))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, bytes) in [
            ("bytes=0-3", Some((0, 4))),
            ("bytes=2-", Some((2, 10))),
            ("bytes=-3", Some((7, 10))),
            ("bytes=5-99", Some((5, 10))),
            ("bytes=10-", None),
            ("bytes=4-2", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(part(range, 10), bytes, "{range}");
        }
    }
}
