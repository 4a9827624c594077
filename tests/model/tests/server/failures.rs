//! Errors, cuts, waits, and clients that go away.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use trunkline_model_server::{Dialect, MAX_BODY_BYTES, ModelServer, Outcome, Script};

use crate::client::{ALL, Said, ask, assemble, events, open, raw, request, send};

async fn server(answer: Value) -> ModelServer {
    let script = Script::from_json(&json!({ "rules": [{ "answer": answer }] }).to_string()).unwrap();
    ModelServer::start(script).await.unwrap()
}

#[tokio::test]
async fn an_error_at_the_start_is_a_status() {
    let error = json!({ "error": { "status": 429, "message": "slow down", "retry_after": 7 } });
    let server = server(json!([{ "wait_ms": 1 }, error])).await;
    for dialect in ALL {
        for stream in [true, false] {
            let reply = raw(&server, dialect, stream, &[Said::User("hi")]).await;
            assert_eq!((reply.status, &*reply.headers["retry-after"]), (429, "7"));
            let body: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(body["error"]["message"], "slow down");
            let (key, kind) = match dialect {
                Dialect::Chat | Dialect::Responses | Dialect::Messages => ("type", "rate_limit_error"),
                Dialect::Gemini => ("status", "RESOURCE_EXHAUSTED"),
            };
            assert_eq!(body["error"][key], kind, "{dialect:?}");
        }
    }
    assert!(server.requests().iter().all(|one| one.outcome == Outcome::Failed));
}

#[tokio::test]
async fn a_later_error_is_an_event() {
    let error = json!({ "error": { "status": 529, "message": "overloaded" } });
    let server = server(json!([{ "text": "half" }, error])).await;
    for dialect in ALL {
        let reply = raw(&server, dialect, true, &[Said::User("hi")]).await;
        assert_eq!((reply.status, reply.complete), (200, true));
        let answer = assemble(dialect, &events(&reply.body));
        let kind = match dialect {
            Dialect::Chat | Dialect::Messages => "overloaded_error",
            Dialect::Responses => "server_error",
            Dialect::Gemini => "INTERNAL",
        };
        assert_eq!((answer.text.as_str(), answer.error.as_deref()), ("half", Some(kind)), "{dialect:?}");
        assert_eq!(answer.stop, "");
        assert_eq!(raw(&server, dialect, false, &[Said::User("hi")]).await.status, 529);
    }
}

#[tokio::test]
async fn a_cut_leaves_what_was_said() {
    let server = server(json!([{ "text": "half" }, { "cut": {} }])).await;
    for dialect in ALL {
        let reply = raw(&server, dialect, true, &[Said::User("hi")]).await;
        assert_eq!((reply.status, reply.complete), (200, false), "{reply:?}");
        assert_eq!(assemble(dialect, &events(&reply.body)).text, "half", "{dialect:?}");
        let whole = raw(&server, dialect, false, &[Said::User("hi")]).await;
        assert!(!whole.complete && whole.body.is_empty(), "{whole:?}");
    }
    assert!(server.requests().iter().all(|one| one.outcome == Outcome::Cut));
}

#[tokio::test]
async fn an_answer_waits_for_its_gate() {
    let server = server(json!([{ "text": "a" }, { "wait_for": "go" }, { "text": "b" }])).await;
    let question = [Said::User("hi")];
    let asking = ask(&server, Dialect::Messages, true, &question);
    let opening = async {
        server.reached("go").await.unwrap();
        assert_eq!(server.requests()[0].outcome, Outcome::Open);
        server.release("go").unwrap();
    };
    let (answer, ()) = tokio::join!(asking, opening);
    assert_eq!(answer.text, "ab");
    assert_eq!(ask(&server, Dialect::Gemini, true, &[Said::User("hi")]).await.text, "ab", "it stays open");
    assert_eq!(server.release("no").unwrap_err().to_string(), "the script waits at no gate named \"no\"");
    assert!(server.reached("no").await.is_err());
}

#[tokio::test]
async fn a_client_that_goes_away_is_seen() {
    for (answer, stream) in [
        (json!([{ "wait_for": "go" }]), true),
        (json!([{ "text": "a" }, { "wait_for": "go" }]), true),
        (json!([{ "text": "a" }, { "wait_for": "go" }]), false),
    ] {
        let server = server(answer).await;
        let (path, body) = request(Dialect::Chat, stream, &[Said::User("hi")]);
        let connection = open(&server, "POST", &path, "", &body.to_string()).await;
        server.reached("go").await.unwrap();
        drop(connection);
        let ended = server.request(|one| one.outcome != Outcome::Open).await;
        assert_eq!(ended.outcome, Outcome::Abandoned);
    }
}

#[tokio::test]
async fn the_servers_end_cuts_its_answers() {
    for answer in [json!([{ "wait_for": "go" }]), json!([{ "text": "a" }, { "wait_for": "go" }])] {
        let server = server(answer).await;
        let (path, body) = request(Dialect::Chat, true, &[Said::User("hi")]);
        let mut connection = open(&server, "POST", &path, "", &body.to_string()).await;
        server.reached("go").await.unwrap();
        drop(server);
        let mut rest = Vec::new();
        let _cut = connection.read_to_end(&mut rest).await;
        assert!(!String::from_utf8(rest).unwrap().contains("[DONE]"));
    }
}

#[tokio::test(start_paused = true)]
async fn waits_run_on_tokios_clock() {
    let server = server(json!([{ "text": "a" }, { "wait_ms": 3_600_000 }, { "text": "b" }])).await;
    let before = tokio::time::Instant::now();
    assert_eq!(ask(&server, Dialect::Chat, true, &[Said::User("hi")]).await.text, "ab");
    assert!(before.elapsed() >= Duration::from_secs(3600));
}

#[tokio::test]
async fn bad_requests_get_each_dialects_error() {
    let server = server(json!([{ "call": [{ "tool": "read", "arguments": {} }] }])).await;
    let path = |dialect| request(dialect, true, &[]).0;
    let cases = [
        (path(Dialect::Chat), "{", "the body is not JSON"),
        (path(Dialect::Chat), "{}", "messages: a list is required"),
        (path(Dialect::Chat), r#"{"messages":[{"role":"cat"}]}"#, "messages: an entry has no known role"),
        (path(Dialect::Responses), "{}", "input: a list is required"),
        (path(Dialect::Messages), "{}", "messages: a list is required"),
        (path(Dialect::Gemini), "{}", "contents: a list is required"),
        (path(Dialect::Gemini), r#"{"contents":[{"role":"cat"}]}"#, r#"the role \"cat\" is not known"#),
        (path(Dialect::Responses), r#"{"input":"hi"}"#, "none of the tools"),
    ];
    for (path, body, problem) in cases {
        let reply = send(&server, "POST", &path, "", body).await;
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains(problem), "{} should hold {problem:?}", reply.body);
    }
    assert!(server.requests().iter().all(|one| one.outcome == Outcome::Refused));
    let large = " ".repeat(MAX_BODY_BYTES + 1);
    assert_eq!(send(&server, "POST", "/v1/messages", "", &large).await.status, 413);
}
