//! Keys, the registry, and the form of lines.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn keys_are_written_read_and_listed() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.ok(json!({"op": "put", "key": "b", "value": {"x": [1, "é"]}, "agent": "ana"})).await;
    client.ok(json!({"op": "put", "key": "a", "namespace": "default"})).await;
    client.ok(json!({"op": "put", "key": 1, "value": 7, "agent": "ben"})).await;
    assert_eq!(client.ok(json!({"op": "get", "key": "b"})).await, json!({"value": {"x": [1, "é"]}}));
    assert_eq!(client.ok(json!({"op": "get", "key": "a"})).await, json!({"value": null}));
    assert_eq!(client.ok(json!({"op": "get", "key": true})).await, json!({"value": 7}), "as Python has it");
    assert_eq!(client.ok(json!({"op": "get", "key": "1"})).await, json!({"value": null}));
    assert_eq!(client.ok(json!({"op": "keys"})).await, json!({"keys": ["b", "a", 1]}));
    assert_eq!(client.ok(json!({"op": "keys", "agent": "ana"})).await, json!({"keys": ["b"]}));
    assert_eq!(client.ok(json!({"op": "keys", "namespace": null})).await, json!({"keys": []}));
    let all = json!({"data": {"b": {"x": [1, "é"]}, "a": null, "1": 7}});
    assert_eq!(client.ok(json!({"op": "all"})).await, all);
    assert_eq!(client.ok(json!({"op": "snapshot"})).await, all);
    assert_eq!(client.ok(json!({"op": "delete", "key": "b"})).await, json!({"deleted": true}));
    assert_eq!(client.ok(json!({"op": "delete", "key": "b"})).await, json!({"deleted": false}));
    assert_eq!(client.ok(json!({"op": "restore", "data": {"c": 1, "d": 2}})).await, json!({"count": 2}));
    assert_eq!(client.ok(json!({"op": "clear"})).await, json!({"count": 4}));
    assert_eq!(client.ok(json!({"op": "clear"})).await, json!({"count": 0}));
}

#[tokio::test]
async fn what_has_expired_is_not_there_for_anybody() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.ok(json!({"op": "put", "key": "k", "value": 1, "agent": "ana", "ttl": -1})).await;
    for (request, reply) in [
        (json!({"op": "get", "key": "k"}), json!({"value": null})),
        (
            json!({"op": "transfer", "from_agent": "ana", "to_agent": "ben"}),
            json!({"transferred": 0, "keys": []}),
        ),
        (json!({"op": "delete", "key": "k"}), json!({"deleted": false})),
        (json!({"op": "clear"}), json!({"count": 0})),
    ] {
        assert_eq!(client.ok(request).await, reply);
    }
    client.ok(json!({"op": "put", "key": "k", "value": 1, "ttl": 0})).await;
    assert_eq!(client.ok(json!({"op": "get", "key": "k"})).await, json!({"value": 1}), "for ever");
}

#[tokio::test]
async fn keys_go_over_to_another_owner_and_leave_a_receipt() {
    let world = World::new().await;
    let mut client = world.client().await;
    for (key, agent) in [("a", "ana"), ("b", "ben"), ("c", "ana")] {
        client.ok(json!({"op": "put", "key": key, "value": 1, "agent": agent})).await;
    }
    let some = json!({"op": "transfer", "from_agent": "ana", "to_agent": "cleo", "keys": ["c", "b", "x"]});
    assert_eq!(
        client.ok(some).await,
        json!({"transferred": 1, "keys": ["c"]}),
        "what is ben's is not ana's to give"
    );
    let all = json!({"op": "transfer", "from_agent": "ana", "to_agent": "cleo"});
    assert_eq!(client.ok(all).await, json!({"transferred": 1, "keys": ["a"]}));
    let receipts = client.ok(json!({"op": "transfers"})).await;
    assert_eq!(receipts["transfers"][0]["keys"], json!(["c"]));
    let agents = client.ok(json!({"op": "agents"})).await;
    let names: Vec<_> = agents["agents"].as_array().unwrap().iter().map(|agent| &agent["agent_id"]).collect();
    assert_eq!(names, ["ana", "ben", "cleo"], "whoever is named takes part");
}

#[tokio::test]
async fn an_agent_registers() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.ok(json!({"op": "register", "agent_id": "ana", "metadata": {"model": "m"}})).await;
    let seen = client.ok(json!({"op": "agents"})).await["agents"][0].clone();
    assert_eq!((&seen["agent_id"], &seen["metadata"]), (&json!("ana"), &json!({"model": "m"})));
    assert_eq!(seen["first_seen"], seen["last_seen"]);
    let moment = seen["first_seen"].as_str().unwrap();
    assert!(moment.ends_with("+00:00") && moment.as_bytes()[10] == b'T', "{moment}");
    client.ok(json!({"op": "register", "agent_id": "ana", "metadata": ""})).await;
    assert_eq!(client.ok(json!({"op": "agents"})).await["agents"][0]["metadata"], json!({}));
}

#[tokio::test]
async fn each_line_has_its_reply_in_order_and_the_connection_goes_on() {
    let world = World::new().await;
    let mut client = world.client().await;
    client
        .send(concat!(
            "\n  \r\n",
            "{\"op\": \"put\", \"key\": \"k\", \"value\": 1, \"id\": 7}\r\n",
            "{\"op\": \"get\", \"key\": \"k\", \"id\": \"a\"}\n",
            "nonsense\n",
            "{\"op\": \"put\"}\n",
            "{\"op\": \"fly\", \"id\": 9}\n",
            "{\"op\": \"get\", \"key\": \"k\"}",
        ))
        .await;
    client.finish().await;
    let mut replies = Vec::new();
    while let Some(reply) = client.line().await {
        replies.push(reply);
    }
    assert_eq!(
        replies,
        [
            json!({"ok": true, "id": 7}),
            json!({"ok": true, "id": "a", "value": 1}),
            json!({"ok": false, "error": "invalid JSON"}),
            json!({"ok": false, "error": "'key'"}),
            json!({"ok": false, "id": 9, "error": "unknown op: fly"}),
            json!({"ok": true, "value": 1}),
        ]
    );
}

#[tokio::test]
async fn a_line_that_is_too_long_is_told_so() {
    let world = World::new().await;
    let mut client = world.client().await;
    let large = vec![b'x'; 17 << 20];
    client.send(&large).await;
    client.send("\n{\"op\": \"ping\"}\n").await;
    let told = client.line().await.unwrap()["error"].as_str().unwrap().to_owned();
    assert_eq!(told, "a line of 17825792 bytes is longer than the limit of 16777216 bytes");
    assert_eq!(client.line().await, Some(json!({"ok": true, "pong": true})));
}

#[tokio::test]
async fn bytes_that_are_no_text_and_deep_json_cost_nobody_the_connection() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.send(b"\xff\xfe\n").await;
    assert_eq!(client.line().await.unwrap()["error"], "invalid UTF-8");
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    client.send(format!("{{\"op\": \"put\", \"key\": \"deep\", \"value\": {deep}}}\n")).await;
    assert_eq!(client.line().await, Some(json!({"ok": true})));
}
