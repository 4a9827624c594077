//! Ask, list, show, respond, dismiss.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{OWNER, World, fails, ok};

#[tokio::test]
async fn a_request_has_its_keys_in_order() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let body = br#"{"title":"two\nlines","question":"Q","context_json":[1, {"b":null,"a":"\u00e9"}],"priority":"HIGH","tags":[],"more":1}"#;
    let (status, made) = world.raw(&format!("/api/sessions/{session}/requests"), None, body).await;
    assert_eq!(status, 200, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["request_id"].as_str().unwrap();
    let path = format!("/api/requests/{id}");
    let shown = world.ask(Method::GET, &path).send().await.unwrap().text().await.unwrap();
    let created = shown.split("\"created_at\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(
        shown,
        format!(
            "{{\"request_id\":\"{id}\",\"session_id\":\"{session}\",\"title\":\"two\\nlines\",\"question\":\"Q\",\
             \"context_json\":[1,{{\"b\":null,\"a\":\"é\"}}],\"priority\":\"HIGH\",\"tags\":[],\"status\":\"PENDING\",\
             \"response_text\":null,\"responder\":null,\"created_at\":\"{created}\",\"answered_at\":null}}"
        )
    );
    let plain = world.question(&session, "t").await;
    let shown = world.get(&format!("/api/requests/{plain}")).await;
    assert_eq!(
        (&shown["tags"], &shown["context_json"], &shown["priority"]),
        (&json!(null), &json!(null), &json!("NORMAL"))
    );
}

#[tokio::test]
async fn what_is_not_a_number_in_json_comes_back_as_null() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let body = br#"{"title":"t","question":"q","context_json":{"a":NaN,"b":[Infinity,-Infinity]}}"#;
    let path = format!("/api/sessions/{session}/requests");
    for kind in [None, Some("application/json"), Some("application/vnd.x+json; charset=utf-8")] {
        let (status, made) = world.raw(&path, kind, body).await;
        assert_eq!(status, 200, "{made}");
        let made: Value = serde_json::from_str(&made).unwrap();
        let shown = world.get(&format!("/api/requests/{}", made["request_id"].as_str().unwrap())).await;
        assert_eq!(shown["context_json"], json!({"a": null, "b": [null, null]}));
    }
}

#[tokio::test]
async fn asking_and_answering_move_the_session() {
    let world = World::new().await;
    let session = world.register("bot").await;
    world.post(&format!("/api/sessions/{session}/state"), &json!({"state": "ERROR"})).await;
    let first = world.question(&session, "one").await;
    let second = world.question(&session, "two").await;
    let now = world.summary(&session).await;
    assert_eq!(
        (now["state"].as_str(), now["pending_request_count"].as_u64()),
        (Some("WAITING_FOR_INPUT"), Some(2))
    );
    assert_eq!(world.respond(&first, "yes").await, json!({"request_id": first, "status": "ANSWERED"}));
    assert_eq!(world.summary(&session).await["state"], "WAITING_FOR_INPUT", "the other still waits");
    assert_eq!(world.dismiss(&second).await, json!({"request_id": second, "status": "DISMISSED"}));
    let now = world.summary(&session).await;
    assert_eq!((now["state"].as_str(), now["pending_request_count"].as_u64()), (Some("WORKING"), Some(0)));
    let shown = world.get(&format!("/api/requests/{first}")).await;
    assert_eq!((shown["response_text"].as_str(), shown["responder"].as_str()), (Some("yes"), Some("human")));
    assert!(!shown["answered_at"].as_str().unwrap().contains('+'));
}

#[tokio::test]
async fn a_dismissed_request_leaves_a_working_session_alone_while_another_waits() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let (first, second) = (world.question(&session, "one").await, world.question(&session, "two").await);
    world.post(&format!("/api/sessions/{session}/state"), &json!({"state": "DONE"})).await;
    world.dismiss(&first).await;
    assert_eq!(world.summary(&session).await["state"], "DONE");
    world.dismiss(&second).await;
    assert_eq!(world.summary(&session).await["state"], "WORKING");
}

#[tokio::test]
async fn the_first_answer_stays_and_a_dismissed_request_can_still_be_answered() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    world.dismiss(&request).await;
    assert_eq!(world.dismiss(&request).await["status"], "DISMISSED");
    assert_eq!(world.get(&format!("/api/requests/{request}")).await["status"], "DISMISSED");
    assert_eq!(world.poll(&session, 0).await, Vec::<Value>::new());
    let path = format!("/api/requests/{request}/respond");
    let said = world.post(&path, &json!({"response_text": "  ", "responder": "ana"})).await;
    assert_eq!(said["status"], "ANSWERED");
    assert_eq!(world.respond(&request, "late").await["status"], "ANSWERED");
    assert_eq!(world.dismiss(&request).await["status"], "ANSWERED");
    let shown = world.get(&format!("/api/requests/{request}")).await;
    assert_eq!((shown["response_text"].as_str(), shown["responder"].as_str()), (Some("  "), Some("ana")));
    assert_eq!(world.poll(&session, 0).await.len(), 1);
}

