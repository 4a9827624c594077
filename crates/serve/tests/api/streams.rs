//! Streams: replay, then live; resume; the feed; the end.

use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_stream_replays_then_goes_on_live_and_resumes_where_it_was() {
    let world = World::new().await;
    let session = world.session().await;
    world.question(&session).await;
    let path = format!("/v1/sessions/{session}/events");
    let mut stream = world.stream(&format!("{path}?client=phone")).await;
    let replayed = stream.until("caught-up").await;
    assert_eq!(replayed.len(), 3);
    let (_, present) = world.get(&format!("/v1/sessions/{session}/presence")).await;
    assert_eq!(present["items"][0]["name"], "phone");
    world.question(&session).await;
    let live = stream.next().await.unwrap();
    assert_eq!(live.id, "3");
    let event: Value = serde_json::from_str(&live.data).unwrap();
    assert_eq!((event["type"].as_str(), event["seq"].as_u64()), (Some("request.opened"), Some(3)));
    drop(stream);
    let mut stream = world.stream(&format!("{path}?after=2")).await;
    let rest = stream.until("caught-up").await;
    let ids: Vec<_> =
        rest.iter().filter(|event| event.event == "message").map(|event| event.id.clone()).collect();
    assert_eq!(ids, ["3"], "no gap and no double");
    let mut beyond = world.stream(&format!("{path}?after=99")).await;
    assert_eq!(beyond.until("caught-up").await.len(), 1, "a cursor beyond the head is the head");
    world.question(&session).await;
    assert_eq!(beyond.next().await.unwrap().id, "4");
}

#[tokio::test]
async fn the_feed_carries_lists_and_logs() {
    let world = World::new().await;
    let session = world.session().await;
    let (_, list) = world.get("/v1/sessions").await;
    let after = list["at"].as_u64().unwrap();
    let gone = world.session().await;
    world.delete(&format!("/v1/sessions/{gone}")).await;
    let path = format!("/v1/feed?after={after}&sessions={session}:0,{gone}:0&client=page");
    let mut feed = world.stream(&path).await;
    let (_, present) = world.get(&format!("/v1/sessions/{session}/presence")).await;
    assert_eq!(present["items"][0]["name"], "page");
    let request = world.question(&session).await;
    let mut seen = Vec::new();
    let mut told: Option<Value> = None;
    while told.is_none() || !seen.contains(&"request.opened".to_owned()) {
        let event = feed.next().await.unwrap();
        let data: Value = serde_json::from_str(&event.data).unwrap();
        match event.event.as_str() {
            "request" => told = Some(data),
            "events" => {
                let events = data["events"].as_array().unwrap();
                seen.extend(events.iter().map(|event| event["type"].as_str().unwrap().to_owned()));
            }
            _ => {}
        }
    }
    assert_eq!(told.unwrap()["id"], request);
    assert_eq!(seen, ["session.created", "request.opened"]);
    // Coming back later with the old place tells what was missed.
    world.post(&format!("/v1/requests/{request}/answer"), &json!({"text": "yes"})).await;
    let mut again = world.stream(&format!("/v1/feed?after={after}")).await;
    let missed = again.until("caught-up").await;
    let last = missed.iter().rev().find(|event| event.event == "request").unwrap();
    assert_eq!(serde_json::from_str::<Value>(&last.data).unwrap()["status"], "answered");
    world.delete(&format!("/v1/sessions/{session}")).await;
    again.until("session-removed").await;
    feed.until("session-removed").await;
}

#[tokio::test]
async fn every_stream_ends_with_the_daemon() {
    let world = World::new().await;
    let session = world.session().await;
    let mut log = world.stream(&format!("/v1/sessions/{session}/events")).await;
    let mut feed = world.stream("/v1/feed").await;
    log.until("caught-up").await;
    feed.until("caught-up").await;
    world.close().await;
    log.until("bye").await;
    feed.until("bye").await;
    assert!(log.next().await.is_none());
    assert!(feed.next().await.is_none());
}

#[tokio::test]
async fn a_deleted_session_ends_its_streams() {
    let world = World::new().await;
    let session = world.session().await;
    let mut log = world.stream(&format!("/v1/sessions/{session}/events")).await;
    log.until("caught-up").await;
    world.delete(&format!("/v1/sessions/{session}")).await;
    log.until("deleted").await;
    assert!(log.next().await.is_none());
}
