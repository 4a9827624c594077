//! The gate every request passes: Host, Origin and Sec-Fetch checks against web pages, then the token.
//!
//! Loopback is no protection from a browser: any page can send requests to it, and DNS rebinding makes it look like the
//! page's own host. So the Host must be one of ours, and a request that a browser marks as coming from another site, or
//! from another port of this host, is refused, reading too. There are no cookies: a token is sent as `Authorization`,
//! which no foreign page can do without being asked first.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use trunkline_core::audit::Source;
use trunkline_core::id::SessionId;
use trunkline_core::principal::Caller;

use crate::app::App;
use crate::auth::bearer;
use crate::local;
use crate::problem::Problem;
use crate::socket;

/// Where the code of a link is exchanged for a token.
const EXCHANGE: &str = "/v1/exchange";

/// Which hosts and origins are ours.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Host names without port that the daemon answers to, besides `localhost` and loopback addresses.
    pub hosts: Vec<String>,
    /// More of them, for TLS alone: what the machine calls itself. A page that has such a name in the clear may be anybody's
    /// who answers for it on that network; over TLS it would need our certificate.
    pub tls_hosts: Vec<String>,
    /// Foreign origins that may call with a bearer token, such as `https://editor.example`.
    pub origins: Vec<String>,
}

/// What is known of the connection a request came on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Came {
    /// The session whose agent, or what it has started, is at the other end.
    pub(crate) agent: Option<SessionId>,
    /// The address of ours that was connected to.
    pub(crate) local: Option<IpAddr>,
    /// Whether it is TLS.
    pub(crate) secure: bool,
}

/// What opened the gate: the hash of a token that can be revoked or expire, or nothing of that kind.
#[derive(Debug, Clone)]
pub(crate) struct Pass(pub(crate) Option<String>);

/// The middleware.
pub(crate) async fn gate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let came: Came = request.extensions().get().copied().unwrap_or_default();
    let agent = came.agent;
    let path = request.uri().path();
    let origin = match app.allowed.check(request.method(), request.headers(), path, came) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    if let (Some(origin), &Method::OPTIONS) = (&origin, request.method()) {
        return preflight(origin);
    }
    if agent.is_some() && request.uri().path() == EXCHANGE {
        let detail = "an agent gets no browser's token, whatever link it has found";
        return Problem::forbidden("forbidden", detail).into_response();
    }
    if needs_token(request.uri().path()) && !(agent.is_none() && shows_later(&request)) {
        let found = match agent {
            // Whatever it shows: it could have read its owner's token.
            Some(session) => Ok((Caller::agent(session), Pass(None))),
            None => {
                caller(&app, request.headers(), local::source(request.headers(), request.extensions())).await
            }
        };
        match found {
            Ok((caller, pass)) => {
                request.extensions_mut().insert(pass);
                request.extensions_mut().insert(caller);
            }
            Err(problem) => return with_cors(problem.into_response(), origin.as_ref()),
        }
    }
    with_cors(next.run(request).await, origin.as_ref())
}

/// Answers everything on a connection that may be an agent's and cannot be told.
pub(crate) async fn stranger() -> Problem {
    let detail = "it cannot be told whether this connection comes from an agent that runs here, so it is refused: keep \
                  the connection open until it is answered, and connect from a process that the daemon can see in /proc";
    Problem::forbidden("unknown_peer", detail)
}

/// The UI and what it is opened with need no token; everything that tells or does something does.
fn needs_token(path: &str) -> bool {
    path.starts_with("/v1/") && path != EXCHANGE && path != "/v1/openapi.json"
}

/// A browser's WebSocket has no header for a token: it is the first message.
fn shows_later(request: &Request) -> bool {
    request.uri().path() == socket::PATH && !request.headers().contains_key(header::AUTHORIZATION)
}

/// The holder of the token that is shown.
pub(crate) async fn caller(
    app: &App,
    headers: &HeaderMap,
    source: Option<Source>,
) -> Result<(Caller, Pass), Problem> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(Problem::unauthenticated(
            "this needs a token: send `Authorization: Bearer …`. In a browser, open a link from `trunkline open`",
        ));
    }
    let Some(token) = bearer(headers) else {
        return Err(Problem::unauthenticated("the Authorization header is not `Bearer …`"));
    };
    // What is for cookies, or for a page whose script is not ours, opens nothing else.
    let is_cookies = crate::attach::is_cookie_token(token) || crate::engine::is_page_token(token);
    let holder = if is_cookies { None } else { app.auth.caller(&app.hub, token, source).await? };
    holder.ok_or_else(|| Problem::unauthenticated("this token is unknown, expired or revoked"))
}

impl Allowed {
    /// Refuses what a browser sends for somebody else. Gives the foreign origin that is allowed, if the request has one.
    fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        path: &str,
        came: Came,
    ) -> Result<Option<HeaderValue>, Problem> {
        let host = self.host(headers, came)?;
        let origin = headers.get(header::ORIGIN);
        let foreign = match origin {
            None => false,
            Some(origin) => !is_own(origin, &host, came.secure),
        };
        if foreign {
            let origin = origin.and_then(|value| value.to_str().ok()).unwrap_or("");
            let asks_with_token = headers.contains_key(header::AUTHORIZATION)
                || method == Method::OPTIONS
                || path == socket::PATH
                || path == crate::engine::FEED;
            if self.origins.iter().any(|allowed| allowed == origin) && asks_with_token {
                return Ok(headers.get(header::ORIGIN).cloned());
            }
            let detail =
                format!("requests from pages of {origin:?} are refused; see allowed_origins in config.toml");
            return Err(Problem::forbidden("foreign_origin", detail));
        }
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let opens_page = method == Method::GET && navigates && !path.starts_with("/v1/");
        match site {
            Some("cross-site" | "same-site") if !opens_page => {
                Err(Problem::forbidden("foreign_site", "requests that another page makes are refused"))
            }
            _ => Ok(None),
        }
    }

    /// The Host, if it is one of ours. The address that was connected to is: whoever rebinds a name sends the name.
    fn host(&self, headers: &HeaderMap, came: Came) -> Result<String, Problem> {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
        let name = host_name(host);
        let ip = name.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        let address =
            ip.is_some_and(|ip| ip.is_loopback() || came.local.map(|local| local.to_canonical()) == Some(ip));
        let ours = address || name.eq_ignore_ascii_case("localhost");
        let by_tls = self.tls_hosts.iter().filter(|_| came.secure);
        if ours || self.hosts.iter().chain(by_tls).any(|allowed| allowed.eq_ignore_ascii_case(name)) {
            return Ok(host.to_ascii_lowercase());
        }
        let detail =
            format!("this daemon does not answer to the host {name:?}; see allowed_hosts in config.toml");
        Err(Problem::forbidden("foreign_host", detail))
    }
}

