//! The agent of our own in the built daemon: a profile made on the command line, a tool that is asked about, `kill -9`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use trunkline_model_server::{ModelServer, Script};

use crate::harness::{Daemon, Home, text};

/// What all secrets begin with.
const CANARY: &str = "canary";

/// What the model says, in this order.
fn script() -> Script {
    let shell =
        |command: &str| json!([{ "call": [{ "tool": "shell", "arguments": { "command": command } }] }]);
    let rules: Vec<Value> = [
        json!([{ "text": "H" }]),
        shell("env > seen.txt; cat /proc/$PPID/environ >> seen.txt; echo hello"),
        json!([{ "text": "It is " }, { "text": "written." }]),
        shell("rm seen.txt"),
        json!([{ "text": "Nothing was removed." }]),
    ]
    .into_iter()
    .map(|answer| json!({ "times": 1, "answer": answer }))
    .collect();
    Script::from_json(&json!({ "rules": rules }).to_string()).unwrap()
}

/// With a key of a provider in its environment.
pub(crate) fn keyed(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(args);
    // Its address is where nobody listens: only what is asked for is asked.
    command
        .env("ANTHROPIC_API_KEY", "canary-of-the-environment")
        .env("ANTHROPIC_BASE_URL", "http://127.0.0.1:9");
    command
}

