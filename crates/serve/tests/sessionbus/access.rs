//! Who is let in without a credential, and to what.

use reqwest::Method;
use serde_json::json;
use trunkline_serve::Sessionbus;

use crate::world::{OWNER, World, fails, ok};

#[tokio::test]
async fn browsers_and_proxies_need_a_token() {
    let world = World::new().await;
    let own = format!("http://{}", world.address);
    for (name, value) in [
        ("origin", own.as_str()),
        ("sec-fetch-site", "none"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-dest", "empty"),
        ("forwarded", "for=1.2.3.4"),
        ("via", "1.1 proxy"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "https"),
    ] {
        for path in ["/api/sessions", "/partials/requests", "/ui/sessionbus/"] {
            let (status, detail) = fails(world.ask(Method::GET, path).header(name, value)).await;
            assert_eq!(status, 401, "{name} {path}");
            assert!(detail.as_str().unwrap().contains("token"));
        }
        ok(world.ask(Method::GET, "/api/sessions").header(name, value).bearer_auth(OWNER)).await;
    }
    let foreign =
        world.ask(Method::GET, "/api/sessions").header("host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    let wrong = world.ask(Method::GET, "/api/sessions").bearer_auth("wrong");
    assert_eq!(fails(wrong).await.0, 401, "a token that is wrong is not the same as none");
}

#[tokio::test]
async fn without_a_token_only_what_was_registered_here_is_moved() {
    let world = World::new().await;
    let (hosted, _) = world.hosted().await;
    let made = world.ask(Method::POST, "/v1/sessions").bearer_auth(OWNER);
    let made: serde_json::Value = made
        .json(&json!({"driver": "external", "agent": "cron"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for id in [hosted.as_str(), made["id"].as_str().unwrap()] {
        let posts = [
            ("heartbeat", json!({"state": "DONE"})),
            ("state", json!({"state": "DONE"})),
            ("requests", json!({"title": "t", "question": "q"})),
        ];
        for (what, body) in posts {
            let asked = world.ask(Method::POST, &format!("/api/sessions/{id}/{what}")).json(&body);
            assert_eq!(fails(asked).await.0, 403, "{what}");
        }
        let inbox = world.ask(Method::GET, &format!("/api/sessions/{id}/inbox?timeout=0"));
        assert_eq!(fails(inbox).await.0, 403);
    }
    for path in ["/v1/sessions", "/v1/requests", "/v1/feed", "/v1/tokens"] {
        assert_eq!(world.ask(Method::GET, path).send().await.unwrap().status(), 401, "{path}");
    }
    let beat = world.ask(Method::POST, &format!("/api/sessions/{}/heartbeat", made["id"].as_str().unwrap()));
    let said = ok(beat.bearer_auth(OWNER).json(&json!({"state": "WORKING"}))).await;
    assert_eq!(said["state"], "WORKING");
}

#[tokio::test]
async fn it_can_be_closed() {
    let world = World::with(Sessionbus::Token).await;
    assert_eq!(fails(world.ask(Method::GET, "/api/sessions")).await.0, 401);
    ok(world.ask(Method::GET, "/api/sessions").bearer_auth(OWNER)).await;
    let world = World::with(Sessionbus::Off).await;
    for path in ["/api/sessions", "/partials/requests", "/static/app.js"] {
        let asked = world.ask(Method::GET, path).bearer_auth(OWNER);
        assert_eq!(fails(asked).await, (404, json!("Not Found")), "{path}");
    }
}

#[tokio::test]
async fn scopes_count_here_too() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let request = world.question(&session, "t").await;
    let token = |body: serde_json::Value| {
        let made = world.ask(Method::POST, "/v1/tokens").bearer_auth(OWNER).json(&body);
        async move { made.send().await.unwrap().json::<serde_json::Value>().await.unwrap() }
    };
    let viewer = token(json!({"name": "v", "scope": "viewer"})).await["token"].as_str().unwrap().to_owned();
    ok(world.ask(Method::GET, "/api/requests").bearer_auth(&viewer)).await;
    let respond = |token: &str| {
        let asked = world.ask(Method::POST, &format!("/api/requests/{request}/respond")).bearer_auth(token);
        asked.json(&json!({"response_text": "x"}))
    };
    assert_eq!(fails(respond(&viewer)).await.0, 403);
    let agent =
        token(json!({"name": "a", "scope": {"agent": session}})).await["token"].as_str().unwrap().to_owned();
    assert_eq!(fails(respond(&agent)).await.0, 403, "an agent never answers itself");
    let inbox =
        world.ask(Method::GET, &format!("/api/sessions/{session}/inbox?timeout=0")).bearer_auth(&agent);
    ok(inbox).await;
    let local = token(json!({"name": "l", "scope": "local"})).await;
    assert_eq!(local["code"], "invalid");
}