/// `[::1]:7433` → `::1`, `localhost:7433` → `localhost`.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or("");
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Our own page has the origin of the host it asks. `null` is nobody's. What comes by TLS is asked by a page that came by TLS:
/// one in the clear may be anybody's on the way. What comes in the clear may have come by TLS as far as a proxy.
fn is_own(origin: &HeaderValue, host: &str, secure: bool) -> bool {
    let origin = origin.to_str().unwrap_or("").to_ascii_lowercase();
    let clear = origin.strip_prefix("http://").filter(|_| !secure);
    clear.or_else(|| origin.strip_prefix("https://")) == Some(host)
}

fn preflight(origin: &HeaderValue) -> Response {
    let mut response = axum::http::StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, idempotency-key, last-event-id, trunkline-at"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    with_cors(response, Some(origin))
}

fn with_cors(mut response: Response, origin: Option<&HeaderValue>) -> Response {
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("trunkline-at"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, headers: &[(&str, &str)]) -> Result<bool, &'static str> {
        check_by(false, method, path, headers)
    }

    fn check_by(
        secure: bool,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<bool, &'static str> {
        let allowed = Allowed {
            hosts: vec!["trunk.example".into()],
            tls_hosts: vec!["workbench.local".into()],
            origins: vec!["https://editor.example".into()],
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        allowed
            .check(method, &map, path, Came { local: Some([192, 0, 2, 2].into()), secure, agent: None })
            .map(|cors| cors.is_some())
            .map_err(|problem| problem.code)
    }

    #[test]
    fn hosts_that_are_not_ours_are_refused() {
        for host in
            ["localhost:7433", "127.0.0.1:7433", "[::1]:7433", "127.8.8.8", "trunk.example", "192.0.2.2:7433"]
        {
            assert_eq!(check(&Method::GET, "/v1/sessions", &[("host", host)]), Ok(false), "{host}");
        }
        for host in
            ["evil.example", "", "localhost.evil.example:7433", "10.0.0.1:7433", "192.0.2.2.evil.example"]
        {
            assert_eq!(check(&Method::GET, "/health", &[("host", host)]), Err("foreign_host"), "{host}");
        }
    }

    #[test]
    fn pages_of_others_are_refused_reading_too() {
        let host = ("host", "localhost:7433");
        let get =
            |extra: &[(&str, &str)]| check(&Method::GET, "/v1/sessions", &[&[host][..], extra].concat());
        assert_eq!(get(&[("origin", "http://localhost:7433")]), Ok(false));
        assert_eq!(get(&[("sec-fetch-site", "same-origin")]), Ok(false));
        assert_eq!(get(&[("origin", "http://localhost:3000")]), Err("foreign_origin"));
        assert_eq!(get(&[("origin", "null")]), Err("foreign_origin"));
        assert_eq!(get(&[("sec-fetch-site", "cross-site")]), Err("foreign_site"));
        assert_eq!(get(&[("sec-fetch-site", "same-site")]), Err("foreign_site"));
        let navigate = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert_eq!(get(&navigate), Err("foreign_site"), "only the page may be navigated to");
        assert_eq!(check(&Method::GET, "/", &[&[host][..], &navigate].concat()), Ok(false));
    }

    #[test]
    fn by_tls_the_machines_own_name_is_ours_and_a_page_in_the_clear_is_not() {
        let by = |secure, host: &str, origin: &str| {
            check_by(secure, &Method::POST, "/v1/sessions", &[("host", host), ("origin", origin)])
        };
        let name = "workbench.local:7433";
        assert_eq!(by(true, name, "https://workbench.local:7433"), Ok(false));
        assert_eq!(by(true, name, "http://workbench.local:7433"), Err("foreign_origin"));
        assert_eq!(by(false, name, "http://workbench.local:7433"), Err("foreign_host"));
        assert_eq!(by(true, "192.0.2.2", "http://192.0.2.2"), Err("foreign_origin"));
        // A proxy on this machine has taken the TLS off.
        assert_eq!(by(false, "trunk.example", "https://trunk.example"), Ok(false));
    }

    #[test]
    fn an_allowed_origin_comes_with_a_token_only() {
        let host = ("host", "localhost:7433");
        let origin = ("origin", "https://editor.example");
        let site = ("sec-fetch-site", "cross-site");
        let token = ("authorization", "Bearer x");
        assert_eq!(check(&Method::POST, "/v1/sessions", &[host, origin, site]), Err("foreign_origin"));
        assert_eq!(check(&Method::POST, "/v1/sessions", &[host, origin, site, token]), Ok(true));
        assert_eq!(check(&Method::OPTIONS, "/v1/sessions", &[host, origin, site]), Ok(true));
    }
}
