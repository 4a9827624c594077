//! The stream of events.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Stream, World};

#[tokio::test]
async fn requests_that_are_made_answered_and_dismissed_are_told_once() {
    let world = World::new().await;
    let response = world.ask(Method::GET, "/api/events").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let mut stream = Stream::of(response);
    let session = world.register("bot").await;
    let asked = world
        .ask(Method::POST, &format!("/api/sessions/{session}/requests"))
        .header("x-idempotency-key", "k");
    let asked = asked.json(&json!({"title": "t", "question": "q", "priority": "URGENT"}));
    let made: Value = asked.try_clone().unwrap().send().await.unwrap().json().await.unwrap();
    asked.send().await.unwrap();
    let first = made["request_id"].as_str().unwrap();
    world
        .post(&format!("/api/sessions/{session}/heartbeat"), &json!({"state": "WORKING", "metadata": {}}))
        .await;
    world.dismiss(first).await;
    world.dismiss(first).await;
    world.respond(first, "yes").await;
    world.respond(first, "no").await;
    world.poll(&session, 0).await;
    let second = world.question(&session, "two").await;
    for (name, payload) in [
        ("request.created", json!({"request_id": first, "session_id": session, "priority": "URGENT"})),
        ("request.dismissed", json!({"request_id": first, "session_id": session})),
        ("request.answered", json!({"request_id": first, "session_id": session})),
        ("request.created", json!({"request_id": second, "session_id": session, "priority": "NORMAL"})),
    ] {
        let event = stream.next().await.unwrap();
        assert_eq!((event.event.as_str(), event.id.as_str()), ("message", ""));
        let told: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!((&told["event"], &told["payload"]), (&json!(name), &payload));
        assert!(told["sent_at"].as_str().unwrap().ends_with("+00:00"));
        assert!(
            event.data.starts_with(&format!("{{\"event\": \"{name}\", \"payload\": {{\"request_id\": \"")),
            "{}",
            event.data
        );
    }
    world.close().await;
    assert!(stream.next().await.is_none(), "it ends with the daemon");
}

#[tokio::test]
async fn sessions_are_told_to_those_who_ask_for_them() {
    let world = World::new().await;
    let response = world.ask(Method::GET, "/api/events?sessions=1").send().await.unwrap();
    let mut stream = Stream::of(response);
    let session = world.register("bot").await;
    let event = stream.next().await.unwrap();
    assert_eq!((event.event.as_str(), event.data), ("session", format!("{{\"session_id\": \"{session}\"}}")));
}
