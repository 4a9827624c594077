//! Tokens, scopes and one-time links.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, read};

async fn token(world: &World, name: &str, scope: &Value) -> (String, String) {
    let (status, made) = world.post("/v1/tokens", &json!({"name": name, "scope": scope})).await;
    assert_eq!(status, 201, "{made}");
    (made["token"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_link_lets_a_browser_in_once() {
    let world = World::new().await;
    let (_, link) = world.post("/v1/links", &json!({})).await;
    let url = link["url"].as_str().unwrap();
    assert!(url.contains("/#code="), "the code is in the fragment: {url}");
    let exchange = || read(world.http.post(world.url("/v1/exchange")).json(&json!({"code": link["code"]})));
    let (status, signed_in) = exchange().await;
    assert_eq!(status, 200);
    let token = signed_in["token"].as_str().unwrap();
    let (_, me) = read(world.http.get(world.url("/v1/me")).bearer_auth(token)).await;
    assert_eq!(
        me,
        json!({"principal": format!("token/{}", signed_in["name"].as_str().unwrap()), "scope": "admin"})
    );
    assert_eq!(exchange().await.0, 401, "a code works once");
}

#[tokio::test]
async fn another_link_replaces_the_token_that_a_browser_had() {
    let world = World::new().await;
    let (own, _) = token(&world, "own", &json!("operator")).await;
    let sign_in = async |old: &str| {
        let (_, link) = world.post("/v1/links", &json!({})).await;
        let sent = world.http.post(world.url("/v1/exchange")).bearer_auth(old);
        let (status, signed_in) = read(sent.json(&json!({"code": link["code"]}))).await;
        assert_eq!(status, 200);
        signed_in["token"].as_str().unwrap().to_owned()
    };
    let first = sign_in(&own).await;
    let second = sign_in(&first).await;
    let third = sign_in("unknown").await;
    let me =
        async |token: &str| read(world.http.get(world.url("/v1/me")).bearer_auth(token)).await.0.as_u16();
    assert_eq!((me(&own).await, me(&first).await), (200, 401), "tokens that people have made stay");
    assert_eq!((me(&second).await, me(&third).await), (200, 200), "other browsers' tokens stay");
}

#[tokio::test]
async fn a_scope_is_what_its_holder_may_do() {
    let world = World::new().await;
    let session = world.session().await;
    let request = world.question(&session).await;
    let (viewer, _) = token(&world, "viewer", &json!("viewer")).await;
    let (operator, _) = token(&world, "operator", &json!("operator")).await;
    let (agent, _) = token(&world, "agent", &json!({ "agent": session })).await;
    let other = world.session().await;
    let own = format!("/v1/sessions/{session}");
    let answer = format!("/v1/requests/{request}/answer");
    let ask = json!({"kind": "question", "title": "And this?"});
    for (method, path, body, expected) in [
        (Method::GET, "/v1/sessions".to_owned(), None, [200, 200, 403]),
        (Method::GET, own.clone(), None, [200, 200, 200]),
        (Method::GET, format!("/v1/sessions/{other}"), None, [200, 200, 403]),
        (Method::GET, format!("{own}/inbox"), None, [403, 200, 200]),
        (Method::POST, format!("{own}/requests"), Some(&ask), [403, 201, 201]),
        (Method::POST, format!("/v1/sessions/{other}/requests"), Some(&ask), [403, 201, 403]),
        (Method::POST, answer, Some(&json!({"text": "x"})), [403, 200, 403]),
        (
            Method::POST,
            "/v1/tokens".to_owned(),
            Some(&json!({"name": "n", "scope": "admin"})),
            [403, 403, 403],
        ),
        (Method::POST, "/v1/shutdown".to_owned(), Some(&json!({})), [403, 403, 403]),
        (Method::POST, "/v1/links".to_owned(), Some(&json!({})), [403, 201, 403]),
        (Method::GET, "/v1/feed".to_owned(), None, [200, 200, 403]),
    ] {
        for (holder, expected) in [&viewer, &operator, &agent].into_iter().zip(expected) {
            // The agent's turn comes last for answers, so that an earlier refusal is by scope and not by loss.
            let mut sent = world.http.request(method.clone(), world.url(&path)).bearer_auth(holder);
            if let Some(body) = body {
                sent = sent.json(body);
            }
            assert_eq!(sent.send().await.unwrap().status(), expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_revoked_or_expired_token_opens_nothing_and_no_answer_shows_a_secret() {
    let world = World::new().await;
    let (secret, id) = token(&world, "phone", &json!("operator")).await;
    let (_, listed) = world.get("/v1/tokens").await;
    assert_eq!(listed["items"][0]["name"], "phone");
    assert!(!listed.to_string().contains(&secret) && !listed.to_string().contains("sha256"));
    let (status, twice) = world.post("/v1/tokens", &json!({"name": "phone", "scope": "viewer"})).await;
    assert_eq!((status.as_u16(), twice["code"].as_str()), (409, Some("exists")));
    assert_eq!(world.delete(&format!("/v1/tokens/{id}")).await, 204);
    assert_eq!(read(world.http.get(world.url("/v1/me")).bearer_auth(&secret)).await.0, 401);
    let (status, _) = world.post("/v1/tokens", &json!({"name": "gone", "scope": "viewer", "ttl_s": 0})).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn a_token_that_no_longer_counts_ends_what_it_opened() {
    let world = World::new().await;
    let session = world.session().await;
    let events = format!("/v1/sessions/{session}/events");
    let (lasting, _) = token(&world, "lasting", &json!("viewer")).await;
    let (secret, id) = token(&world, "phone", &json!("viewer")).await;
    let (agent, agents) = token(&world, "agent", &json!({ "agent": session })).await;
    let mut ended = [world.stream_as(&secret, &events).await, world.stream_as(&secret, "/v1/feed").await];
    let mut others = [world.stream_as(&lasting, &events).await, world.stream("/v1/feed").await];
    for stream in ended.iter_mut().chain(&mut others) {
        stream.until("caught-up").await;
    }
    let inbox = world.url(&format!("/v1/sessions/{session}/inbox?wait_ms=120000"));
    let polled = read(world.http.get(inbox).bearer_auth(&agent));
    let revoke = async {
        for id in [id, agents] {
            assert_eq!(world.delete(&format!("/v1/tokens/{id}")).await, 204);
        }
    };
    let ((status, _), ()) = tokio::join!(polled, revoke);
    assert_eq!(status, 401);
    for stream in &mut ended {
        let bye = stream.until("bye").await.pop().unwrap();
        assert_eq!(bye.data, r#"{"reason":"token"}"#);
        assert!(stream.next().await.is_none());
    }
    let brief = json!({"name": "brief", "scope": "viewer", "ttl_s": 1});
    let (_, made) = world.post("/v1/tokens", &brief).await;
    let mut expiring = world.stream_as(made["token"].as_str().unwrap(), "/v1/feed").await;
    assert_eq!(expiring.until("bye").await.pop().unwrap().data, r#"{"reason":"token"}"#);
    assert_eq!(world.get("/v1/tokens").await.1["items"].as_array().unwrap().len(), 1, "those in force");
    world.question(&session).await;
    for stream in &mut others {
        assert!(stream.next().await.is_some(), "others go on");
    }
}
