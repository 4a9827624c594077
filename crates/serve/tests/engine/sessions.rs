//! Sessions are made, listed, shown and deleted, and what was said in them is kept.

use reqwest::Method;
use serde_json::json;

use crate::world::{CANARY, World, read, types};

#[tokio::test]
async fn a_session_is_like_any_other() {
    let world =
        World::new(&[json!({ "answer": [{ "text": "Hello." }], "usage": { "input": 30, "output": 7 } })])
            .await;
    let (status, made) = world
        .post("/sessions", json!({ "workspace": "~/work", "profile": "mine", "metadata": { "ticket": 7 } }))
        .await;
    assert_eq!(status, 200, "{made}");
    let id = made["session_id"].as_str().unwrap();
    for (name, value) in [
        ("profile", json!("mine")),
        ("workspace", json!(world.work())),
        ("approval_mode", json!("confirm_all")),
        ("approval_mode_id", json!(2)),
        ("total_turns", json!(0)),
        ("history_length", json!(0)),
        ("active", json!(false)),
        ("metadata", json!({ "ticket": 7 })),
    ] {
        assert_eq!(made[name], value, "{name}: {made}");
    }
    world.turn(id, "Hi.").await;
    let (_, shown) = world.get(&format!("/sessions/{id}")).await;
    assert_eq!(
        [
            &shown["total_turns"],
            &shown["total_input_tokens"],
            &shown["total_output_tokens"],
            &shown["history_length"]
        ],
        [&json!(1), &json!(30), &json!(7), &json!(2)],
        "{shown}"
    );
    let v1 =
        world.http.get(format!("http://{}/v1/sessions/{id}", world.address)).bearer_auth(crate::world::OWNER);
    let (_, v1) = read(v1).await;
    assert_eq!(
        (&v1["driver"], &v1["mode"], &v1["turns"]),
        (&json!("model"), &json!("confirm_all"), &json!(1)),
        "{v1}"
    );
    world.close().await;
}

#[tokio::test]
async fn all_sessions_of_models_are_listed_the_oldest_first() {
    let world = World::new(&[]).await;
    let first = world.session(json!({})).await;
    let (_, elsewhere) = world.post("/sessions", json!({})).await;
    let last = world.session(json!({ "session_id": "mine-1" })).await;
    assert_eq!(last, "mine-1");
    let ids = |list: &serde_json::Value| -> Vec<String> {
        list["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["session_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, list) = world.get("/sessions").await;
    assert_eq!(ids(&list), [first.as_str(), elsewhere["session_id"].as_str().unwrap(), "mine-1"]);
    let (_, list) = world.get(&format!("/sessions?workspace={}", world.work().replace('/', "%2F"))).await;
    assert_eq!(ids(&list), [first, "mine-1".to_owned()]);
    let own = elsewhere["workspace"].as_str().unwrap();
    assert!(
        own.ends_with(elsewhere["session_id"].as_str().unwrap()),
        "one that names no workspace has its own: {own}"
    );
    let (status, _) = world.delete("/sessions/mine-1").await;
    assert_eq!((status, world.delete("/sessions/mine-1").await.0), (200, 404));
    assert_eq!(world.get("/sessions").await.1["sessions"].as_array().unwrap().len(), 2);
    world.close().await;
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let world = World::new(&[]).await;
    let make = || world.post("/sessions", json!({ "session_id": "same" }));
    let all = futures_util::future::join_all((0..8).map(|_| make())).await;
    let made: Vec<_> = all.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(made.len(), 1, "{all:?}");
    assert!(
        all.iter()
            .filter(|(status, _)| *status != 200)
            .all(|(status, body)| *status == 409 && body["code"] == "exists")
    );
    world.close().await;
}

#[tokio::test]
async fn what_was_said_is_shown_cut_and_forgotten() {
    let text = |text: &str| json!([{ "text": text }]);
    let world = World::new(&[text("One."), text("Two."), text("Three.")]).await;
    let id = world.session(json!({ "system_prompt": "Be <trender>rm -rf ~</trender>brief." })).await;
    let path = format!("/sessions/{id}/history");
    world.turn(&id, "Say one.").await;
    world.turn(&id, "Say two.").await;
    let words = "Be [dynamic content removed for security]brief.";
    let (_, all) = world.get(&path).await;
    let all = all["history"].clone();
    assert_eq!(all[0], json!({ "role": "system", "content": words }));
    assert_eq!(all[1], json!({ "role": "user", "content": "Say one." }));
    assert_eq!(all[2], json!({ "role": "assistant", "content": "One." }));
    let (_, last) = world.get(&format!("{path}?limit=2")).await;
    assert_eq!(last["history"], json!([all[3], all[4]]));
    let (_, prompt) = world.get(&format!("/sessions/{id}/system-prompt")).await;
    assert_eq!(prompt["system_prompt"], words);
    assert_eq!(world.delete(&path).await, (200, json!({ "ok": true, "session_id": id })));
    assert_eq!(world.get(&path).await.1["history"].as_array().unwrap().len(), 1, "what stands over it stays");
    world.turn(&id, "Say three.").await;
    let asked = world.model.requests().pop().unwrap().body.to_string();
    assert!(
        asked.contains("Say three.") && !asked.contains("Say two.") && asked.contains("brief."),
        "{asked}"
    );
    world.close().await;
}

#[tokio::test]
async fn nothing_is_forgotten_in_mid_turn() {
    let world = World::new(&[json!([{ "text": "A" }, { "wait_for": "go" }])]).await;
    let id = world.session(json!({})).await;
    let mut stream = world.message(&id, "Hi.").await;
    stream.until("token").await;
    let (status, body) = world.delete(&format!("/sessions/{id}/history")).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("turn_running")), "{body}");
    let (status, _) = read(world.ask(Method::POST, &format!("/sessions/{id}/system-prompt/rebuild"))).await;
    assert_eq!(status, 409);
    world.model.release("go").unwrap();
    assert_eq!(types(&stream.rest().await).last(), Some(&"turn_complete"));
    assert_eq!(world.delete(&format!("/sessions/{id}/history")).await.0, 200);
    world.close().await;
}

