//! The audit over `/v1`: what is told of each deed, the filters, and a chain that holds.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use trunkline_core::audit::chain::{Head, Link, Verifier};
use trunkline_core::id::Seq;
use trunkline_core::raw::Raw;

use crate::world::{World, read};

/// The records of a list, oldest first, with what is not the same in each run taken out.
async fn told(world: &World, query: &str) -> Vec<Value> {
    let (status, page) = world.get(&format!("/v1/audit{query}")).await;
    assert_eq!(status, 200, "{page}");
    let items = page["items"].as_array().unwrap();
    items.iter().rev().map(|item| item["record"].clone()).collect()
}

fn kinds(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["deed"]["kind"].as_str().unwrap()).collect()
}

/// A part of the chain. A hash is of the bytes that were sent, so they are kept as they are.
#[derive(Deserialize)]
struct Part {
    items: Vec<Item>,
    next: Option<String>,
    head: Head,
}

#[derive(Deserialize)]
struct Item {
    n: Seq,
    prev: String,
    hash: String,
    record: Raw,
}

async fn verify(world: &World) -> Head {
    let mut verifier = Verifier::default();
    let mut after = "0".to_owned();
    loop {
        let response =
            world.ask(Method::GET, &format!("/v1/audit/chain?after={after}")).send().await.unwrap();
        let part: Part = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        for Item { n, prev, hash, record } in &part.items {
            verifier.take(&Link { n: *n, prev, hash, record: record.get() }).unwrap();
        }
        let Some(next) = part.next else {
            let verified = verifier.finish().unwrap();
            assert_eq!(verified, part.head);
            return verified;
        };
        after = next;
    }
}

#[tokio::test]
async fn each_deed_is_told_with_who_from_where_and_what_was_seen() {
    let world = World::new().await;
    let session = world.session().await;
    let (_, made) = world.post("/v1/tokens", &json!({ "name": "phone", "scope": "operator" })).await;
    let request = world.question(&session).await;
    let answer = world.http.post(world.url(&format!("/v1/requests/{request}/answer")));
    let answer = answer.bearer_auth(made["token"].as_str().unwrap()).header("user-agent", "phone/1");
    assert_eq!(read(answer.json(&json!({ "option": "yes" }))).await.0, 200);
    let grants = format!("/v1/sessions/{session}/grants");
    let (_, grant) = world.post(&grants, &json!({ "pattern": "shell(npm run *)" })).await;
    let grant = grant["id"].as_str().unwrap();
    world.post(&grants, &json!({ "mode": "default" })).await;
    world.post(&grants, &json!({ "mode": "trust_all" })).await;
    assert_eq!(world.delete(&format!("{grants}/{grant}")).await, 204);
    world.post("/v1/grants", &json!({ "pattern": "read", "project": "/work" })).await;
    assert_eq!(world.delete(&format!("/v1/tokens/{}", made["id"].as_str().unwrap())).await, 204);
    assert_eq!(world.delete(&format!("/v1/sessions/{session}")).await, 204);
    let all = told(&world, "").await;
    assert_eq!(
        kinds(&all),
        [
            "token.created",
            "request.answered",
            "grant.added",
            "mode.changed",
            "grant.revoked",
            "mode.changed",
            "grant.revoked",
            "grant.added",
            "token.revoked",
            "session.deleted"
        ]
    );
    let answered = &all[1];
    assert_eq!((&answered["by"], &answered["session"]), (&json!("token/phone"), &json!(session)));
    let source = &answered["source"];
    assert_eq!((&source["transport"], &source["token"]), (&json!("tcp"), &made["id"]), "{source}");
    assert!(source["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{source}");
    let deed = &answered["deed"];
    assert_eq!((&deed["request"], &deed["option"]["id"]), (&json!(request), &json!("yes")));
    assert_eq!(deed["asked"]["title"], "Go on?");
    assert_eq!(all[4]["deed"]["ended"], "replaced");
    assert_eq!(all[6]["deed"], json!({ "kind": "grant.revoked", "grant": grant, "ended": "revoked" }));
    assert!(
        !serde_json::to_string(&all).unwrap().contains(made["token"].as_str().unwrap()),
        "no secret is told"
    );
    assert_eq!(verify(&world).await.n, Seq(10), "the session is gone, and what was done in it is not");
    let of_session = told(&world, &format!("?session={session}")).await;
    assert_eq!(of_session.len(), 7);
    assert_eq!(kinds(&told(&world, "?principal=token/phone").await), ["request.answered"]);
    assert_eq!(told(&world, "?kind=mode.changed&principal=owner").await.len(), 2);
    assert_eq!(told(&world, "?since=99999999999999").await.len(), 0);
    let since = all[0]["at"].as_i64().unwrap();
    assert_eq!(told(&world, &format!("?since={since}")).await.len(), 10);
}

#[tokio::test]
async fn pages_go_on_where_they_ended() {
    let world = World::new().await;
    for n in 0..5 {
        world.post("/v1/tokens", &json!({ "name": format!("t{n}"), "scope": "viewer" })).await;
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = world.get(&format!("/v1/audit?limit=2{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["record"]["deed"]["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["t4", "t3", "t2", "t1", "t0"]);
}

#[tokio::test]
async fn a_browser_that_was_let_in_by_a_link_is_told_with_its_place() {
    let world = World::new().await;
    let (_, link) = world.post("/v1/links", &json!({})).await;
    let exchange = world.http.post(world.url("/v1/exchange")).header("x-forwarded-for", "192.0.2.7");
    let (status, signed_in) = read(exchange.json(&json!({ "code": link["code"] }))).await;
    assert_eq!(status, 200);
    let made = &told(&world, "").await[0];
    assert_eq!((&made["by"], &made["deed"]["name"]), (&json!("trunkline"), &signed_in["name"]));
    assert_eq!(made["source"]["forwarded"], true, "{made}");
}

#[tokio::test]
async fn the_audit_is_the_owners() {
    let world = World::new().await;
    let session = world.session().await;
    for scope in [json!("viewer"), json!("operator"), json!({ "agent": session })] {
        let name = scope.to_string().chars().filter(char::is_ascii_alphanumeric).take(20).collect::<String>();
        let (_, made) = world.post("/v1/tokens", &json!({ "name": name, "scope": scope })).await;
        for path in ["/v1/audit", "/v1/audit/chain"] {
            let ask =
                world.http.request(Method::GET, world.url(path)).bearer_auth(made["token"].as_str().unwrap());
            assert_eq!(read(ask).await.0, StatusCode::FORBIDDEN, "{scope} {path}");
        }
    }
    let (status, problem) = world.get("/v1/audit?kind=everything").await;
    assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("kind")));
}
