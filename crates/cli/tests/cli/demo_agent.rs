//! The demo agent as a process, with the test as its client.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::home::BINARY;

struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    asked: u64,
    /// Updates seen, in short.
    seen: Vec<String>,
}

impl Client {
    fn start(pace: &str, writes: bool) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["demo-agent", "--pace", pace]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut client = Self { child, stdin, lines, asked: 0, seen: Vec::new() };
        let fs = json!({ "readTextFile": true, "writeTextFile": writes });
        let params = json!({ "protocolVersion": 1, "clientCapabilities": { "fs": fs } });
        let answer = client.call("initialize", params);
        assert_eq!(answer["result"]["protocolVersion"], 1);
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn read(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "calls read better without borrows")]
    fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer_to(id, |_, request| panic!("unexpected {request}"))
    }

    /// Reads until the answer to a request of ours; requests of the agent go to `serve`.
    fn answer_to(&mut self, id: u64, mut serve: impl FnMut(&mut Self, &Value)) -> Value {
        loop {
            let message = self.read();
            if message["method"] == "session/update" {
                self.note(&message["params"]["update"]);
            } else if message.get("method").is_some() {
                serve(self, &message);
            } else if message["id"] == id {
                return message;
            }
        }
    }

    fn note(&mut self, update: &Value) {
        let text = match update["sessionUpdate"].as_str().unwrap() {
            "agent_message_chunk" => {
                let text = update["content"]["text"].as_str().unwrap();
                if let Some(last) = self.seen.last_mut().filter(|last| last.starts_with("says ")) {
                    last.push_str(text);
                    return;
                }
                format!("says {text}")
            }
            "plan" => {
                let entries = update["entries"].as_array().unwrap().iter();
                format!(
                    "plan {}",
                    entries.map(|e| e["status"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
                )
            }
            kind => {
                let part =
                    |name: &str| update[name].as_str().map_or(String::new(), |text| format!(" {text}"));
                format!(
                    "{kind} {}{}{}",
                    update["toolCallId"].as_str().unwrap(),
                    part("status"),
                    part("title")
                )
            }
        };
        self.seen.push(text);
    }

    fn new_session(&mut self, cwd: &Path) -> String {
        let answer = self.call("session/new", json!({ "cwd": cwd, "mcpServers": [] }));
        answer["result"]["sessionId"].as_str().unwrap().to_owned()
    }

    fn prompt(&mut self, session: &str, text: &str) -> u64 {
        self.ask(
            "session/prompt",
            json!({ "sessionId": session, "prompt": [{ "type": "text", "text": text }] }),
        )
    }

    fn reply(&mut self, request: &Value, result: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
    }

    fn choose(&mut self, request: &Value, option: &str) {
        assert_eq!(request["method"], "session/request_permission");
        self.reply(request, &json!({ "outcome": { "outcome": "selected", "optionId": option } }));
    }

    fn seen(&mut self) -> String {
        std::mem::take(&mut self.seen).iter().map(|seen| seen.trim_end()).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Client {
    /// The agent ends when its stdin does.
    fn drop(&mut self) {
        drop(self.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success() || std::thread::panicking());
    }
}

fn workspace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), "one\ntwo\n").unwrap();
    dir
}