#[tokio::test]
async fn a_bundle_gives_its_words_and_its_profile() {
    let world = World::new(&[]).await;
    let bundle = world.dir.path().join("home/agents/reviewer");
    std::fs::write(bundle.join("system_prompt.md"), "Review.").unwrap();
    std::fs::write(bundle.join("agent.json"), r#"{"profile":"mine"}"#).unwrap();
    let (status, made) =
        world.post("/sessions", json!({ "agent": "reviewer", "system_prompt": "Ignore." })).await;
    assert_eq!((status, &made["profile"]), (200, &json!("mine")), "{made}");
    let id = made["session_id"].as_str().unwrap();
    assert_eq!(world.get(&format!("/sessions/{id}/system-prompt")).await.1["system_prompt"], "Review.");
    world.close().await;
}

#[tokio::test]
async fn a_bundles_tools_are_the_only_ones_and_its_sessions_are_listed() {
    let made_up =
        json!([{ "call": [{ "tool": "shell", "arguments": { "command": "true" }, "unoffered": true }] }]);
    let world = World::new(&[made_up, json!([{ "text": "Well." }])]).await;
    let work = world.dir.path().join("work");
    let bundle = work.join(".kollab/agents/reader");
    std::fs::create_dir_all(&bundle).unwrap();
    std::fs::write(bundle.join("agent.json"), r#"{"profile":"mine","tools":["file_read"]}"#).unwrap();
    let asked = json!({ "agent": "reader", "workspace": work, "approval_mode": "trust_all" });
    let id = world.session(asked).await;
    let events = world.turn(&id, "Run it.").await;
    let result = events.iter().find(|event| event["type"] == "tool_result").unwrap();
    assert_eq!(
        (&result["success"], &result["error"]),
        (&json!(false), &json!("there is no tool shell")),
        "{result}"
    );
    let offered = world.model.requests()[0].ask.clone().unwrap().tools;
    assert_eq!(
        offered.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(),
        ["read"],
        "by the original's name"
    );
    assert_eq!(world.get("/sessions").await.1["sessions"][0]["session_id"], json!(id));
    let (status, missing) = world.post("/sessions", json!({ "agent": "../reviewer" })).await;
    assert_eq!((status, &missing["code"]), (404, &json!("not_found")), "{missing}");
    world.close().await;
}

#[tokio::test]
async fn credentials_that_come_along_are_kept_with_all_others_and_go_with_the_session() {
    let world = World::new(&[json!([{ "text": "Hello." }])]).await;
    let credentials =
        json!({ "provider": "anthropic", "api_key": CANARY, "model": "m", "base_url": world.model.url() });
    let id = world.session(json!({ "credentials": credentials })).await;
    let (_, shown) = world.get(&format!("/sessions/{id}")).await;
    assert_eq!(shown["profile"], "app-inline");
    assert_eq!(crate::world::words(&world.turn(&id, "Hi.").await), "Hello.");
    let secrets = || std::fs::read_to_string(world.dir.path().join("home/secrets.json")).unwrap();
    assert!(secrets().contains(CANARY));
    assert_eq!(world.get("/profiles").await.1["count"], 1, "it is nobody else's");
    for wrong in [json!("x"), json!({ "api_key": ["canary"], "model": "m" }), json!({ "api_key": "k" })] {
        let (status, body) = world.post("/sessions", json!({ "credentials": wrong })).await;
        assert!(status == 422 && !body.to_string().contains("canary"), "{body}");
    }
    world.delete(&format!("/sessions/{id}")).await;
    assert!(!secrets().contains(CANARY));
    world.close().await;
}
