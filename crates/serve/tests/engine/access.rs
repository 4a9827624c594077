//! Who may, and how failures are told.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{OWNER, TOKEN, WEBUI, World, read};

/// Every path, with a method that it takes.
const PATHS: [(&str, &str); 20] = [
    ("GET", "/sessions"),
    ("POST", "/sessions"),
    ("GET", "/sessions/x"),
    ("PATCH", "/sessions/x"),
    ("DELETE", "/sessions/x"),
    ("GET", "/sessions/x/history"),
    ("DELETE", "/sessions/x/history"),
    ("GET", "/sessions/x/system-prompt"),
    ("POST", "/sessions/x/message"),
    ("GET", "/sessions/x/events"),
    ("POST", "/sessions/x/cancel"),
    ("POST", "/sessions/x/permission"),
    ("GET", "/sessions/x/permissions"),
    ("POST", "/sessions/x/permissions/mode"),
    ("GET", "/profiles"),
    ("GET", "/profiles/x"),
    ("GET", "/hub/agents"),
    ("POST", "/hub/messages"),
    ("GET", "/hub/feed"),
    ("GET", "/hub/nothing"),
];

#[tokio::test]
async fn nothing_is_told_without_a_token() {
    let world = World::new(&[]).await;
    let url = |path: &str| format!("http://{}{path}", world.address);
    for (method, path) in PATHS {
        let bare = || world.http.request(method.parse().unwrap(), url(path)).json(&json!({}));
        let missing = (401, json!({ "detail": "Missing bearer token", "code": "unauthenticated" }));
        assert_eq!(read(bare()).await, missing, "{method} {path}");
        for token in ["no", "no-ä", "engine.no", "attach.no"] {
            let value =
                reqwest::header::HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).unwrap();
            let wrong = read(bare().header("authorization", value)).await;
            assert_eq!(
                wrong,
                (401, json!({ "detail": "Invalid token", "code": "unauthenticated" })),
                "{method} {path}"
            );
        }
    }
    for path in ["/health", "/version", "/ready", "/status", "/api/config"] {
        let (status, body) = read(world.http.get(url(path))).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(body.get("session_ids").is_none(), "{body}");
    }
    world.close().await;
}

#[tokio::test]
async fn the_owners_token_counts_too_and_the_engines_opens_nothing_else() {
    let world = World::new(&[]).await;
    let with = |token: &str, path: &str| {
        read(world.http.get(format!("http://{}{path}", world.address)).bearer_auth(token))
    };
    assert_eq!(with(OWNER, "/sessions").await, (200, json!({ "sessions": [] })));
    assert_eq!(with(TOKEN, "/sessions").await.0, 200);
    assert_eq!(with(TOKEN, "/v1/sessions").await.0, 401);
    world.close().await;
}

#[tokio::test]
async fn a_page_of_another_port_sees_why_it_failed() {
    let world = World::new(&[]).await;
    let url = format!("http://{}/sessions", world.address);
    let from =
        |origin: &str, method: Method| world.http.request(method, &url).header("origin", origin.to_owned());
    let preflight = from(WEBUI, Method::OPTIONS)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let preflight = preflight.send().await.unwrap();
    assert!(preflight.status().is_success());
    assert_eq!(preflight.headers()["access-control-allow-origin"], WEBUI);
    let allowed = preflight.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
    for (token, status) in [("no", 401), (TOKEN, 200)] {
        let answer = from(WEBUI, Method::GET).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["access-control-allow-origin"], WEBUI, "a failure can be read as well");
    }
    let answer = from("http://evil.example", Method::GET).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.headers().get("access-control-allow-origin").is_none());
    world.close().await;
}

#[tokio::test]
async fn every_failure_has_a_text_and_a_code() {
    let world = World::new(&[]).await;
    let id = world.session(json!({})).await;
    let path = |rest: &str| format!("/sessions/{id}/{rest}");
    let post = |path: String, body: Value| (Method::POST, path, body);
    let get = |path: &str| (Method::GET, path.to_owned(), Value::Null);
    let cases = [
        (get("/sessions/none"), 404, "not_found"),
        (get("/sessions/none/history"), 404, "not_found"),
        (get("/hub/nothing"), 404, "not_found"),
        (get("/profiles/none"), 404, "not_found"),
        (get(&path("history?limit=-1")), 422, "invalid"),
        (get(&path("history?limit=x")), 422, "invalid"),
        ((Method::PUT, "/sessions".to_owned(), json!({})), 405, "method_not_allowed"),
        (post("/sessions".into(), json!([1])), 422, "invalid"),
        (post("/sessions".into(), json!({ "profile": "none" })), 404, "not_found"),
        (post("/sessions".into(), json!({ "agent": "../x" })), 404, "not_found"),
        (post("/sessions".into(), json!({ "workspace": "/no/such" })), 400, "bad_workspace"),
        (post("/sessions".into(), json!({ "workspace": "/etc/passwd" })), 400, "bad_workspace"),
        (post("/sessions".into(), json!({ "approval_mode": "yolo" })), 400, "unknown_mode"),
        (post("/sessions".into(), json!({ "session_id": "a/b" })), 422, "invalid"),
        (post(path("message"), json!({})), 422, "invalid"),
        (post(path("message"), json!({ "content": "" })), 422, "invalid"),
        (post(path("message"), json!({ "content": 7 })), 422, "invalid"),
        (post(path("permission"), json!({ "tool_id": "x", "decision": "maybe" })), 400, "bad_decision"),
        (
            post(path("permission"), json!({ "tool_id": "x", "decision": "deny" })),
            404,
            "no_pending_permission",
        ),
        (
            post(path("permission"), json!({ "tool_id": "x", "decision": "deny", "scope": "ever" })),
            422,
            "invalid",
        ),
        (post(path("permissions/mode"), json!({ "mode": "yolo" })), 400, "unknown_mode"),
        (
            post("/profiles".into(), json!({ "name": "a/b", "provider": "openai", "model": "m" })),
            422,
            "invalid",
        ),
        (
            post("/profiles".into(), json!({ "name": "a", "provider": "nobody", "model": "m" })),
            422,
            "invalid",
        ),
        (post("/hub/messages".into(), json!({ "target": "nobody", "content": "x" })), 503, "not_delivered"),
    ];
    for ((method, path, body), status, code) in cases {
        let request = world.ask(method.clone(), &path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let (told, answer) = read(request).await;
        assert_eq!((told, answer["code"].as_str()), (status, Some(code)), "{method} {path} {body}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{answer}");
    }
    let broken = world.ask(Method::POST, "/sessions").body("{").header("content-type", "application/json");
    assert_eq!(read(broken).await.1["code"], "bad_json");
    let large = world.ask(Method::POST, &path("message")).body(vec![b' '; (16 << 20) + 1]);
    assert_eq!(read(large).await.0, 413);
    world.close().await;
}
