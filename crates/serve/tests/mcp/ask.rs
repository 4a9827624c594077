//! Asking a person and waiting for the answer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Messages, Session, alone};
use crate::world::{OWNER, World};

/// The only request that waits, once there is one.
async fn open(world: &World) -> Value {
    loop {
        let listed =
            world.ask(Method::GET, "/v1/requests?status=open").bearer_auth(OWNER).send().await.unwrap();
        let listed: Value = listed.json().await.unwrap();
        if let Some(one) = listed["items"].as_array().unwrap().first() {
            return one.clone();
        }
        tokio::task::yield_now().await;
    }
}

async fn shown(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}", request["id"].as_str().unwrap());
    world.ask(Method::GET, &path).bearer_auth(OWNER).send().await.unwrap().json().await.unwrap()
}

/// A request once it has this status.
async fn with_status(world: &World, request: &Value, status: &str) -> Value {
    loop {
        let one = shown(world, request).await;
        if one["status"] == status {
            return one;
        }
        tokio::task::yield_now().await;
    }
}

/// What a person does with a request.
async fn person(world: &World, request: &Value, does: &str, body: Value) {
    let path = format!("/v1/requests/{}/{does}", request["id"].as_str().unwrap());
    let done = world.ask(Method::POST, &path).bearer_auth(OWNER).json(&body).send().await.unwrap();
    assert_eq!(done.status(), 200);
}

async fn begin(session: &Session<'_>, id: u64, tool: &str, arguments: Value) -> Messages {
    session.begin(id, "tools/call", json!({"name": tool, "arguments": arguments})).await
}

#[tokio::test]
async fn a_question_is_answered_in_one_call() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let arguments =
        json!({"question": "Which\nbranch?", "options": ["main", "next"], "context_json": {"a": 1}});
    let mut waiting = begin(&session, 20, "ask_human", arguments).await;
    let asked = open(&world).await;
    assert_eq!(
        (&asked["title"], &asked["agent"], &asked["created_by"]),
        (&json!("Which branch?"), &json!("tester"), &json!("local"))
    );
    assert_eq!((&asked["context"], &asked["options"][1]["name"]), (&json!({"a": 1}), &json!("next")));
    // Nobody is held up by a call that waits.
    assert_eq!(session.gives("hub_status", json!({})).await["session_count"], 1);
    // What an agent has asked is for a person: a program without a credential may be the agent itself.
    for tool in ["respond_to_request", "dismiss_request"] {
        let why = session.fails(tool, json!({"request_id": asked["id"], "response_text": "main"})).await;
        assert!(why.contains("403"), "{why}");
    }
    person(&world, &asked, "answer", json!({"option": "next", "responder": "ana"})).await;
    let told = waiting.until_id(20).await["result"]["structuredContent"].clone();
    let expected =
        json!({"request_id": asked["id"], "status": "ANSWERED", "answer": "next", "responder": "ana"});
    assert_eq!(told, expected);
    let mut second =
        begin(&session, 21, "ask_human", json!({"question": "And now?", "priority": "URGENT"})).await;
    let again = open(&world).await;
    assert_eq!(
        (&again["session"], &again["priority"]),
        (&asked["session"], &json!("urgent")),
        "one client, one session"
    );
    person(&world, &again, "dismiss", json!({})).await;
    let told = second.until_id(21).await["result"]["structuredContent"].clone();
    assert_eq!((&told["status"], &told["answer"]), (&json!("DISMISSED"), &Value::Null));
    with_status(&world, &again, "cancelled").await;
}

