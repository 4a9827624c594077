//! The origin of the original client's page.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{OWNER, World, read};

#[tokio::test]
async fn the_page_is_there_and_loads_nothing_from_elsewhere() {
    let world = World::new(&[]).await;
    let get = |path: &str| world.http.get(format!("http://{}{path}", world.origin)).send();
    let page = get("/").await.unwrap();
    assert_eq!(page.url().path(), "/ui/kollabor/");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let html = page.text().await.unwrap();
    for id in
        ["engine-url", "profile", "approval-mode", "workspace", "panel", "sessions-container", "modal-body"]
    {
        assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert_eq!(get("/ui/kollabor/page.js").await.unwrap().status(), 200);
    let missing: Value = get("/ui/kollabor/app.js").await.unwrap().json().await.unwrap();
    assert_eq!(missing["code"], "no_client");
    std::fs::write(world.dir.path().join("app.js"), "/* the client */").unwrap();
    assert_eq!(get("/ui/kollabor/app.js").await.unwrap().text().await.unwrap(), "/* the client */");
    let config: Value = get("/api/config").await.unwrap().json().await.unwrap();
    assert_eq!(config["engine_url"], format!("http://{}", world.origin));
    assert_eq!(get("/v1/sessions").await.unwrap().status(), 401, "nothing else is there");
    world.close().await;
}

#[tokio::test]
async fn a_link_gives_a_token_for_this_dialect_alone() {
    let world = World::new(&[]).await;
    let (_, link) =
        read(world.http.post(format!("http://{}/v1/links", world.address)).bearer_auth(OWNER)).await;
    let open = |code: &Value| {
        read(world.http.post(format!("http://{}/-/open", world.origin)).json(&json!({ "code": code })))
    };
    let (status, opened) = open(&link["code"]).await;
    assert_eq!(status, 200, "{opened}");
    assert_eq!(open(&link["code"]).await.0, 403, "once");
    let token = opened["token"].as_str().unwrap();
    let with = |method: Method, host, path: &str| {
        read(
            world
                .http
                .request(method, format!("http://{host}{path}"))
                .bearer_auth(token)
                .json(&json!({ "name": "p", "provider": "openai", "model": "m" })),
        )
    };
    assert_eq!(with(Method::GET, world.origin, "/sessions").await.0, 200);
    assert_eq!(with(Method::POST, world.origin, "/sessions").await.0, 200);
    assert_eq!(with(Method::GET, world.address, "/v1/sessions").await.0, 401);
    let (status, body) = with(Method::POST, world.origin, "/profiles").await;
    assert_eq!((status, body["code"].as_str()), (403, Some("forbidden")), "it is no administrator: {body}");
    world.close().await;
}
