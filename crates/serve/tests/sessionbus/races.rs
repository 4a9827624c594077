//! Many at once: one winner, and everybody is told the same.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, ok};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_answers_one_counts_and_all_callers_see_it() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let polls = join_all((0..8).map(|_| world.poll(&session, 25)));
    let answers = join_all((0..64).map(|n| {
        let (world, request) = (&world, &request);
        async move {
            let said = world.respond(request, &format!("answer {n}")).await;
            (said, world.get(&format!("/api/requests/{request}")).await)
        }
    }));
    let (polled, answered) = tokio::join!(polls, answers);
    let shown = world.get(&format!("/api/requests/{request}")).await;
    assert!(shown["response_text"].as_str().unwrap().starts_with("answer "));
    for (said, seen) in &answered {
        assert_eq!(said, &json!({"request_id": request, "status": "ANSWERED"}));
        assert_eq!(seen, &shown);
    }
    for messages in polled.iter().chain([&world.poll(&session, 0).await]) {
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0]["payload"]["response_text"], shown["response_text"]);
        assert_eq!(messages[0]["delivered_at"], polled[0][0]["delivered_at"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_tries_with_one_key_there_is_one_request() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let tries = join_all((0..64).map(|n| {
        let ask = world.ask(Method::POST, &format!("/api/sessions/{session}/requests"));
        ok(ask.header("x-idempotency-key", "k").json(&json!({"title": format!("try {n}"), "question": "q"})))
    }));
    let tries: Vec<Value> = tries.await;
    assert!(tries.iter().all(|made| *made == tries[0]), "{tries:?}");
    let all = world.get("/api/requests").await;
    assert_eq!((all.as_array().unwrap().len(), &all[0]["request_id"]), (1, &tries[0]["request_id"]));
    let request = all[0]["request_id"].as_str().unwrap();
    let answers = join_all((0..16).map(|n| {
        let respond = world.ask(Method::POST, &format!("/api/requests/{request}/respond"));
        ok(respond.header("x-idempotency-key", "k").json(&json!({"response_text": format!("{n}")})))
    }));
    assert!(answers.await.iter().all(|said| said["status"] == "ANSWERED"));
    assert_eq!(world.poll(&session, 0).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_polls_hold_nobody_up() {
    let world = World::new().await;
    let sessions = join_all((0..300).map(|n| {
        let world = &world;
        async move { world.register(&format!("bot {n}")).await }
    }));
    let sessions = sessions.await;
    let polls = join_all(sessions.iter().map(|session| world.poll(session, 28)));
    let cycle = async {
        let mut requests = Vec::new();
        for session in &sessions {
            requests.push(world.question(session, "t").await);
        }
        for request in &requests {
            world.respond(request, "yes").await;
        }
    };
    let (polled, ()) = tokio::join!(polls, cycle);
    assert!(polled.iter().all(|messages| messages.len() == 1));
}
