//! The MCP server as hosts use it: over the bridge, by the official client and inspector, and through a restart.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::harness::{BINARY, Daemon, Home, PATIENCE, patiently, text};

/// A host that has started `trunkline mcp`.
struct Host {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Receiver<Value>,
    /// What came and was not looked for yet.
    kept: Vec<Value>,
}

impl Host {
    fn start(home: &Home, args: &[&str]) -> Self {
        Self::by(home.command(&[&["mcp"], args].concat()))
    }

    fn by(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, said) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _the_test_may_be_over = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { stdin: child.stdin.take(), child, said, kept: Vec::new() }
    }

    fn say(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn hello(&mut self) -> Value {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}});
        self.say(json!({"id": 0, "method": "initialize", "params": params}));
        let told = self.answer(0);
        self.say(json!({"method": "notifications/initialized"}));
        told
    }

    fn call(&mut self, id: u64, tool: &str, arguments: &Value) {
        self.say(json!({"id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}));
    }

    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(n) = self.kept.iter().position(&wanted) {
                return self.kept.remove(n);
            }
            self.kept.push(self.said.recv_timeout(PATIENCE).expect("the bridge says something"));
        }
    }

    /// Forgets what has come so far.
    fn forget(&mut self) {
        self.kept.clear();
        while self.said.try_recv().is_ok() {}
    }

    fn answer(&mut self, id: u64) -> Value {
        self.until(|message| message["id"] == id)
    }

    /// What a tool gives.
    fn given(&mut self, id: u64) -> Value {
        self.answer(id)["result"]["structuredContent"].clone()
    }

    /// Leaves, as a host does that closes.
    fn leave(mut self) {
        drop(self.stdin.take());
        let left = patiently(|| self.child.try_wait().unwrap());
        assert!(left.unwrap().success());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _it_may_be_gone = self.child.kill();
        let _it_may_be_reaped = self.child.wait();
    }
}

/// The request that waits, once there is one with this title.
async fn open(daemon: &Daemon, title: &str) -> Value {
    loop {
        let (_, open) = daemon.get("/v1/requests?status=open").await;
        let found = open["items"].as_array().unwrap().iter().find(|request| request["title"] == title);
        if let Some(request) = found {
            return request.clone();
        }
    }
}

async fn answer(daemon: &Daemon, request: &Value, body: Value) {
    let path = format!("/v1/requests/{}/answer", request["id"].as_str().unwrap());
    assert_eq!(daemon.post(&path, body).await.0, 200);
}

#[tokio::test]
async fn a_host_asks_over_the_bridge() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let mut host = Host::start(&home, &[]);
    assert_eq!(host.hello()["result"]["serverInfo"]["name"], "trunkline");
    host.say(json!({"id": 1, "method": "resources/subscribe", "params": {"uri": "trunkline://requests"}}));
    host.answer(1);
    host.call(2, "ask_human", &json!({"question": "First?"}));
    host.call(3, "ask_human", &json!({"question": "Second?"}));
    let (first, second) = (open(&daemon, "First?").await, open(&daemon, "Second?").await);
    assert_eq!((&first["session"], &first["agent"]), (&second["session"], &json!("host")));
    let changed = host.until(|message| message["method"] == "notifications/resources/updated");
    assert_eq!(changed["params"]["uri"], "trunkline://requests");
    host.call(4, "respond_to_request", &json!({"request_id": first["id"], "response_text": "x"}));
    assert_eq!(host.answer(4)["result"]["isError"], true, "a host without --operator answers no agent");
    answer(&daemon, &second, json!({"text": "2"})).await;
    assert_eq!(host.given(3)["answer"], "2");
    answer(&daemon, &first, json!({"text": "1"})).await;
    assert_eq!(host.given(2)["answer"], "1");
    writeln!(host.stdin.as_mut().unwrap(), "{{").unwrap();
    let error = host.until(|message| message["method"] == "notifications/message");
    assert_eq!(error["params"]["level"], "error");
    host.call(5, "ask_human", &json!({"question": "Third?"}));
    let third = open(&daemon, "Third?").await;
    let mut operator = Host::start(&home, &["--operator"]);
    operator.hello();
    operator.call(1, "respond_to_request", &json!({"request_id": third["id"], "response_text": "3"}));
    assert_eq!(operator.given(1)["status"], "ANSWERED");
    assert_eq!(host.given(5)["answer"], "3");
    host.call(6, "ask_human", &json!({"question": "Fourth?"}));
    let fourth = open(&daemon, "Fourth?").await;
    host.leave();
    let path = format!("/v1/requests/{}", fourth["id"].as_str().unwrap());
    while daemon.get(&path).await.1["status"] != "cancelled" {}
}

