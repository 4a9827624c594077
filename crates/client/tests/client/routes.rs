//! The client has a method for every route, and no route that is none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trunkline_client::Client;
use trunkline_client::bus::PutKey;
use trunkline_client::types::{
    AuditQuery, HandoffQuery, NewHandoff, NewRequest, NewSession, NewToken, NewTurn, OldHandoff,
    RequestQuery, SessionChange, SessionQuery,
};
use trunkline_core::handoff::{HandoffId, LaneId, Saved};
use trunkline_core::id::Seq;
use trunkline_core::principal::Scope;
use trunkline_core::profile::{Profile, Provider};
use trunkline_core::raw::Raw;
use trunkline_core::request::Answer;

use crate::server::{Server, json};

const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

/// Calls everything; what comes back is of no interest.
async fn call_everything(client: &Client, base_url: &str) {
    let id = || ID.parse().unwrap();
    let (request, message) = (ID.parse().unwrap(), ID.parse().unwrap());
    let raw = Raw::parse("{}").unwrap();
    client.health().await.ok();
    client.me().await.ok();
    client.openapi().await.ok();
    Client::exchange(base_url, "code").await.ok();
    client.create_session(&NewSession::default()).await.ok();
    client.import("").await.ok();
    client.sessions(&SessionQuery::default()).await.ok();
    client.session(id()).await.ok();
    client.update_session(id(), &SessionChange::default()).await.ok();
    client.close_session(id()).await.ok();
    client.delete_session(id()).await.ok();
    client.events_page(id(), Seq(0), Some(5)).await.ok();
    client.blob(id(), "5e").await.ok();
    client.feed(None, [].into(), None).next().await;
    client.prompt(id(), &NewTurn::text("x")).await.ok();
    client.turn(id(), "7".parse().unwrap()).await.ok();
    client.cancel(id(), None).await.ok();
    client.queue(id()).await.ok();
    client.unqueue(id(), "7".parse().unwrap()).await.ok();
    client.requests(&RequestQuery::default()).await.ok();
    client.request(request).await.ok();
    client.ask(id(), &NewRequest::question("x")).await.ok();
    client.answer(request, &Answer::default()).await.ok();
    client.dismiss(request).await.ok();
    client.withdraw(request).await.ok();
    client.inbox(id(), Duration::ZERO).await.ok();
    client.send(id(), "x", &raw).await.ok();
    client.ack(id(), message).await.ok();
    client.grants(id()).await.ok();
    client.add_grant(id(), "x", None).await.ok();
    client.revoke_grant(id(), ID.parse().unwrap()).await.ok();
    client.settings(id()).await.ok();
    client.set_mode(id(), "x").await.ok();
    client.set_model(id(), "x").await.ok();
    client.set_option(id(), "a/b", &trunkline_core::setting::Value::Bool(true)).await.ok();
    client.all_grants(None).await.ok();
    client.grant(&trunkline_client::types::NewGrant::default()).await.ok();
    client.ungrant(ID.parse().unwrap(), None).await.ok();
    client.preview_grant("read", None, 7).await.ok();
    client.presence(id()).await.ok();
    client.catalog().await.ok();
    client.agents().await.ok();
    client.actions().await.ok();
    client.run_action("a/b").await.ok();
    client.action_runs().await.ok();
    client.pools().await.ok();
    client.pool("a/b").await.ok();
    client.restart_pool("a/b").await.ok();
    client.drain_pool("a/b").await.ok();
    client.resume_pool("a/b").await.ok();
    client.audit(&AuditQuery::default()).await.ok();
    client.audit_chain(Seq(7)).await.ok();
    client.tokens().await.ok();
    client.create_token(&NewToken { name: "x".into(), scope: Scope::Viewer, ttl_s: None }).await.ok();
    client.revoke_token(ID.parse().unwrap()).await.ok();
    client.link().await.ok();
    client.shutdown().await.ok();
    call_the_bus(client).await;
    call_profiles(client).await;
    call_push(client).await;
    call_mcp(client).await;
    call_handoffs(client).await;
}