#[tokio::test]
async fn lists_have_their_orders_and_filters() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let mut ids = Vec::new();
    for (title, priority) in [("a", "LOW"), ("b", "NORMAL"), ("c", "URGENT"), ("d", "HIGH"), ("e", "URGENT")]
    {
        let body = json!({"title": title, "question": "q", "priority": priority});
        let made = world.post(&format!("/api/sessions/{session}/requests"), &body).await;
        ids.push(made["request_id"].as_str().unwrap().to_owned());
    }
    let titles = |path: &'static str| {
        let world = &world;
        async move {
            let all = world.get(path).await;
            all.as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap()).collect::<String>()
        }
    };
    assert_eq!(titles("/api/requests?status=PENDING").await, "cedba");
    assert_eq!(titles("/api/requests").await, "edcba");
    world.respond(&ids[1], "x").await;
    world.dismiss(&ids[3]).await;
    assert_eq!(titles("/api/requests?status=ANSWERED").await, "b");
    assert_eq!(titles("/api/requests?status=DISMISSED").await, "d");
    assert_eq!(titles("/api/requests?status=PENDING").await, "cea");
    assert_eq!(titles("/api/requests?status=PENDING&status=ANSWERED&else=1").await, "b", "the last counts");
    assert_eq!(titles("/api/requests?limit=2").await, "ed");
    for status in ["", "pending", "OPEN"] {
        let wrong = world.ask(Method::GET, &format!("/api/requests?status={status}"));
        let (code, detail) = fails(wrong).await;
        assert_eq!(
            (code, &detail[0]["type"], &detail[0]["loc"]),
            (422, &json!("enum"), &json!(["query", "status"]))
        );
        assert_eq!(detail[0]["msg"], "Input should be 'PENDING', 'ANSWERED' or 'DISMISSED'");
    }
}

#[tokio::test]
async fn a_key_finds_the_request_of_the_first_try() {
    let world = World::new().await;
    let (session, other) = (world.register("bot").await, world.register("other").await);
    let ask = |session: &str, key: &str, title: &str| {
        let request = world.ask(Method::POST, &format!("/api/sessions/{session}/requests"));
        let body = json!({"title": title, "question": "q"});
        ok(request.header("X-IDEMPOTENCY-Key", key).json(&body))
    };
    let long = "k".repeat(1_000);
    let first = ask(&session, &long, "one").await;
    world.respond(first["request_id"].as_str().unwrap(), "yes").await;
    assert_eq!(ask(&session, &long, "another body").await, first, "its body is not compared");
    assert_eq!(world.summary(&session).await["state"], "WORKING", "nothing has moved");
    assert_ne!(ask(&other, &long, "one").await, first);
    assert_ne!(ask(&session, "", "one").await, ask(&session, "", "one").await, "an empty key is none");
    let again = world
        .ask(Method::POST, &format!("/api/sessions/{session}/requests"))
        .header("x-idempotency-key", &long);
    assert_eq!(fails(again.json(&json!({"title": ""}))).await.0, 422);
}

#[tokio::test]
async fn a_request_that_is_not_there() {
    let world = World::new().await;
    for id in ["0190163d-8694-739b-aea5-966c26f8ad91", "x", "%00"] {
        let missing = (404, json!("Request not found"));
        assert_eq!(fails(world.ask(Method::GET, &format!("/api/requests/{id}"))).await, missing);
        let respond = world.ask(Method::POST, &format!("/api/requests/{id}/respond"));
        assert_eq!(fails(respond.json(&json!({"response_text": "x"}))).await, missing);
        assert_eq!(fails(world.ask(Method::POST, &format!("/api/requests/{id}/dismiss"))).await, missing);
    }
}

#[tokio::test]
async fn a_large_question_is_taken() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let question = "x".repeat(2_000_000);
    let body = json!({"title": "t", "question": question});
    let made = world.post(&format!("/api/sessions/{session}/requests"), &body).await;
    let shown = world.get(&format!("/api/requests/{}", made["request_id"].as_str().unwrap())).await;
    assert_eq!(shown["question"], question);
}

#[tokio::test]
async fn a_permission_wants_one_of_its_options_and_an_operator() {
    let world = World::new().await;
    let (_, request) = world.hosted().await;
    let respond = |token: Option<&str>, text: &str| {
        let asked = world.ask(Method::POST, &format!("/api/requests/{request}/respond"));
        let asked = token.into_iter().fold(asked, |asked, token| asked.bearer_auth(token));
        asked.json(&json!({"response_text": text}))
    };
    assert_eq!(fails(respond(None, "yes")).await.0, 403, "without a token nobody answers a hosted agent");
    assert_eq!(fails(world.ask(Method::POST, &format!("/api/requests/{request}/dismiss"))).await.0, 403);
    let (status, detail) = fails(respond(Some(OWNER), "perhaps")).await;
    assert_eq!((status, &detail[0]["loc"]), (422, &json!(["body", "response_text"])));
    assert_eq!(ok(respond(Some(OWNER), "Yes")).await["status"], "ANSWERED");
    assert_eq!(world.get(&format!("/api/requests/{request}")).await["response_text"], "go");
    assert_eq!(fails(respond(None, "no")).await.0, 403, "nor is told that somebody has");
}

#[tokio::test]
async fn what_was_asked_here_is_answered_from_everywhere() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let answer = world.ask(Method::POST, &format!("/v1/requests/{request}/answer")).bearer_auth(OWNER);
    assert_eq!(answer.json(&json!({"text": "from afar"})).send().await.unwrap().status(), 200);
    let messages = world.poll(&session, 5).await;
    assert_eq!(messages[0]["payload"]["response_text"], "from afar");
    assert_eq!(messages[0]["payload"]["responder"], "human");
}
