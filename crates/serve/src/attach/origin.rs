//! The listener for a browser, and so an origin, of its own: the dialect's paths, a client's files, and the one-time link.
//!
//! A client that was not written for this daemon can show no token, because a browser's `EventSource` cannot; it is let in by
//! a cookie. That opens this dialect on this listener and nothing else.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde::Deserialize;
use serde_json::json;
use trunkline_core::access::{Command, Created};
use trunkline_core::id::TokenId;
use trunkline_core::principal::{Caller, Scope};
use uuid::Uuid;

use super::access::{COOKIE, COOKIE_PREFIX, OnOrigin};
use super::{Fail, Outcome, json_answer};
use crate::app::App;
use crate::auth;
use crate::gate::Came;

/// How long a browser that was let in stays so.
const COOKIE_TTL_MS: u64 = 30 * 24 * 3600 * 1000;
/// How many bytes a file of a client may have.
const MAX_FILE: u64 = 16 << 20;
/// How many bytes the body with a link's code may have.
const MAX_CODE: usize = 1 << 10;
/// What a client may do: load its own parts and talk to where it comes from. Inline styles are what builds of clients have.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// The page that a link opens. The code stands behind the `#`, so that no server's log has it.
const OPEN: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Trunkline</title>\
    <body><p id=told>Opening …</p><script src=/-/open.js></script>";
const OPEN_JS: &str = "const code = new URLSearchParams(location.hash.slice(1)).get('code');\n\
    const tell = (text) => { document.getElementById('told').textContent = text; };\n\
    history.replaceState(null, '', location.pathname);\n\
    fetch('/-/open', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code }) })\n\
      .then(async (answer) => answer.ok ? location.replace('/') : tell((await answer.json()).detail))\n\
      .catch(() => tell('The daemon does not answer.'));\n";

/// Everything that the listener serves.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/{*rest}", any(super::api))
        .route("/health", get(crate::health::health))
        .route("/-/open", get(open).post(redeem))
        .route("/-/open.js", get(script))
        .fallback(file)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), crate::gate::gate))
        .layer(axum::Extension(OnOrigin))
        .with_state(app)
}

async fn open() -> Response {
    asset("text/html; charset=utf-8", OPEN.into())
}

async fn script() -> Response {
    asset("text/javascript; charset=utf-8", OPEN_JS.into())
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// Takes a link's code, and lets the browser in.
async fn redeem(State(app): State<Arc<App>>, request: Request) -> Response {
    let_in(&app, request).await.unwrap_or_else(Fail::into_response)
}

async fn let_in(app: &App, request: Request) -> Outcome {
    if request.extensions().get::<Came>().is_some_and(|came| came.agent.is_some()) {
        return Err(Fail::Forbidden(
            "an agent gets no browser's cookie, whatever link it has found".to_owned(),
        ));
    }
    let secure = match crate::tls::scheme(request.headers(), request.extensions()) {
        "https" => "; Secure",
        _ => "",
    };
    let body = axum::body::to_bytes(request.into_body(), MAX_CODE).await.map_err(|_| Fail::TooLarge)?;
    let used = || {
        Fail::Forbidden(
            "this link was used before or is too old; make another with `trunkline open --attach`".to_owned(),
        )
    };
    let Ok(Code { code }) = serde_json::from_slice(&body) else { return Err(used()) };
    let now = app.hub.now();
    let scope = match app.auth.redeem(&code, now).ok_or_else(used)? {
        Scope::Admin | Scope::Operator => Scope::Operator,
        scope => scope,
    };
    let unavailable =
        |error: getrandom::Error| Fail::Unavailable(format!("the system gives no random numbers: {error}"));
    let secret = format!("{COOKIE_PREFIX}{}", auth::secret().map_err(unavailable)?);
    let id = TokenId::new(Uuid::now_v7());
    let name = format!("attach-{}", &id.to_string().replace('-', "")[20..]);
    let expires = Some(now.plus_ms(COOKIE_TTL_MS));
    let created = Created { id, name, scope, sha256: auth::sha256(&secret), expires };
    let caller = Caller { scope: Scope::Admin, ..Caller::trunkline() };
    app.hub.access(&caller, Command::Create(created)).await?;
    let mut response = json_answer(StatusCode::OK, json!({ "opened": true }).to_string().into_bytes());
    let age = COOKIE_TTL_MS / 1000;
    let cookie = format!("{COOKIE}={secret}; Path=/api; HttpOnly; SameSite=Strict{secure}; Max-Age={age}");
    let cookie = HeaderValue::from_str(&cookie).expect("a secret is of letters, digits, - and _");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// A file of a client.
async fn file(State(app): State<Arc<App>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Fail::NoPath.into_response();
    }
    let path = request.uri().path().to_owned();
    let found = tokio::task::spawn_blocking(move || find(&app.attach.files, &path)).await;
    match found {
        Ok(Some((kind, bytes))) => asset(kind, bytes.into()),
        Ok(None) | Err(_) => Fail::NoPath.into_response(),
    }
}

/// The file that a path means, below the directory that is mounted there. No link leads out of it.
fn find(mounts: &[(String, PathBuf)], path: &str) -> Option<(&'static str, Vec<u8>)> {
    let mounted =
        mounts.iter().filter_map(|(at, dir)| Some((at.len(), path.strip_prefix(at.as_str())?, dir)));
    let (_, rest, dir) = mounted.max_by_key(|(length, ..)| *length)?;
    let rest = rest.trim_start_matches('/');
    let rest =
        if rest.is_empty() || rest.ends_with('/') { format!("{rest}index.html") } else { rest.to_owned() };
    let plain = Path::new(&rest)
        .components()
        .all(|part| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().starts_with(b".")));
    if !plain {
        return None;
    }
    let dir = dir.canonicalize().ok()?;
    let file = dir.join(&rest).canonicalize().ok().filter(|file| file.starts_with(&dir))?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > MAX_FILE {
        return None;
    }
    Some((crate::built::kind(&rest), std::fs::read(file).ok()?))
}

fn asset(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_their_mount_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        };
        ["client/index.html", "client/assets/a.js", "client/.env", "secret"]
            .iter()
            .for_each(|name| write(name));
        std::os::unix::fs::symlink(dir.path().join("secret"), dir.path().join("client/link")).unwrap();
        let mounts =
            [("/".to_owned(), dir.path().join("client")), ("/app/".to_owned(), dir.path().join("client"))];
        let found =
            |path: &str| find(&mounts, path).map(|(kind, bytes)| (kind, String::from_utf8(bytes).unwrap()));
        assert_eq!(found("/"), Some(("text/html; charset=utf-8", "client/index.html".to_owned())));
        assert_eq!(found("/app/"), found("/"));
        assert_eq!(found("/assets/a.js").unwrap().0, "text/javascript; charset=utf-8");
        for none in [
            "/../secret",
            "/%2e%2e/secret",
            "/link",
            "/.env",
            "/assets",
            "/none",
            "//etc/passwd",
            "/assets/../index.html",
        ] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
