//! The inbox: polls that wait, and acknowledgements.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{OWNER, World, fails, ok};

#[tokio::test]
async fn a_message_comes_until_it_is_acknowledged() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let path = format!("/api/requests/{request}/respond");
    world.post(&path, &json!({"response_text": "yes", "responder": "ana"})).await;
    let text = world.ask(Method::GET, &format!("/api/sessions/{session}/inbox?timeout=0"));
    let text = text.send().await.unwrap().text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let one = &body["messages"][0];
    let (id, at) = (one["message_id"].as_str().unwrap(), one["payload"]["answered_at"].as_str().unwrap());
    let (created, delivered) = (one["created_at"].as_str().unwrap(), one["delivered_at"].as_str().unwrap());
    assert_eq!(
        text,
        format!(
            "{{\"messages\":[{{\"message_id\":\"{id}\",\"type\":\"INPUT_RESPONSE\",\"payload\":{{\"request_id\":\"{request}\",\
             \"response_text\":\"yes\",\"responder\":\"ana\",\"answered_at\":\"{at}\"}},\"status\":\"DELIVERED\",\
             \"created_at\":\"{created}\",\"delivered_at\":\"{delivered}\",\"acked_at\":null}}]}}"
        )
    );
    assert!(at.ends_with("+00:00") && !created.contains('+'));
    assert_eq!(&world.poll(&session, 30).await[0], one, "at once, and as it was delivered first");
    assert!(!world.summary(&session).await["response_acknowledged"].as_bool().unwrap());
    assert_eq!(world.ack(&session, one).await, json!({"message_id": id, "status": "ACKED"}));
    assert_eq!(world.poll(&session, 0).await, Vec::<Value>::new());
    assert_eq!(world.ack(&session, one).await["status"], "ACKED", "again");
    assert!(world.summary(&session).await["response_acknowledged"].as_bool().unwrap());
    world.question(&session, "another").await;
    assert!(!world.summary(&session).await["response_acknowledged"].as_bool().unwrap());
}

#[tokio::test]
async fn messages_come_in_the_order_of_the_answers() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let (a, b) = (world.question(&session, "a").await, world.question(&session, "b").await);
    world.respond(&b, "first").await;
    world.respond(&a, "second").await;
    let texts: Vec<_> =
        world.poll(&session, 0).await.iter().map(|one| one["payload"]["response_text"].clone()).collect();
    assert_eq!(texts, ["first", "second"]);
}

#[tokio::test]
async fn an_answer_wakes_everybody_who_waits() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let polls = futures_util::future::join_all((0..5).map(|_| world.poll(&session, 20)));
    let (got, _) = tokio::join!(polls, world.respond(&request, "yes"));
    for messages in &got {
        assert_eq!(messages, &got[0]);
        assert_eq!(messages[0]["payload"]["request_id"], request);
    }
}

#[tokio::test]
async fn an_empty_poll_waits_and_then_says_so() {
    let world = World::new().await;
    let session = world.register("bot").await;
    assert_eq!(world.poll(&session, 0).await, Vec::<Value>::new());
    let start = Instant::now();
    assert_eq!(world.poll(&session, 1).await, Vec::<Value>::new());
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(590), "{took:?}");
    for form in ["01", "%2B1", "%201", "1.0", "x&timeout=1"] {
        let body = world.get(&format!("/api/sessions/{session}/inbox?timeout={form}")).await;
        assert_eq!(body, json!({"messages": []}), "{form}");
    }
}

#[tokio::test]
async fn a_poll_that_outlasts_the_original_client_begins_its_answer_at_once() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let poll = world.ask(Method::GET, &format!("/api/sessions/{session}/inbox?timeout=120"));
    let response = poll.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("content-length")), (200, None));
    world.respond(&request, "yes").await;
    let body = response.bytes_stream().map(|part| part.unwrap().to_vec()).concat().await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["messages"][0]["payload"]["response_text"], "yes");
}