async fn call_the_bus(client: &Client) {
    let raw = Raw::parse("{}").unwrap();
    let put = PutKey {
        value: raw.clone(),
        owner: None,
        ttl_ms: None,
        if_revision: None,
        if_absent: false,
        durable: false,
    };
    client.namespaces().await.ok();
    client.keys("a/b", None, None).await.ok();
    client.clear_keys("a/b").await.ok();
    client.key("a/b", "a/b").await.ok();
    client.put_key("a/b", "a/b", &put).await.ok();
    client.delete_key("a/b", "a/b", Some(7)).await.ok();
    client.restore_keys("a/b", &BTreeMap::new()).await.ok();
    client.transfer_keys("a/b", "x", "y", None).await.ok();
    client.transfers("a/b").await.ok();
    client.watch_keys("a/b").next().await;
    client.topics().await.ok();
    client.messages("a/b", 7).await.ok();
    client.publish("a/b", &raw, None).await.ok();
    client.subscribe("a/b").next().await;
    client.take("a/b", "a/b", "x", 7).await.ok();
    client.ack_taken("a/b", "a/b", Seq(7)).await.ok();
    client.registered_agent("a/b").await.ok();
    client.register("a/b", None, &[], None).await.ok();
    client.forget("a/b").await.ok();
    client.search("x", None, 7, None).await.ok();
    client.tell("x", "hello").await.ok();
    client.message(ID.parse().unwrap(), ID.parse().unwrap()).await.ok();
}

async fn call_push(client: &Client) {
    client.push().await.ok();
    client.add_push_device(&serde_json::json!({})).await.ok();
    client.remove_push_device("a/b").await.ok();
    client.test_push_device("a/b").await.ok();
}

async fn call_profiles(client: &Client) {
    let profile = Profile::new(Provider::Ollama, "m");
    client.profiles().await.ok();
    client.spending().await.ok();
    client.profile("a/b").await.ok();
    client.put_profile("a/b", &profile).await.ok();
    client.delete_profile("a/b").await.ok();
    client.set_profile_secrets("a/b", Some("k"), &BTreeMap::new()).await.ok();
    client.drop_profile_secrets("a/b").await.ok();
    client.test_profile("a/b").await.ok();
}

async fn call_mcp(client: &Client) {
    let id = ID.parse().unwrap();
    client.mcp_servers().await.ok();
    client.mcp_server("a/b").await.ok();
    client.put_mcp_server("a/b", &serde_json::json!({ "command": "x" })).await.ok();
    client.delete_mcp_server("a/b").await.ok();
    client.session_mcp(id).await.ok();
    client.connect_mcp(id, "a/b").await.ok();
    client.disconnect_mcp(id, "a/b").await.ok();
    client.trust_mcp(id, "a/b", "x").await.ok();
    client.distrust_mcp(id, "a/b").await.ok();
}

async fn call_handoffs(client: &Client) {
    let (id, lane): (HandoffId, LaneId) = ("a/b".parse().unwrap(), "a/b".parse().unwrap());
    let raw = Raw::parse("{}").unwrap();
    let old = OldHandoff { handoff: Saved::of(id.clone(), "x"), lanes: Vec::new(), checkpoints: Vec::new() };
    client.handoffs(&HandoffQuery::default()).await.ok();
    client.save_handoff(&NewHandoff::default()).await.ok();
    client.handoff(&id).await.ok();
    client.handoff_prompt(&id).await.ok();
    client.update_handoff(&id, &NewHandoff::default()).await.ok();
    client.open_lane(&id, None, "x", None).await.ok();
    client.say_in_lane(&id, &lane, None, "x").await.ok();
    client.close_lane(&id, &lane).await.ok();
    client.checkpoint(&id, None, None, &raw).await.ok();
    client.checkpoints(&id, None, None).await.ok();
    client.restore_handoff(&old).await.ok();
}

/// A route as both sides name it: every path parameter is `*`.
fn route(method: &str, path: &str) -> String {
    let part = |part: &str| {
        let named = part.starts_with('{') || part == ID || ["7", "5e", "a%2Fb"].contains(&part);
        if named { "*".to_owned() } else { part.to_owned() }
    };
    let path = path.split('?').next().unwrap_or("");
    format!("{} {}", method.to_uppercase(), path.split('/').map(part).collect::<Vec<_>>().join("/"))
}

#[tokio::test]
async fn every_route_has_a_method() {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        routes.extend(methods.as_object().unwrap().keys().map(|method| route(method, path)));
    }
    let mut server = Server::play(vec![json("200 OK", "{}"); 200]).await;
    let client = Client::new(&server.base_url(), "t").unwrap();
    call_everything(&client, &server.base_url()).await;
    let mut called = BTreeSet::new();
    while let Ok(request) = server.requests.try_recv() {
        let mut words = request.split(' ');
        called.insert(route(words.next().unwrap(), words.next().unwrap()));
    }
    assert_eq!(called, routes);
}
