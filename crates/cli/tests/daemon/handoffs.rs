//! Work that one agent leaves and another takes over, as somebody types it.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Daemon, Home, Stream, text};

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn typed(home: &Home, args: &[&str], stdin: &str) -> Output {
    let mut command = home.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A turn of the demo agent, from its prompt to its end: it is cancelled when it asks.
async fn ended(daemon: &Daemon, session: &str, stream: &mut Stream) -> Vec<Value> {
    daemon.prompt(session, "hello there").await;
    let mut events = stream.until("request.opened").await;
    let (status, body) = daemon.post(&format!("/v1/sessions/{session}/cancel"), json!({})).await;
    assert_eq!(status, 202, "{body}");
    events.extend(stream.until("turn.ended").await);
    events
}

#[tokio::test]
async fn work_is_left_and_taken_over() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let nothing = home.run(&["handoff", "resume"]);
    assert_eq!(nothing.status.code(), Some(3), "{}", text(&nothing.stderr));
    let saved = home.run(&[
        "handoff",
        "save",
        "--agent",
        "claude",
        "--summary",
        "port the parser",
        "--todo",
        "error paths",
        "--file",
        "src/parse.rs",
        "--decision",
        "no macros",
    ]);
    let id = text(&saved.stdout).trim().to_owned();
    assert!(saved.status.success() && id.len() == 12, "{}", text(&saved.stderr));
    let prompt = text(&home.run(&["handoff", "resume"]).stdout);
    for line in ["| port the parser", "| - error paths", "| - src/parse.rs", "| - no macros"] {
        assert!(prompt.lines().any(|found| found == line), "{line}: {prompt}");
    }
    let body = json!({"agent_id": "codex", "todos": ["one", {"two": 2}]}).to_string();
    let second =
        json_of(&typed(&home, &["handoff", "save", "--stdin", "--status", "paused", "--json"], &body));
    assert_eq!((&second["agent_id"], &second["status"]), (&json!("codex"), &json!("paused")));
    let wrong = typed(&home, &["handoff", "save", "--stdin"], "{\"agent\": 1}");
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    let listed = json_of(&home.run(&["handoff", "list", "--agent", "claude", "--json"]));
    assert_eq!(listed["items"][0]["id"], id.as_str());
    let done = home.run(&["handoff", "save", &id[..6], "--status", "completed"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let shown = text(&home.run(&["handoff", "show", &id]).stdout);
    assert!(shown.contains("status      completed") && shown.contains("to do       error paths"), "{shown}");
    let newest = json_of(&home.run(&["handoff", "resume", "--json"]));
    assert_eq!(newest["handoff"], second["id"], "what is completed is not taken over");
    // The built-in agent has no use for it, but it is asked.
    let ran = home.run(&["handoff", "resume", &id, "--run", "demo", "--detach"]);
    let session = text(&ran.stdout).trim().to_owned();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    let started = stream.until("turn.started").await.pop().unwrap();
    assert!(started["data"]["prompt"][0]["text"].as_str().unwrap().contains("| port the parser"));
}

#[tokio::test]
async fn the_daemon_keeps_a_handoff_of_each_session_it_runs() {
    let home = Home::new();
    let daemon = Daemon::start(&home);
    let session = daemon.demo(&home.work()).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    ended(&daemon, &session, &mut stream).await;
    stream.until("turn.checkpointed").await;
    let listed = json_of(&home.run(&["handoff", "list", "--session", &session, "--json"]));
    assert_eq!(
        (&listed["items"][0]["automatic"], &listed["items"][0]["agent_id"]),
        (&json!(true), &json!("demo"))
    );
    let prompt = text(&home.run(&["handoff", "resume"]).stdout);
    assert!(prompt.contains("\n| asked: hello there\n"), "{prompt}");
    assert!(home.run(&["rm", "--force", &session]).status.success());
    let listed = json_of(&home.run(&["handoff", "list", "--json"]));
    assert_eq!(listed["items"], json!([]), "it goes with its session");
}

#[tokio::test]
async fn checkpoints_can_be_switched_off() {
    let home = Home::new();
    fs::create_dir_all(home.path()).unwrap();
    fs::write(home.path().join("config.toml"), "[handoffs]\ncheckpoints = false\n").unwrap();
    let daemon = Daemon::start(&home);
    let session = daemon.demo(&home.work()).await;
    let mut stream = daemon.follow(&session, 0).await.unwrap();
    for _ in 0..2 {
        let events = ended(&daemon, &session, &mut stream).await;
        assert!(events.iter().all(|event| event["type"] != "turn.checkpointed"), "{events:?}");
    }
    let listed = json_of(&home.run(&["handoff", "list", "--json"]));
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn the_database_of_the_original_bus_is_taken_once() {
    let home = Home::new();
    let old = home.work().join("handoff.db");
    let bus = Connection::open(&old).unwrap();
    bus.execute_batch(
        r#"
        CREATE TABLE handoff_sessions(id TEXT PRIMARY KEY, agent_id TEXT NOT NULL, repo TEXT, status TEXT NOT NULL DEFAULT 'active',
          task_summary TEXT, decisions TEXT, files_touched TEXT, todos TEXT, metadata TEXT, created TEXT, updated TEXT);
        CREATE TABLE handoff_lanes(id TEXT PRIMARY KEY, session_id TEXT, from_agent TEXT, to_agent TEXT, status TEXT, context TEXT,
          created TEXT, updated TEXT);
        CREATE TABLE handoff_checkpoints(id TEXT PRIMARY KEY, session_id TEXT, lane_id TEXT, agent_id TEXT, snapshot TEXT, created TEXT);
        INSERT INTO handoff_sessions VALUES ('aaaaaaaaaaaa', 'ana', '/work', 'paused', 'fix it', '["d"]', '[]', '["t"]', '{"n": 1}',
          '2026-11-21T07:57:43.834314+00:00', '2026-11-21T08:00:00+00:00');
        INSERT INTO handoff_lanes VALUES ('111111111111', 'aaaaaaaaaaaa', 'ana', 'bob', 'closed', '{}',
          '2026-11-21T07:58:00+00:00', '2026-11-21T07:59:00+00:00');
        INSERT INTO handoff_checkpoints VALUES ('333333333333', 'aaaaaaaaaaaa', '111111111111', 'ana', '{"a": 1}',
          '2026-11-21T07:58:30+00:00');"#,
    )
    .unwrap();
    drop(bus);
    let before = fs::read(&old).unwrap();
    let daemon = Daemon::start(&home);
    let import = || json_of(&home.run(&["import", "--from", "engram", old.to_str().unwrap(), "--json"]));
    assert_eq!(import(), json!({"handoffs": 1, "lanes": 1, "checkpoints": 1}));
    assert_eq!(import(), json!({"handoffs": 0, "lanes": 0, "checkpoints": 0}));
    assert_eq!(fs::read(&old).unwrap(), before);
    let (_, whole) = daemon.get("/v1/handoffs/aaaaaaaaaaaa").await;
    assert_eq!(whole["handoff"]["created"], json!(1_795_247_863_834_314_i64));
    assert_eq!(
        (&whole["lanes"][0]["lane"]["status"], &whole["checkpoints"][0]["snapshot"]),
        (&json!("closed"), &json!({"a": 1}))
    );
    let none = home.run(&["import", "--from", "engram", "/no/such.db"]);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
}
