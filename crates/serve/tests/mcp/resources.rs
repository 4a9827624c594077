//! Resources: read, and followed.

use serde_json::{Value, json};

use crate::client::{Messages, Session, alone};
use crate::world::World;

#[tokio::test]
async fn sessions_and_requests_can_be_read() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let made = session.gives("register_session", json!({"display_name": "bot"})).await["session_id"].clone();
    let ask = json!({"session_id": made, "title": "Tabs?", "question": "q"});
    let request = session.gives("create_input_request", ask).await["request_id"].clone();
    let uri = format!("trunkline://requests/{}", request.as_str().unwrap());
    let listed = session.ask("resources/list", json!({})).await["result"]["resources"].clone();
    let uris: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, ["agentflow://runtime", "trunkline://sessions", "trunkline://requests", &uri]);
    assert_eq!((&listed[0]["name"], &listed[3]["title"]), (&json!("runtime_resource"), &json!("Tabs?")));
    let read = async |uri: &str| session.ask("resources/read", json!({"uri": uri})).await;
    let runtime = read("agentflow://runtime").await["result"]["contents"][0].clone();
    assert_eq!(runtime["text"], format!("{{\n  \"base_url\": \"http://{}\"\n}}", world.address));
    assert_eq!(runtime["mimeType"], "text/plain");
    let one = read(&uri).await["result"]["contents"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap()["title"], "Tabs?");
    for uri in ["trunkline://sessions", "trunkline://requests"] {
        let text = read(uri).await["result"]["contents"][0]["text"].as_str().unwrap().to_owned();
        assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap().len(), 1);
    }
    for uri in ["agentflow://other", "trunkline://requests/x", "file:///etc/passwd"] {
        let error = read(uri).await["error"].clone();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(-32002), &json!(format!("Unknown resource: {uri}")))
        );
    }
    let templates =
        session.ask("resources/templates/list", json!({})).await["result"]["resourceTemplates"].clone();
    assert_eq!(templates[1]["uriTemplate"], "trunkline://requests/{request_id}");
}

#[tokio::test]
async fn who_follows_a_resource_is_told_of_changes() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let made = session.gives("register_session", json!({"display_name": "bot"})).await["session_id"].clone();
    let mut told = session.listen().await;
    let subscribed = session.ask("resources/subscribe", json!({"uri": "trunkline://requests"})).await;
    assert_eq!(subscribed["result"], json!({}));
    let ask = json!({"session_id": made, "title": "t", "question": "q"});
    let request = session.gives("create_input_request", ask.clone()).await["request_id"].clone();
    let changed = told.until(|message| message["method"] == "notifications/resources/updated").await;
    assert_eq!(changed["params"]["uri"], "trunkline://requests");
    let one = format!("trunkline://requests/{}", request.as_str().unwrap());
    session.ask("resources/unsubscribe", json!({"uri": "trunkline://requests"})).await;
    session.ask("resources/subscribe", json!({"uri": one})).await;
    session.gives("create_input_request", ask).await;
    session.gives("respond_to_request", json!({"request_id": request, "response_text": "yes"})).await;
    let changed = told.until(|message| message["method"] == "notifications/resources/updated").await;
    assert_eq!(changed["params"]["uri"], one, "what is not followed any more is not told");
    let unknown = session.ask("resources/subscribe", json!({"uri": "trunkline://requests/x"})).await;
    assert_eq!(unknown["error"]["code"], -32002);
}

#[tokio::test]
async fn a_request_of_the_newest_revision_listens() {
    let world = World::new().await;
    let session = Session::local(&world).await;
    let wish = json!({"notifications": {"resourceSubscriptions": ["trunkline://sessions"]}});
    let mut told = Messages::of(alone(&world, None, "subscriptions/listen", wish).send().await.unwrap());
    let first = told.next().await.unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    session.gives("register_session", json!({"display_name": "bot"})).await;
    let changed = told.until(|message| message["method"] == "notifications/resources/updated").await;
    assert_eq!(changed["params"]["uri"], "trunkline://sessions");
}
