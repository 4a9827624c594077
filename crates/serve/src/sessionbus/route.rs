//! The paths of the dialect.

use axum::http::Method;

/// An operation, with the ids of its path as they came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Register,
    Heartbeat(String),
    State(String),
    Sessions,
    Ask(String),
    Requests,
    Request(String),
    Respond(String),
    Dismiss(String),
    Inbox(String),
    Ack(String, String),
    Events,
}

/// What a method and path mean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An operation.
    Route(Route),
    /// One, but for the slash at its end: the path without it.
    Slash(String),
    /// A path that takes other methods.
    Method(&'static str),
    /// Nothing.
    Nothing,
}

/// Finds an operation.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    match look(path) {
        Some((allowed, route)) if allowed == method.as_str() => Found::Route(route),
        Some((allowed, _)) => Found::Method(allowed),
        None => match path.strip_suffix('/').filter(|path| look(path).is_some()) {
            Some(path) => Found::Slash(path.to_owned()),
            None => Found::Nothing,
        },
    }
}

fn look(path: &str) -> Option<(&'static str, Route)> {
    let parts: Vec<_> = path.strip_prefix("/api/")?.split('/').map(decode).collect::<Option<_>>()?;
    let id = |n: usize| parts[n].clone();
    let words: Vec<_> = parts.iter().map(String::as_str).collect();
    Some(match words[..] {
        ["events"] => ("GET", Route::Events),
        ["sessions"] => ("GET", Route::Sessions),
        ["sessions", "register"] => ("POST", Route::Register),
        ["sessions", one, "heartbeat"] if !one.is_empty() => ("POST", Route::Heartbeat(id(1))),
        ["sessions", one, "state"] if !one.is_empty() => ("POST", Route::State(id(1))),
        ["sessions", one, "requests"] if !one.is_empty() => ("POST", Route::Ask(id(1))),
        ["sessions", one, "inbox"] if !one.is_empty() => ("GET", Route::Inbox(id(1))),
        ["sessions", one, "inbox", other, "ack"] if !one.is_empty() && !other.is_empty() => {
            ("POST", Route::Ack(id(1), id(3)))
        }
        ["requests"] => ("GET", Route::Requests),
        ["requests", one] if !one.is_empty() => ("GET", Route::Request(id(1))),
        ["requests", one, "respond"] if !one.is_empty() => ("POST", Route::Respond(id(1))),
        ["requests", one, "dismiss"] if !one.is_empty() => ("POST", Route::Dismiss(id(1))),
        _ => return None,
    })
}

/// A part of a path without its percent signs. A slash that was hidden in one names nothing.
fn decode(part: &str) -> Option<String> {
    let bytes = super::form::unescape(part.as_bytes(), false);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (!text.contains('/')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        let get = |path: &str| find(&Method::GET, path);
        let post = |path: &str| find(&Method::POST, path);
        assert_eq!(get("/api/sessions"), Found::Route(Route::Sessions));
        assert_eq!(get("/api/sessions/"), Found::Slash("/api/sessions".into()));
        assert_eq!(get("/api/sessions//"), Found::Nothing);
        assert_eq!(post("/api/sessions"), Found::Method("GET"));
        assert_eq!(find(&Method::HEAD, "/api/sessions"), Found::Method("GET"));
        assert_eq!(get("/api/sessions/register"), Found::Method("POST"));
        assert_eq!(post("/api/sessions/a/inbox/b/ack"), Found::Route(Route::Ack("a".into(), "b".into())));
        assert_eq!(get("/api/requests/a%00b"), Found::Route(Route::Request("a\0b".into())));
        assert_eq!(get("/api/requests/a%2Fb"), Found::Nothing);
        for nothing in ["/api", "/api/", "/api/nothing", "/api/sessions/a", "/api/sessions/a/inbox/b"] {
            assert_eq!(get(nothing), Found::Nothing, "{nothing}");
        }
    }
}
