//! Agents that try to get out of the daemon's sandbox, whichever this machine has.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use trunkline_model_server::kit::AgentKit;
use trunkline_model_server::{Call, ModelServer, Rule, Script, Step, When};

use crate::agents;
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

/// The same by an agent of another vendor, which runs a command that a person has allowed.
#[tokio::test]
async fn a_real_agent_does_not_get_out() {
    let (home, around) = (Home::new(), tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let script = home.work().join("agent.py");
    let model = ModelServer::start(get_out("true")).await.unwrap();
    let kit = AgentKit::claude_code(&model.url(), &home.path().join("../agent"));
    kit.prepare().unwrap();
    agents::configure(&home, &kit);
    let daemon = Daemon::start(&home);
    let mechanism = told_alike(&home, &daemon).await;
    fs::write(&script, AGENT).unwrap();
    let outside = around.path().join("outside");
    let attempts = attempts(&home, &daemon, &outside, "report");
    let words = attempts
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned));
    let command = format!("python3 agent.py {}", words.collect::<Vec<_>>().join(" "));
    model.load(get_out(&command)).unwrap();
    let session = agents::create(&daemon, &home, &kit).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, GET_OUT).await;
    let asked = stream.until("request.opened").await;
    let request = &asked.last().unwrap()["data"];
    assert_eq!(request["title"].as_str().unwrap().split(' ').next(), Some("python3"));
    let path = format!("/v1/requests/{}/answer", request["id"].as_str().unwrap());
    let (status, body) = daemon.post(&path, json!({ "option": "allow", "confirm": true })).await;
    assert_eq!(status, 200, "{body}");
    refused(&report(&home, "report").await, &mechanism);
    assert_eq!(outside.exists(), mechanism == "no");
}

const GET_OUT: &str = "Get out.";

/// A model that wants this command run.
fn get_out(command: &str) -> Script {
    let call = Call { tool: "Bash".to_owned(), arguments: json!({ "command": command }), unoffered: false };
    let asked = When { user_text: Some(GET_OUT.to_owned()), after_tool: Some(false), ..When::default() };
    Script {
        rules: vec![
            Rule { when: asked, answer: vec![Step::Call(vec![call])], ..Rule::default() },
            Rule { answer: vec![Step::Text("Ready.".to_owned())], ..Rule::default() },
        ],
    }
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
