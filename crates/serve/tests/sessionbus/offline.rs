//! Agents that nobody has heard of for two minutes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{OWNER, World, ok, pass};

impl World {
    async fn state(&self, session: &str) -> String {
        self.summary(session).await["state"].as_str().unwrap().to_owned()
    }

    /// The session, once its log tells that the agent is gone.
    async fn missed(&self, session: &str) -> Value {
        loop {
            let shown = self.ask(Method::GET, &format!("/v1/sessions/{session}")).bearer_auth(OWNER);
            let shown: Value = shown.send().await.unwrap().json().await.unwrap();
            if shown["unseen"] == true {
                return shown;
            }
        }
    }
}

#[tokio::test]
async fn a_silent_agent_is_offline_until_it_is_back_as_it_was() {
    let world = World::with_time().await;
    let session = world.register("bot").await;
    world.post(&format!("/api/sessions/{session}/state"), &json!({"state": "DONE"})).await;
    let seen = world.summary(&session).await["last_seen_at"].clone();
    pass(60).await;
    assert_eq!(world.state(&session).await, "DONE");
    pass(61).await;
    let gone = world.summary(&session).await;
    assert_eq!((gone["state"].as_str(), &gone["last_seen_at"]), (Some("OFFLINE"), &seen));
    let table = world.ask(Method::GET, "/partials/sessions").send().await.unwrap().text().await.unwrap();
    assert!(table.contains("state-offline"), "{table}");
    world.missed(&session).await;
    let back = world.post(&format!("/api/sessions/{session}/heartbeat"), &json!({})).await;
    assert_eq!(back["state"], "DONE", "what it said last");
    assert_ne!(back["last_seen_at"], seen);
    assert_eq!(world.state(&session).await, "DONE");
}

#[tokio::test]
async fn waiting_for_an_answer_counts_as_being_there_and_being_answered_does_not() {
    let world = World::with_time().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    pass(121).await;
    assert_eq!(world.state(&session).await, "OFFLINE");
    assert_eq!(world.poll(&session, 0).await, Vec::<Value>::new());
    assert_eq!(world.state(&session).await, "WAITING_FOR_INPUT");
    pass(121).await;
    world.missed(&session).await;
    world.respond(&request, "yes").await;
    assert_eq!(world.state(&session).await, "OFFLINE", "a person does not bring a dead agent back");
    let message = world.poll(&session, 0).await.remove(0);
    assert_eq!(world.state(&session).await, "WORKING");
    pass(121).await;
    assert_eq!(world.state(&session).await, "OFFLINE");
    world.ack(&session, &message).await;
    let now = world.summary(&session).await;
    assert_eq!(
        (now["state"].as_str(), now["response_acknowledged"].as_bool()),
        (Some("WORKING"), Some(true))
    );
}

#[tokio::test]
async fn a_stream_without_events_is_kept_alive() {
    let world = World::with_time().await;
    let response = world.ask(Method::GET, "/api/events").send().await.unwrap();
    let mut stream = crate::world::Stream::of(response);
    pass(16).await;
    let ping = stream.next().await.unwrap();
    assert_eq!((ping.event.as_str(), ping.data.as_str()), ("ping", "{}"));
    ok(world.ask(Method::GET, "/api/sessions")).await;
}
