//! Turns: told as they go on, to those who stay and to those who come back.

use serde_json::{Value, json};

use crate::world::{World, call, types, words};

#[tokio::test]
async fn a_turn_is_told_from_its_start_to_its_one_end() {
    let world = World::new(&[
        json!([{ "thought": "Hm." }, { "text": "Let me " }, { "text": "look." }, call("list", json!({}))]),
        json!({ "answer": [{ "text": " Nothing there." }], "usage": { "input": 40, "output": 2 } }),
    ])
    .await;
    let id = world.session(json!({ "approval_mode": "default" })).await;
    let events = world.turn(&id, "What is there?").await;
    let mut kinds = types(&events);
    kinds.dedup();
    assert_eq!(
        kinds,
        ["turn_start", "thinking", "token", "tool_start", "tool_result", "token", "turn_complete"],
        "{events:?}"
    );
    assert_eq!(words(&events), "Let me look. Nothing there.");
    let of = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    let (start, result, end) = (of("tool_start"), of("tool_result"), of("turn_complete"));
    assert_eq!(
        [&start["tool_name"], &start["tool_type"], &start["risk_level"]],
        ["list", "file_grep", "low"],
        "{start}"
    );
    assert_eq!((&start["tool_id"], &result["success"]), (&result["tool_id"], &json!(true)));
    assert!(result["execution_time"].is_f64());
    assert_eq!(
        [&end["input_tokens"], &end["output_tokens"], &end["tool_calls"], &end["steps"]],
        [&json!(50), &json!(7), &json!(1), &json!(2)]
    );
    assert_eq!((&end["stop_reason"], &end["stop"]), (&json!("stop"), &json!("end_turn")));
    assert!(events.iter().all(|event| event["session_id"] == id.as_str() && event["ts"].is_i64()));
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    world.close().await;
}

#[tokio::test]
async fn of_a_hundred_messages_at_once_one_is_taken() {
    let world = World::new(&[json!([{ "text": "A" }, { "wait_for": "go" }])]).await;
    let id = world.session(json!({})).await;
    let send = || async {
        let path = format!("/sessions/{id}/message");
        let answer =
            world.ask(reqwest::Method::POST, &path).json(&json!({ "content": "Hi." })).send().await.unwrap();
        let status = answer.status().as_u16();
        // The stream of the one that is taken has no end yet.
        let body = if status == 200 { Value::Null } else { answer.json().await.unwrap() };
        (status, body)
    };
    let all = futures_util::future::join_all((0..100).map(|_| send())).await;
    assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 1);
    let busy = (409, json!({ "detail": "Turn already in progress", "code": "turn_running" }));
    assert_eq!(all.iter().filter(|answer| **answer == busy).count(), 99);
    world.model.release("go").unwrap();
    let events = world.attach(&id, None).await.until("turn_complete").await;
    assert_eq!(events.iter().filter(|event| event["type"] == "turn_start").count(), 1);
    world.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_stops_nothing_and_is_told_what_it_missed() {
    let world = World::new(&[json!([{ "text": "One " }, { "wait_for": "left" }, { "text": "two." }])]).await;
    let id = world.session(json!({})).await;
    let mut stream = world.message(&id, "Count.").await;
    let seen = stream.until("token").await;
    drop(stream);
    world.model.release("left").unwrap();
    let last = seen.last().unwrap()["id"].as_u64().unwrap();
    let mut again = world.attach(&id, Some(last)).await;
    let rest = again.until("turn_complete").await;
    assert_eq!((words(&seen) + &words(&rest)).as_str(), "One two.");
    assert!(rest.iter().filter_map(|event| event["id"].as_u64()).all(|id| id > last));
    // Who was never cut off is told the same, with the same ids.
    let whole = world.attach(&id, None).await.until("turn_complete").await;
    let ids =
        |events: &[Value]| -> Vec<u64> { events.iter().filter_map(|event| event["id"].as_u64()).collect() };
    let both: Vec<u64> = ids(&seen).into_iter().chain(ids(&rest)).collect();
    assert_eq!(ids(&whole), both);
    let beyond = world.attach(&id, Some(u64::MAX)).await.event().await.unwrap();
    assert_eq!(beyond["type"], "caught_up", "more than there is means all there is");
    world.close().await;
}

#[tokio::test]
async fn a_turn_is_cancelled_and_so_is_what_does_not_run() {
    let world =
        World::new(&[json!([{ "text": "A" }, { "wait_for": "never" }]), json!([{ "text": "B" }])]).await;
    let id = world.session(json!({})).await;
    let path = format!("/sessions/{id}/cancel");
    let done = (200, json!({ "ok": true, "session_id": id }));
    assert_eq!(world.post(&path, json!({})).await, done);
    let mut stream = world.message(&id, "Hi.").await;
    stream.until("token").await;
    assert_eq!(world.post(&path, json!({})).await, done);
    let events = stream.rest().await;
    let end = events.last().unwrap();
    assert_eq!((types(&events), &end["code"]), (vec!["error"], &json!("cancelled")), "{events:?}");
    assert_eq!(words(&world.turn(&id, "Again.").await), "B", "and it goes on");
    world.close().await;
}

