//! The listener for a browser, and so an origin, of its own: the dialect's paths, and a page in which the original client runs.
//!
//! That client's script is not ours and not shipped: it is read from where the user has installed it. It keeps its token where
//! any script of its origin can read it, so a link gives it one that opens this dialect and nothing else, and never as an
//! administrator. Its page may load what stands here and talk to where it comes from.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde::Deserialize;
use serde_json::json;
use trunkline_core::access::{Command, Created};
use trunkline_core::id::TokenId;
use trunkline_core::principal::{Caller, Scope};
use uuid::Uuid;

use super::access::{PAGE_PREFIX, no_agent};
use super::{Outcome, api, fail, ok, paths, read};
use crate::app::App;
use crate::auth;
use crate::problem::Problem;

/// Where the page is.
const PAGE: &str = "/ui/kollabor/";
/// How long a browser that was let in stays so.
const TOKEN_TTL_MS: u64 = 30 * 24 * 3600 * 1000;
/// How many bytes the client's script may have.
const MAX_SCRIPT: u64 = 4 << 20;
/// Inline styles are what the client writes.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
/// The page that a link opens. The code stands behind the `#`, so that no server's log has it.
const OPEN: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Trunkline</title>\
    <body><p id=told>Opening …</p><script src=/-/open.js></script>";
const OPEN_JS: &str = "const code = new URLSearchParams(location.hash.slice(1)).get('code');\n\
    const tell = (text) => { document.getElementById('told').textContent = text; };\n\
    history.replaceState(null, '', location.pathname);\n\
    fetch('/-/open', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code }) })\n\
      .then(async (answer) => {\n\
        const told = await answer.json();\n\
        if (!answer.ok) return tell(told.detail);\n\
        localStorage.setItem('kollabor_token', told.token);\n\
        location.replace('/ui/kollabor/');\n\
      })\n\
      .catch(() => tell('The daemon does not answer.'));\n";

/// Everything that the listener serves.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for path in paths() {
        router = router.route(path, any(api));
    }
    router
        .route("/health", get(crate::health::health))
        .route("/", get(async || to_page()))
        .route("/ui/kollabor", get(async || to_page()))
        .route(PAGE, get(async || asset("index.html", include_str!("static/index.html"))))
        .route("/ui/kollabor/page.js", get(async || asset("page.js", include_str!("static/page.js"))))
        .route("/ui/kollabor/page.css", get(async || asset("page.css", include_str!("static/page.css"))))
        .route("/ui/kollabor/app.js", get(client))
        .route("/-/open", get(async || asset("open.html", OPEN)).post(redeem))
        .route("/-/open.js", get(async || asset("open.js", OPEN_JS)))
        .fallback(any(api))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), crate::gate::gate))
        .with_state(app)
}

fn to_page() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, PAGE)]).into_response()
}

fn asset(name: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(crate::built::kind(name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The original client's script, from where the user has installed it.
async fn client(State(app): State<Arc<App>>) -> Response {
    let Some(path) = app.engine.client.clone() else {
        return no_client("no `client` is named in the table [engine]");
    };
    match tokio::task::spawn_blocking(move || script(&path)).await {
        Ok(Some(bytes)) => asset("app.js", bytes),
        Ok(None) | Err(_) => no_client("the file that `client` in the table [engine] names cannot be read"),
    }
}

fn script(path: &Path) -> Option<Vec<u8>> {
    let about = path.metadata().ok()?;
    (about.is_file() && about.len() <= MAX_SCRIPT).then(|| std::fs::read(path).ok())?
}

fn no_client(why: &str) -> Response {
    fail(&Problem::new(StatusCode::NOT_FOUND, "no_client", why))
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// Takes a link's code, and gives the browser a token.
async fn redeem(State(app): State<Arc<App>>, request: Request) -> Response {
    let_in(&app, request).await.unwrap_or_else(|problem| fail(&problem))
}

async fn let_in(app: &App, request: Request) -> Outcome {
    no_agent(request.extensions())?;
    let Code { code } = read(request.into_body()).await?;
    let now = app.hub.now();
    let used = || {
        let detail = "this link was used before or is too old; make another with `trunkline open --engine`";
        Problem::forbidden("used_link", detail)
    };
    let scope = match app.auth.redeem(&code, now).ok_or_else(used)? {
        Scope::Admin | Scope::Operator => Scope::Operator,
        scope => scope,
    };
    let secret = format!("{PAGE_PREFIX}{}", auth::secret().map_err(crate::tokens::no_randomness)?);
    let id = TokenId::new(Uuid::now_v7());
    let name = format!("engine-{}", &id.to_string().replace('-', "")[20..]);
    let expires = Some(now.plus_ms(TOKEN_TTL_MS));
    let created = Created { id, name, scope, sha256: auth::sha256(&secret), expires };
    let caller = Caller { scope: Scope::Admin, ..Caller::trunkline() };
    app.hub.access(&caller, Command::Create(created)).await?;
    Ok(ok(&json!({ "token": secret })))
}
