//! What agents share: keys, topics and the registry.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{World, read};

async fn put(world: &World, path: &str, body: Value) -> (StatusCode, Value) {
    read(world.ask(Method::PUT, path).json(&body)).await
}

#[tokio::test]
async fn a_key_is_written_read_listed_and_deleted() {
    let world = World::new().await;
    let (status, first) =
        put(&world, "/v1/kv/ns/keys/a%2Fb", json!({"value": {"n": 1}, "owner": "ana", "durable": true}))
            .await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(world.get("/v1/kv/ns/keys/a%2Fb").await.1, first);
    assert_eq!((&first["value"], &first["owner"]), (&json!({"n": 1}), &json!("ana")));
    for key in ["x", "y", "z"] {
        put(&world, &format!("/v1/kv/ns/keys/{key}"), json!({"value": key, "ttl_ms": 60_000})).await;
    }
    let (_, page) = world.get("/v1/kv/ns?limit=3").await;
    let keys = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|item| item["key"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&page), ["a/b", "x", "y"]);
    assert!(page["items"][1]["expires_at"].is_i64());
    let (_, rest) = world.get(&format!("/v1/kv/ns?limit=3&cursor={}", page["next"].as_str().unwrap())).await;
    assert_eq!((keys(&rest), &rest["next"]), (vec![json!("z")], &Value::Null));
    assert_eq!(keys(&world.get("/v1/kv/ns?prefix=a").await.1), ["a/b"]);
    assert_eq!(keys(&world.get("/v1/kv/ns?owner=ana").await.1), ["a/b"]);
    assert_eq!(world.get("/v1/kv").await.1, json!({"items": [{"namespace": "ns", "keys": 4}]}));
    assert_eq!(world.delete("/v1/kv/ns/keys/x").await, 204);
    assert_eq!(world.delete("/v1/kv/ns/keys/x").await, 404);
    assert_eq!(read(world.ask(Method::DELETE, "/v1/kv/ns").json(&json!({}))).await.1, json!({"count": 3}));
    let (status, problem) = world.get("/v1/kv/ns/keys/a%2Fb").await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn of_two_that_have_read_one_key_one_writes() {
    let world = World::new().await;
    let path = "/v1/kv/ns/keys/lock";
    let (_, held) = put(&world, path, json!({"value": "ana", "if_absent": true})).await;
    let (status, problem) = put(&world, path, json!({"value": "ben", "if_absent": true})).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("changed")), "{problem}");
    let revision = &held["revision"];
    let (status, _) = put(&world, path, json!({"value": "cleo", "if_revision": revision})).await;
    assert_eq!(status, 200);
    let (status, _) = put(&world, path, json!({"value": "dan", "if_revision": revision})).await;
    assert_eq!(status, 409);
    assert_eq!(world.delete(&format!("{path}?revision={revision}")).await, 409);
    let both = put(&world, path, json!({"value": 1, "if_revision": 1, "if_absent": true})).await;
    assert_eq!(both.0, 422);
}

