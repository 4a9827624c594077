//! Topics: who is told what, and when.

use serde_json::{Value, json};

use crate::world::{World, signal};

fn publish(topic: &str, data: impl Into<Value>) -> Value {
    json!({"op": "publish", "topic": topic, "data": data.into(), "agent": "ana"})
}

#[tokio::test]
async fn a_subscriber_is_told_of_its_own_message_before_its_reply() {
    let world = World::new().await;
    let mut client = world.client().await;
    assert_eq!(client.ok(publish("t", 0)).await, json!({"count": 0}));
    client.ok(json!({"op": "subscribe", "topic": "t"})).await;
    client.ok(json!({"op": "subscribe", "topic": "t"})).await;
    client.send(format!("{}\n{}\n", publish("t", 1), publish("t", 2))).await;
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(client.line().await.unwrap());
    }
    let told = |n: i32| signal("t", &json!(n), Some("ana"));
    let count = json!({"ok": true, "count": 1});
    assert_eq!(lines, [told(1), told(2), count.clone(), count], "once, and nothing of what was before");
}

#[tokio::test]
async fn all_subscribers_are_told_and_counted() {
    let world = World::new().await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut reader = world.client().await;
        reader.ok(json!({"op": "subscribe", "topic": "t"})).await;
        readers.push(reader);
    }
    let mut client = world.client().await;
    assert_eq!(client.ok(publish("t", "x")).await, json!({"count": 3}));
    for reader in &mut readers {
        assert_eq!(
            reader.line().await,
            Some(signal("t", &json!("x"), Some("ana"))),
            "though it asks for nothing"
        );
    }
}

#[tokio::test]
async fn readers_of_a_pattern_are_counted_from_the_first_message_on() {
    let world = World::new().await;
    let mut reader = world.client().await;
    for pattern in ["build.*", "build.>"] {
        reader.ok(json!({"op": "subscribe", "topic": pattern, "wildcard": true})).await;
    }
    let mut client = world.client().await;
    for n in 0..50 {
        let topic = format!("build.{n}");
        assert_eq!(client.ok(publish(&topic, n)).await, json!({"count": 1}), "{topic} is new");
        assert_eq!(reader.line().await, Some(signal(&topic, &json!(n), Some("ana"))));
        assert_eq!(client.ok(publish(&topic, n)).await, json!({"count": 1}), "{topic} was met");
        assert_eq!(reader.line().await, Some(signal(&topic, &json!(n), Some("ana"))));
    }
    reader.ok(json!({"op": "unsubscribe", "topic": "build.*", "wildcard": true})).await;
    reader.ok(json!({"op": "unsubscribe", "topic": "build.>", "wildcard": true})).await;
    assert_eq!(client.ok(publish("build.new", 1)).await, json!({"count": 0}));
}

#[tokio::test]
async fn whoever_leaves_is_not_counted() {
    let world = World::new().await;
    let mut client = world.client().await;
    for goodbye in [&b"\xff\n"[..], b"{\"op\": \"put\", \"key\": ", b""] {
        let mut reader = world.client().await;
        reader.ok(json!({"op": "subscribe", "topic": "t"})).await;
        assert_eq!(client.ok(publish("t", 1)).await, json!({"count": 1}));
        reader.send(goodbye).await;
        drop(reader);
        // The end of a connection takes a moment to be seen.
        while client.ok(publish("t", 1)).await != json!({"count": 0}) {}
    }
    let mut reader = world.client().await;
    reader.ok(json!({"op": "subscribe", "topic": "t"})).await;
    assert_eq!(reader.ok(json!({"op": "unsubscribe", "topic": "t"})).await, json!({"unsubscribed": true}));
    assert_eq!(reader.ok(json!({"op": "unsubscribe", "topic": "t"})).await, json!({"unsubscribed": false}));
    assert_eq!(client.ok(publish("t", 1)).await, json!({"count": 0}));
}

#[tokio::test]
async fn what_is_put_is_told_on_a_topic_of_the_namespace() {
    let world = World::new().await;
    let (mut reader, mut client) = (world.client().await, world.client().await);
    reader.ok(json!({"op": "subscribe", "topic": "__bus__.put.ns"})).await;
    client.ok(json!({"op": "put", "key": "k", "value": [1], "agent": "ana", "namespace": "ns"})).await;
    client.ok(json!({"op": "delete", "key": "k", "namespace": "ns"})).await;
    client.ok(json!({"op": "restore", "data": {"r": 2}, "namespace": "ns"})).await;
    let told = signal("__bus__.put.ns", &json!({"key": "k", "value": [1], "agent": "ana"}), Some("ana"));
    assert_eq!(reader.line().await, Some(told));
    let told = signal("__bus__.put.ns", &json!({"key": "r", "value": 2, "agent": null}), None);
    assert_eq!(reader.line().await, Some(told));
    let forged = client.ask(publish("__bus__.put.ns", "forged")).await;
    assert_eq!(forged["ok"], json!(false), "{forged}");
    assert_eq!(client.ok(json!({"op": "signals"})).await, json!({"signals": []}));
}

#[tokio::test]
async fn a_pattern_is_for_topics_that_come_later_too() {
    let world = World::new().await;
    let (mut reader, mut client) = (world.client().await, world.client().await);
    client.ok(publish("build.old", 0)).await;
    reader.ok(json!({"op": "subscribe", "topic": "build.*", "wildcard": true})).await;
    reader.ok(json!({"op": "subscribe", "topic": "build.>", "wildcard": true})).await;
    reader.ok(json!({"op": "subscribe", "topic": "build.*"})).await;
    for topic in ["build.old", "build.new", "built.x", "build.a.b", "build.*"] {
        client.ok(publish(topic, topic)).await;
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(reader.line().await.unwrap()["topic"].as_str().unwrap().to_owned());
    }
    told.sort();
    assert_eq!(told, ["build.*", "build.a.b", "build.new", "build.old"], "each once");
    let left = json!({"op": "unsubscribe", "topic": "build.>", "wildcard": true});
    assert_eq!(reader.ok(left).await, json!({"unsubscribed": true}));
    client.ok(publish("build.a.b", 1)).await;
    client.ok(publish("build.old", 2)).await;
    assert_eq!(reader.line().await, Some(signal("build.old", &json!(2), Some("ana"))));
}

#[tokio::test]
async fn what_was_published_is_listed() {
    let world = World::new().await;
    let mut client = world.client().await;
    for n in 0..60 {
        client.ok(publish(if n % 2 == 0 { "even" } else { "odd" }, n)).await;
    }
    let mut ids = async |members: Value| -> Vec<u64> {
        let mut request = json!({"op": "signals"});
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let signals = client.ok(request).await["signals"].as_array().unwrap().clone();
        signals.iter().map(|signal| signal["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(json!({})).await, (11..=60).collect::<Vec<_>>(), "the newest fifty, the oldest first");
    assert_eq!(ids(json!({"limit": 3, "topic": "odd"})).await, [56, 58, 60]);
    assert_eq!(ids(json!({"limit": 0})).await.len(), 60);
    assert_eq!(ids(json!({"limit": -58})).await, [59, 60]);
    assert_eq!(ids(json!({"agent": "ben"})).await, Vec::<u64>::new());
    assert_eq!(ids(json!({"since": "9"})).await, Vec::<u64>::new());
    assert_eq!(ids(json!({"since": "1", "limit": 2})).await, [59, 60]);
}