#[tokio::test]
async fn what_is_wrong_with_a_timeout() {
    let world = World::new().await;
    let session = world.register("bot").await;
    for (timeout, kind, ctx) in [
        ("1.5", "int_parsing", json!(null)),
        ("", "int_parsing", json!(null)),
        ("1e1", "int_parsing", json!(null)),
        ("-1", "greater_than_equal", json!({"ge": 0})),
        ("121", "less_than_equal", json!({"le": 120})),
    ] {
        let poll = world.ask(Method::GET, &format!("/api/sessions/{session}/inbox?timeout={timeout}"));
        let (status, detail) = fails(poll).await;
        let expected = (422, &json!(kind), &json!(["query", "timeout"]), &json!(timeout), &ctx);
        let one = &detail[0];
        assert_eq!((status, &one["type"], &one["loc"], &one["input"], &one["ctx"]), expected);
    }
}

#[tokio::test]
async fn messages_that_are_not_there() {
    let world = World::new().await;
    let (session, other) = (world.register("bot").await, world.register("other").await);
    let request = world.question(&session, "t").await;
    let ack = |session: &str, message: &str| {
        fails(world.ask(Method::POST, &format!("/api/sessions/{session}/inbox/{message}/ack")))
    };
    let missing = (404, json!("Message not found"));
    assert_eq!(ack(&session, &request).await, missing, "it is not answered yet");
    world.respond(&request, "yes").await;
    let message = world.poll(&session, 0).await[0]["message_id"].as_str().unwrap().to_owned();
    assert_eq!(ack(&other, &message).await, missing);
    assert_eq!(ack("0190163d-8694-739b-aea5-966c26f8ad91", &message).await, missing);
    assert_eq!(ack(&session, "x").await, missing);
}

#[tokio::test]
async fn an_answer_may_be_acknowledged_before_it_was_fetched() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    world.respond(&request, "yes").await;
    world.ack(&session, &json!({"message_id": request})).await;
    assert_eq!(world.poll(&session, 0).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_old_clients_do_not_know_is_never_in_their_inbox() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let send = world.ask(Method::POST, &format!("/v1/sessions/{session}/inbox")).bearer_auth(OWNER);
    let sent = send.json(&json!({"kind": "note", "payload": {"a": 1}})).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    let request = world.question(&session, "t").await;
    let withdraw = world.ask(Method::POST, &format!("/v1/requests/{request}/withdraw")).bearer_auth(OWNER);
    assert_eq!(withdraw.json(&json!({})).send().await.unwrap().status(), 200);
    let start = Instant::now();
    assert_eq!(world.poll(&session, 1).await, Vec::<Value>::new());
    assert!(start.elapsed() >= Duration::from_millis(590), "it does not come back at once, again and again");
    let shown = world.get(&format!("/api/requests/{request}")).await;
    assert_eq!((shown["status"].as_str(), &shown["response_text"]), (Some("DISMISSED"), &json!(null)));
    assert_eq!(world.respond(&request, "late").await["status"], "DISMISSED");
    let v1 = world.ask(Method::GET, &format!("/v1/sessions/{session}/inbox")).bearer_auth(OWNER);
    let v1: Value = ok_v1(v1).await;
    assert_eq!(v1["items"].as_array().unwrap().len(), 1, "it waits for whoever knows it");
}

async fn ok_v1(request: reqwest::RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn polls_end_with_the_daemon() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let poll = ok(world.ask(Method::GET, &format!("/api/sessions/{session}/inbox?timeout=29")));
    let (body, ()) = tokio::join!(poll, async {
        // The poll is on its way once the session is read by somebody.
        while world.hub.loaded() == 0 {
            tokio::task::yield_now().await;
        }
        world.hub.shutdown().await;
    });
    assert_eq!(body, json!({"messages": []}));
    world.close().await;
}

#[tokio::test]
async fn an_acknowledged_session_is_one_that_took_its_newest_answer() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let (a, b) = (world.question(&session, "a").await, world.question(&session, "b").await);
    world.respond(&a, "first").await;
    world.respond(&b, "second").await;
    let messages = world.poll(&session, 0).await;
    let acknowledged = || async { world.summary(&session).await["response_acknowledged"].as_bool().unwrap() };
    world.ack(&session, &messages[0]).await;
    assert!(!acknowledged().await, "the newest is not");
    world.ack(&session, &messages[1]).await;
    assert!(acknowledged().await);
}
