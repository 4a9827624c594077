//! What stands before every route.

use std::io::Read as _;

use reqwest::Method;
use serde_json::json;

use crate::world::{World, read};

#[tokio::test]
async fn without_a_token_nothing_is_told_or_done() {
    let world = World::new().await;
    let document: serde_json::Value =
        world.http.get(world.url("/v1/openapi.json")).send().await.unwrap().json().await.unwrap();
    let id = "0190163d-8694-739b-aea5-966c26f8ad91";
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            let path = path.replace("{session}", id).replace("{request}", id).replace("{turn}", "1");
            let path = path.replace("{message}", id).replace("{grant}", id).replace("{token}", id);
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let (status, body) = read(world.http.request(method, world.url(&path)).json(&json!({}))).await;
            assert_eq!(
                status == 401 && body["code"] == "unauthenticated",
                !open || path == "/v1/exchange" && status == 401,
                "{path}: {status}"
            );
            tried += usize::from(!open);
        }
    }
    assert!(tried > 30);
    let (status, _) = read(world.http.get(world.url("/v1/sessions")).bearer_auth("wrong")).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn pages_of_others_and_rebound_names_are_refused() {
    let world = World::new().await;
    let with = |name: &'static str, value: &'static str| {
        read(world.ask(Method::GET, "/v1/sessions").header(name, value))
    };
    assert_eq!(with("host", "evil.example").await.1["code"], "foreign_host");
    assert_eq!(with("origin", "https://evil.example").await.1["code"], "foreign_origin");
    assert_eq!(with("origin", "null").await.1["code"], "foreign_origin");
    assert_eq!(with("sec-fetch-site", "same-site").await.1["code"], "foreign_site");
    let response = world
        .ask(Method::GET, "/v1/sessions")
        .header("origin", "https://editor.example")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://editor.example");
    assert!(!response.headers().contains_key("access-control-allow-credentials"));
    let form = world.ask(Method::POST, "/v1/sessions").header("content-type", "text/plain").body("{}");
    assert_eq!(read(form).await.1["code"], "not_json");
}

#[tokio::test]
async fn a_server_answers_to_the_address_it_listens_on() {
    // The address by which this machine would go out; nothing is sent. A machine that has none has loopback.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let outward = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let ip = outward.map_or_else(|_| [127, 0, 0, 1].into(), |address| address.ip());
    let world = World::at(ip).await;
    assert_eq!(world.get("/v1/sessions").await.0, 200, "{}", world.address);
    let other = world.ask(Method::GET, "/v1/sessions").header("host", "192.0.2.1");
    assert_eq!(read(other).await.1["code"], "foreign_host");
}

#[tokio::test]
async fn what_is_built_in_goes_out_packed_to_those_who_take_it_that_way() {
    let world = World::new().await;
    let ask = |path: &str| world.http.get(world.url(path));
    for path in ["/v1/openapi.json", "/"] {
        let plain = ask(path).send().await.unwrap();
        assert_eq!(plain.headers().get("content-encoding"), None);
        assert_eq!(plain.headers()["vary"], "Accept-Encoding", "{path}");
        let plain = plain.bytes().await.unwrap();
        let packed = ask(path).header("accept-encoding", "br, gzip").send().await.unwrap();
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        let packed = packed.bytes().await.unwrap();
        assert!(packed.len() < plain.len(), "{path}: {} of {}", packed.len(), plain.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
    }
}

#[tokio::test]
async fn the_page_is_served_with_a_strict_policy_and_the_api_never_falls_back_to_it() {
    let world = World::new().await;
    for path in ["/", "/s/anything"] {
        let response = world.http.get(world.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(world.get("/v1/nothing").await.0, 404);
    assert_eq!(world.http.get(world.url("/assets/none.js")).send().await.unwrap().status(), 404);
    let (status, body) = read(world.ask(Method::PUT, "/v1/sessions").json(&json!({}))).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (405, Some("method_not_allowed")));
}
