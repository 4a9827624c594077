//! MCP servers: connected and called, slow, broken and gone; those of a project; what they are given and what they are not.

use std::path::Path;

use serde_json::{Value, json};
use trunkline_core::event::{Event, Fact};
use trunkline_core::grant::Mode;
use trunkline_core::mcp::Server;
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::profile::Provider;
use trunkline_run::custody::{Spawn, Stdin};
use trunkline_run::mcp::{Given, SessionServer, Status, Values};
use trunkline_wire::model::Secret;

use crate::stage::played::PATIENCE;
use crate::stage::{CANARY, Stage, answers, call, calls};
use crate::tools::stage_log as events_of;
use crate::world::owner;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/mcp_server.py");
/// The value of a variable that a server gets.
const SECRET: &str = "canary-of-a-variable";

/// The scripted server, by its name and flags.
fn scripted(args: &[&str]) -> Server {
    let args = std::iter::once(SCRIPT).chain(args.iter().copied()).map(str::to_owned).collect();
    Server { command: Some("python3".to_owned()), args, ..Server::default() }
}

async fn add(stage: &Stage, name: &str, server: Server) {
    let secret = vec![("SECRET".to_owned(), Given::New(Secret::new(SECRET)))];
    let values = Values { env: secret, headers: Vec::new() };
    stage.hub.put_mcp_server(&owner(), name, server, values).await.unwrap();
}

async fn status(stage: &Stage, name: &str) -> SessionServer {
    let servers = stage.hub.mcp_session(&owner(), stage.id).await.unwrap();
    servers.items.into_iter().find(|server| server.definition.name == name).unwrap()
}

