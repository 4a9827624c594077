//! Permissions: asked with all that they are about, answered once, from anywhere.

use serde_json::{Value, json};

use crate::world::{OWNER, World, call, read, types};

fn write(path: &str) -> Value {
    json!([call("write", json!({ "path": path, "content": "new\n" }))])
}

async fn asked(world: &World, id: &str) -> (crate::world::Stream, Value) {
    let mut stream = world.message(id, "Write.").await;
    let request = stream.until("permission_request").await.pop().unwrap();
    (stream, request)
}

#[tokio::test]
async fn a_prompt_says_what_it_is_about_and_waits_for_an_answer() {
    let done = json!([{ "text": "Done." }]);
    let world = World::new(&[write("a.txt"), done.clone(), write("b.txt"), done]).await;
    let id = world.session(json!({})).await;
    let (mut stream, request) = asked(&world, &id).await;
    assert_eq!([&request["tool_name"], &request["tool_type"]], ["write", "file_create"], "{request}");
    assert_eq!(request["input"], json!({ "path": "a.txt", "content": "new\n" }));
    assert_eq!(request["diff"]["new_text"], "new\n");
    assert!(request["risk_reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    let tool_id = request["tool_id"].as_str().unwrap();
    let (_, shown) = world.get(&format!("/sessions/{id}/permissions")).await;
    assert_eq!(
        (&shown["pending"], &shown["approval_mode"]),
        (&json!([tool_id]), &json!("confirm_all")),
        "{shown}"
    );
    let path = format!("/sessions/{id}/permission");
    let answer = json!({ "tool_id": tool_id, "decision": "approve" });
    let all = futures_util::future::join_all((0..2).map(|_| world.post(&path, answer.clone()))).await;
    let mut statuses: Vec<_> = all.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert!(statuses == [200, 404] || statuses == [200, 409], "one of two answers counts: {all:?}");
    let events = stream.rest().await;
    assert_eq!(types(&events), ["permission_granted", "tool_result", "token", "turn_complete"], "{events:?}");
    assert_eq!(
        [&events[0]["tool_id"], &events[0]["scope"], &events[0]["auto"]],
        [&json!(tool_id), &json!("once"), &json!(false)]
    );
    assert_eq!(events[1]["metadata"]["diff_info"]["new_text"], "new\n");
    assert_eq!(std::fs::read_to_string(world.dir.path().join("work/a.txt")).unwrap(), "new\n");
    let (mut stream, request) = asked(&world, &id).await;
    assert_ne!(request["tool_id"], tool_id, "no id comes twice");
    world.post(&path, json!({ "tool_id": request["tool_id"], "decision": "deny", "scope": "once" })).await;
    let events = stream.rest().await;
    assert_eq!(types(&events), ["permission_denied", "tool_result", "token", "turn_complete"]);
    assert_eq!(
        (&events[1]["success"], &events[1]["metadata"]["permission_denied"]),
        (&json!(false), &json!(true))
    );
    assert!(!world.dir.path().join("work/b.txt").exists());
    let (_, shown) = world.get(&format!("/sessions/{id}/permissions")).await;
    assert_eq!(
        shown["stats"],
        json!({ "total_checks": 2, "auto_approved": 0, "user_approved": 1, "denied": 1, "blocked": 0 })
    );
    world.close().await;
}

#[tokio::test]
async fn the_one_inbox_answers_too() {
    let world = World::new(&[write("a.txt"), json!([{ "text": "Done." }])]).await;
    let id = world.session(json!({})).await;
    let (mut stream, request) = asked(&world, &id).await;
    let url = format!("http://{}/v1/requests/{}/answer", world.address, request["request"].as_str().unwrap());
    let (status, body) =
        read(world.http.post(url).bearer_auth(OWNER).json(&json!({ "option": "allow", "confirm": true })))
            .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(types(&stream.rest().await)[0], "permission_granted");
    world.close().await;
}

#[tokio::test]
async fn time_that_runs_out_is_told() {
    let world = World::new(&[write("a.txt"), json!([{ "text": "Well." }])]).await;
    let id = world.session(json!({ "permission_timeout": 1 })).await;
    let (mut stream, request) = asked(&world, &id).await;
    assert!(request["expires_at"].is_i64());
    let events = stream.rest().await;
    assert_eq!(
        types(&events),
        ["permission_expired", "permission_denied", "tool_result", "token", "turn_complete"],
        "{events:?}"
    );
    let answer = json!({ "tool_id": request["tool_id"], "decision": "approve" });
    let (status, body) = world.post(&format!("/sessions/{id}/permission"), answer).await;
    assert_eq!((status, body["code"].as_str()), (404, Some("no_pending_permission")));
    assert!(!world.dir.path().join("work/a.txt").exists());
    world.close().await;
}

#[tokio::test]
async fn a_turn_that_is_cancelled_takes_its_prompt_back() {
    let world = World::new(&[write("a.txt"), json!([{ "text": "Good." }])]).await;
    let id = world.session(json!({})).await;
    let (mut stream, _) = asked(&world, &id).await;
    world.post(&format!("/sessions/{id}/cancel"), json!({})).await;
    let events = stream.rest().await;
    let kinds = types(&events);
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("permission_denied", "error"), "{events:?}");
    let events = world.turn(&id, "Go on.").await;
    assert_eq!(types(&events).last(), Some(&"turn_complete"));
    let asked = world.model.requests().pop().unwrap().body;
    let calls =
        asked["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "tool").count();
    assert_eq!(calls, 1, "no call is left without its result: {asked}");
    world.close().await;
}

#[tokio::test]
async fn modes_are_set_and_told() {
    let world = World::new(&[]).await;
    let id = world.session(json!({})).await;
    for (n, mode) in ["default", "confirm_all", "auto_approve_edits", "trust_all"].into_iter().enumerate() {
        let (status, body) =
            world.post(&format!("/sessions/{id}/permissions/mode"), json!({ "mode": mode })).await;
        assert_eq!((status, body), (200, json!({ "ok": true, "mode": mode })));
        let (_, shown) = world.get(&format!("/sessions/{id}/permissions")).await;
        assert_eq!((&shown["approval_mode"], &shown["approval_mode_id"]), (&json!(mode), &json!(n + 1)));
    }
    world.close().await;
}
