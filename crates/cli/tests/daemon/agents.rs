//! Real agents of other vendors in the built daemon, with a scripted model behind them: a turn with a permission and a
//! file write, allowed, denied and cancelled, and a daemon that is killed between turns.
//!
//! They need `npm ci --prefix tests/agents` first; `make test` runs it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use trunkline_model_server::kit::{AgentKit, CLOSING_WORDS, WRITE_PROMPT, write_file};
use trunkline_model_server::{Call, ModelServer, Rule, Script, Step, When};

use crate::harness::{Daemon, Home, Stream};

#[tokio::test]
async fn gemini_takes_its_turns() {
    takes_its_turns(AgentKit::gemini).await;
}

#[tokio::test]
async fn codex_takes_its_turns() {
    takes_its_turns(AgentKit::codex).await;
}

#[tokio::test]
async fn claude_asks_a_person() {
    asks_a_person(AgentKit::claude).await;
}

#[tokio::test]
async fn claude_code_asks_a_person() {
    asks_a_person(AgentKit::claude_code).await;
}

#[tokio::test]
async fn codex_asks_a_person() {
    asks_a_person(AgentKit::codex).await;
}

/// With the daemon's MCP server an agent asks in its own session, waits, and goes on with the answer.
async fn asks_a_person(kit: impl Fn(&str, &Path) -> AgentKit) {
    let home = Home::new();
    let model = ModelServer::start(ask_somebody()).await.unwrap();
    let kit = kit(&model.url(), &home.path().join("../agent"));
    kit.prepare().unwrap();
    configure(&home, &kit);
    let daemon = Daemon::start(&home);
    let session = create(&daemon, &home, &kit).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    daemon.prompt(&session, ASK_PROMPT).await;
    let mut asked = false;
    loop {
        let event: Value = serde_json::from_str(&stream.next().await.unwrap().data).unwrap_or_default();
        let request = &event["data"];
        match (event["type"].as_str(), request["kind"].as_str()) {
            // It may want to know first whether it may use the tool.
            (Some("request.opened"), Some("permission")) => {
                let options = request["options"].as_array().unwrap();
                let once = options.iter().find(|option| option["kind"] == "allow_once").unwrap();
                say(&daemon, request, json!({"option": once["id"]})).await;
            }
            (Some("request.opened"), Some("question")) => {
                assert_eq!(
                    (&request["title"], &event["by"]),
                    (&json!("Which colour?"), &json!(format!("agent/{session}")))
                );
                say(&daemon, request, json!({"text": "cobalt"})).await;
                asked = true;
            }
            (Some("turn.ended"), _) => {
                assert_eq!(event["data"]["stop_reason"], "end_turn", "{event}");
                break;
            }
            _ => {}
        }
    }
    let offered =
        model.requests().last().map(|request| request.body["tools"].to_string()).unwrap_or_default();
    assert!(asked, "{} has asked nobody: {offered}", kit.name);
    let heard = model.requests().iter().any(|request| request.body.to_string().contains("cobalt"));
    assert!(heard, "the model is told the answer");
}

async fn say(daemon: &Daemon, request: &Value, answer: Value) {
    let path = format!("/v1/requests/{}/answer", request["id"].as_str().unwrap());
    let (status, body) = daemon.post(&path, answer).await;
    assert_eq!(status, 200, "{body}");
}

const ASK_PROMPT: &str = "Ask somebody.";

/// A model that asks which colour, by the name that each agent gives the tool.
fn ask_somebody() -> Script {
    let names = ["mcp__trunkline__ask_human", "mcp__trunkline/ask_human"];
    let call = |tool: &str| Call {
        tool: tool.to_owned(),
        arguments: json!({"question": "Which colour?"}),
        unoffered: false,
    };
    let asked = When {
        user_text: Some(ASK_PROMPT.to_owned()),
        after_tool: Some(false),
        offers: names.map(str::to_owned).to_vec(),
        ..When::default()
    };
    let done = When { after_tool: Some(true), ..When::default() };
    Script {
        rules: vec![
            Rule { when: asked, answer: vec![Step::Call(names.map(call).to_vec())], ..Rule::default() },
            Rule { when: done, answer: vec![Step::Text("All done.".to_owned())], ..Rule::default() },
            Rule { answer: vec![Step::Text("Ready.".to_owned())], ..Rule::default() },
        ],
    }
}