#[tokio::test]
async fn keys_go_over_and_whoever_watches_is_told() {
    let world = World::new().await;
    let mut watch = world.stream("/v1/kv/ns/events").await;
    let (_, count) = world.post("/v1/kv/ns/restore", &json!({"values": {"a": 1, "b": 2}})).await;
    assert_eq!(count, json!({"count": 2}));
    put(&world, "/v1/kv/ns/keys/c", json!({"value": 3, "owner": "ana"})).await;
    let (_, receipt) = world.post("/v1/kv/ns/transfers", &json!({"from": "ana", "to": "ben"})).await;
    assert_eq!((&receipt["keys"], &receipt["to"]), (&json!(["c"]), &json!("ben")));
    let (_, receipts) = world.get("/v1/kv/ns/transfers").await;
    assert_eq!(receipts["items"][0]["keys"], json!(["c"]));
    let mut told = Vec::new();
    while told.len() < 4 {
        let event = watch.next().await.unwrap();
        if event.event == "message" {
            let event: Value = serde_json::from_str(&event.data).unwrap();
            told.push(event["type"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(told, ["key.put", "key.put", "key.put", "keys.transferred"]);
}

#[tokio::test]
async fn what_is_published_is_retained_streamed_and_taken_up_again() {
    let world = World::new().await;
    let publish = async |topic: &str, n: i32| {
        let path = format!("/v1/topics/{topic}/messages");
        world.post(&path, &json!({"data": n, "agent": "ana"})).await.1
    };
    assert_eq!(publish("build.a", 1).await, json!({"id": 1, "seq": 1, "subscribers": 0}));
    let mut stream = world.stream("/v1/topics/build.%3E/events").await;
    assert_eq!(stream.next().await.unwrap().event, "caught-up");
    assert_eq!(publish("build.a", 2).await["subscribers"], json!(1));
    publish("deploy", 3).await;
    publish("build.new.b", 4).await;
    let mut told = Vec::new();
    let mut last = String::new();
    for _ in 0..2 {
        let event = stream.next().await.unwrap();
        let message: Value = serde_json::from_str(&event.data).unwrap();
        told.push((message["topic"].clone(), message["data"].clone()));
        if message["data"] == json!(2) {
            last = event.id;
        }
    }
    told.sort_by_key(|(_, data)| data.as_i64());
    assert_eq!(told, [(json!("build.a"), json!(2)), (json!("build.new.b"), json!(4))]);

    let mut again = world.stream(&format!("/v1/topics/build.%3E/events?after={last}")).await;
    let event = again.next().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&event.data).unwrap()["data"], json!(4));
    assert_eq!(again.next().await.unwrap().event, "caught-up");
    let mut earlier_life = world.stream("/v1/topics/build.a/events?after=7.1").await;
    assert_eq!(earlier_life.next().await.unwrap().event, "gap");

    let (_, listed) = world.get("/v1/topics/build.*/messages").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let (_, topics) = world.get("/v1/topics").await;
    let names: Vec<_> =
        topics["items"].as_array().unwrap().iter().map(|topic| topic["topic"].clone()).collect();
    assert_eq!(names, ["build.a", "build.new.b", "deploy"]);
    let (status, _) = world.post("/v1/topics/__bus__.put.ns/messages", &json!({"data": 1})).await;
    assert_eq!(status, 422);
    assert_eq!(world.get("/v1/topics/a.%3E.b/messages").await.0, 422);
}

#[tokio::test]
async fn an_agent_says_who_it_is() {
    let world = World::new().await;
    let ana = json!({"capabilities": ["review"], "metadata": {"model": "m"}, "lease_ms": 60_000});
    let (status, view) = put(&world, "/v1/agents/ana", ana).await;
    assert_eq!(status, 200, "{view}");
    assert_eq!((&view["capabilities"], &view["present"]), (&json!(["review"]), &json!(true)));
    world.post("/v1/topics/t/messages", &json!({"data": 1, "agent": "ben"})).await;
    let (_, agents) = world.get("/v1/agents").await;
    let names: Vec<_> =
        agents["registered"].as_array().unwrap().iter().map(|agent| agent["agent"].clone()).collect();
    assert_eq!(names, ["ana", "ben"]);
    assert_eq!(world.delete("/v1/agents/ana").await, 204);
    assert_eq!(world.get("/v1/agents/ana").await.0, 404);
}

#[tokio::test]
async fn each_message_goes_to_one_member_of_a_group() {
    let world = World::new().await;
    let take = async |member: &str, more: Value| {
        let mut body = json!({"member": member, "max": 2, "from_start": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, taken) = world.post("/v1/topics/jobs/groups/workers/take", &body).await;
        assert_eq!(status, 200, "{taken}");
        let items = taken["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| (item["seq"].as_u64().unwrap(), item["tries"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let publish = async |n: i32| {
        world.post("/v1/topics/jobs/messages", &json!({"data": n})).await;
    };
    for n in 1..=3 {
        publish(n).await;
    }
    assert_eq!(take("ana", json!({"lease_ms": 100})).await, [(1, 1), (2, 1)]);
    assert_eq!(take("ben", json!({})).await, [(3, 1)]);
    let (_, acked) = world.post("/v1/topics/jobs/groups/workers/ack", &json!({"seqs": [1, 3]})).await;
    assert_eq!(acked, json!({"acked": 2}));
    // Ana does nothing about the second; it waits for whoever asks once her time is over.
    assert_eq!(take("ben", json!({"wait_ms": 30_000})).await, [(2, 2)]);
    let (taken, ()) = tokio::join!(take("cleo", json!({"wait_ms": 30_000})), publish(4));
    assert_eq!(taken, [(4, 1)]);
    assert_eq!(take("dan", json!({})).await, []);
    let (status, _) = world.post("/v1/topics/jobs/groups/a%2Fb/take", &json!({"member": "ana"})).await;
    assert_eq!(status, 422);
}
