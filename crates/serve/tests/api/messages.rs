//! Messages to agents: by name, in whose name, and held back.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, read};

#[tokio::test]
async fn an_agent_is_found_by_name_and_woken() {
    let world = World::new().await;
    let workspace = tempfile::tempdir().unwrap();
    let create =
        json!({"agent": "quiet", "argv": ["quiet"], "workspace": workspace.path(), "title": "review"});
    let (_, session) = world.post("/v1/sessions", &create).await;
    let session = session["id"].as_str().unwrap();
    let (status, sent) = world.post("/v1/messages", &json!({"to": "Review", "text": "look again"})).await;
    assert_eq!((status.as_u16(), &sent["to"], &sent["state"]), (201, &json!(session), &json!("delivered")));
    let (_, turn) = world.get(&format!("/v1/sessions/{session}/turns/{}", sent["turn"])).await;
    assert_eq!(turn["state"], "running", "{turn}");
    let (_, second) = world.post("/v1/messages", &json!({"to": session, "text": "and again"})).await;
    let shown = format!("/v1/sessions/{session}/messages/{}", second["id"].as_str().unwrap());
    assert_eq!(world.get(&shown).await.1["state"], "waiting");
    let queued = format!("/v1/sessions/{session}/queue/{}", second["turn"]);
    assert_eq!(world.delete(&queued).await, 204);
    assert_eq!(world.get(&shown).await.1["state"], "dropped");
    let (status, problem) = world.post("/v1/messages", &json!({"to": "reviev", "text": "x"})).await;
    assert_eq!((status.as_u16(), problem["field"].as_str()), (404, Some("to")));
    assert!(problem["detail"].as_str().unwrap().contains("did you mean"), "{problem}");
    world.close().await;
}

#[tokio::test]
async fn what_an_agent_writes_too_often_is_held_back() {
    let world = World::new().await;
    let (from, to) = (world.session().await, world.session().await);
    let token = json!({"name": "bot", "scope": {"agent": from}});
    let token = world.post("/v1/tokens", &token).await.1["token"].as_str().unwrap().to_owned();
    let send = || {
        let request = world.http.request(Method::POST, world.url("/v1/messages")).bearer_auth(&token);
        read(request.json(&json!({"to": to, "text": "hi"})))
    };
    let (status, sent) = send().await;
    assert_eq!((status.as_u16(), &sent["state"]), (201, &json!("waiting")), "it runs elsewhere");
    let (status, problem) = send().await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (429, Some("held_back")));
    assert!(
        problem["until"].is_u64() && problem["detail"].as_str().unwrap().contains("`cooldown`"),
        "{problem}"
    );
    let (_, inbox) = world.get(&format!("/v1/sessions/{to}/inbox")).await;
    let message = &inbox["items"][0];
    assert_eq!((&message["payload"]["text"], &message["sender"]["session"]), (&json!("hi"), &json!(from)));
    let viewer = world.post("/v1/tokens", &json!({"name": "v", "scope": "viewer"})).await.1;
    let request = world.http.post(world.url("/v1/messages")).bearer_auth(viewer["token"].as_str().unwrap());
    assert_eq!(read(request.json(&json!({"to": to, "text": "hi"}))).await.0, 403);
}
