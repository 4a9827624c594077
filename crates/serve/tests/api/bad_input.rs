//! Bad input gets a clear error with a code and the field.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, read};

#[tokio::test]
async fn bodies_that_are_wrong_are_told_where() {
    let world = World::new().await;
    let session = world.session().await;
    let requests = format!("/v1/sessions/{session}/requests");
    let long = "x".repeat(256);
    for (path, body, status, code, field) in [
        ("/v1/sessions", json!({"driver": "external", "agent": "a\u{7}b"}), 422, "invalid", Some("agent")),
        ("/v1/sessions", json!({"driver": "external", "agent": 3}), 422, "invalid", Some("agent")),
        (
            "/v1/sessions",
            json!({"driver": "external", "agent": "a", "tittle": "x"}),
            422,
            "invalid",
            Some("tittle"),
        ),
        (
            "/v1/sessions",
            json!({"driver": "external", "agent": "a", "metadata": [1]}),
            422,
            "invalid",
            Some("metadata"),
        ),
        (
            "/v1/sessions",
            json!({"driver": "external", "agent": "a", "workspace": "tmp"}),
            422,
            "invalid",
            Some("workspace"),
        ),
        (
            "/v1/sessions",
            json!({"driver": "external", "agent": "a", "workspace": "/no/where"}),
            422,
            "invalid",
            Some("workspace"),
        ),
        ("/v1/sessions", json!({}), 422, "invalid", Some("workspace")),
        ("/v1/sessions", json!([1]), 422, "invalid", Some("body")),
        (&requests, json!({"kind": "question", "title": long}), 422, "invalid", Some("title")),
        (&requests, json!({"kind": "question"}), 422, "invalid", Some("body")),
        (&requests, json!({"kind": "riddle", "title": "t"}), 422, "invalid", Some("kind")),
        (&requests, json!({"kind": "permission", "title": "t"}), 422, "invalid", Some("options")),
        (
            &requests,
            json!({"kind": "question", "title": "t", "on_timeout": "deny"}),
            422,
            "invalid",
            Some("on_timeout"),
        ),
    ] {
        let (got, problem) = world.post(path, &body).await;
        assert_eq!(
            (got.as_u16(), problem["code"].as_str(), problem["field"].as_str()),
            (status, Some(code), field),
            "{body}: {problem}"
        );
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_prompt_is_for_a_hosted_session() {
    let world = World::new().await;
    let session = world.session().await;
    let (status, problem) =
        world.post(&format!("/v1/sessions/{session}/turns"), &json!({"prompt": "hi"})).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (409, Some("session_external")));
    let (status, problem) = world.post(&format!("/v1/sessions/{session}/cancel"), &json!({})).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (409, Some("no_turn_running")));
    let (status, problem) = world.post(&format!("/v1/sessions/{session}/turns"), &json!({"prompt": 3})).await;
    assert_eq!((status.as_u16(), problem["field"].as_str()), (422, Some("prompt")));
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_no_json_is_400() {
    let world = World::new().await;
    let id = "0190163d-8694-739b-aea5-966c26f8ad91";
    for path in [
        format!("/v1/sessions/{id}"),
        "/v1/sessions/nonsense".to_owned(),
        "/v1/sessions/%00".to_owned(),
        format!("/v1/sessions/{id}/events"),
        format!("/v1/sessions/{id}/turns/3"),
        format!("/v1/sessions/{id}/queue"),
        format!("/v1/requests/{id}"),
        "/v1/requests/x".to_owned(),
    ] {
        let (status, problem) = world.get(&path).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (404, Some("not_found")),
            "{path}: {problem}"
        );
    }
    let (status, _) = world.post(&format!("/v1/sessions/{id}/turns"), &json!({"prompt": "hi"})).await;
    assert_eq!(status, 404);
    let broken = world
        .ask(Method::POST, "/v1/sessions")
        .header("content-type", "application/json")
        .body("{\"agent\":");
    let (status, problem) = read(broken).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (400, Some("bad_json")));
    let huge = world.ask(Method::POST, "/v1/sessions").json(&json!({"agent": "x".repeat(17 << 20)}));
    let (status, problem) = read(huge).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (413, Some("too_large")));
}

#[tokio::test]
async fn bad_cursors_and_filters_are_refused() {
    let world = World::new().await;
    let session = world.session().await;
    for (path, code, field) in [
        ("/v1/sessions?cursor=zzz".to_owned(), "bad_cursor", "cursor"),
        ("/v1/sessions?limit=0".to_owned(), "invalid", "limit"),
        ("/v1/sessions?limit=x".to_owned(), "bad_query", "limit"),
        ("/v1/sessions?colour=red".to_owned(), "bad_query", "colour"),
        ("/v1/sessions?state=bogus".to_owned(), "bad_query", "state"),
        ("/v1/requests?status=PENDING".to_owned(), "invalid", "status"),
        (format!("/v1/sessions/{session}/events?after=-1"), "bad_cursor", "after"),
        (format!("/v1/sessions/{session}/inbox?wait_ms=x"), "bad_query", "wait_ms"),
        ("/v1/feed?after=x".to_owned(), "bad_cursor", "after"),
        ("/v1/feed?sessions=x:1".to_owned(), "invalid", "sessions"),
    ] {
        let (status, problem) = world.get(&path).await;
        assert!(status.is_client_error(), "{path}: {status}");
        assert_eq!((&problem["code"], &problem["field"]), (&json!(code), &json!(field)), "{path}: {problem}");
    }
    assert_eq!(world.get("/v1/sessions?state=idle").await.1["items"].as_array().unwrap().len(), 1);
}
