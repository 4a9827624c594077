//! The tools of the original hub: what is listed, taken, given and refused, and to whom.

use reqwest::Method;
use serde_json::{Value, json};
use trunkline_serve::Sessionbus;

use crate::client::{Messages, Session, alone, post};
use crate::world::{OWNER, World};

const ORIGINAL: [&str; 11] = [
    "hub_status",
    "register_session",
    "heartbeat_session",
    "set_session_state",
    "list_sessions",
    "create_input_request",
    "list_requests",
    "get_request",
    "respond_to_request",
    "poll_inbox",
    "ack_inbox_message",
];

#[tokio::test]
async fn the_tools_are_those_of_the_original_first() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let listed = session.ask("tools/list", json!({})).await["result"]["tools"].clone();
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names[..11], ORIGINAL);
    assert_eq!(
        names[11..],
        [
            "dismiss_request",
            "ask_human",
            "approve_tool_use",
            "send_to_agent",
            "handoff_save",
            "handoff_resume",
            "kv_get",
            "kv_put",
        ]
    );
    let mut create = listed[5]["inputSchema"].clone();
    for (_, property) in create["properties"].as_object_mut().unwrap() {
        property.as_object_mut().unwrap().remove("description");
    }
    let nullable = |kind: Value, title: &str| json!({"anyOf": [kind, {"type": "null"}], "default": null, "title": title});
    let text = |title: &str| json!({"type": "string", "title": title});
    let expected = json!({
        "type": "object",
        "title": "create_input_requestArguments",
        "required": ["session_id", "title", "question"],
        "properties": {
            "session_id": text("Session Id"),
            "title": text("Title"),
            "question": text("Question"),
            "context_json": nullable(json!({}), "Context Json"),
            "priority": {"type": "string", "default": "NORMAL", "title": "Priority"},
            "tags": nullable(json!({"type": "array", "items": {"type": "string"}}), "Tags"),
            "idempotency_key": nullable(json!({"type": "string"}), "Idempotency Key"),
        },
    });
    assert_eq!(create, expected);
    assert_eq!(listed[5]["outputSchema"]["title"], "create_input_requestDictOutput");
    assert_eq!(listed[4]["outputSchema"]["required"], json!(["result"]));
    assert_eq!(listed[9]["inputSchema"]["properties"]["timeout"]["default"], 30);
    assert_eq!(session.ask("prompts/list", json!({})).await["result"]["prompts"], json!([]));
}

#[tokio::test]
async fn every_tool_gives_what_the_original_gives() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let empty = session.call("list_sessions", json!({})).await;
    assert_eq!((&empty["content"], &empty["structuredContent"]), (&json!([]), &json!({"result": []})));
    let made =
        session.gives("register_session", json!({"display_name": "bot", "metadata": "{\"a\": 1}"})).await;
    let id = made["session_id"].as_str().unwrap();
    let seen = session.call("heartbeat_session", json!({"session_id": id, "state": "WORKING"})).await;
    assert_eq!(seen["structuredContent"]["metadata"], json!({"a": 1}));
    let text = seen["content"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with(&format!("{{\n  \"session_id\": \"{id}\",\n  \"display_name\": \"bot\",\n")),
        "{text}"
    );
    let state = session.gives("set_session_state", json!({"session_id": id, "state": "DONE"})).await;
    assert_eq!(state["state"], "DONE");
    let ask = json!({
        "session_id": id, "title": "t", "question": "q?", "context_json": "[1]", "priority": "HIGH", "tags": ["x"],
        "idempotency_key": "k", "unknown": true,
    });
    let asked = session.gives("create_input_request", ask.clone()).await;
    assert_eq!(session.gives("create_input_request", ask).await, asked, "a retry gets the first outcome");
    let request = asked["request_id"].as_str().unwrap();
    let listed = session.call("list_requests", json!({})).await;
    let found: Value = serde_json::from_str(listed["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&found, listed["content"].as_array().unwrap().len()),
        (&listed["structuredContent"]["result"][0], 1)
    );
    assert_eq!((&found["context_json"], &found["tags"]), (&json!([1]), &json!(["x"])));
    assert_eq!(session.gives("get_request", json!({"request_id": request})).await, found);
    let answer = json!({"request_id": request, "response_text": "yes"});
    let told = session.gives("respond_to_request", answer).await;
    assert_eq!(told, json!({"request_id": request, "status": "ANSWERED"}));
    let inbox = session.gives("poll_inbox", json!({"session_id": id, "timeout": "1"})).await;
    let message = &inbox["messages"][0];
    assert_eq!(
        (&message["payload"]["response_text"], &message["payload"]["responder"]),
        (&json!("yes"), &json!("human"))
    );
    let message = message["message_id"].as_str().unwrap();
    let acked = session.gives("ack_inbox_message", json!({"session_id": id, "message_id": message})).await;
    assert_eq!(acked, json!({"message_id": message, "status": "ACKED"}));
    let none = session.gives("poll_inbox", json!({"session_id": id, "timeout": 0})).await;
    assert_eq!(none, json!({"messages": []}));
    let status = session.gives("hub_status", json!({})).await;
    assert_eq!(status, json!({"base_url": format!("http://{}", world.address), "session_count": 1}));
    let other =
        session.gives("create_input_request", json!({"session_id": id, "title": "t", "question": "q"})).await;
    let dismissed = session.gives("dismiss_request", json!({"request_id": other["request_id"]})).await;
    assert_eq!(dismissed["status"], "DISMISSED");
}

