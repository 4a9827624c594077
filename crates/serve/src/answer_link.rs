//! `/a/{link}`: one request, answered without a token by whoever holds its link. A look shows it; a POST answers it, once.
//!
//! What a link may answer is in `trunkline_core::answer_link`, how it is signed in `trunkline_run::notify::link`. A page without
//! a script, so it works in whatever opens links on a phone. A notification's button posts JSON and is answered in it.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use trunkline_core::answer_link as rule;
use trunkline_core::id::Pos;
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::request::{Kind, OptionKind, Outcome};
use trunkline_core::view::{RequestStatus, RequestView};
use trunkline_run::notify::link::Link;

use crate::app::{App, Shared};
use crate::gate::Came;
use crate::html::escaped as e;
use crate::local::source;
use crate::problem::{Answer, Problem};
use crate::requests::find;

/// How many bytes an answer may have.
const MAX_ANSWER: usize = 64 << 10;

const STYLE: &str = "body{font:17px/1.5 system-ui,sans-serif;max-width:36rem;margin:0 auto;padding:1.5rem;\
    color-scheme:light dark;overflow-wrap:anywhere}h1{font-size:1.25rem}pre{white-space:pre-wrap;padding:.75rem;\
    border:1px solid #8886;border-radius:.5rem}form{display:flex;flex-direction:column;gap:.75rem}button,textarea{font:inherit;\
    padding:.75rem;border-radius:.5rem;border:1px solid #888}button{min-height:3rem}small{opacity:.75}p::first-letter{text-transform:uppercase}";

/// No script, nothing from elsewhere, and no style but the one above.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 fits a header")
});

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    option: Option<String>,
    text: Option<String>,
}

pub(crate) async fn show(app: Shared, Path(link): Path<String>) -> Response<Body> {
    match open(&app, &link).await {
        Ok((_, request)) => page(StatusCode::OK, &request.title, &question(&request)),
        Err(problem) => shut(&problem),
    }
}

pub(crate) async fn answer(
    app: Shared,
    Path(link): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Bytes,
) -> Response<Body> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json =
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let is_agent = extensions.get::<Came>().is_some_and(|came| came.agent.is_some());
    let from = source(&headers, &extensions);
    let done = if is_agent {
        Err(Problem::forbidden("forbidden", "an agent answers nothing"))
    } else {
        give(&app, &link, &body, is_json, |caller| caller.from(from)).await
    };
    match done {
        Ok(told) if is_json => {
            let mut response = Response::new(Body::from(serde_json::json!({ "answered": told }).to_string()));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            sealed(response)
        }
        Ok(told) => page(StatusCode::OK, "Answered", &format!("<h1>Answered</h1><p>{}</p>", e(&told))),
        Err(problem) if is_json => sealed(problem.into_response()),
        Err(problem) => shut(&problem),
    }
}

/// Gives the answer, and says what it was.
async fn give(
    app: &App,
    link: &str,
    body: &[u8],
    is_json: bool,
    from: impl FnOnce(Caller) -> Caller,
) -> Answer<String> {
    let (link, request) = open(app, link).await?;
    let bad = |why: &str| Problem::new(StatusCode::BAD_REQUEST, "invalid", why);
    if body.len() > MAX_ANSWER {
        return Err(bad("this answer is too long"));
    }
    let Given { option, text } = if is_json {
        serde_json::from_slice(body).map_err(|_| bad("the body must be {\"option\": …} or {\"text\": …}"))?
    } else {
        axum::extract::Query::<Given>::try_from_uri(
            &form(body).ok_or_else(|| bad("the form cannot be read"))?,
        )
        .map_err(|_| bad("the form cannot be read"))?
        .0
    };
    let answer = rule::answer(&request, option.as_deref(), text.as_deref())
        .ok_or_else(|| bad("choose one of what is offered, or say something"))?;
    let name = rule::choices(&request).into_iter().find(|choice| Some(&choice.id) == answer.option.as_ref());
    let told = name.map_or_else(|| answer.text.clone().unwrap_or_default(), |choice| choice.name.clone());
    let caller = from(Caller::new(Principal::link(&link.told), Scope::Operator));
    app.hub.answer(&caller, &request, answer, None).await?;
    Ok(told)
}

