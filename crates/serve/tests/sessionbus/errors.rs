//! What is wrong is said in the original's shape.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, fails};

#[tokio::test]
async fn bodies_that_are_wrong() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let register = "/api/sessions/register".to_owned();
    let requests = format!("/api/sessions/{session}/requests");
    let json = Some("application/json");
    for (path, kind, body, expected) in [
        (
            &register,
            json,
            &b""[..],
            r#"{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#,
        ),
        (
            &register,
            json,
            b"null",
            r#"{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#,
        ),
        (
            &register,
            json,
            b"{}",
            r#"{"detail":[{"type":"missing","loc":["body","display_name"],"msg":"Field required","input":{}}]}"#,
        ),
        (
            &register,
            json,
            b"{\"a\":}",
            r#"{"detail":[{"type":"json_invalid","loc":["body",5],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}"#,
        ),
        (
            &register,
            json,
            b"\xff",
            r#"{"detail":[{"type":"json_invalid","loc":["body",0],"msg":"JSON decode error","input":{},"ctx":{"error":"'utf-8' codec can't decode byte"}}]}"#,
        ),
        (
            &register,
            json,
            b"[1]",
            r#"{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]}"#,
        ),
        (
            &register,
            Some("application/x-www-form-urlencoded"),
            b"{\"display_name\":\"x\"}",
            r#"{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"{\"display_name\":\"x\"}"}]}"#,
        ),
        (
            &register,
            json,
            b"{\"display_name\":\"\",\"tenant_id\":5,\"metadata\":[]}",
            r#"{"detail":[{"type":"string_too_short","loc":["body","display_name"],"msg":"String should have at least 1 character","input":"","ctx":{"min_length":1}},{"type":"string_type","loc":["body","tenant_id"],"msg":"Input should be a valid string","input":5},{"type":"dict_type","loc":["body","metadata"],"msg":"Input should be a valid dictionary","input":[]}]}"#,
        ),
        (
            &requests,
            json,
            b"{\"title\":\"t\",\"question\":\"q\",\"priority\":null,\"tags\":[1]}",
            r#"{"detail":[{"type":"enum","loc":["body","priority"],"msg":"Input should be 'LOW', 'NORMAL', 'HIGH' or 'URGENT'","input":null,"ctx":{"expected":"'LOW', 'NORMAL', 'HIGH' or 'URGENT'"}},{"type":"string_type","loc":["body","tags",0],"msg":"Input should be a valid string","input":1}]}"#,
        ),
        (
            &requests,
            json,
            b"{\"title\":\"t\",\"question\":\"q\",\"tags\":\"x\"}",
            r#"{"detail":[{"type":"list_type","loc":["body","tags"],"msg":"Input should be a valid list","input":"x"}]}"#,
        ),
    ] {
        let (status, text) = world.raw(path, kind, body).await;
        assert_eq!((status, text.as_str()), (422, expected));
    }
    for state in ["OFFLINE", "working"] {
        let beat = world
            .ask(Method::POST, &format!("/api/sessions/{session}/heartbeat"))
            .json(&json!({"state": state}));
        let (status, detail) = fails(beat).await;
        assert_eq!((status, &detail[0]["type"]), (422, &json!("enum")));
    }
    let long = world.ask(Method::POST, &requests).json(&json!({"title": "x".repeat(256), "question": "q"}));
    let (_, detail) = fails(long).await;
    assert_eq!(
        (&detail[0]["type"], &detail[0]["ctx"]),
        (&json!("string_too_long"), &json!({"max_length": 255}))
    );
    let request = world.question(&session, "t").await;
    for body in [
        json!({"response_text": ""}),
        json!({"response_text": "x", "responder": null}),
        json!({"responder": "x"}),
    ] {
        let respond = world.ask(Method::POST, &format!("/api/requests/{request}/respond")).json(&body);
        assert_eq!(fails(respond).await.0, 422, "{body}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_wrong() {
    let world = World::new().await;
    for path in
        ["/api/nothing", "/api/sessions/a/nothing", "/api/requests/a%2Fb", "/api/sessions/a/inbox/b/c"]
    {
        let response = world.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.text().await.unwrap(), r#"{"detail":"Not Found"}"#, "{path}");
    }
    for (method, path, allow) in [
        (Method::POST, "/api/sessions", "GET"),
        (Method::HEAD, "/api/sessions", "GET"),
        (Method::GET, "/api/sessions/register", "POST"),
        (Method::PUT, "/api/sessions/a/heartbeat", "POST"),
        (Method::DELETE, "/api/requests/a", "GET"),
    ] {
        let head = method == Method::HEAD;
        let response = world.ask(method, path).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, allow));
        assert!(head || response.text().await.unwrap() == r#"{"detail":"Method Not Allowed"}"#);
    }
    let slash = world.ask(Method::GET, "/api/requests/?status=PENDING").send().await.unwrap();
    let there = format!("http://{}/api/requests?status=PENDING", world.address);
    assert_eq!((slash.status().as_u16(), slash.headers()["location"].to_str().unwrap()), (307, &*there));
}

#[tokio::test]
async fn a_root_page_and_a_list_answer_whoever_looks_whether_this_is_a_hub() {
    let world = World::new().await;
    let response = world.ask(Method::GET, "/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(world.get("/api/sessions").await, json!([]));
}

#[tokio::test]
async fn what_is_counted_are_characters_and_a_body_nobody_reads_may_be_anything() {
    let world = World::new().await;
    let name = |length: usize| json!({"display_name": "é".repeat(length), "tenant_id": "é".repeat(length)});
    world.post("/api/sessions/register", &name(255)).await;
    let long = world.ask(Method::POST, "/api/sessions/register").json(&name(256));
    let (status, detail) = fails(long).await;
    assert_eq!((status, detail.as_array().unwrap().len()), (422, 2), "all that is wrong is told");
    let session = world.register("bot").await;
    let (status, _) = world.raw(&format!("/api/sessions/{session}/heartbeat"), None, b"").await;
    assert_eq!(status, 422, "a heartbeat is an object");
    let request = world.question(&session, "t").await;
    for kind in [None, Some("application/json"), Some("text/plain")] {
        let (status, said) = world.raw(&format!("/api/requests/{request}/dismiss"), kind, b"{not json").await;
        assert_eq!(
            (status, said),
            (200, format!("{{\"request_id\":\"{request}\",\"status\":\"DISMISSED\"}}"))
        );
    }
    world.respond(&request, "yes").await;
    let path = format!("/api/sessions/{session}/inbox/{request}/ack");
    let (status, said) = world.raw(&path, Some("application/json"), b"\xff").await;
    assert_eq!((status, said), (200, format!("{{\"message_id\":\"{request}\",\"status\":\"ACKED\"}}")));
}

#[tokio::test]
async fn bodies_of_another_type_are_texts() {
    let world = World::new().await;
    let session = world.register("bot").await;
    let path = format!("/api/sessions/{session}/state");
    let (status, said) = world.raw(&path, Some("text/plain"), b"{\"state\":\"DONE\"}").await;
    assert_eq!(status, 422);
    assert!(
        said.contains("model_attributes_type") && said.contains(r#""input":"{\"state\":\"DONE\"}""#),
        "{said}"
    );
}