#[tokio::test]
async fn whoever_waits_no_more_takes_the_question_back() {
    let world = World::new().await;
    let session = Session::owner(&world).await;
    let waiting = begin(&session, 30, "ask_human", json!({"question": "q?"})).await;
    let asked = open(&world).await;
    session
        .notify(json!({"method": "notifications/cancelled", "params": {"requestId": 30, "reason": "enough"}}))
        .await;
    with_status(&world, &asked, "cancelled").await;
    drop(waiting);
    let _waiting = begin(&session, 31, "ask_human", json!({"question": "q?"})).await;
    let asked = open(&world).await;
    session.close().await;
    with_status(&world, &asked, "cancelled").await;
    // A request of the newest revision is cancelled by leaving.
    let call =
        alone(&world, None, "tools/call", json!({"name": "ask_human", "arguments": {"question": "q?"}}));
    let asked = tokio::select! {
        asked = open(&world) => asked,
        _answered = call.send() => unreachable!("nobody has answered"),
    };
    with_status(&world, &asked, "cancelled").await;
}

#[tokio::test]
async fn time_runs_out_where_it_was_given() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let told = session.gives("ask_human", json!({"question": "Anybody?", "timeout": 1})).await;
    assert_eq!((&told["status"], &told["answer"]), (&json!("EXPIRED"), &Value::Null));
}

#[tokio::test]
async fn a_call_that_waits_says_so() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let params =
        json!({"name": "ask_human", "arguments": {"question": "q?"}, "_meta": {"progressToken": "p"}});
    let mut waiting = session.begin(40, "tools/call", params).await;
    let asked = open(&world).await;
    tokio::time::pause();
    let first =
        waiting.until(|message| message["method"] == "notifications/progress").await["params"].clone();
    assert_eq!((&first["progressToken"], &first["progress"]), (&json!("p"), &json!(10.0)));
    let second =
        waiting.until(|message| message["method"] == "notifications/progress").await["params"].clone();
    assert_eq!(second["progress"], json!(20.0));
    tokio::time::resume();
    person(&world, &asked, "answer", json!({"text": "yes"})).await;
    assert_eq!(waiting.until_id(40).await["result"]["structuredContent"]["answer"], "yes");
}

