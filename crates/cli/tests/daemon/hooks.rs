//! Agents in a terminal of their own: by their hooks, and by the tool that Claude Code asks for permissions. The real Claude
//! Code needs `make agents`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use trunkline_model_server::ModelServer;
use trunkline_model_server::kit::{AgentKit, WRITE_PROMPT, write_file};

use crate::harness::{BINARY, Daemon, Home, text};

fn begin(home: &Home, vendor: &str, input: &Value) -> Child {
    let mut command = home.command(&["hook", "run", vendor]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    child
}

/// What a hook printed. It never fails: an agent would take that for a refusal.
fn end(child: Child) -> String {
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    text(&done.stdout)
}

fn asks(home: &Home) -> Value {
    json!({
        "session_id": "s-1", "transcript_path": "/t", "cwd": home.work(), "hook_event_name": "PermissionRequest",
        "tool_name": "Bash", "tool_input": {"command": "make clean"},
    })
}

async fn open(daemon: &Daemon) -> Value {
    loop {
        let (_, open) = daemon.get("/v1/requests?status=open").await;
        if let Some(request) = open["items"].as_array().unwrap().first() {
            return request.clone();
        }
    }
}

async fn person(daemon: &Daemon, request: &Value, does: &str, body: Value) {
    let path = format!("/v1/requests/{}/{does}", request["id"].as_str().unwrap());
    assert_eq!(daemon.post(&path, body).await.0, 200);
}

#[tokio::test]
async fn a_permission_is_answered_from_the_inbox() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    for vendor in ["claude", "codex"] {
        for (does, body, said) in [
            ("answer", json!({"option": "allow"}), json!({"behavior": "allow"})),
            ("answer", json!({"option": "deny", "text": "no"}), json!({"behavior": "deny", "message": "no"})),
            ("dismiss", json!({}), Value::Null),
        ] {
            let hook = begin(&home, vendor, &asks(&home));
            let asked = open(&daemon).await;
            assert_eq!((&asked["title"], &asked["kind"]), (&json!("Bash: make clean"), &json!("permission")));
            assert_eq!(asked["workspace"], json!(home.work().canonicalize().unwrap()));
            person(&daemon, &asked, does, body).await;
            let printed: Value = serde_json::from_str(&end(hook)).unwrap_or_default();
            assert_eq!(printed["hookSpecificOutput"]["decision"], said, "{vendor} {does}");
        }
    }
    let (_, sessions) = daemon.get("/v1/sessions").await;
    let agents: Vec<_> =
        sessions["items"].as_array().unwrap().iter().map(|one| one["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["Codex", "Claude Code"], "one session for each agent's session");
}

#[tokio::test]
async fn an_agent_in_a_terminal_is_visible() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let told = |event: &str, message: &str| json!({"session_id": "g", "cwd": home.work(), "hook_event_name": event, "message": message});
    assert_eq!(end(begin(&home, "gemini", &told("SessionStart", ""))), "{}\n");
    assert_eq!(end(begin(&home, "gemini", &told("Notification", "Allow rm?"))), "{}\n");
    let (_, sessions) = daemon.get("/v1/sessions").await;
    let session = &sessions["items"][0];
    assert_eq!((&session["agent"], &session["reported"]), (&json!("Gemini CLI"), &json!("waiting")));
    assert_eq!(session["metadata"]["notification"], "Allow rm?");
    end(begin(&home, "gemini", &told("SessionEnd", "")));
    let (_, sessions) = daemon.get("/v1/sessions").await;
    assert_eq!(
        (&sessions["items"][0]["reported"], sessions["items"].as_array().unwrap().len()),
        (&json!("done"), 1)
    );
}

#[tokio::test]
async fn without_a_decision_the_agent_asks_itself() {
    let home = Home::new();
    assert_eq!(end(begin(&home, "claude", &asks(&home))), "", "there is no daemon, and none is started");
    assert!(!home.path().join("runtime.json").exists());
    let daemon = Daemon::start(&home);
    assert_eq!(end(begin(&home, "claude", &json!("nonsense"))), "");
    let mut broken = home.command(&["hook", "run", "claude"]);
    let broken = broken.stdin(Stdio::null()).output().unwrap();
    assert_eq!((broken.status.code(), broken.stdout.len()), (Some(0), 0));
    // An agent that waits no longer ends its hook: nobody shall be asked any more.
    let mut hook = begin(&home, "claude", &asks(&home));
    let asked = open(&daemon).await;
    hook.kill().unwrap();
    hook.wait().unwrap();
    let path = format!("/v1/requests/{}", asked["id"].as_str().unwrap());
    while daemon.get(&path).await.1["status"] != "cancelled" {}
    // The daemon leaves while a hook waits.
    let hook = begin(&home, "codex", &asks(&home));
    open(&daemon).await;
    daemon.kill_9();
    assert_eq!(end(hook), "");
    fs::write(home.path().join("config.toml"), "nonsense = 1\n").unwrap();
    assert_eq!(end(begin(&home, "claude", &asks(&home))), "", "nor is a wrong configuration a refusal");
}

/// The real Claude Code, without a terminal, asked to write a file.
struct Claude {
    home: Home,
    daemon: Daemon,
    kit: AgentKit,
    _model: ModelServer,
    file: PathBuf,
}

impl Claude {
    async fn new() -> Self {
        let home = Home::new();
        let daemon = Daemon::start(&home);
        let file = home.work().join("hello.txt");
        let model = ModelServer::start(write_file(&file, "hello")).await.unwrap();
        let kit = AgentKit::claude(&model.url(), &home.path().join("../agent"));
        kit.prepare().unwrap();
        Self { home, daemon, kit, _model: model, file }
    }

    /// Asks it for the file, as a program does that has it for a part.
    fn begin(&self, args: &[&str]) -> Child {
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/agents/node_modules/@anthropic-ai/claude-agent-sdk/cli.js");
        let spoken = ["-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json"];
        let words = [&[program.to_str().unwrap()], &spoken[..], args].concat();
        let mut command = self.home.by("node", &words);
        command.envs(self.kit.env.iter().cloned()).env("TRUNKLINE_HOME", self.home.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let prompt = json!({"type": "user", "message": {"role": "user", "content": WRITE_PROMPT}});
        writeln!(child.stdin.as_mut().unwrap(), "{prompt}").unwrap();
        child
    }

    /// Has a person decide; whether the file is there then.
    async fn decide(&self, mut claude: Child, option: &str) -> bool {
        let asked = open(&self.daemon).await;
        assert_eq!(
            (&asked["tool"], &asked["tool_call"]["kind"]),
            (&json!("Write"), &json!("edit")),
            "{asked}"
        );
        assert_eq!(asked["tool_call"]["content"][0]["newText"], "hello");
        person(&self.daemon, &asked, "answer", json!({"option": option})).await;
        let lines = BufReader::new(claude.stdout.take().unwrap()).lines().map_while(Result::ok);
        let messages = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let result = messages.into_iter().find(|message| message["type"] == "result").unwrap();
        assert_eq!(result["subtype"], "success", "{result}");
        drop(claude.stdin.take());
        claude.wait().unwrap();
        let written = self.file.exists();
        let _it_may_not_be_there = fs::remove_file(&self.file);
        written
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_asks_by_the_tool() {
    let claude = Claude::new().await;
    let config = claude.home.work().join("mcp.json");
    let server = json!({"mcpServers": {"trunkline": {"command": BINARY, "args": ["mcp"]}}});
    fs::write(&config, server.to_string()).unwrap();
    let tool = "mcp__trunkline__approve_tool_use";
    let args = ["--mcp-config", config.to_str().unwrap(), "--permission-prompt-tool", tool];
    for (option, written) in [("deny", false), ("allow", true)] {
        assert_eq!(claude.decide(claude.begin(&args), option).await, written, "{option}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_asks_by_its_hook() {
    let claude = Claude::new().await;
    let settings = claude.home.work().join("settings.json");
    let printed = claude.home.run(&["hook", "claude"]);
    fs::write(&settings, &printed.stdout).unwrap();
    // Without a terminal and without anybody to ask, it refuses by itself; a program that has it for a part can be asked.
    let args = ["--settings", settings.to_str().unwrap(), "--permission-prompt-tool", "stdio"];
    for (option, written) in [("deny", false), ("allow", true)] {
        assert_eq!(claude.decide(claude.begin(&args), option).await, written, "{option}");
    }
    let (_, sessions) = claude.daemon.get("/v1/sessions").await;
    assert_eq!(sessions["items"][0]["agent"], "Claude Code");
}
