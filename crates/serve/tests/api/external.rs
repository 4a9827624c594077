//! An agent that runs elsewhere: it registers, asks, and finds its answers.

use serde_json::{Value, json};

use crate::world::{World, read};

#[tokio::test]
async fn an_agent_asks_a_person_answers_and_the_inbox_has_it() {
    let world = World::new().await;
    let session = world.session().await;
    let request = world.question(&session).await;
    let (_, listed) = world.get("/v1/requests?status=open").await;
    assert_eq!(listed["items"][0]["id"], request);
    let (_, shown) = world.get(&format!("/v1/sessions/{session}")).await;
    assert_eq!((shown["state"].as_str(), shown["pending"].as_u64()), (Some("waiting"), Some(1)));
    // The agent waits for its answer; the answer wakes it.
    let path = format!("/v1/sessions/{session}/inbox?wait_ms=60000");
    let poll = world.get(&path);
    let answer = async {
        let path = format!("/v1/requests/{request}/answer");
        world.post(&path, &json!({"option": "YES", "text": "carefully"})).await
    };
    let ((_, inbox), (status, answered)) = tokio::join!(poll, answer);
    assert_eq!(status, 200);
    assert_eq!(answered["closed"]["answer"], json!({"option": "yes", "text": "carefully"}));
    assert_eq!(inbox["items"][0]["payload"]["answer"]["option"], "yes");
    let message = inbox["items"][0]["id"].as_str().unwrap().to_owned();
    let (status, _) = world.post(&format!("/v1/sessions/{session}/inbox/{message}/ack"), &json!({})).await;
    assert_eq!(status, 204);
    let (_, empty) = world.get(&format!("/v1/sessions/{session}/inbox")).await;
    assert_eq!(empty["items"], json!([]));
}

#[tokio::test]
async fn the_first_answer_wins_and_the_loser_is_told_who_won() {
    let world = World::new().await;
    let session = world.session().await;
    let request = world.question(&session).await;
    let path = format!("/v1/requests/{request}/answer");
    let answers: Vec<_> = ["yes", "no", "yes", "no"].map(|option| json!({ "option": option })).to_vec();
    let all = futures_util::future::join_all(answers.iter().map(|answer| world.post(&path, answer))).await;
    let won: Vec<_> = all.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(won.len(), 1);
    for (status, problem) in all.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(*status, 409);
        assert_eq!(problem["code"], "request_closed");
        assert_eq!(problem["closed"]["by"], "owner");
        assert_eq!(problem["closed"]["answer"], won[0].1["closed"]["answer"]);
    }
}

