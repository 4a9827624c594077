//! Agents that try to get out of the daemon's sandbox, whichever this machine has.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Daemon, Home, patiently, text};

const AGENT: &str = include_str!("confined.py");

#[tokio::test]
async fn an_agent_does_not_get_out() {
    let (home, around) = (Home::new(), tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let daemon = Daemon::start(&home);
    let mechanism = told_alike(&home, &daemon).await;
    let (script, outside) = (home.work().join("agent.py"), around.path().join("outside"));
    fs::write(&script, AGENT).unwrap();
    let port = daemon.base_url.rsplit(':').next().unwrap();
    let argv =
        json!(["python3", script, home.path(), port, daemon.token, daemon.child.id().to_string(), outside]);
    let body = json!({ "agent": "fugitive", "argv": argv, "workspace": home.work() });
    let (status, session) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{session}");
    let session = session["id"].as_str().unwrap().to_owned();
    daemon.prompt(&session, "get out").await;
    let report = home.work().join("report");
    let told = tokio::task::spawn_blocking(move || patiently(|| fs::read(&report).ok())).await.unwrap();
    let told: Value = serde_json::from_slice(&told.expect("the agent has tried everything")).unwrap();
    for (attempt, outcome) in told.as_object().unwrap() {
        let expected = match (attempt.starts_with("api"), mechanism.as_str()) {
            (true, _) => "403",
            // Landlock does not know sockets that are files, but the daemon knows who connects.
            (false, "landlock") if attempt == "socket" => "connected",
            (false, "namespace" | "landlock") => "refused",
            (false, _) => continue,
        };
        assert_eq!(outcome, expected, "{attempt}: {told}");
    }
    assert_eq!((told.as_object().unwrap().len(), outside.exists()), (9, mechanism == "no"));
    let (_, tokens) = daemon.get("/v1/tokens").await;
    assert_eq!(tokens["items"], json!([]), "nothing was made for the agent");
    drop(daemon);
    home.is_quiet();
}

/// What keeps agents here. `/health` and `doctor` say the same, and where nothing does, why.
async fn told_alike(home: &Home, daemon: &Daemon) -> String {
    let (_, health) = daemon.get("/health").await;
    let mechanism = health["sandbox"]["mechanism"].as_str().unwrap().to_owned();
    assert_eq!(health["confined"], json!(mechanism != "no"));
    let checks = home.run(&["doctor", "--json"]).stdout;
    let checks: Vec<Value> = serde_json::from_str(&text(&checks)).unwrap();
    let check = checks.iter().find(|check| check["what"] == "sandbox").unwrap();
    let found = check["found"].as_str().unwrap();
    let why = health["sandbox"]["why"].as_array().unwrap();
    match mechanism.as_str() {
        "namespace" => assert!(found.contains("by namespaces"), "{found}"),
        "landlock" => assert!(found.contains("by Landlock") && !why.is_empty(), "{found}"),
        _ => assert!(found.contains("can act as you") && !why.is_empty(), "{found}"),
    }
    mechanism
}
