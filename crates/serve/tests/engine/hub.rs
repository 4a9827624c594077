//! The agents there are, as lists and as they come and go.

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::world::{Stream, TOKEN, World, read};

async fn register(world: &World, name: &str) {
    let url = format!("http://{}/v1/agents/{name}", world.address);
    let body = json!({ "capabilities": ["look<b>"], "lease_ms": 60_000 });
    let (status, body) = read(world.http.put(url).bearer_auth(crate::world::OWNER).json(&body)).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn sessions_and_those_on_the_bus_are_agents() {
    let world = World::new(&[json!([{ "text": "I\nlooked." }]), json!([{ "text": "Thanks." }])]).await;
    let id = world.session(json!({})).await;
    world.turn(&id, "Look <b>.").await;
    register(&world, "scout").await;
    let (_, list) = world.get("/hub/agents?refresh=true").await;
    assert_eq!(list["count"], 2, "{list}");
    let agents = list["agents"].as_array().unwrap();
    let (own, bus) = (
        agents.iter().find(|one| one["agent_id"] == id.as_str()).unwrap(),
        agents.iter().find(|one| one["identity"] == "scout").unwrap(),
    );
    assert_eq!(
        (&own["state"], &own["alive"], &bus["capabilities"]),
        (&json!("idle"), &json!(true), &json!(["look‹b›"]))
    );
    let (_, shown) = world.get(&format!("/hub/agents/{id}?ping=true")).await;
    assert_eq!((&shown["agent"]["identity"], &shown["socket_alive"]), (&own["identity"], &json!(true)));
    let (_, status) = world.get(&format!("/hub/agents/{id}/status")).await;
    assert_eq!(status["status"]["state"], "idle");
    assert_eq!(world.get("/hub/agents/bus:scout").await.0, 200);
    assert_eq!(world.get("/hub/agents/none/status").await.0, 404);
    let (_, output) = world.get(&format!("/hub/agents/{id}/output?lines=1")).await;
    assert_eq!(output["output"], "looked.");
    let (status, sent) =
        world.post("/hub/messages", json!({ "target": own["identity"], "content": "Well done." })).await;
    assert_eq!((status, &sent["delivered"]), (200, &json!(true)), "{sent}");
    world.attach(&id, None).await.until("turn_complete").await;
    let (status, sent) = world.post("/hub/messages", json!({ "target": "*", "content": "All: stop." })).await;
    assert_eq!((status, sent["recipients"].as_array().map(Vec::len)), (200, Some(1)), "{sent}");
    world.close().await;
}

#[tokio::test]
async fn a_feed_stays_open_and_tells_what_changes() {
    let world = World::new(&[json!([{ "text": "A" }, { "wait_for": "go" }])]).await;
    let first = world.session(json!({})).await;
    let feed = world.ask(Method::GET, "/hub/feed").send().await.unwrap();
    assert_eq!(feed.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut feed = Feed(Stream::open(feed));
    let snapshot = feed.next("hub_snapshot").await;
    assert_eq!((snapshot["count"].as_u64(), &snapshot["agents"][0]["agent_id"]), (Some(1), &json!(first)));
    let second = world.session(json!({})).await;
    assert_eq!(feed.next("agent_joined").await["agent"]["agent_id"], second.as_str());
    let mut turn = world.message(&second, "Hi.").await;
    let changed = feed.next("agent_state_changed").await;
    assert_eq!([&changed["old_state"], &changed["new_state"]], ["idle", "working"]);
    world.model.release("go").unwrap();
    turn.rest().await;
    assert_eq!(feed.next("agent_state_changed").await["new_state"], "idle");
    world.delete(&format!("/sessions/{second}")).await;
    assert_eq!(feed.next("agent_left").await["agent_id"], second.as_str());
    register(&world, "scout").await;
    assert_eq!(feed.next("agent_joined").await["agent"]["identity"], "scout");
    world.close().await;
}

struct Feed(Stream);

impl Feed {
    /// The next event, which is of this type, and has an id.
    async fn next(&mut self, kind: &str) -> Value {
        let event = self.0.event().await.expect("the feed stays open");
        assert_eq!(event["type"], kind, "{event}");
        assert!(event["id"].is_u64());
        event
    }
}

#[tokio::test]
async fn the_same_comes_over_a_websocket_to_who_shows_a_token() {
    let world = World::new(&[]).await;
    let url = format!("ws://{}/ws/hub/feed", world.address);
    let connect = || async { tokio_tungstenite::connect_async(url.as_str()).await.unwrap().0 };
    let text = |value: Value| Message::text(value.to_string());
    let (mut socket, mut stranger) = (connect().await, connect().await);
    stranger.send(text(json!({ "command": "refresh" }))).await.unwrap();
    let refused: Value =
        serde_json::from_str(stranger.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(refused["code"], "unauthenticated");
    assert!(stranger.next().await.unwrap().unwrap().is_close());
    socket.send(text(json!({ "token": TOKEN }))).await.unwrap();
    let mut heard = async || -> Value {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    assert_eq!(heard().await["type"], "hub_snapshot");
    let id = world.session(json!({})).await;
    assert_eq!(heard().await["agent"]["agent_id"], id.as_str());
    for (said, expected) in [
        (json!({ "command": "ping" }), "pong"),
        (json!({ "command": "refresh" }), "hub_snapshot"),
        (json!([1]), "error"),
    ] {
        socket.send(text(said)).await.unwrap();
        let message = socket.next().await.unwrap().unwrap();
        let value: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(value["type"], expected);
    }
    world.close().await;
}
