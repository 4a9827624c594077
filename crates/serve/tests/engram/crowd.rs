//! Many clients, and some that do not behave.

use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{World, signal};

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_that_come_at_once_are_all_served() {
    let world = World::new().await;
    let mut clients = JoinSet::new();
    for n in 0..500 {
        let connecting = tokio::net::TcpStream::connect(world.address);
        clients.spawn(async move { (n, connecting.await.unwrap()) });
    }
    let mut streams = Vec::new();
    while let Some(connected) = clients.join_next().await {
        streams.push(connected.unwrap());
    }
    let mut replies = JoinSet::new();
    for (n, mut stream) in streams {
        replies.spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            stream
                .write_all(format!("{{\"op\": \"put\", \"key\": {n}, \"value\": {n}}}\n").as_bytes())
                .await
                .unwrap();
            let mut reply = [0; 13];
            stream.read_exact(&mut reply).await.unwrap();
            assert_eq!(&reply, b"{\"ok\": true}\n");
        });
    }
    while let Some(replied) = replies.join_next().await {
        replied.unwrap();
    }
    let keys = world.client().await.ok(json!({"op": "keys"})).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_holds_nobody_up_and_is_cut_off() {
    let world = World::new().await;
    let (mut deaf, mut well) = (world.client().await, world.client().await);
    for client in [&mut deaf, &mut well] {
        client.ok(json!({"op": "subscribe", "topic": "t"})).await;
    }
    let mut publisher = world.client().await;
    let data = json!("x".repeat(1 << 20));
    for _ in 0..64 {
        publisher.ok(json!({"op": "publish", "topic": "t", "data": data})).await;
        assert_eq!(well.line().await, Some(signal("t", &data, None)));
    }
    // What it reads now is what had been sent, up to where it was cut.
    let mut told = 0;
    while deaf.line().await.is_some() {
        told += 1;
    }
    assert!(told < 64, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_of_one_key_are_all_told_the_truth() {
    let world = World::new().await;
    let mut writers = JoinSet::new();
    for n in 0..16 {
        let mut client = world.client().await;
        writers.spawn(async move {
            for _ in 0..50 {
                client.ok(json!({"op": "put", "key": format!("own{n}"), "value": n})).await;
                let own = client.ok(json!({"op": "get", "key": format!("own{n}")})).await;
                assert_eq!(own, json!({"value": n}), "its own write, and nobody else's");
                client.ok(json!({"op": "put", "key": "shared", "value": n})).await;
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    assert_eq!(world.client().await.ok(json!({"op": "keys"})).await["keys"].as_array().unwrap().len(), 17);
}