/// Runs a command to its end, with this on its stdin, while the test's own server goes on.
async fn run(home: &Home, args: &[&str], stdin: &str) -> Output {
    let mut command = keyed(home, args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

pub(crate) async fn says(home: &Home, args: &[&str], stdin: &str) -> String {
    let output = run(home, args, stdin).await;
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?}: {said}");
    assert!(!said.contains(CANARY), "{args:?}: {said}");
    said
}

/// The one request that is open.
pub(crate) async fn open(daemon: &Daemon) -> Value {
    loop {
        let (status, list) = daemon.get("/v1/requests?status=open").await;
        assert_eq!(status, 200, "{list}");
        if let Some(request) = list["items"].get(0) {
            return request.clone();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_works_with_tools_that_are_asked_about_and_goes_on_after_a_kill() {
    let server = ModelServer::start(script()).await.unwrap();
    let home = Home::new();
    let daemon = Daemon::start_by(&home, keyed(&home, &["serve"]));
    let base_url = format!("{}/v1", server.url());
    let add = ["profiles", "add", "mine", "--provider", "openai", "--model", "m", "--base-url", &base_url];
    let said = says(&home, &add, "").await;
    assert!(said.contains("cannot be used yet") && said.contains("trunkline profiles key mine"), "{said}");
    assert!(says(&home, &["profiles", "key", "mine"], "canary-of-the-key\n").await.contains("kept"));
    assert!(says(&home, &["profiles", "test"], "").await.contains("mine: m at openai answered"));
    let catalog: Value = serde_json::from_str(&says(&home, &["catalog", "--json"], "").await).unwrap();
    let listed = catalog["items"].as_array().unwrap().iter().find(|agent| agent["name"] == "model");
    assert_eq!(listed.unwrap()["found"], true);

    let (ran, asked) = tokio::join!(run(&home, &["run", "model", "Write it."], ""), async {
        let asked = open(&daemon).await;
        assert!(says(&home, &["inbox"], "").await.contains("env > seen.txt"));
        says(&home, &["allow", "--force"], "").await;
        asked
    });
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains("It is written."), "{}", text(&ran.stdout));
    let seen = std::fs::read_to_string(home.work().join("seen.txt")).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains(CANARY), "what a tool runs in has no key: {seen}");
    let session = asked["session"].as_str().unwrap().to_owned();

    daemon.prompt(&session, "Remove it.").await;
    open(&daemon).await;
    daemon.kill_9();
    home.is_quiet();
    let daemon = Daemon::start_by(&home, keyed(&home, &["serve"]));
    let said = says(&home, &["prompt", "--wait", &session, "Go on."], "").await;
    assert!(said.contains("Nothing was removed."), "{said}");
    assert!(home.work().join("seen.txt").exists());
    let last = server.requests().pop().unwrap().body;
    let roles: Vec<_> =
        last["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    let expected = ["system", "user", "assistant", "tool", "assistant", "user", "assistant", "tool", "user"];
    assert_eq!(roles, expected, "nothing of the conversation is lost, and each call has its result: {last}");
    no_secret(&home, &daemon, &session).await;
}

/// No answer, no log and no file but the store has a secret.
async fn no_secret(home: &Home, daemon: &Daemon, session: &str) {
    for path in ["/v1/profiles", "/v1/profiles/mine", "/v1/catalog", "/v1/sessions", "/v1/audit"] {
        let (status, answer) = daemon.get(path).await;
        assert!(status == 200 && !answer.to_string().contains(CANARY), "{path}: {answer}");
    }
    let (_, audit) = daemon.get("/v1/audit?kind=profile.put").await;
    assert_eq!(audit["items"][0]["record"]["deed"]["name"], "mine", "{audit}");
    let log = daemon.log(session).await;
    assert!(!log.is_empty() && !Value::Array(log).to_string().contains(CANARY));
    let mut found = Vec::new();
    let mut left = vec![home.path()];
    while let Some(path) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&path) else {
            if text(&std::fs::read(&path).unwrap_or_default()).contains(CANARY) {
                found.push(path);
            }
            continue;
        };
        left.extend(entries.map(|entry| entry.unwrap().path()));
    }
    assert_eq!(found, [home.path().join("secrets.json")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folders_agent_runs_and_is_refused_a_tool_that_it_is_not_offered() {
    let made_up = json!([{ "call": [{ "tool": "shell", "arguments": { "command": "echo x > seen.txt" }, "unoffered": true }] }]);
    let read = json!([{ "call": [{ "tool": "read", "arguments": { "path": "note.txt" } }] }]);
    let said = [made_up, read, json!([{ "text": "It says so." }])];
    let server = ModelServer::start(Script::in_order(&said).unwrap()).await.unwrap();
    let home = Home::new();
    let folder = home.path().join("agents/reader");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("system_prompt.md"), "You only read.").unwrap();
    std::fs::write(folder.join("agent.json"), r#"{"profile":"mine","tools":["read"]}"#).unwrap();
    std::fs::write(home.work().join("note.txt"), "the note").unwrap();
    let daemon = Daemon::start_by(&home, keyed(&home, &["serve"]));
    let base_url = format!("{}/v1", server.url());
    says(
        &home,
        &["profiles", "add", "mine", "--provider", "openai", "--model", "m", "--base-url", &base_url],
        "",
    )
    .await;
    says(&home, &["profiles", "key", "mine"], "canary-of-the-key\n").await;
    assert!(says(&home, &["catalog"], "").await.contains("reader"));
    let said = says(&home, &["run", "reader", "What does it say?"], "").await;
    assert!(said.contains("It says so."), "{said}");
    assert!(!home.work().join("seen.txt").exists(), "nothing was carried out");
    let asked = server.requests();
    let offers: Vec<_> = asked[0].ask.as_ref().unwrap().tools.iter().map(|tool| tool.name.clone()).collect();
    assert_eq!(offers, ["read"]);
    assert!(asked[0].body.to_string().contains("You only read."));
    let results = &asked.last().unwrap().ask.as_ref().unwrap().tool_results;
    assert!(asked[1].body.to_string().contains("there is no tool shell"), "{:?}", asked[1].body);
    assert!(results.iter().any(|result| result.contains("the note")), "{results:?}");
    let (_, day) = daemon.get("/v1/spending").await;
    assert_eq!(day["profiles"]["mine"]["turns"], 1, "{day}");
    assert!(says(&home, &["profiles"], "").await.contains("1 prompt"), "it is shown what was used");
}
