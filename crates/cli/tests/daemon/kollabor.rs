//! Clients of kollabor's engine against the built daemon: scopes that count, `kill -9`, and secrets that are nowhere.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use trunkline_model_server::{ModelServer, Script};
use trunkline_wire::sse::Decoder;

use crate::harness::{BINARY, Daemon, Home, patiently, text};

/// What all secrets begin with.
const CANARY: &str = "canary";

/// A scripted server of tools.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../run/tests/model/mcp_server.py");

/// A client that reads its token where the original does.
struct Client<'a> {
    daemon: &'a Daemon,
    token: String,
}

impl<'a> Client<'a> {
    fn of(home: &Home, daemon: &'a Daemon) -> Self {
        let file = home.path().join("../.kollab/engine.token");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        Self { daemon, token: std::fs::read_to_string(file).unwrap() }
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.daemon.http.request(method, format!("{}{path}", self.daemon.base_url)).bearer_auth(&self.token)
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.ask(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(!text.contains(CANARY), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, body).await
    }

    /// A turn whose prompts are answered with this scope. Gives the commands that were asked about, and how each went on.
    async fn turn(&self, session: &str, scope: &str) -> (Vec<String>, Vec<(String, bool)>) {
        let (mut turn, mut asked, mut granted) = (Turn::start(self, session).await, Vec::new(), Vec::new());
        while let Some(event) = turn.next().await {
            assert!(!event.to_string().contains(CANARY));
            match event["type"].as_str().unwrap() {
                "permission_request" => {
                    asked.push(event["input"]["command"].as_str().unwrap().to_owned());
                    let scope = if event["risk_level"] == "high" { "once" } else { scope };
                    let answer =
                        json!({ "tool_id": event["tool_id"], "decision": "approve", "scope": scope });
                    let answered = self.post(&format!("/sessions/{session}/permission"), answer).await;
                    assert_eq!(answered["ok"], true, "{answered}");
                }
                "permission_granted" => {
                    granted.push((event["scope"].as_str().unwrap().to_owned(), event["auto"] == true));
                }
                "error" => panic!("{event}"),
                _ => {}
            }
        }
        (asked, granted)
    }
}

/// A model that runs these commands one after the other, in each turn.
fn script(turns: usize, commands: &[&str]) -> Script {
    let shell =
        |command: &&str| json!([{ "call": [{ "tool": "shell", "arguments": { "command": command } }] }]);
    let turn: Vec<Value> = commands.iter().map(shell).chain([json!([{ "text": "Done." }])]).collect();
    let rules: Vec<Value> = turn
        .iter()
        .cycle()
        .take(turn.len() * turns)
        .map(|answer| json!({ "times": 1, "answer": answer }))
        .collect();
    Script::from_json(&json!({ "rules": rules }).to_string()).unwrap()
}

/// A daemon whose clients of the engine find their token, with a profile that they have made.
async fn start<'a>(home: &Home, server: &ModelServer, daemon: &'a Daemon) -> Client<'a> {
    let client = Client::of(home, daemon);
    let profile = json!({
        "name": "mine", "provider": "openai", "model": "m", "api_key": "canary-key", "base_url": format!("{}/v1", server.url()),
        "extra_headers": { "x-secret": "canary-header" },
    });
    assert_eq!(client.post("/profiles", profile).await["created"], true);
    client
}