#[tokio::test]
async fn what_cannot_be_is_told_in_words() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    assert_eq!(session.fails("no_such\u{7}tool", json!({})).await, "Unknown tool: no_suchtool");
    let missing = session.fails("register_session", json!({"tenant_id": 5})).await;
    assert!(
        missing
            .starts_with("Error executing tool register_session: 2 validation errors for register_session")
    );
    let unknown = session.fails("get_request", json!({"request_id": "x"})).await;
    assert_eq!(unknown, "Error executing tool get_request: 404 Not Found: Request not found");
    let long = session.fails("register_session", json!({"display_name": "x".repeat(256)})).await;
    assert!(long.contains("display_name: String should have at most 255 characters"), "{long}");
    let status = session.fails("list_requests", json!({"status": ""})).await;
    assert!(status.contains("Input should be 'PENDING', 'ANSWERED' or 'DISMISSED'"), "{status}");
    let made = session.gives("register_session", json!({"display_name": "bot"})).await;
    let wait = session.fails("poll_inbox", json!({"session_id": made["session_id"], "timeout": 121})).await;
    assert!(wait.contains("less than or equal to 120"), "{wait}");
    let large = json!({"session_id": made["session_id"], "title": "t", "question": "x".repeat(3 << 20)});
    assert!(session.fails("create_input_request", large).await.contains("question"));
    for (arguments, what) in [
        (json!({"question": " "}), "question"),
        (json!({"question": "q", "options": vec!["x"; 21]}), "options"),
        (json!({"question": "q", "priority": "SOON"}), "priority"),
        (json!({"question": "q", "timeout": -1}), "timeout"),
        (json!({"question": "q", "session_id": "x"}), "Session not found"),
    ] {
        let why = session.fails("ask_human", arguments).await;
        assert!(why.contains(what), "{why}");
    }
    let unknown = session.ask("no/such", json!({})).await;
    assert_eq!(unknown["error"]["code"], -32601);
    let huge =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x".repeat(9 << 20)}});
    assert_eq!(session.post(&huge).send().await.unwrap().status(), 413);
    let broken = world.ask(Method::POST, "/mcp").header("accept", "application/json, text/event-stream");
    let broken = broken.header("content-type", "application/json").body("{").send().await.unwrap();
    assert!(broken.status().is_client_error());
    session.close().await;
    let gone = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(session.post(&gone).send().await.unwrap().status(), 404, "a client begins a new session then");
}

#[tokio::test]
async fn old_and_new_revisions_are_spoken() {
    let world = World::new().await;
    for (asked, told) in
        [("2024-11-05", "2024-11-05"), ("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25")]
    {
        let session = Session::open(&world, None, asked, json!({})).await;
        assert_eq!(session.told["protocolVersion"], told);
        assert_eq!(session.told["serverInfo"]["name"], "trunkline");
        assert_eq!(session.told["capabilities"]["resources"]["subscribe"], true);
        assert_eq!(session.ask("ping", json!({})).await["result"], json!({}));
    }
    let response = alone(&world, None, "tools/call", json!({"name": "hub_status", "arguments": {}}))
        .send()
        .await
        .unwrap();
    assert!(response.headers().get("mcp-session-id").is_none());
    let told = Messages::of(response).until_id(1).await;
    assert_eq!(told["result"]["structuredContent"]["session_count"], 0, "{told}");
    let known = alone(&world, None, "server/discover", json!({})).send().await.unwrap();
    let known = Messages::of(known).until_id(1).await["result"]["supportedVersions"].clone();
    assert!(known.as_array().unwrap().contains(&json!("2026-07-28")), "{known}");
}

#[tokio::test]
async fn who_may_come_in() {
    let world = World::new().await;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"});
    let status = async |name: &str, value: &str| {
        let request = post(&world, None, &hello).header(name, value);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("host", "evil.example").await, 403);
    assert_eq!(status("origin", "http://evil.example").await, 403);
    assert_eq!(status("sec-fetch-site", "cross-site").await, 403);
    assert_eq!(status("origin", &format!("http://{}", world.address)).await, 401, "a browser needs a token");
    assert_eq!(status("x-forwarded-for", "1.2.3.4").await, 401, "so does what comes through a proxy");
    assert_eq!(status("authorization", "Bearer wrong").await, 401);
    for access in [Sessionbus::Token, Sessionbus::Off] {
        let world = World::with(access).await;
        assert_eq!(post(&world, None, &hello).send().await.unwrap().status(), 401);
        assert_eq!(Session::owner(&world).await.gives("hub_status", json!({})).await["session_count"], 0);
    }
}

