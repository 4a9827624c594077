//! Who may use it.

use serde_json::json;
use trunkline_core::access::{Command, Created};
use trunkline_core::id::TokenId;
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_serve::Engram;
use uuid::Uuid;

use crate::plain::OWNER;
use crate::world::World;

#[tokio::test]
async fn what_speaks_http_is_not_answered() {
    let world = World::new().await;
    let mut client = world.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n{\"op\": \"put\", \"key\": \"k\", \"value\": 1}\n")
        .await;
    assert_eq!(client.line().await, None, "a page in a browser writes nothing");
    let keys = world.client().await.ok(json!({"op": "keys"})).await;
    assert_eq!(keys, json!({"keys": []}));
}

#[tokio::test]
async fn where_a_token_is_needed_nothing_is_told_without_one() {
    let world = World::with(Engram::Token).await;
    let mut client = world.client().await;
    assert_eq!(client.ok(json!({"op": "ping"})).await, json!({"pong": true}));
    let refused = client.ask(json!({"op": "keys"})).await;
    assert_eq!(
        refused,
        json!({"ok": false, "error": "it is not known who connects; show a token first: {\"op\": \"auth\", \"token\": …}"})
    );
    let refused = client.ask(json!({"op": "auth", "token": "wrong"})).await;
    assert_eq!(refused["ok"], json!(false));
    assert_eq!(client.ok(json!({"op": "auth", "token": OWNER})).await, json!({"principal": "owner"}));
    assert_eq!(client.ok(json!({"op": "keys"})).await, json!({"keys": []}));
}

#[tokio::test]
async fn a_viewer_reads_and_does_not_write() {
    let world = World::with(Engram::Token).await;
    let owner = Caller::new(Principal::owner(), Scope::Admin);
    let created = Created {
        id: TokenId::new(Uuid::now_v7()),
        name: "tv".into(),
        sha256: trunkline_serve::auth::sha256("the-viewer's"),
        scope: Scope::Viewer,
        expires: None,
    };
    world.hub.access(&owner, Command::Create(created)).await.unwrap();
    let mut client = world.client().await;
    client.ok(json!({"op": "auth", "token": "the-viewer's"})).await;
    assert_eq!(client.ok(json!({"op": "keys"})).await, json!({"keys": []}));
    for write in [
        json!({"op": "put", "key": "k", "value": 1}),
        json!({"op": "publish", "topic": "t"}),
        json!({"op": "register", "agent_id": "ana"}),
        json!({"op": "transfer", "from_agent": "a", "to_agent": "b"}),
    ] {
        let refused = client.ask(write).await;
        assert_eq!(refused["error"], "this token may only read; it needs the scope operator", "{refused}");
    }
}
