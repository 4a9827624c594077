//! What an agent is set to.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline_core::agent::{Memo, Status};
use trunkline_core::id::SessionId;
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::session::{Command, Created, Run};

use crate::world::{World, read};

async fn put(world: &World, path: &str, body: &Value) -> (StatusCode, Value) {
    read(world.ask(Method::PUT, path).json(body)).await
}

/// A session whose agent was never started.
async fn hosted(world: &World) -> SessionId {
    let id: SessionId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
    let created: Created =
        serde_json::from_value(json!({ "id": id, "driver": "acp", "agent": "demo" })).unwrap();
    world.hub.create(&Caller::trunkline(), created, None).await.unwrap();
    id
}

#[tokio::test]
async fn what_is_chosen_waits_for_the_agent_and_what_is_not_offered_is_refused() {
    let world = World::new().await;
    let id = hosted(&world).await;
    let at = |what: &str| format!("/v1/sessions/{id}/{what}");
    let (status, view) = put(&world, &at("mode"), &json!({ "mode": "plan" })).await;
    assert_eq!((status.as_u16(), &view["mode"]["chosen"]), (200, &json!("plan")), "{view}");
    let (status, _) = put(&world, &at("model"), &json!({ "model": "large" })).await;
    assert_eq!(status, 200);
    let (status, view) = put(&world, &at("options/a%2Fb"), &json!({ "value": true })).await;
    assert_eq!(status, 200);
    assert_eq!(world.get(&at("settings")).await, (StatusCode::OK, view));
    let modes = json!({ "currentModeId": "ask", "availableModes": [{ "id": "ask", "name": "Ask" }] });
    let told = vec![
        Memo { raw: Raw::parse("{}").unwrap() }.into(),
        Status { kind: "modes".into(), update: Raw::of(&modes).unwrap() }.into(),
    ];
    let told = Command::Run(Run::Agent(told));
    world.hub.command(&Caller::agent(id), id, told, None).await.unwrap();
    let (status, problem) = put(&world, &at("mode"), &json!({ "mode": "fly" })).await;
    assert_eq!((status.as_u16(), &problem["detail"]), (422, &json!("mode must be one of: ask")));
    assert_eq!(problem["field"], "mode");
    let external = world.session().await;
    let (status, problem) =
        put(&world, &format!("/v1/sessions/{external}/mode"), &json!({ "mode": "x" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("session_external")));
    world.close().await;
}
