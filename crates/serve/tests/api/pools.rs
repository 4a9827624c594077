//! Pools over the API.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, read};

#[tokio::test]
async fn pools_are_shown_and_steered_by_name() {
    let world = World::new().await;
    let (status, pools) = world.get("/v1/pools").await;
    assert_eq!(status, 200);
    assert_eq!(pools["items"][0]["name"], "p");
    assert_eq!(pools["items"][0]["workers"][0]["worker"], 0);
    let (status, pool) = world.post("/v1/pools/p/drain", &json!({})).await;
    assert_eq!((status.as_u16(), &pool["drained"]), (200, &json!(true)));
    let (_, pool) = world.post("/v1/pools/p/resume", &json!({})).await;
    assert_eq!(pool["drained"], false);
    for (method, path) in [(Method::GET, "/v1/pools/x"), (Method::POST, "/v1/pools/x/restart")] {
        let (status, problem) = read(world.ask(method, path).json(&json!({}))).await;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (404, Some("not_found")));
    }
}

#[tokio::test]
async fn only_an_admin_steers_a_pool() {
    let world = World::new().await;
    let (_, made) = world.post("/v1/tokens", &json!({"name": "o", "scope": "operator"})).await;
    let token = made["token"].as_str().unwrap();
    let ask = |method, path: &str| world.http.request(method, world.url(path)).bearer_auth(token);
    assert_eq!(read(ask(Method::GET, "/v1/pools")).await.0, 200);
    for wish in ["restart", "drain", "resume"] {
        let refused = read(ask(Method::POST, &format!("/v1/pools/p/{wish}")).json(&json!({}))).await;
        assert_eq!(refused.0, 403, "{wish}");
    }
}