#[tokio::test]
async fn a_retry_finds_what_the_first_try_has_asked() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let message = |id: u64| {
        let params = json!({"name": "ask_human", "arguments": {"question": "q?"}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let send = async |id: u64| {
        let request =
            session.post(&message(id)).header("idempotency-key", "one").header("trunkline-client", "c");
        Messages::of(request.send().await.unwrap())
    };
    let mut first = send(50).await;
    let asked = open(&world).await;
    let mut second = send(51).await;
    person(&world, &asked, "answer", json!({"text": "yes"})).await;
    let answer = |told: Value| told["result"]["structuredContent"].clone();
    let (one, two) = (answer(first.until_id(50).await), answer(second.until_id(51).await));
    assert_eq!((&one, &one["request_id"]), (&two, &asked["id"]));
    assert_eq!(answer(send(52).await.until_id(52).await), one, "also when it comes late");
}

#[tokio::test]
async fn whoever_sits_at_the_host_may_answer_too() {
    let world = World::new().await;
    let session = Session::open(&world, None, "2025-06-18", json!({"elicitation": {}})).await;
    let mut unasked = session.listen().await;
    let arguments = json!({"question": "Which?", "options": ["a", "b"]});
    let mut waiting = begin(&session, 60, "ask_human", arguments.clone()).await;
    let form = waiting.until(|message| message["method"] == "elicitation/create").await;
    assert_eq!(form["params"]["message"], "Which?");
    assert_eq!(form["params"]["requestedSchema"]["properties"]["answer"]["enum"], json!(["a", "b"]));
    let asked = open(&world).await;
    session
        .notify(json!({"id": form["id"], "result": {"action": "accept", "content": {"answer": "b"}}}))
        .await;
    let told = waiting.until_id(60).await["result"]["structuredContent"].clone();
    assert_eq!(
        (&told["status"], &told["answer"], &told["responder"]),
        (&json!("ANSWERED"), &json!("b"), &json!("tester"))
    );
    let closed = with_status(&world, &asked, "superseded").await;
    assert!(
        closed["closed"]["answer"].is_null(),
        "the hub does not say that a person answered whom it has not seen"
    );

    let mut waiting = begin(&session, 61, "ask_human", arguments.clone()).await;
    let form = waiting.until(|message| message["method"] == "elicitation/create").await;
    let asked = open(&world).await;
    person(&world, &asked, "answer", json!({"option": "a"})).await;
    let taken_back = unasked.until(|message| message["method"] == "notifications/cancelled").await;
    assert_eq!(taken_back["params"]["requestId"], form["id"]);
    assert_eq!(waiting.until_id(61).await["result"]["structuredContent"]["answer"], "a");

    let mut waiting = begin(&session, 62, "ask_human", arguments).await;
    let form = waiting.until(|message| message["method"] == "elicitation/create").await;
    let asked = open(&world).await;
    session.notify(json!({"id": form["id"], "result": {"action": "decline"}})).await;
    person(&world, &asked, "answer", json!({"option": "a"})).await;
    let told = waiting.until_id(62).await["result"]["structuredContent"].clone();
    assert_eq!(told["answer"], "a", "who declines leaves it to the inbox");
}

#[tokio::test]
async fn a_tool_runs_when_a_person_says_so() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let input = json!({"command": "rm -r build"});
    let arguments = json!({"tool_name": "Bash", "input": input, "tool_use_id": "toolu_1"});
    for (does, body, expected) in [
        ("answer", json!({"option": "allow"}), json!({"behavior": "allow", "updatedInput": input})),
        (
            "answer",
            json!({"option": "deny", "text": "not today"}),
            json!({"behavior": "deny", "message": "not today"}),
        ),
        (
            "answer",
            json!({"option": "deny"}),
            json!({"behavior": "deny", "message": "a person refused this"}),
        ),
        (
            "dismiss",
            json!({}),
            json!({"behavior": "deny", "message": "nobody decided: the request was set aside", "decided": false}),
        ),
    ] {
        let mut waiting = begin(&session, 70, "approve_tool_use", arguments.clone()).await;
        let asked = open(&world).await;
        assert_eq!((&asked["kind"], &asked["tool"]), (&json!("permission"), &json!("Bash")));
        assert_eq!(
            (&asked["title"], &asked["tool_call"]["kind"]),
            (&json!("Bash: rm -r build"), &json!("execute"))
        );
        let why = session
            .fails("respond_to_request", json!({"request_id": asked["id"], "response_text": "allow"}))
            .await;
        assert!(why.contains("403"), "{why}");
        person(&world, &asked, does, body).await;
        let result = waiting.until_id(70).await["result"].clone();
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&text, &result["structuredContent"]),
            (&expected, &Value::Null),
            "Claude Code reads the text alone"
        );
    }
    for bad in [
        json!({"tool_name": "", "input": {}}),
        json!({"tool_name": "Bash", "input": 5}),
        json!({"input": {}}),
    ] {
        session.fails("approve_tool_use", bad).await;
    }
}

#[tokio::test]
async fn when_the_daemon_stops_the_question_stays() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let mut waiting = begin(&session, 80, "ask_human", json!({"question": "q?"})).await;
    let asked = open(&world).await;
    let hub = world.hub.clone();
    let id = asked["session"].as_str().unwrap().parse().unwrap();
    hub.shutdown().await;
    while let Some(message) = waiting.next().await {
        assert!(message.get("result").is_none(), "{message}");
    }
    let page = hub.read(id, trunkline_core::id::Seq(0), 1 << 20).await.unwrap();
    let kinds: Vec<_> = page
        .frames
        .iter()
        .flat_map(|frame| frame.events().unwrap())
        .map(|event| event.fact.tag().to_owned())
        .collect();
    assert!(kinds.iter().any(|kind| kind == "request.opened"), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind == "request.closed"), "{kinds:?}");
}