fn daemon(home: &Home) -> Daemon {
    std::fs::create_dir_all(home.path().join("../.kollab")).unwrap();
    Daemon::start_by(home, home.command(&["serve"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_reaches_as_far_as_it_says_and_what_was_said_outlives_a_kill() {
    let commands = ["echo a", "echo b; id", "id", "rm -rf ~/none"];
    let server = ModelServer::start(script(4, &commands)).await.unwrap();
    let home = Home::new();
    let running = daemon(&home);
    let client = start(&home, &server, &running).await;
    let session = client.post("/sessions", json!({ "profile": "mine", "workspace": home.work() })).await;
    let id = session["session_id"].as_str().unwrap().to_owned();
    let (asked, granted) = client.turn(&id, "once").await;
    assert_eq!(asked, commands, "each is asked about");
    assert!(granted.iter().all(|granted| *granted == ("once".to_owned(), false)), "{granted:?}");
    let confined = client.get(&format!("/sessions/{id}/permissions")).await["confined"] == true;
    let (asked, granted) = client.turn(&id, "session").await;
    // Where nothing confines the agent, no rule counts and each is asked about.
    if confined {
        assert_eq!(
            asked,
            ["echo a", "echo b; id", "rm -rf ~/none"],
            "a rule for one program covers no other"
        );
        assert_eq!(granted[2], ("session".to_owned(), true));
    }
    let other = client.post("/sessions", json!({ "profile": "mine", "workspace": home.work() })).await;
    let other = other["session_id"].as_str().unwrap().to_owned();
    let (asked, _) = client.turn(&other, "once").await;
    assert_eq!(asked, commands, "what was allowed in one session is not in another");
    let shown = client.get(&format!("/sessions/{id}/permissions")).await;
    let approvals = shown["approvals"].as_array().unwrap();
    assert!(approvals.iter().any(|one| one["rule"] == "shell(echo *)"), "{shown}");
    for approval in approvals {
        let path = format!("/sessions/{id}/permissions/approvals/{}", approval["id"].as_str().unwrap());
        assert_eq!(client.call(Method::DELETE, &path, Value::Null).await["ok"], true);
    }
    let (asked, _) = client.turn(&id, "once").await;
    assert_eq!(asked, commands, "and what was taken back counts no more");

    client.post(&format!("/sessions/{id}/permissions/mode"), json!({ "mode": "auto_approve_edits" })).await;
    let paths = [format!("/sessions/{id}"), format!("/sessions/{id}/history")];
    let before = [client.get(&paths[0]).await, client.get(&paths[1]).await];
    assert_eq!(before[0]["approval_mode"], "auto_approve_edits");
    let token = client.token.clone();
    running.kill_9();
    home.is_quiet();
    let running = daemon(&home);
    let client = Client::of(&home, &running);
    assert_eq!(client.token, token, "it is the same in every life");
    assert_eq!([client.get(&paths[0]).await, client.get(&paths[1]).await], before);
    let left = found(&home);
    assert_eq!(left, [home.path().join("secrets.json")], "a secret is in its store and nowhere else");
}

/// Files below the homes that have a secret.
fn found(home: &Home) -> Vec<std::path::PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![home.path(), home.path().join("../.kollab")]);
    while let Some(path) = left.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => left.extend(entries.map(|entry| entry.unwrap().path())),
            Err(_) if text(&std::fs::read(&path).unwrap_or_default()).contains(CANARY) => found.push(path),
            Err(_) => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_of_edits_tools_and_projects_count() {
    let write = |path: &str| json!([{ "call": [{ "tool": "write", "arguments": { "path": path, "content": "x" } }] }]);
    let turn = [write("a.txt"), write("b.txt"), json!([{ "text": "Done." }])];
    let rules: Vec<Value> =
        turn.iter().cycle().take(15).map(|answer| json!({ "times": 1, "answer": answer })).collect();
    let server =
        ModelServer::start(Script::from_json(&json!({ "rules": rules }).to_string()).unwrap()).await.unwrap();
    let home = Home::new();
    let running = daemon(&home);
    let client = start(&home, &server, &running).await;
    let make = async || {
        let made = client.post("/sessions", json!({ "profile": "mine", "workspace": home.work() })).await;
        made["session_id"].as_str().unwrap().to_owned()
    };
    for (scope, asked_in_first, asked_in_next_session) in
        [("always_edits", 1, 2), ("trust_tool", 1, 2), ("project", 2, 0)]
    {
        let id = make().await;
        let asked = count(&client, &id, scope).await;
        let confined = client.get(&format!("/sessions/{id}/permissions")).await["confined"] == true;
        if !confined {
            assert_eq!(asked, 2, "where nothing confines the agent, each is asked about");
            continue;
        }
        assert_eq!(asked, asked_in_first, "{scope}");
        if scope == "project" {
            assert_eq!(count(&client, &make().await, "once").await, asked_in_next_session, "{scope}");
        }
    }
}

/// How many edits are asked about in a turn.
async fn count(client: &Client<'_>, session: &str, scope: &str) -> usize {
    let (mut turn, mut asked) = (Turn::start(client, session).await, 0);
    while let Some(event) = turn.next().await {
        if event["type"] == "permission_request" {
            asked += 1;
            let answer = json!({ "tool_id": event["tool_id"], "decision": "approve", "scope": scope });
            client.post(&format!("/sessions/{session}/permission"), answer).await;
        }
    }
    asked
}

/// A turn that is followed event by event.
struct Turn {
    answer: reqwest::Response,
    decoder: Decoder,
}

impl Turn {
    async fn start(client: &Client<'_>, session: &str) -> Self {
        let path = format!("/sessions/{session}/message");
        let answer = client.ask(Method::POST, &path).json(&json!({ "content": "Go." })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self { answer, decoder: Decoder::default() }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(serde_json::from_str(&event.unwrap().data).unwrap());
            }
            self.decoder.push(&self.answer.chunk().await.unwrap()?);
        }
    }

    async fn until(&mut self, kind: &str) -> Value {
        let mut passed = Vec::new();
        while let Some(event) = self.next().await {
            if event["type"] == kind {
                return event;
            }
            passed.push(event.to_string());
        }
        panic!("there is no {kind} in {passed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_cancelled_at_once_and_a_mode_releases_what_waits() {
    let shell =
        |command: &str| json!([{ "call": [{ "tool": "shell", "arguments": { "command": command } }] }]);
    let answers = [shell("touch begun; sleep 600"), shell("echo a"), json!([{ "text": "Done." }])];
    let rules: Vec<Value> = answers.iter().map(|answer| json!({ "times": 1, "answer": answer })).collect();
    let server =
        ModelServer::start(Script::from_json(&json!({ "rules": rules }).to_string()).unwrap()).await.unwrap();
    let home = Home::new();
    let running = daemon(&home);
    let client = start(&home, &server, &running).await;
    let made = client.post("/sessions", json!({ "profile": "mine", "workspace": home.work() })).await;
    let id = made["session_id"].as_str().unwrap();
    let mut turn = Turn::start(&client, id).await;
    let asked = turn.until("permission_request").await;
    let answer = json!({ "tool_id": asked["tool_id"], "decision": "approve" });
    client.post(&format!("/sessions/{id}/permission"), answer).await;
    assert!(patiently(|| home.work().join("begun").exists().then_some(())).is_some());
    client.post(&format!("/sessions/{id}/cancel"), json!({})).await;
    assert_eq!(turn.until("error").await["code"], "cancelled", "it does not go on with another step");
    assert!(turn.next().await.is_none());

    let mut turn = Turn::start(&client, id).await;
    turn.until("permission_request").await;
    client.post(&format!("/sessions/{id}/permissions/mode"), json!({ "mode": "trust_all" })).await;
    if client.get(&format!("/sessions/{id}/permissions")).await["confined"] == true {
        let granted = turn.until("permission_granted").await;
        assert_eq!((&granted["scope"], &granted["rule"]), (&json!("mode"), &json!("mode trust_all")));
        turn.until("turn_complete").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_runs_here_steers_nothing_with_a_token_that_it_has_found() {
    let home = Home::new();
    let running = daemon(&home);
    let client = Client::of(&home, &running);
    let seen = home.work().join("seen");
    let code = format!(
        "import sys, urllib.request, urllib.error\n\
         asked = urllib.request.Request('{}/sessions', headers={{'authorization': 'Bearer {}'}})\n\
         try:\n    status = urllib.request.urlopen(asked).status\n\
         except urllib.error.HTTPError as error:\n    status = error.code\n\
         open({seen:?}, 'w').write(f'{{status}}.')\n",
        running.base_url, client.token
    );
    let body = json!({ "agent": "mole", "argv": ["python3", "-c", code], "workspace": home.work() });
    let (status, body) = running.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{body}");
    running.prompt(body["id"].as_str().unwrap(), "go").await;
    let status = patiently(|| std::fs::read_to_string(&seen).ok().filter(|text| text.ends_with('.')));
    assert_eq!(status.as_deref(), Some("403."));
}

#[tokio::test]
async fn profiles_and_bundles_are_taken_over_and_nothing_there_is_changed() {
    let home = Home::new();
    let kollab = home.path().join("../.kollab");
    std::fs::create_dir_all(kollab.join("agents/reviewer")).unwrap();
    std::fs::write(kollab.join("agents/reviewer/system_prompt.md"), "Review.").unwrap();
    let profiles = json!({
        "fast": { "provider": "openai", "model": "m", "api_key": "canary-key", "extra_headers": { "x-a": "canary-header" } },
        "kept": { "provider": "anthropic", "model": "m", "api_key": "secret:keyring:kept" },
    });
    let config = json!({ "kollabor": { "llm": { "profiles": profiles } } }).to_string();
    std::fs::write(kollab.join("config.json"), &config).unwrap();
    std::fs::create_dir(kollab.join("mcp")).unwrap();
    let servers = json!({ "servers": {
        "files": { "type": "stdio", "command": "npx -y 'file server'", "enabled": false, "env": { "KEY": "canary-variable" } },
        "odd": { "command": "a | b" },
    } });
    std::fs::write(kollab.join("mcp/mcp_settings.json"), servers.to_string()).unwrap();
    let running = daemon(&home);
    let import = || home.run(&["import", "--from", "kollab", kollab.to_str().unwrap()]);
    let out = import();
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(out.status.success() && !said.contains(CANARY), "{said}");
    assert!(
        said.contains("2 profiles, 1 MCP server and 1 bundle were taken")
            && said.contains("trunkline profiles key kept"),
        "{said}"
    );
    assert!(text(&import().stderr).contains("4 were here before"));
    assert_eq!(std::fs::read_to_string(kollab.join("config.json")).unwrap(), config);
    let client = Client::of(&home, &running);
    assert_eq!(client.get("/profiles/fast").await["has_api_key"], true);
    let servers = client.get("/mcp/servers").await;
    assert_eq!((&servers["total"], &servers["enabled"]), (&json!(1), &json!(0)));
    assert_eq!(servers["servers"]["files"]["command"], "npx -y \"file server\"", "{servers}");
    let made = client.post("/sessions", json!({ "agent": "reviewer", "profile": "fast" })).await;
    let path = format!("/sessions/{}/system-prompt", made["session_id"].as_str().unwrap());
    assert_eq!(client.get(&path).await["system_prompt"], "Review.");
}

#[tokio::test]
async fn the_engine_is_started_by_its_own_name() {
    let home = Home::new();
    let link = home.work().join("kollabor-engine");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    let mut command = home.by(link.to_str().unwrap(), &["serve", "--port", "0"]);
    let out = home.work().join("out");
    command.stdin(Stdio::null()).stdout(std::fs::File::create(&out).unwrap()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let ready = patiently(|| std::fs::read_to_string(&out).ok().filter(|text| text.ends_with('\n')));
    let runtime: Value =
        serde_json::from_slice(&std::fs::read(home.path().join("runtime.json")).unwrap()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ready, Some(format!("READY:{}\n", runtime["port"])));
    assert!(home.path().join("../.kollab/engine.token").exists(), "its clients look there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_tools_is_added_connected_called_and_gone_with_its_secrets() {
    let call = json!([{ "call": [{ "tool": "where", "arguments": {} }] }]);
    let answers = [call, json!([{ "text": "Seen." }]), json!([{ "text": "None." }])];
    let rules: Vec<Value> = answers.iter().map(|answer| json!({ "times": 1, "answer": answer })).collect();
    let server =
        ModelServer::start(Script::from_json(&json!({ "rules": rules }).to_string()).unwrap()).await.unwrap();
    let home = Home::new();
    std::fs::create_dir_all(home.path().join("../.kollab")).unwrap();
    let mut command = home.command(&["serve"]);
    command.env("OPENAI_API_KEY", "canary-of-the-daemon");
    let running = Daemon::start_by(&home, command);
    let client = start(&home, &server, &running).await;
    for wrong in ["", "a; b", "-x"] {
        let body = json!({ "name": "tools", "command": wrong });
        let answer = client.ask(Method::POST, "/mcp/servers").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{wrong}");
    }
    let command = format!("python3 {SERVER} tools");
    let body = json!({ "name": "tools", "command": command, "env": { "SHOWN": "yes", "SECRET": "canary-variable" } });
    let added = client.post("/mcp/servers", body.clone()).await;
    assert_eq!(
        (&added["ok"], &added["config"]["env"]["SECRET"]),
        (&json!(true), &json!("********")),
        "{added}"
    );
    assert_eq!(client.post("/mcp/servers", body).await["code"], "exists");
    // As the web client does: what it was shown goes back, with another word for one field.
    for enabled in [false, true] {
        let mut echoed = client.get("/mcp/servers").await["servers"]["tools"].clone();
        echoed["enabled"] = enabled.into();
        let put = client.call(Method::PUT, "/mcp/servers/tools", echoed).await;
        assert_eq!(put["config"]["enabled"], enabled, "{put}");
    }
    let body = json!({ "profile": "mine", "workspace": home.work(), "mcp_servers": ["none"] });
    let made = client.post("/sessions", body).await;
    let id = made["session_id"].as_str().unwrap();
    assert_eq!((&made["mcp_servers"], &made["mcp_connected"]), (&json!(["tools"]), &json!([])));
    let path = |rest: &str| format!("/sessions/{id}/mcp{rest}");
    let connected = client.post(&path("/tools/connect"), json!({})).await;
    assert_eq!(
        (&connected["status"], &connected["server_name"]),
        (&json!("connected"), &json!("tools")),
        "{connected}"
    );
    assert_eq!(client.post(&path("/tools/connect"), json!({})).await["code"], "connected");
    assert_eq!(client.post(&path("/none/connect"), json!({})).await["code"], "not_found");
    let shown = client.get(&path("")).await;
    let count = shown["servers"]["tools"]["tool_count"].as_u64().unwrap();
    assert!(count > 0 && shown["total_tools"] == count, "{shown}");
    assert_eq!(client.get(&path("/tools/tools")).await["tools"][0]["name"], "echo");
    assert!(client.get(&path("/tools/status")).await["process"]["pid"].is_u64());

    let mut turn = Turn::start(&client, id).await;
    let asked = turn.until("permission_request").await;
    assert_eq!(
        (&asked["tool_name"], &asked["tool_type"]),
        (&json!("mcp__tools__where"), &json!("mcp_tool")),
        "{asked}"
    );
    let answer = json!({ "tool_id": asked["tool_id"], "decision": "approve" });
    client.post(&format!("/sessions/{id}/permission"), answer).await;
    let result = turn.until("tool_result").await;
    let seen: Value = serde_json::from_str(result["output"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&seen["cwd"], &seen["env"]["SHOWN"]),
        (&json!(home.work().canonicalize().unwrap()), &json!("yes"))
    );
    assert!(!seen.to_string().contains("canary-of-the-daemon"), "it has none of the daemon's keys");
    turn.until("turn_complete").await;
    let gone = client.post(&path("/tools/disconnect"), json!({})).await;
    assert_eq!((&gone["status"], &gone["tools_removed"]), (&json!("disconnected"), &json!(count)));
    assert_eq!(client.get(&path("")).await["servers"]["tools"]["status"], "disconnected");
    Turn::start(&client, id).await.until("turn_complete").await;
    let offered = server.requests().pop().unwrap().body["tools"].to_string();
    assert!(!offered.contains("where of tools"), "and is not offered any more");
    assert_eq!(client.call(Method::DELETE, "/mcp/servers/tools", Value::Null).await["ok"], true);
    let kept = std::fs::read_to_string(home.path().join("secrets.json")).unwrap();
    assert!(!kept.contains("canary-variable"), "its secrets have gone with it");
}
