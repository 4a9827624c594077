//! Agents that try to get out of the daemon's sandbox, whichever this machine has.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Daemon, Home, patiently, text};

const AGENT: &str = include_str!("confined.py");
const ERRANDS: &str = include_str!("errands.py");

/// What it is told to attempt: the daemon's home, its API, its token, its process, and a file that is not there.
fn attempts(home: &Home, daemon: &Daemon, outside: &Path, report: &str) -> Value {
    let port = daemon.base_url.rsplit(':').next().unwrap();
    json!([home.path(), port, daemon.token, daemon.child.id().to_string(), outside, report])
}

/// Each attempt was refused, as far as this machine has a means for it.
fn refused(told: &Value, mechanism: &str) {
    if mechanism == "no" {
        skipped("nothing confines agents on this machine, so all that is checked is that they get at no API");
    }
    for (attempt, outcome) in told.as_object().unwrap() {
        let expected = match (attempt.as_str(), mechanism) {
            (api, _) if api.starts_with("api") => "403",
            // They hold whatever else does: they are the daemon's own doing.
            ("inherited" | "own environment", _) => "refused",
            ("outside by a swap", _) => "tried",
            // Landlock does not know sockets that are files, but the daemon knows who connects.
            ("socket", "landlock") => "connected",
            (_, "namespace" | "landlock") => "refused",
            (_, _) => continue,
        };
        assert_eq!(outcome, expected, "{attempt}: {told}");
    }
    assert_eq!(told.as_object().unwrap().len(), 16);
}

/// Says so where a captured output would not show it.
fn skipped(why: &str) {
    std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes()).unwrap();
}

/// What stands in a file of the workspace, once it is there.
async fn report(home: &Home, name: &str) -> Value {
    let report = home.work().join(name);
    let told = tokio::task::spawn_blocking(move || patiently(|| fs::read(&report).ok())).await.unwrap();
    serde_json::from_slice(&told.expect("everything was tried")).unwrap()
}

#[tokio::test]
async fn an_agent_does_not_get_out() {
    let (home, around) = (Home::new(), tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let daemon = Daemon::start(&home);
    let mechanism = told_alike(&home, &daemon).await;
    let (script, outside) = (home.work().join("agent.py"), around.path().join("outside"));
    fs::write(&script, AGENT).unwrap();
    let mut argv = vec![json!("python3"), json!(script)];
    argv.extend(attempts(&home, &daemon, &outside, "report").as_array().unwrap().iter().cloned());
    let body = json!({ "agent": "fugitive", "argv": argv, "workspace": home.work() });
    let (status, session) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{session}");
    let session = session["id"].as_str().unwrap().to_owned();
    daemon.prompt(&session, "get out").await;
    refused(&report(&home, "report").await, &mechanism);
    assert_eq!(outside.exists(), mechanism == "no");
    let (_, tokens) = daemon.get("/v1/tokens").await;
    assert_eq!(tokens["items"], json!([]), "nothing was made for the agent");
    drop(daemon);
    home.is_quiet();
}

#[tokio::test]
async fn nothing_that_an_agent_has_done_for_it_gets_out() {
    let (home, around) = (Home::new(), tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let daemon = Daemon::start(&home);
    let mechanism = told_alike(&home, &daemon).await;
    let (agent, script) = (home.work().join("errands.py"), home.work().join("agent.py"));
    fs::write(&agent, ERRANDS).unwrap();
    fs::write(&script, AGENT).unwrap();
    // One that the daemon could write, and one that a command could: the daemon's own care holds on any machine.
    let (of_daemon, of_command) = (around.path().join("file"), around.path().join("outside"));
    fs::write(&of_daemon, "theirs").unwrap();
    let mut argv = vec![json!("python3"), json!(agent), json!(script), json!(home.path()), json!(of_daemon)];
    argv.extend(attempts(&home, &daemon, &of_command, "terminal").as_array().unwrap().iter().cloned());
    let body = json!({ "agent": "errands", "argv": argv, "workspace": home.work() });
    let (status, session) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{session}");
    daemon.prompt(session["id"].as_str().unwrap(), "get out").await;
    let told = report(&home, "errands").await;
    for (errand, outcome) in told.as_object().unwrap() {
        let expected = match (errand.as_str(), mechanism.as_str()) {
            ("write by a swap", _) => "tried",
            ("a terminal in the home", "no") => "read",
            (_, _) => "refused",
        };
        assert_eq!(outcome, expected, "{errand}: {told}");
    }
    assert_eq!(fs::read_to_string(&of_daemon).unwrap(), "theirs");
    assert!(!home.path().join("new").exists());
    refused(&report(&home, "terminal").await, &mechanism);
    assert_eq!(of_command.exists(), mechanism == "no");
    let (_, tokens) = daemon.get("/v1/tokens").await;
    assert_eq!(tokens["items"], json!([]), "nothing was made for the agent");
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
