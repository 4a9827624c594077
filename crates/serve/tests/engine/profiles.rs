//! Profiles in the engine's fields, and no secret in any answer.

use serde_json::{Value, json};

use crate::world::{World, read};

const CANARIES: [&str; 3] = ["canary-key", "canary-header", "canary-other"];

fn clean(body: &Value) {
    let text = body.to_string();
    assert!(
        CANARIES.iter().all(|canary| !text.contains(canary)) && !text.contains(crate::world::CANARY),
        "{text}"
    );
}

#[tokio::test]
async fn a_profile_is_made_changed_renamed_tested_and_deleted() {
    let world = World::new(&[
        json!([{ "text": "H" }]),
        json!([{ "error": { "status": 401, "message": "no canary-key" } }]),
    ])
    .await;
    let base = format!("{}/v1", world.model.url());
    let new = json!({
        "name": "fast", "provider": "openai", "model": "m", "api_key": "canary-key", "base_url": base, "temperature": 0.5,
        "max_tokens": null, "extra_headers": { "x-team": "canary-header" },
    });
    let (status, made) = world.post("/profiles", new.clone()).await;
    clean(&made);
    assert_eq!((status, &made["created"], &made["has_api_key"]), (201, &json!(true), &json!(true)), "{made}");
    let (status, again) = world.post("/profiles", new).await;
    assert_eq!((status, again["code"].as_str()), (409, Some("exists")));
    let (_, list) = world.get("/profiles").await;
    clean(&list);
    assert_eq!((list["count"].as_u64(), list["active"].as_str()), (Some(2), Some("mine")), "{list}");
    let change = json!({
        "max_tokens": 100, "timeout": 20, "top_p": 0.5, "streaming": true, "api_key": made["api_key"],
        "extra_headers": { "x-team": made["extra_headers"]["x-team"], "x-more": "canary-other" }, "new_name": "faster",
    });
    let (status, changed) = world.put("/profiles/fast", change).await;
    clean(&changed);
    assert_eq!(
        (status, &changed["name"], &changed["max_tokens"], &changed["timeout"]),
        (200, &json!("faster"), &json!(100), &json!(20)),
        "{changed}"
    );
    assert_eq!(world.get("/profiles/fast").await.0, 404, "nothing is left under the old name");
    let (_, shown) = world.get("/profiles/faster").await;
    clean(&shown);
    assert_eq!(
        shown["env_var_hints"]["api_key"],
        json!({ "name": "KOLLAB_FASTER_API_KEY", "is_set": false })
    );
    let (status, tested) = read(world.ask(reqwest::Method::POST, "/profiles/faster/test")).await;
    clean(&tested);
    assert_eq!((status, &tested["success"]), (200, &json!(true)), "{tested}");
    assert!(tested["latency_ms"].is_u64());
    let sent = world.model.requests().pop().unwrap();
    assert_eq!(sent.body["model"], "m");
    let (_, tested) = read(world.ask(reqwest::Method::POST, "/profiles/faster/test")).await;
    clean(&tested);
    assert_eq!(
        (&tested["success"], &tested["error"]),
        (&json!(false), &json!("authentication_failed")),
        "{tested}"
    );
    let kept = std::fs::read_to_string(world.dir.path().join("home/secrets.json")).unwrap();
    assert!(CANARIES.iter().all(|canary| kept.contains(canary)), "a mask that comes back keeps the secret");
    assert_eq!(world.delete("/profiles/faster").await, (200, json!({ "deleted": true, "name": "faster" })));
    let kept = std::fs::read_to_string(world.dir.path().join("home/secrets.json")).unwrap();
    assert!(CANARIES.iter().all(|canary| !kept.contains(canary)), "{kept}");
    world.close().await;
}

#[tokio::test]
async fn what_cannot_be_done_to_a_profile_is_said_without_a_secret() {
    let world = World::new(&[]).await;
    for (path, body, status) in
        [("/profiles/mine", json!({ "model": "x" }), 422), ("/profiles/none", json!({ "model": "x" }), 404)]
    {
        let (told, answer) = world.put(path, body).await;
        assert_eq!(told, status, "{answer}");
    }
    let (status, body) = world.delete("/profiles/mine").await;
    assert_eq!((status, body["code"].as_str()), (400, Some("built_in")), "{body}");
    let make = |more: Value| {
        let mut body = json!({ "name": "p", "provider": "openai", "model": "m" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.post("/profiles", body)
    };
    for wrong in [
        json!({ "api_key": ["canary-key"] }),
        json!({ "api_key": { "canary-key": 1 } }),
        json!({ "extra_headers": ["canary-header"] }),
        json!({ "api_key": "canary-key", "base_url": "http://10.0.0.1/v1" }),
        json!({ "api_key": "canary-key\n" }),
        json!({ "temperature": 3 }),
        json!({ "max_tokens": -1 }),
    ] {
        let (status, body) = make(wrong).await;
        clean(&body);
        assert_eq!(status, 422, "{body}");
    }
    let (_, dead) = make(json!({ "api_key": "canary-key", "base_url": "http://127.0.0.1:9" })).await;
    clean(&dead);
    let (_, tested) = read(world.ask(reqwest::Method::POST, "/profiles/p/test")).await;
    clean(&tested);
    assert_eq!(tested["error"], "connection_failed", "{tested}");
    world.close().await;
}
