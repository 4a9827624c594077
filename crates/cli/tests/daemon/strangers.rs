//! Agents that try to be their owner: they hold the owner's token and hide where they come from.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Daemon, Home, patiently};

const AGENT: &str = include_str!("strangers.py");

#[tokio::test]
async fn an_agent_that_hides_is_not_the_owner() {
    let home = Home::new();
    // Confined, it could not even read the token.
    let daemon = Daemon::start_by(&home, home.command(&["serve", "--sandbox", "off"]));
    let (script, report) = (home.work().join("agent.py"), home.work().join("report"));
    fs::write(&script, AGENT).unwrap();
    let body = json!({
        "agent": "hider",
        "argv": ["python3", script, home.path(), report],
        "workspace": home.work(),
    });
    let (status, session) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{session}");
    let session = session["id"].as_str().unwrap().to_owned();
    daemon.prompt(&session, "be the owner").await;
    let told = tokio::task::spawn_blocking(move || patiently(|| fs::read(&report).ok())).await.unwrap();
    let told: Value = serde_json::from_slice(&told.expect("the agent has tried everything")).unwrap();
    for (attack, status) in told.as_object().unwrap() {
        assert_eq!(status, "403", "{attack}: {told}");
    }
    assert!(told.as_object().unwrap().len() >= 5);
    // The daemon works off connections in the order in which they came, and this process is outside.
    let (status, tokens) = daemon.ask(Method::GET, "/v1/tokens", None).await.unwrap();
    assert_eq!((status.as_u16(), &tokens["items"]), (200, &json!([])), "nothing was made for the agent");
    let (status, ended) = daemon.post(&format!("/v1/sessions/{session}/cancel"), json!({})).await;
    assert_eq!(status, 202, "the owner goes on: {ended}");
    let (_, tokens) = daemon.get("/v1/tokens").await;
    assert_eq!(tokens["items"], json!([]));
    drop(daemon);
    home.is_quiet();
}
