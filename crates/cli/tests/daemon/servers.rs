//! Real MCP servers, pinned in `tests/mcp`, moved by the built daemon for a scripted model: connected, called, killed, added late.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use trunkline_model_server::{ModelServer, Script};

use crate::engine::{keyed, open, says};
use crate::harness::{Daemon, Home, patiently, text};

const SERVERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/mcp/node_modules/@modelcontextprotocol");
/// What every value begins with that no answer may have.
const CANARY: &str = "canary";

fn program(server: &str) -> String {
    let program = format!("{SERVERS}/server-{server}/dist/index.js");
    assert!(Path::new(&program).exists(), "run `npm ci --ignore-scripts --prefix tests/mcp` first");
    program
}

fn script(file: &Path) -> Script {
    let call = |tool: &str, arguments: Value| json!([{ "call": [{ "tool": tool, "arguments": arguments }] }]);
    let rules: Vec<Value> = [
        call("get-env", json!({})),
        call("write_file", json!({ "path": file, "content": "by a server" })),
        call("get-sum", json!({ "a": 40, "b": 2 })),
        json!([{ "text": "Done." }]),
    ]
    .into_iter()
    .map(|answer| json!({ "times": 1, "answer": answer }))
    .collect();
    Script::from_json(&json!({ "rules": rules }).to_string()).unwrap()
}

async fn status(daemon: &Daemon, session: &str, name: &str) -> Value {
    let (status, servers) = daemon.get(&format!("/v1/sessions/{session}/mcp")).await;
    assert_eq!(status, 200, "{servers}");
    let one = |server: &&Value| server["definition"]["name"] == name;
    servers["items"].as_array().unwrap().iter().find(one).unwrap().clone()
}

/// What the calls of a session gave, in their order.
fn given(log: &[Value]) -> Vec<(String, String)> {
    let over =
        log.iter().filter(|event| event["type"] == "turn.update").map(|event| &event["data"]["update"]);
    let over = over.filter(|update| update["rawOutput"].is_object());
    let told = |update: &Value| {
        let output = update["rawOutput"].as_object().unwrap().values().next().unwrap();
        (update["status"].as_str().unwrap().to_owned(), output.as_str().unwrap().to_owned())
    };
    over.map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_servers_are_used_by_a_turn_shown_when_they_die_and_connected_late() {
    let home = Home::new();
    let work = home.work().canonicalize().unwrap();
    let server = ModelServer::start(script(&work.join("made.txt"))).await.unwrap();
    let daemon = Daemon::start_by(&home, keyed(&home, &["serve"]));
    let base_url = format!("{}/v1", server.url());
    let add = ["profiles", "add", "mine", "--provider", "openai", "--model", "m", "--base-url", &base_url];
    says(&home, &add, "").await;
    says(&home, &["profiles", "key", "mine"], "canary-of-the-key\n").await;
    let (everything, files) = (program("everything"), program("filesystem"));
    let add = ["mcp-servers", "add", "everything", "--env", "GIVEN", "--", "node", &everything];
    assert!(says(&home, &add, "").await.contains("GIVEN has no value"));
    says(&home, &["mcp-servers", "set", "everything", "GIVEN"], "to the server\n").await;
    let add = ["mcp-servers", "add", "files", "--env", "TOKEN", "--", "node", &files, work.to_str().unwrap()];
    says(&home, &add, "").await;
    says(&home, &["mcp-servers", "set", "files", "TOKEN"], "canary-of-a-server\n").await;
    assert!(says(&home, &["mcp-servers"], "").await.contains("by itself"));

    let create = json!({ "agent": "model", "workspace": work });
    let (made, created) = daemon.post("/v1/sessions", create).await;
    assert_eq!(made, 201, "{created}");
    let session = created["id"].as_str().unwrap().to_owned();
    daemon.prompt(&session, "Work.").await;
    let first = open(&daemon).await;
    assert_eq!(
        (&first["tool"], &first["title"]),
        (&json!("mcp__everything__get-env"), &json!("get-env (everything)"))
    );
    for pattern in ["mcp:everything/*", "mcp:files/write_file"] {
        let (made, grant) = daemon
            .post(
                &format!("/v1/sessions/{session}/grants"),
                json!({ "pattern": pattern, "unconfined": true }),
            )
            .await;
        assert!(made.is_success(), "{grant}");
    }
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    stream.until("turn.ended").await;
    let told = given(&daemon.log(&session).await);
    assert!(told.iter().all(|(status, _)| status == "completed"), "{told:?}");
    let env: Value = serde_json::from_str(&told[0].1).unwrap();
    assert_eq!(env["GIVEN"], "to the server", "what is configured is passed");
    assert!(!env.to_string().contains(CANARY) && env.get("ANTHROPIC_API_KEY").is_none(), "{env}");
    assert_eq!(std::fs::read_to_string(work.join("made.txt")).unwrap(), "by a server");
    assert!(told[2].1.contains("42"), "{told:?}");
    let offers = server.requests()[0].ask.clone().unwrap().tools;
    assert!(offers.iter().any(|offer| offer.name == "list_directory"), "{offers:?}");

    let there = status(&daemon, &session, "everything").await;
    let pid = there["connected"]["pid"].to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let gone = loop {
        let now = status(&daemon, &session, "everything").await;
        if now["status"] != "connected" {
            break now;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (&gone["status"], &gone["error"]),
        (&json!("disconnected"), &json!("the program ended: signal 9"))
    );
    let add = ["mcp-servers", "add", "late", "--", "node", &everything];
    says(&home, &add, "").await;
    let late = says(&home, &["mcp-servers", "connect", &session, "late"], "").await;
    assert!(late.contains("late is connected") && late.contains("get-sum"), "{late}");
    let both = says(&home, &["mcp-servers", "connect", &session, "everything"], "").await;
    assert!(both.contains("mcp__everything__get-sum"), "names that two have tell their server: {both}");
    says(&home, &["mcp-servers", "disconnect", &session, "late"], "").await;
    assert!(says(&home, &["mcp-servers", "status", &session], "").await.contains("disconnected"));
    tells_nothing(&home, &daemon, &session).await;
    let running = home.processes();
    assert!(running.iter().any(|(_, line)| line.contains("server-filesystem")), "{running:?}");
    daemon.kill_9();
    home.is_quiet();
}

/// No answer, no log and no file but the store has a value.
async fn tells_nothing(home: &Home, daemon: &Daemon, session: &str) {
    let of_session = format!("/v1/sessions/{session}/mcp");
    for path in ["/v1/mcp/servers", "/v1/mcp/servers/files", &of_session, "/v1/audit", "/v1/sessions"] {
        let (status, answer) = daemon.get(path).await;
        assert!(status == 200 && !answer.to_string().contains(CANARY), "{path}: {answer}");
    }
    let log = daemon.log(session).await;
    assert!(!log.is_empty() && !Value::Array(log).to_string().contains(CANARY));
    let found = patiently(|| {
        let mut found = Vec::new();
        let mut left = vec![home.path()];
        while let Some(path) = left.pop() {
            match std::fs::read_dir(&path) {
                Ok(entries) => left.extend(entries.flatten().map(|entry| entry.path())),
                Err(_) if text(&std::fs::read(&path).unwrap_or_default()).contains(CANARY) => {
                    found.push(path);
                }
                Err(_) => {}
            }
        }
        Some(found)
    });
    assert_eq!(found.unwrap(), [home.path().join("secrets.json")]);
}