#[tokio::test]
async fn a_call_that_waits_survives_a_restart() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home);
    // Here the test starts the daemon again, and nobody else.
    let mut command = home.command(&["mcp"]);
    command.env("SESSIONBUS_MCP_AUTOSTART", "0");
    let mut host = Host::by(command);
    host.hello();
    host.say(json!({"id": 1, "method": "resources/subscribe", "params": {"uri": "trunkline://requests"}}));
    host.answer(1);
    host.call(2, "ask_human", &json!({"question": "Still there?"}));
    host.call(3, "ask_human", &json!({"question": "Enough?"}));
    let asked = open(&daemon, "Still there?").await;
    let enough = open(&daemon, "Enough?").await;
    for signal in ["-TERM", "-KILL"] {
        host.forget();
        daemon.signal(signal);
        daemon.child.wait().unwrap();
        daemon = Daemon::start(&home);
        assert_eq!(open(&daemon, "Still there?").await["id"], asked["id"], "after {signal}");
        host.call(9, "hub_status", &json!({}));
        assert_eq!(host.given(9)["base_url"], daemon.base_url);
        let changed = host.until(|message| message["method"] == "notifications/resources/updated");
        assert_eq!(
            changed["params"]["uri"], "trunkline://requests",
            "what has changed meanwhile nobody has told"
        );
    }
    answer(&daemon, &asked, json!({"text": "yes"})).await;
    assert_eq!(host.given(2)["answer"], "yes");
    host.leave();
    let path = format!("/v1/requests/{}", enough["id"].as_str().unwrap());
    while daemon.get(&path).await.1["status"] != "cancelled" {}
}

#[tokio::test]
async fn the_daemon_is_started_unless_it_must_not_be() {
    let home = Home::new();
    let mut command = home.command(&["mcp"]);
    command.env("SESSIONBUS_MCP_AUTOSTART", " No ").stdin(Stdio::null());
    let refused = command.output().unwrap();
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("no daemon runs"),
        "{}",
        text(&refused.stderr)
    );
    let link = home.work().join("sessionbus-mcp");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    let mut host = Host::by(home.by(link.to_str().unwrap(), &["--whatever"]));
    host.hello();
    host.call(1, "hub_status", &json!({}));
    assert_eq!(host.given(1)["session_count"], 0);
    host.leave();
    assert!(home.run(&["stop"]).status.success());
    home.is_quiet();
}

#[tokio::test]
async fn the_official_python_client_works() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let python = installed(".venv/bin/python");
    let url = format!("{}/mcp", daemon.base_url);
    for (how, to) in [("stdio", BINARY), ("http", url.as_str())] {
        let script = place().join("client.py");
        let mut command = home.by(python.to_str().unwrap(), &[script.to_str().unwrap(), how, to]);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        answer(&daemon, &open(&daemon, "Tabs?").await, json!({"option": "no"})).await;
        let done = child.wait_with_output().unwrap();
        assert_eq!(
            (text(&done.stdout), done.status.code()),
            ("no\n".to_owned(), Some(0)),
            "{how}: {}",
            text(&done.stderr)
        );
    }
}

#[tokio::test]
async fn the_official_inspector_works() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let inspector = installed("node_modules/.bin/mcp-inspector").canonicalize().unwrap();
    let node = place().join("node.sh");
    let url = format!("{}/mcp", daemon.base_url);
    for server in [&[BINARY, "mcp"][..], &[url.as_str(), "--transport", "http"]] {
        let run = |method: &[&str]| {
            let words = [&[inspector.to_str().unwrap(), "--cli"], server, method].concat();
            let done = home.by(node.to_str().unwrap(), &words).stdin(Stdio::null()).output().unwrap();
            let said = text(&done.stdout);
            serde_json::from_str::<Value>(&said).unwrap_or_else(|_| panic!("{said}{}", text(&done.stderr)))
        };
        assert_eq!(run(&["--method", "tools/list"])["tools"][0]["name"], "hub_status");
        let made = run(&[
            "--method",
            "tools/call",
            "--tool-name",
            "register_session",
            "--tool-arg",
            "display_name=inspector",
        ]);
        assert_eq!(made["isError"], false, "{made}");
    }
}

/// Where what the tests install is.
fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mcp").canonicalize().unwrap()
}

fn installed(what: &str) -> PathBuf {
    let path = place().join(what);
    assert!(path.exists(), "{} is not installed: make agents", path.display());
    path
}