/// Waits until a connection is as it must become by itself.
async fn becomes(stage: &Stage, name: &str, wanted: Status) -> SessionServer {
    let found = async {
        loop {
            let server = status(stage, name).await;
            if server.status == wanted {
                return server;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it becomes so")
}

/// What the model was offered beside what is built in, in each request.
fn offered(stage: &Stage) -> Vec<Vec<String>> {
    let named = |offers: &Vec<trunkline_model_server::Offer>| -> Vec<String> {
        offers.iter().skip(11).map(|offer| offer.name.clone()).collect()
    };
    stage.asked().iter().map(|asked| named(&asked.ask.as_ref().unwrap().tools)).collect()
}

/// What a turn told of servers that are not there.
fn unavailable(events: &[Event]) -> Vec<String> {
    let told = |event: &Event| match &event.fact {
        Fact::TurnNote(note) if note.code == "mcp_unavailable" => Some(note.message.clone()),
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

async fn stage(all: &[(&str, Value)]) -> Stage {
    let mut script: Vec<Value> = all.iter().map(|(tool, input)| json!([call(tool, input.clone())])).collect();
    script.push(json!([{ "text": "Done." }]));
    Stage::new(Provider::Anthropic, answers(&script)).await
}

fn written(stage: &Stage, servers: &Value) {
    let text = json!({ "mcpServers": servers }).to_string();
    std::fs::write(stage.workspace().join(".mcp.json"), text).unwrap();
}

#[tokio::test]
async fn a_servers_tools_are_offered_asked_about_and_called_and_get_what_they_are_given() {
    let mut stage =
        stage(&[("echo", json!({ "text": "hi" })), ("where", json!({})), ("refuse", json!({}))]).await;
    add(&stage, "mine", Server { env_pass: vec!["PATH".to_owned()], ..scripted(&["mine", "noisy"]) }).await;
    stage.prompt("Work.").await;
    stage.until_asked().await;
    let asked = stage.answer("allow", None).await;
    assert_eq!((&asked["title"], &asked["tool"]), (&json!("echo (mine)"), &json!("mcp__mine__echo")));
    assert_eq!(asked["tool_call"]["rawInput"], json!({ "text": "hi" }));
    stage.mode(Mode::TrustAll).await;
    stage.until("turn.ended").await;
    let told = calls(&events_of(&stage).await);
    assert_eq!((told[0].1.as_str(), told[0].2.as_str()), ("completed", "mine says hi"));
    let place: Value = serde_json::from_str(&told[1].2).unwrap();
    assert_eq!(place["cwd"], stage.workspace().to_str().unwrap());
    assert_eq!(place["env"]["SECRET"], SECRET, "what is configured is passed");
    let env = place["env"].to_string();
    assert!(!env.contains(CANARY) && !env.contains("TRUNKLINE") && !env.contains("API_KEY"), "{env}");
    assert_eq!((told[2].1.as_str(), told[2].2.as_str()), ("failed", "no"));
    let expected = ["echo", "where", "grow", "die", "hang", "refuse"];
    assert_eq!(offered(&stage)[0], expected, "both pages, and nothing that cannot be called");
    let there = status(&stage, "mine").await;
    assert_eq!((there.status, there.tools.len()), (Status::Connected, 6));
    assert_eq!(there.connected.unwrap().server.as_deref(), Some("mine"));
    assert!(!serde_json::to_string(&there.definition).unwrap().contains(SECRET));
    stage.finish().await;
}

#[tokio::test]
async fn tools_of_one_name_get_that_of_their_server_and_more_tools_come_by_themselves() {
    let mut stage = stage(&[("mcp__b__echo", json!({})), ("grow", json!({})), ("late", json!({}))]).await;
    add(&stage, "a", scripted(&["a"])).await;
    add(&stage, "b", scripted(&["b", "shared"])).await;
    stage.mode(Mode::TrustAll).await;
    stage.prompt("Work.").await;
    stage.until("turn.ended").await;
    let told = calls(&events_of(&stage).await);
    assert_eq!((told[0].1.as_str(), told[0].2.as_str()), ("completed", "b says nothing"));
    assert!(offered(&stage)[0].contains(&"mcp__a__echo".to_owned()), "{:?}", offered(&stage));
    let late = becomes_offered(&stage, "late").await;
    assert_eq!(late.status, Status::Connected);
    stage.finish().await;
}

/// Waits until a server's tool of this name is offered.
async fn becomes_offered(stage: &Stage, tool: &str) -> SessionServer {
    let found = async {
        loop {
            let server = status(stage, "a").await;
            if server.tools.iter().any(|one| one.offered_as == tool) {
                return server;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it is offered")
}

#[tokio::test]
async fn a_server_that_dies_is_shown_with_its_last_words_and_comes_back_when_it_is_wanted() {
    let mut stage = stage(&[("die", json!({})), ("echo", json!({}))]).await;
    add(&stage, "mine", scripted(&["mine"])).await;
    stage.mode(Mode::TrustAll).await;
    stage.prompt("Work.").await;
    let events = stage.until("turn.ended").await;
    let told = calls(&events);
    assert_eq!(told[0].1, "failed", "{told:?}");
    let gone = becomes(&stage, "mine", Status::Disconnected).await;
    assert_eq!(gone.error.as_deref(), Some("the program ended: exit code 7"));
    assert!(gone.tools.is_empty() && gone.connected.is_none());
    assert_eq!(gone.stderr, "dying, secret is [secret]\n");
    assert!(
        // Whether its end was noticed before the model was asked again, in which case the tool is not even offered, is chance.
        told.get(1).is_none_or(|second| second.2.contains("no tool echo") || second.1 == "failed"),
        "what is gone is not called: {told:?}"
    );
    let back = stage.hub.mcp_connect(&owner(), stage.id, "mine").await.unwrap();
    assert_eq!((back.status, back.error), (Status::Connected, None));
    stage.finish().await;
}

#[tokio::test]
async fn a_server_that_cannot_start_or_never_answers_holds_no_turn_up_for_ever_and_says_why() {
    let mut stage = stage(&[]).await;
    add(&stage, "broken", scripted(&["broken", "broken"])).await;
    let missing = Server { command: Some("no-such-program".to_owned()), ..Server::default() };
    add(&stage, "missing", missing).await;
    let events = stage.turn("Go.").await;
    let notes = unavailable(&events);
    assert!(notes[0].starts_with("broken: ") && notes[1].starts_with("missing: "), "{notes:?}");
    let broken = status(&stage, "broken").await;
    assert_eq!((broken.status, broken.stderr.as_str()), (Status::Failed, "it cannot work: no [secret]\n"));
    assert!(broken.error.unwrap().contains("exit code 3"));
    assert!(status(&stage, "missing").await.error.unwrap().contains("no-such-program"));
    // A server that says nothing is being connected; what is asked of the session meanwhile is answered.
    let mute = scripted(&["mute", "mute"]);
    add(&stage, "mute", Server { enabled: false, ..mute }).await;
    let who = owner();
    tokio::select! {
        _ = stage.hub.mcp_connect(&who, stage.id, "mute") => panic!("it never answers"),
        there = becomes(&stage, "mute", Status::Connecting) => assert!(there.tools.is_empty()),
    }
    let off = stage.hub.mcp_disconnect(&owner(), stage.id, "mute").await.unwrap();
    assert_eq!(off.status, Status::Disabled);
    assert!(stage.custody.scan().is_empty(), "its program is gone with it");
    stage.finish().await;
}

#[tokio::test]
async fn a_call_that_is_given_up_is_told_to_the_server_and_the_turn_ends() {
    let mut stage = stage(&[("hang", json!({}))]).await;
    add(&stage, "mine", scripted(&["mine"])).await;
    stage.mode(Mode::TrustAll).await;
    stage.prompt("Work.").await;
    appears(&stage.workspace().join("hanging.txt")).await;
    stage.cancel().await;
    let events = stage.until("turn.ended").await;
    let told = calls(&events_of(&stage).await);
    assert!(told[0].1 == "failed" && told[0].2.contains("stopped"), "{told:?} {}", events.len());
    appears(&stage.workspace().join("cancelled.txt")).await;
    stage.finish().await;
}

async fn appears(file: &Path) {
    let there = async {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.expect("the server writes it");
}

#[tokio::test]
async fn what_a_project_brings_runs_only_once_a_person_has_let_it() {
    let mut stage = stage(&[("echo", json!({}))]).await;
    let definition = |args: &[&str]| {
        let server = scripted(args);
        json!({ "command": server.command, "args": server.args, "env": { "SECRET": SECRET } })
    };
    written(&stage, &json!({ "theirs": definition(&["theirs"]) }));
    let before = status(&stage, "theirs").await;
    assert_eq!(before.status, Status::Untrusted);
    assert!(stage.hub.mcp_connect(&owner(), stage.id, "theirs").await.is_err());
    let events = stage.turn("Go.").await;
    assert!(offered(&stage)[0].is_empty(), "nothing of it is started");
    assert!(stage.custody.scan().is_empty());
    let notes = unavailable(&events);
    assert!(notes[0].contains("trunkline mcp-servers trust"), "{notes:?}");
    let fingerprint = before.fingerprint.unwrap();
    let viewer = Caller::new(Principal::owner(), Scope::Viewer);
    assert!(stage.hub.mcp_trust(&viewer, stage.id, "theirs", &fingerprint).await.is_err());
    assert!(stage.hub.mcp_trust(&owner(), stage.id, "theirs", "another").await.is_err());
    let let_run = stage.hub.mcp_trust(&owner(), stage.id, "theirs", &fingerprint).await.unwrap();
    assert_eq!(let_run.status, Status::Disconnected);
    let there = stage.hub.mcp_connect(&owner(), stage.id, "theirs").await.unwrap();
    assert_eq!(there.status, Status::Connected);
    // Another session there connects by itself, and one of another definition does not.
    stage.restart().await;
    assert_eq!(stage.hub.mcp_connect(&owner(), stage.id, "theirs").await.unwrap().status, Status::Connected);
    written(&stage, &json!({ "theirs": definition(&["theirs", "shared"]) }));
    assert_eq!(status(&stage, "theirs").await.status, Status::Connected, "it is noticed with the next turn");
    stage.turn("Go on.").await;
    assert_eq!(status(&stage, "theirs").await.status, Status::Untrusted);
    assert!(stage.custody.scan().is_empty());
    stage.finish().await;
}

#[tokio::test]
async fn a_wish_lasts_over_a_restart_and_a_server_added_late_can_be_connected() {
    let mut stage = stage(&[]).await;
    stage.turn("Go.").await;
    add(&stage, "mine", scripted(&["mine"])).await;
    let there = stage.hub.mcp_connect(&owner(), stage.id, "mine").await.unwrap();
    let pid = there.connected.unwrap().pid.unwrap();
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    let off = stage.hub.mcp_disconnect(&owner(), stage.id, "mine").await.unwrap();
    assert_eq!((off.status, off.connected, off.error), (Status::Disconnected, None, None));
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "its process is gone when the answer comes");
    stage.restart().await;
    stage.turn("Go on.").await;
    assert_eq!(status(&stage, "mine").await.status, Status::Disconnected, "it stays as a person wished");
    assert_eq!(stage.hub.mcp_connect(&owner(), stage.id, "mine").await.unwrap().status, Status::Connected);
    stage.hub.delete_mcp_server(&owner(), "mine").await.unwrap();
    stage.turn("And on.").await;
    assert!(stage.hub.mcp_session(&owner(), stage.id).await.unwrap().items.is_empty());
    assert!(stage.custody.scan().is_empty(), "what is deleted is ended with the next turn");
    stage.finish().await;
}

#[tokio::test]
async fn a_server_is_spoken_to_over_http_with_its_headers() {
    let mut stage = stage(&[("echo", json!({ "text": "far" }))]).await;
    let argv = ["python3", SCRIPT, "remote", "http"];
    let env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    let spawn = Spawn { env, stdin: Stdin::Null, ..Spawn::new(argv, stage.workspace()) };
    let mut child = stage.custody.spawn(spawn).await.unwrap();
    let mut lines = trunkline_run::custody::Lines::new(child.stdout.take().unwrap());
    let said = lines.next().await.unwrap().unwrap().line.text.unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", String::from_utf8_lossy(&said).trim());
    let server = Server { url: Some(url), ..Server::default() };
    let header = |value: &str| Values {
        env: Vec::new(),
        headers: vec![("X-Key".to_owned(), Given::New(Secret::new(value)))],
    };
    let put = async |value: &str| {
        stage.hub.put_mcp_server(&owner(), "far", server.clone(), header(value)).await.unwrap();
        stage.hub.mcp_connect(&owner(), stage.id, "far").await.unwrap()
    };
    let refused = put("canary-that-is-wrong").await;
    let why = refused.error.unwrap();
    assert!(refused.status == Status::Failed && why.contains("401") && !why.contains("canary"), "{why}");
    assert_eq!(put("canary-of-a-header").await.status, Status::Connected);
    stage.mode(Mode::TrustAll).await;
    stage.turn("Work.").await;
    let told = calls(&events_of(&stage).await);
    assert_eq!((told[0].1.as_str(), told[0].2.as_str()), ("completed", "remote says far"));
    child.stop(std::time::Duration::ZERO).await.unwrap();
    stage.finish().await;
}
