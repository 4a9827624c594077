//! Attach: what was, a mark, what comes; and going on where a client has stopped.

use serde_json::json;

use crate::world::{World, ids, kinds};

#[tokio::test]
async fn a_backlog_ends_with_a_mark_and_goes_on_live() {
    let world = World::new().await;
    let id = world.session().await;
    let seen = world.turn(&id, "say:a tool:b").await;
    let mut stream = world.attach(&id, None).await;
    assert_eq!(stream.backlog().await, seen);
    world.prompt(&id, "say:c").await;
    let live = stream.until("turn_end").await;
    assert_eq!(kinds(&live), ["user", "session", "text", "result", "turn_end"]);
    assert!(ids(&seen).last() < ids(&live).first(), "ids go on");
    world.close().await;
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_and_gets_nothing_twice() {
    let world = World::new().await;
    let id = world.session().await;
    world.turn(&id, "say:a tool:b say:c").await;
    let all = world.turn(&id, "say:d tool:e say:f").await;
    let mut whole = world.attach(&id, None).await.backlog().await;
    assert!(whole.ends_with(&all));
    for n in 0..whole.len() {
        let last = whole[n]["id"].to_string();
        let rest = world.attach(&id, Some(&last)).await.backlog().await;
        assert_eq!(rest, whole[n + 1..], "after {last}");
    }
    for every in ["-5", "x", ""] {
        assert_eq!(world.attach(&id, Some(every)).await.backlog().await, whole, "{every}");
    }
    let mut stream = world.attach(&id, Some("999999")).await;
    assert_eq!(stream.backlog().await, [json!(null); 0]);
    whole.clear();
    world.prompt(&id, "say:g").await;
    assert_eq!(kinds(&stream.until("turn_end").await).first(), Some(&"user"), "what comes is not swallowed");
    world.close().await;
}

#[tokio::test]
async fn a_restart_ends_what_it_interrupts_and_ids_go_on() {
    let world = World::new().await;
    let id = world.session().await;
    let mut stream = world.attach(&id, None).await;
    world.prompt(&id, "say:a wait").await;
    let seen = stream.until("session").await;
    let world = world.restart().await;
    while stream.next().await.is_some() {}
    let last = seen.last().unwrap()["id"].to_string();
    let rest = world.attach(&id, Some(&last)).await.backlog().await;
    assert_eq!(kinds(&rest), ["text", "error", "turn_end"]);
    assert_eq!(rest[1]["error"], "interrupted by restart");
    let more = world.turn(&id, "say:b").await;
    assert!(ids(&rest).last() < ids(&more).first());
    world.close().await;
}

#[tokio::test]
async fn a_turn_needs_nobody_who_watches() {
    let world = World::new().await;
    let id = world.session().await;
    let mut stream = world.attach(&id, None).await;
    world.prompt(&id, "say:a wait").await;
    stream.until("session").await;
    drop(stream);
    assert_eq!(world.cancel(&id).await, json!({ "cancelled": true }));
    let frames = world.attach(&id, None).await.until("turn_end").await;
    assert_eq!(kinds(&frames), ["user", "session", "text", "cancelled", "turn_end"]);
    world.close().await;
}

#[tokio::test]
async fn pieces_are_for_those_who_ask() {
    let world = World::new().await;
    let id = world.session().await;
    world.turn(&id, "say:a tool:b").await;
    let path = format!("/api/session/{id}/stream?deltas=1");
    let response = world.ask(reqwest::Method::GET, &path).send().await.unwrap();
    let frames = crate::world::Stream::of(response).backlog().await;
    assert_eq!(kinds(&frames), ["user", "session", "text", "tool", "tool_result", "result", "turn_end"]);
    world.close().await;
}