#[test]
fn it_asks_and_writes_through_the_client() {
    let dir = workspace();
    let mut client = Client::start("0", true);
    let session = client.new_session(dir.path());
    let id = client.prompt(&session, "Have a look");
    let mut asked = Vec::new();
    let answer = client.answer_to(id, |client, request| {
        asked.push(request["method"].as_str().unwrap().to_owned());
        if request["method"] == "fs/write_text_file" {
            let path = request["params"]["path"].as_str().unwrap();
            fs::write(path, request["params"]["content"].as_str().unwrap()).unwrap();
            client.reply(request, &json!({}));
        } else {
            let diff = &request["params"]["toolCall"]["content"][0];
            assert_eq!((diff["type"].as_str(), diff["oldText"].as_str()), (Some("diff"), None));
            client.choose(request, "allow");
        }
    });
    assert_eq!(answer["result"]["stopReason"], "end_turn");
    assert_eq!(asked, ["session/request_permission", "fs/write_text_file"]);
    insta::assert_snapshot!(client.seen().replace(dir.path().file_name().unwrap().to_str().unwrap(), "DIR"), @r"
    plan in_progress pending pending
    says I will have a look around and write down what I find.
    tool_call call-1 in_progress List the files in DIR
    tool_call_update call-1 completed
    plan completed in_progress pending
    says There is 1 file here. I would like to keep that in `trunkline-demo.md`, so I ask you first.
    tool_call call-2 pending Write trunkline-demo.md
    tool_call_update call-2 in_progress
    tool_call_update call-2 completed
    plan completed completed in_progress
    says Done: `trunkline-demo.md` has 7 lines. This was a demo: no model was asked, and nothing left this machine.
    plan completed completed completed
    ");
    assert!(fs::read_to_string(dir.path().join("trunkline-demo.md")).unwrap().contains("- a.txt (2 lines)"));
}

#[test]
fn it_writes_by_itself_where_the_client_does_not_and_asks_once_if_it_may_always() {
    let dir = workspace();
    let mut client = Client::start("0", false);
    let session = client.new_session(dir.path());
    let id = client.prompt(&session, "Have a look");
    let answer = client.answer_to(id, |client, request| client.choose(request, "always"));
    assert_eq!(answer["result"]["stopReason"], "end_turn");
    assert!(dir.path().join("trunkline-demo.md").exists());
    let id = client.prompt(&session, "Again");
    client.answer_to(id, |_, request| panic!("it asked again: {request}"));
    // Another process takes the session up, and asks anew.
    let mut client = Client::start("0", false);
    client.call("session/resume", json!({ "sessionId": session, "cwd": dir.path(), "mcpServers": [] }));
    let id = client.prompt(&session, "Again");
    let mut asked = 0;
    client.answer_to(id, |client, request| {
        asked += 1;
        client.choose(request, "reject");
    });
    assert_eq!(asked, 1);
}

#[test]
fn refused_it_leaves_the_file_alone() {
    let dir = workspace();
    let mut client = Client::start("0", true);
    let session = client.new_session(dir.path());
    let id = client.prompt(&session, "Have a look");
    let answer = client.answer_to(id, |client, request| client.choose(request, "reject"));
    assert_eq!(answer["result"]["stopReason"], "end_turn");
    let seen = client.seen();
    assert!(seen.contains("tool_call_update call-2 failed"), "{seen}");
    assert!(!dir.path().join("trunkline-demo.md").exists());
}

#[test]
fn a_write_that_fails_is_told() {
    let dir = workspace();
    let mut client = Client::start("0", true);
    let session = client.new_session(dir.path());
    let id = client.prompt(&session, "Have a look");
    client.answer_to(id, |client, request| {
        if request["method"] == "fs/write_text_file" {
            let error = json!({ "code": -32603, "message": "the disk is full" });
            client.send(&json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }));
        } else {
            client.choose(request, "allow");
        }
    });
    let seen = client.seen();
    assert!(seen.ends_with("I could not write `trunkline-demo.md`: the disk is full (-32603)"), "{seen}");
}

#[test]
fn cancelled_it_stops_in_the_middle() {
    let dir = workspace();
    // A pause of ten seconds between words: only a cancel can end this in time.
    let mut client = Client::start("10000", true);
    let session = client.new_session(dir.path());
    let cancel = json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": { "sessionId": session } });
    let id = client.prompt(&session, "Have a look");
    while client.read()["params"]["update"]["sessionUpdate"] != "agent_message_chunk" {}
    let busy = client.ask("session/prompt", json!({ "sessionId": session, "prompt": [] }));
    assert_eq!(client.answer_to(busy, |_, _| ())["error"]["code"], -32600);
    client.send(&cancel);
    assert_eq!(client.answer_to(id, |_, _| ())["result"]["stopReason"], "cancelled");
}

#[test]
fn cancelled_while_it_asks_its_tool_call_fails() {
    let dir = workspace();
    let mut client = Client::start("0", true);
    let session = client.new_session(dir.path());
    for with_answer in [true, false] {
        let id = client.prompt(&session, "Have a look");
        let cancel =
            json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": { "sessionId": session } });
        let answer = client.answer_to(id, |client, request| {
            if with_answer {
                client.reply(request, &json!({ "outcome": { "outcome": "cancelled" } }));
            } else {
                client.send(&cancel);
            }
        });
        assert_eq!(answer["result"]["stopReason"], "cancelled");
        assert!(client.seen().ends_with("tool_call_update call-2 failed"));
    }
    assert!(!dir.path().join("trunkline-demo.md").exists());
}

#[test]
fn what_it_cannot_do_is_refused_in_words() {
    let mut client = Client::start("0", true);
    let code = |answer: Value| answer["error"]["code"].as_i64().unwrap();
    assert_eq!(
        code(client.call("session/load", json!({ "sessionId": "x", "cwd": "/", "mcpServers": [] }))),
        -32601
    );
    assert_eq!(code(client.call("session/new", json!({ "cwd": "not/absolute", "mcpServers": [] }))), -32602);
    assert_eq!(code(client.call("session/prompt", json!({ "sessionId": "x", "prompt": [] }))), -32002);
    assert_eq!(code(client.call("craft/unknown", json!({}))), -32601);
    writeln!(client.stdin.as_mut().unwrap(), "this is no message").unwrap();
    assert!(client.call("authenticate", json!({ "methodId": "x" })).get("result").is_some());
}
