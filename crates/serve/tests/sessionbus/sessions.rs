//! Register, heartbeat, state, and the list.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, fails};

#[tokio::test]
async fn a_session_has_its_keys_in_order_and_its_time_without_a_zone() {
    let world = World::new().await;
    let body =
        br#"{"display_name":" my\nbot ", "tenant_id":"", "metadata":{"z":1, "a":"\u00e9"}, "more":true}"#;
    let (status, made) = world.raw("/api/sessions/register", Some("application/json"), body).await;
    assert_eq!(status, 200, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["session_id"].as_str().unwrap();
    assert_eq!(id.len(), 36);
    let text = world.ask(Method::GET, "/api/sessions").send().await.unwrap().text().await.unwrap();
    let seen = text.split("\"last_seen_at\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(
        text,
        format!(
            "[{{\"session_id\":\"{id}\",\"display_name\":\" my\\nbot \",\"state\":\"WORKING\",\"last_seen_at\":\"{seen}\",\
             \"pending_request_count\":0,\"response_acknowledged\":false,\"tenant_id\":\"\",\"metadata\":{{\"z\":1,\"a\":\"é\"}}}}]"
        )
    );
    assert!(seen.len() == 26 && seen.ends_with("000") || seen.len() == 19, "{seen}");
    let v1 = world.ask(Method::GET, &format!("/v1/sessions/{id}")).bearer_auth(crate::world::OWNER);
    let v1: Value = v1.send().await.unwrap().json().await.unwrap();
    assert_eq!((v1["title"].as_str(), v1["state"].as_str()), (Some("my bot"), Some("running")));
}

#[tokio::test]
async fn a_heartbeat_keeps_what_it_does_not_say_and_replaces_metadata_whole() {
    let world = World::new().await;
    let id = world.register("bot").await;
    let beat = |body: Value| {
        let path = format!("/api/sessions/{id}/heartbeat");
        let world = &world;
        async move { world.post(&path, &body).await }
    };
    let with = beat(json!({"state": "DONE", "metadata": {"a": 1, "b": 2}})).await;
    assert_eq!((with["state"].as_str(), &with["metadata"]), (Some("DONE"), &json!({"a": 1, "b": 2})));
    let kept = beat(json!({"state": null, "metadata": null})).await;
    assert_eq!((kept["state"].as_str(), &kept["metadata"]), (Some("DONE"), &json!({"a": 1, "b": 2})));
    let replaced = beat(json!({"metadata": {}})).await;
    assert_eq!((replaced["state"].as_str(), &replaced["metadata"]), (Some("DONE"), &json!({})));
    assert!(replaced["last_seen_at"].as_str().unwrap() >= with["last_seen_at"].as_str().unwrap());
    for state in ["ERROR", "WAITING_FOR_INPUT", "WORKING"] {
        let said = world.post(&format!("/api/sessions/{id}/state"), &json!({"state": state})).await;
        assert_eq!(said["state"], state);
    }
}

#[tokio::test]
async fn a_session_that_is_not_there() {
    let world = World::new().await;
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    for id in [nobody, "x", "a%00b", &"y".repeat(5_000)] {
        let beat = world.ask(Method::POST, &format!("/api/sessions/{id}/heartbeat")).json(&json!({}));
        assert_eq!(fails(beat).await, (404, json!("Session not found")));
        let state =
            world.ask(Method::POST, &format!("/api/sessions/{id}/state")).json(&json!({"state": "DONE"}));
        assert_eq!(fails(state).await, (404, json!("Session not found")));
        let ask = world.ask(Method::POST, &format!("/api/sessions/{id}/requests"));
        let ask = ask.header("x-idempotency-key", "k").json(&json!({"title": "t", "question": "q"}));
        assert_eq!(fails(ask).await, (404, json!("Session not found")));
        let inbox = world.ask(Method::GET, &format!("/api/sessions/{id}/inbox?timeout=60"));
        assert_eq!(fails(inbox).await, (404, json!("Session not found")));
    }
    // What is wrong with a body is said before.
    let wrong =
        world.ask(Method::POST, &format!("/api/sessions/{nobody}/state")).json(&json!({"state": "OFFLINE"}));
    assert_eq!(fails(wrong).await.0, 422);
}

#[tokio::test]
async fn whoever_was_seen_last_stands_first() {
    let world = World::new().await;
    let (a, b) = (world.register("a").await, world.register("b").await);
    let order = || async {
        let all = world.get("/api/sessions").await;
        all.as_array()
            .unwrap()
            .iter()
            .map(|one| one["session_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(order().await, [b.clone(), a.clone()]);
    // Times have milliseconds.
    loop {
        world.post(&format!("/api/sessions/{a}/heartbeat"), &json!({})).await;
        if world.summary(&a).await["last_seen_at"] != world.summary(&b).await["last_seen_at"] {
            break;
        }
    }
    assert_eq!(order().await, [a.clone(), b.clone()]);
    let limited = world.get("/api/sessions?limit=1").await;
    assert_eq!(limited.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tenant_sees_its_own() {
    let world = World::new().await;
    let mut mine = String::new();
    for tenant in ["acme", "other"] {
        let body = json!({"display_name": "bot", "tenant_id": tenant});
        let made = world.post("/api/sessions/register", &body).await;
        let id = made["session_id"].as_str().unwrap().to_owned();
        world.question(&id, tenant).await;
        mine = if tenant == "acme" { id } else { mine };
    }
    let all = world.get("/api/sessions?tenant_id=acme").await;
    assert_eq!((all.as_array().unwrap().len(), all[0]["session_id"].as_str()), (1, Some(&*mine)));
    for path in ["/api/requests?tenant_id=acme", "/api/requests?tenant_id=acme&status=PENDING"] {
        let all = world.get(path).await;
        assert_eq!((all.as_array().unwrap().len(), all[0]["title"].as_str()), (1, Some("acme")));
    }
    assert_eq!(world.get("/api/sessions").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn every_session_is_listed_whoever_made_it() {
    let world = World::new().await;
    let (hosted, request) = world.hosted().await;
    let shown = world.summary(&hosted).await;
    assert_eq!(
        (shown["state"].as_str(), shown["display_name"].as_str()),
        (Some("WAITING_FOR_INPUT"), Some("go"))
    );
    let listed = world.get("/api/requests?status=PENDING").await;
    assert_eq!(listed[0]["request_id"], request);
    assert_eq!(listed[0]["question"], "");
    let owner = world.ask(Method::POST, "/v1/sessions").bearer_auth(crate::world::OWNER);
    let made: Value = owner
        .json(&json!({"driver": "external", "agent": "cron"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let shown = world.summary(made["id"].as_str().unwrap()).await;
    assert_eq!((shown["state"].as_str(), shown["display_name"].as_str()), (Some("DONE"), Some("cron")));
}