async fn takes_its_turns(kit: impl Fn(&str, &Path) -> AgentKit) {
    let home = Home::new();
    let file = home.work().join("hello.txt");
    let model = ModelServer::start(write_file(&file, "hello")).await.unwrap();
    let kit = kit(&model.url(), &home.path().join("../agent"));
    kit.prepare().unwrap();
    configure(&home, &kit);
    let daemon = Daemon::start(&home);
    let session = create(&daemon, &home, &kit).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();

    let turn = take(&daemon, &session, &mut stream, "reject_once").await;
    assert_eq!((reason(&turn), file.exists()), (kit.traits.stop_when_denied, false));

    let turn = take(&daemon, &session, &mut stream, "allow_once").await;
    assert_eq!((reason(&turn), fs::read_to_string(&file).unwrap().trim_end()), ("end_turn", "hello"));
    assert!(said(&turn).contains(CLOSING_WORDS), "{turn:#?}");
    let by_us = turn.iter().any(|event| event["type"] == "file.written");
    assert_eq!(by_us, kit.traits.writes_through_client);
    fs::remove_file(&file).unwrap();

    daemon.prompt(&session, WRITE_PROMPT).await;
    stream.until("request.opened").await;
    let (status, _) = daemon.post(&format!("/v1/sessions/{session}/cancel"), json!({})).await;
    assert_eq!(status, 202);
    let turn = stream.until("turn.ended").await;
    assert_eq!((reason(&turn), file.exists()), ("cancelled", false));

    // The daemon dies between turns; the session goes on, and the agent is told what was said before.
    daemon.kill_9();
    home.is_quiet();
    kit.let_an_hour_pass().unwrap();
    let daemon = Daemon::start(&home);
    let mut stream = daemon.follow(&session, u64::MAX).await.unwrap();
    let before = model.requests().len();
    let turn = take(&daemon, &session, &mut stream, "allow_once").await;
    assert_eq!((reason(&turn), file.exists()), ("end_turn", true));
    assert!(!turn.iter().any(|event| event["data"]["code"] == "history_lost"), "{turn:#?}");
    let asked = model.requests().split_off(before);
    let remembers = asked.iter().any(|request| request.body.to_string().contains(CLOSING_WORDS));
    assert!(remembers, "the model is told what was said before");
    drop(daemon);
    home.is_quiet();
}

/// The agent as the kit has it, in the user's own configuration.
pub(crate) fn configure(home: &Home, kit: &AgentKit) {
    let quote = |text: &str| Value::from(text).to_string();
    let argv: Vec<_> = kit.argv.iter().map(|word| quote(word)).collect();
    let env: Vec<_> =
        kit.env.iter().map(|(name, value)| format!("{} = {}", quote(name), quote(value))).collect();
    let config = format!(
        "[agents.{}]\nmcp = true\nargv = [{}]\nenv = {{ {} }}\n",
        kit.name,
        argv.join(", "),
        env.join(", ")
    );
    fs::create_dir_all(home.path()).unwrap();
    fs::write(home.path().join("config.toml"), config).unwrap();
}

pub(crate) async fn create(daemon: &Daemon, home: &Home, kit: &AgentKit) -> String {
    let body = json!({"agent": kit.name, "workspace": home.work()});
    let (status, body) = daemon.post("/v1/sessions", body).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

/// A turn in which the permission is answered with an option of this kind.
async fn take(daemon: &Daemon, session: &str, stream: &mut Stream, kind: &str) -> Vec<Value> {
    daemon.prompt(session, WRITE_PROMPT).await;
    let mut turn = stream.until("request.opened").await;
    let request = turn.last().unwrap()["data"].clone();
    let options = request["options"].as_array().unwrap();
    let option = options.iter().find(|option| option["kind"] == kind).expect("the agent offers it");
    let path = format!("/v1/requests/{}/answer", request["id"].as_str().unwrap());
    let (status, body) = daemon.post(&path, json!({"option": option["id"]})).await;
    assert_eq!(status, 200, "{body}");
    turn.extend(stream.until("turn.ended").await);
    turn
}

fn reason(turn: &[Value]) -> &str {
    turn.last().unwrap()["data"]["stop_reason"].as_str().unwrap()
}

/// What the agent said in prose.
fn said(turn: &[Value]) -> String {
    let chunks =
        turn.iter().filter(|event| event["data"]["update"]["sessionUpdate"] == "agent_message_chunk");
    chunks.filter_map(|event| event["data"]["update"]["content"]["text"].as_str()).collect()
}