/// A form, as the query of an address.
fn form(body: &[u8]) -> Option<axum::http::Uri> {
    // A browser encodes all but letters, digits and `*-._`, so what it sends fits.
    format!("/?{}", std::str::from_utf8(body).ok()?).parse().ok()
}

/// Why a link shows no question.
fn shut(problem: &Problem) -> Response<Body> {
    let body = format!(
        "<h1>This cannot be answered here</h1><p>{}.</p><p><a href=\"/\">Open the inbox</a></p>",
        e(problem.detail.trim_end_matches('.'))
    );
    page(problem.status(), "Trunkline", &body)
}

/// The request of a link that can be answered now.
async fn open(app: &App, link: &str) -> Answer<(Link, RequestView)> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "not_found", "this link opens nothing");
    let link = app.links.read(link).map_err(|error| {
        tracing::error!(%error, "links cannot be read");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "links cannot be read; the daemon's log says why",
        )
    })?;
    let link = link.ok_or_else(unknown)?;
    let request = find(app, link.request, Pos(0)).await.map_err(|_| unknown())?;
    if let Some(closed) = &request.closed {
        let how = match closed.outcome {
            Outcome::Answered => format!("{} has answered it already", closed.by),
            Outcome::Expired => "its time has run out".to_owned(),
            Outcome::Cancelled | Outcome::Superseded => "it is not asked any more".to_owned(),
        };
        return Err(Problem::new(StatusCode::CONFLICT, "request_closed", how));
    }
    if app.hub.now() >= link.until || request.status != RequestStatus::Open {
        return Err(Problem::new(StatusCode::GONE, "expired", "this link does not work any more"));
    }
    // What was harmless when the link was made may have been judged anew.
    match rule::until(&request) {
        Some(_) => Ok((link, request)),
        None => Err(Problem::forbidden("forbidden", "this wants more than a link; sign in to answer it")),
    }
}

fn question(request: &RequestView) -> String {
    let mut body = format!("<p><small>{} asks</small></p><h1>{}</h1>", e(&request.agent), e(&request.title));
    if !request.question.is_empty() {
        let _fits = write!(body, "<pre>{}</pre>", e(&request.question));
    }
    if let Some(risk) = &request.risk {
        let _fits = write!(body, "<p><small>{} risk: {}</small></p>", risk.level.word(), e(&risk.reason));
    }
    body.push_str("<form method=\"post\">");
    let choices = rule::choices(request);
    for choice in &choices {
        let mark = match (request.kind, choice.kind) {
            (Kind::Permission, OptionKind::AllowOnce | OptionKind::AllowAlways) => "✓ ",
            (Kind::Permission, OptionKind::RejectOnce | OptionKind::RejectAlways) => "✗ ",
            _ => "",
        };
        let _fits = write!(
            body,
            "<button name=\"option\" value=\"{}\">{mark}{}</button>",
            e(&choice.id),
            e(&choice.name)
        );
    }
    if choices.is_empty() {
        body.push_str(
            "<textarea name=\"text\" rows=\"4\" required autofocus aria-label=\"Your answer\"></textarea>",
        );
        body.push_str("<button>Answer</button>");
    }
    let _fits = write!(
        body,
        "</form><p><small>Answers once. <a href=\"/r/{}\">Open in Trunkline</a></small></p>",
        request.id
    );
    body
}

fn page(status: StatusCode, title: &str, body: &str) -> Response<Body> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>",
        e(title)
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    sealed(response)
}

/// Nobody keeps, frames or passes on what a link shows, and no other site learns the link from where its reader goes next. Our own
/// may: a browser that must tell nobody sends its form from the origin `null`, which is nobody's.
fn sealed(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