#[tokio::test]
async fn a_dismissed_request_can_still_be_answered() {
    let world = World::new().await;
    let session = world.session().await;
    let request = world.question(&session).await;
    let (_, dismissed) = world.post(&format!("/v1/requests/{request}/dismiss"), &json!({})).await;
    assert_eq!(dismissed["status"], "dismissed");
    let (_, open) = world.get("/v1/requests?status=open").await;
    assert_eq!(open["items"], json!([]));
    let (_, aside) = world.get(&format!("/v1/requests?status=dismissed&session={session}")).await;
    assert_eq!(aside["items"][0]["id"], request);
    let (status, _) = world.post(&format!("/v1/requests/{request}/answer"), &json!({"text": "late"})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_retry_with_a_key_gets_the_first_outcome() {
    let world = World::new().await;
    let create = |key: &'static str, title: &'static str| {
        let body = json!({"driver": "external", "agent": "bot", "title": title});
        read(world.ask(reqwest::Method::POST, "/v1/sessions").header("idempotency-key", key).json(&body))
    };
    let (_, first) = create("k", "one").await;
    let (status, again) = create("k", "one").await;
    assert_eq!((status.as_u16(), &again["id"]), (201, &first["id"]));
    let (status, other) = create("k", "two").await;
    assert_eq!((status.as_u16(), other["code"].as_str()), (409, Some("idempotency_key_reused")));
    let session = first["id"].as_str().unwrap();
    let ask = |key: &'static str| {
        let path = format!("/v1/sessions/{session}/requests");
        let body = json!({"kind": "question", "title": "Again?"});
        read(world.ask(reqwest::Method::POST, &path).header("idempotency-key", key).json(&body))
    };
    let all = futures_util::future::join_all([ask("q"), ask("q"), ask("q")]).await;
    assert!(all.iter().all(|(status, body)| *status == 201 && body["id"] == all[0].1["id"]), "{all:?}");
}

#[tokio::test]
async fn lists_page_and_filter() {
    let world = World::new().await;
    let mut made = Vec::new();
    for n in 0..5 {
        let body = json!({"driver": "external", "agent": if n % 2 == 0 { "even" } else { "odd" }});
        made.push(world.post("/v1/sessions", &body).await.1["id"].clone());
    }
    let mut seen: Vec<Value> = Vec::new();
    let mut path = "/v1/sessions?limit=2".to_owned();
    loop {
        let (_, page) = world.get(&path).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        match page["next"].as_str() {
            Some(cursor) => path = format!("/v1/sessions?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort_by_key(Value::to_string);
    made.sort_by_key(Value::to_string);
    assert_eq!(seen, made, "every session once");
    let (_, odd) = world.get("/v1/sessions?agent=odd&state=idle").await;
    assert_eq!(odd["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_closed_session_keeps_its_log_and_a_deleted_one_is_gone() {
    let world = World::new().await;
    let session = world.session().await;
    world.question(&session).await;
    let (_, closed) = world.post(&format!("/v1/sessions/{session}/close"), &json!({})).await;
    assert_eq!(closed["state"], "closed");
    let ask = json!({"kind": "question", "title": "Still there?"});
    let (status, refused) = world.post(&format!("/v1/sessions/{session}/requests"), &ask).await;
    assert_eq!((status.as_u16(), refused["code"].as_str()), (409, Some("session_closed")));
    let (_, page) = world.get(&format!("/v1/sessions/{session}/events")).await;
    let tags: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(tags, ["session.created", "request.opened", "session.closed", "request.closed"]);
    assert_eq!(world.delete(&format!("/v1/sessions/{session}")).await, 204);
    for path in ["", "/events", "/queue", "/inbox"] {
        let (status, body) = world.get(&format!("/v1/sessions/{session}{path}")).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (410, Some("deleted")), "{path}");
    }
}

#[tokio::test]
async fn an_export_becomes_a_session_with_the_same_transcript() {
    let world = World::new().await;
    let session = world.session().await;
    let request = world.question(&session).await;
    world.post(&format!("/v1/requests/{request}/answer"), &json!({"text": "so"})).await;
    world.question(&session).await;
    let (_, page) = world.get(&format!("/v1/sessions/{session}/events")).await;
    let mut export = format!("{}\n", json!({"trunkline": "export/1", "session": session}));
    for event in page["items"].as_array().unwrap() {
        export.push_str(&format!("{event}\n"));
    }
    let send = |kind: &'static str, body: String| {
        read(world.ask(reqwest::Method::POST, "/v1/sessions/import").header("content-type", kind).body(body))
    };
    assert_eq!(send("application/json", export.clone()).await.0, 415);
    let (status, copy) = send("application/x-ndjson", export).await;
    assert_eq!(
        (status.as_u16(), copy["state"].as_str(), copy["pending"].as_u64()),
        (201, Some("idle"), Some(0))
    );
    let id = copy["id"].as_str().unwrap();
    let (_, page) = world.get(&format!("/v1/sessions/{id}/events")).await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(items[0]["data"]["imported"], session);
    let tags: Vec<_> = items.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        tags,
        [
            "session.created",
            "request.opened",
            "request.closed",
            "request.opened",
            "request.closed",
            "session.imported"
        ]
    );
    assert_eq!(items[2]["by"], "imported/owner");
    let (_, original) = world.get(&format!("/v1/requests?status=open&session={session}")).await;
    assert_eq!(original["items"].as_array().unwrap().len(), 1, "the original is untouched");
}