#[tokio::test]
async fn an_agent_has_its_own_session_and_answers_nothing() {
    let world = World::new().await;
    let owner = Session::owner(&world).await;
    let own = owner.gives("register_session", json!({"display_name": "own"})).await["session_id"].clone();
    let other = owner.gives("register_session", json!({"display_name": "other"})).await["session_id"].clone();
    let token = world.ask(Method::POST, "/v1/tokens").bearer_auth(OWNER);
    let token = token.json(&json!({"name": "bot", "scope": {"agent": own}})).send().await.unwrap();
    let token: Value = token.json().await.unwrap();
    let token = token["token"].as_str().unwrap();
    let agent = Session::open(&world, Some(token), "2025-11-25", json!({})).await;
    assert_eq!(agent.gives("register_session", json!({"display_name": "x"})).await["session_id"], own);
    let asked =
        agent.gives("create_input_request", json!({"session_id": own, "title": "t", "question": "q"})).await;
    owner.gives("create_input_request", json!({"session_id": other, "title": "t", "question": "q"})).await;
    for (tool, count) in [("list_sessions", 1), ("list_requests", 1)] {
        let listed = agent.gives(tool, json!({})).await;
        assert_eq!(
            listed["result"].as_array().unwrap().len(),
            count,
            "{tool} tells of the agent's own session alone"
        );
    }
    let request = &asked["request_id"];
    for (tool, arguments) in [
        ("respond_to_request", json!({"request_id": request, "response_text": "yes"})),
        ("dismiss_request", json!({"request_id": request})),
        ("create_input_request", json!({"session_id": other, "title": "t", "question": "q"})),
        ("poll_inbox", json!({"session_id": other, "timeout": 0})),
    ] {
        let why = agent.fails(tool, arguments).await;
        assert!(why.contains("403 Forbidden"), "{tool}: {why}");
    }
    let foreign = agent
        .ask("resources/read", json!({"uri": format!("trunkline://sessions/{}", other.as_str().unwrap())}));
    assert!(foreign.await["error"]["message"].as_str().unwrap().contains("403"));
    assert_eq!(
        owner.gives("respond_to_request", json!({"request_id": request, "response_text": "yes"})).await["status"],
        "ANSWERED"
    );
    assert_eq!(
        agent.gives("poll_inbox", json!({"session_id": own, "timeout": 0})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn an_agent_leaves_its_work_and_another_takes_it_over() {
    let world = World::new().await;
    let first = Session::local(&world).await;
    let save = json!({
        "summary": "port the parser", "todos": ["error paths"], "files": ["src/parse.rs"], "repo": "/work",
        "checkpoint": {"line": 5},
    });
    let saved = first.gives("handoff_save", save).await;
    assert_eq!((&saved["agent_id"], &saved["status"]), (&json!("tester"), &json!("active")));
    let changed = json!({"handoff_id": saved["id"], "summary": "half done", "status": "paused"});
    let changed = first.gives("handoff_save", changed).await;
    assert_eq!((&changed["task_summary"], &changed["todos"]), (&json!("half done"), &json!(["error paths"])));
    let second = Session::owner(&world).await;
    let resumed = second.gives("handoff_resume", json!({"repo": "/work"})).await;
    assert_eq!(resumed["handoff_id"], saved["id"]);
    let prompt = resumed["prompt"].as_str().unwrap();
    assert!(prompt.contains("\n| half done\n") && prompt.contains("\n| line: 5\n"), "{prompt}");
    let done = json!({"handoff_id": saved["id"], "summary": "done", "status": "completed"});
    second.gives("handoff_save", done).await;
    let none = second.fails("handoff_resume", json!({"repo": "/work"})).await;
    assert!(none.contains("Nobody has left any work here"), "{none}");
    let unknown = second.fails("handoff_resume", json!({"handoff_id": "none"})).await;
    assert!(unknown.contains("404 Not Found: Handoff not found"), "{unknown}");
    assert!(second.fails("handoff_resume", json!({})).await.contains("which work?"));
    let (hosted, _) = world.hosted().await;
    let theirs = json!({"session_id": hosted, "summary": "x"});
    assert!(
        first.fails("handoff_save", theirs).await.contains("403"),
        "in the name of somebody else's session"
    );
}

#[tokio::test]
async fn an_agent_writes_to_another_and_a_program_without_a_token_asks_first() {
    let world = World::new().await;
    let (hosted, _) = world.hosted().await;
    let local = Session::local(&world).await;
    let asked = local.gives("send_to_agent", json!({"to": hosted, "text": "hello"})).await;
    assert_eq!(asked["state"], "asking", "{asked}");
    let owner = Session::owner(&world).await;
    let sent = owner.gives("send_to_agent", json!({"to": hosted, "text": "hello"})).await;
    assert!(sent["turn"].is_u64(), "{sent}");
    let again = owner.fails("send_to_agent", json!({"to": hosted, "text": "hello"})).await;
    assert!(
        again.contains("429") && again.contains("`cooldown`"),
        "an agent writes, whoever's token it holds: {again}"
    );
    let unknown = owner.fails("send_to_agent", json!({"to": "nobody", "text": "hello"})).await;
    assert!(unknown.contains("there is no agent nobody"), "{unknown}");
}