#[tokio::test]
async fn what_a_provider_refuses_has_a_code_and_a_retry_is_told() {
    let error = |status: u16| json!([{ "error": { "status": status, "message": "no", "retry_after": 0 } }]);
    let world = World::new(&[error(401), error(503), json!([{ "text": "Now." }])]).await;
    let id = world.session(json!({})).await;
    let events = world.turn(&id, "Hi.").await;
    let end = events.last().unwrap();
    assert_eq!(
        [&end["type"], &end["code"], &end["retryable"]],
        [&json!("error"), &json!("auth_error"), &json!(false)]
    );
    assert!(!end["message"].as_str().unwrap().contains(crate::world::CANARY), "{end}");
    let events = world.turn(&id, "Again.").await;
    assert_eq!(types(&events), ["turn_start", "retrying", "token", "turn_complete"], "{events:?}");
    world.close().await;
}

#[tokio::test]
async fn a_turn_of_tools_alone_ends_with_what_they_gave() {
    let world = World::new(&[json!([call("list", json!({}))]), json!([])]).await;
    std::fs::write(world.dir.path().join("work/seen.txt"), "x").unwrap();
    let id = world.session(json!({ "approval_mode": "default" })).await;
    let events = world.turn(&id, "Look.").await;
    let token = events.iter().find(|event| event["type"] == "token").unwrap();
    assert!(token["synthetic"] == true && token["text"].as_str().unwrap().contains("seen.txt"), "{events:?}");
    world.close().await;
}

#[tokio::test]
async fn a_daemon_that_stops_ends_the_stream_and_what_was_said_is_there_again() {
    let world =
        World::new(&[json!([{ "text": "A" }, { "wait_for": "never" }]), json!([{ "text": "B" }])]).await;
    let id = world.session(json!({ "approval_mode": "trust_all" })).await;
    let mut stream = world.message(&id, "Hi.").await;
    stream.until("token").await;
    let (world, events) = tokio::join!(world.restart(), stream.rest());
    assert_eq!((types(&events), &events[0]["code"]), (vec!["error"], &json!("interrupted")), "{events:?}");
    let (_, shown) = world.get(&format!("/sessions/{id}")).await;
    assert_eq!((&shown["approval_mode"], &shown["total_turns"]), (&json!("trust_all"), &json!(1)), "{shown}");
    let told = world.attach(&id, None).await.until("caught_up").await;
    assert_eq!(types(&told), ["turn_start", "token", "error", "caught_up"]);
    assert_eq!(words(&world.turn(&id, "Go on.").await), "B");
    world.close().await;
}

#[tokio::test]
async fn many_sessions_talk_at_once_and_each_hears_its_own() {
    let answer = |n: usize| {
        let said = json!([{ "text": format!("({n}") }, { "wait_for": "all" }, { "text": ")" }]);
        json!({ "when": { "user_text": format!("Say {n}.") }, "answer": said })
    };
    let world = World::new(&(0..20).map(answer).collect::<Vec<_>>()).await;
    let ids = futures_util::future::join_all((0..20).map(|_| world.session(json!({})))).await;
    let mut streams = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let mut stream = world.message(id, &format!("Say {n}.")).await;
        stream.until("token").await;
        streams.push(stream);
    }
    world.model.release("all").unwrap();
    for (n, mut stream) in streams.into_iter().enumerate() {
        let events = stream.rest().await;
        assert_eq!((types(&events), words(&events).as_str()), (vec!["token", "turn_complete"], ")"), "{n}");
        let (_, history) = world.get(&format!("/sessions/{}/history", ids[n])).await;
        assert_eq!(history["history"][1]["content"], format!("({n})"));
    }
    world.close().await;
}

#[tokio::test]
async fn nothing_outside_of_the_workspace_is_read_or_written() {
    let read = |path: &str| json!([call("read", json!({ "path": path }))]);
    let write = |path: &str| json!([call("write", json!({ "path": path, "content": "x" }))]);
    let done = json!([{ "text": "Done." }]);
    let world =
        World::new(&[read("../secret.txt"), read("link"), write("../secret.txt"), write("link"), done]).await;
    let secret = world.dir.path().join("secret.txt");
    std::fs::write(&secret, "canary").unwrap();
    std::os::unix::fs::symlink(&secret, world.dir.path().join("work/link")).unwrap();
    let id = world.session(json!({})).await;
    let mut stream = world.message(&id, "Go.").await;
    let mut failed = 0;
    while let Some(event) = stream.event().await {
        assert!(!event.to_string().contains("canary"), "{event}");
        if event["type"] == "permission_request" {
            let answer = json!({ "tool_id": event["tool_id"], "decision": "approve" });
            world.post(&format!("/sessions/{id}/permission"), answer).await;
        }
        failed += usize::from(event["type"] == "tool_result" && event["success"] == false);
    }
    assert_eq!((failed, std::fs::read_to_string(&secret).unwrap().as_str()), (4, "canary"));
    world.close().await;
}
