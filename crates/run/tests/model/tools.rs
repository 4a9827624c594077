use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use trunkline_core::grant::Mode;
use trunkline_core::profile::Provider;

use crate::stage::{CANARY, Stage, answers, call, calls, updates};
use crate::world::inbox;

/// A session whose model makes these calls, one per request, and then ends.
async fn stage(all: &[(&str, Value)]) -> Stage {
    let mut script: Vec<Value> = all.iter().map(|(tool, input)| json!([call(tool, input.clone())])).collect();
    script.push(json!([{ "text": "Done." }]));
    Stage::new(Provider::Anthropic, answers(&script)).await
}

#[tokio::test]
async fn what_is_to_be_written_is_shown_and_asked_about_and_then_written() {
    let input = json!({ "path": "new/a.txt", "content": "hello\n" });
    let mut stage = stage(&[("write", input.clone())]).await;
    stage.prompt("Write it.").await;
    let mut events = stage.until("request.opened").await;
    assert!(!stage.workspace().join("new").exists(), "nothing is done before it is allowed");
    let asked = stage.answer("allow", None).await;
    assert_eq!(asked["title"], "Write new/a.txt");
    let shown = &asked["tool_call"];
    assert_eq!(shown["rawInput"], input);
    assert_eq!((&shown["kind"], &shown["content"][0]["type"]), (&json!("edit"), &json!("diff")));
    assert_eq!(shown["content"][0]["newText"], "hello\n");
    assert_eq!(asked["risk"]["level"], "medium", "{asked}");
    events.extend(stage.until("turn.ended").await);
    assert_eq!(updates(&events, "tool_call")[0]["toolCallId"], shown["toolCallId"], "the same call");
    assert_eq!(std::fs::read_to_string(stage.workspace().join("new/a.txt")).unwrap(), "hello\n");
    assert!(events.iter().any(|event| event.fact.tag() == "file.written"));
    stage.finish().await;
}

#[tokio::test]
async fn what_is_denied_is_not_done_and_the_model_hears_why() {
    let mut stage = stage(&[("write", json!({ "path": "a", "content": "x" }))]).await;
    stage.prompt("Write it.").await;
    stage.until("request.opened").await;
    stage.answer("deny", Some("not there")).await;
    let events = stage.until("turn.ended").await;
    assert_eq!(calls_of(&events)[0].1, "failed");
    let told = stage.asked()[1].ask.clone().unwrap().tool_results[0].clone();
    assert!(told.contains("did not allow") && told.contains("not there"), "{told}");
    assert!(!stage.workspace().join("a").exists());
    stage.finish().await;
}

fn calls_of(events: &[trunkline_core::event::Event]) -> Vec<(String, String)> {
    let over =
        updates(events, "tool_call_update").into_iter().filter(|update| update.get("rawOutput").is_some());
    over.map(|over| (over["toolCallId"].to_string(), over["status"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn files_are_edited_moved_removed_and_found() {
    let mut stage = files_stage().await;
    let work = stage.workspace();
    std::fs::create_dir(work.join("src")).unwrap();
    std::fs::write(work.join("src/a.rs"), "one\ntwo\nsame\nsame\n").unwrap();
    stage.mode(Mode::AutoApproveEdits).await;
    stage.prompt("Work.").await;
    stage.until_asked().await;
    let asked = stage.answer("allow", None).await;
    assert_eq!(asked["title"], "Delete lib/b.rs", "only that is asked about in this mode");
    let events = stage.until("turn.ended").await;
    let told: Vec<(String, String, String)> = calls(&stage_log(&stage).await);
    let told: Vec<_> =
        told.iter().map(|(tool, status, text)| (tool.as_str(), status.as_str(), text.as_str())).collect();
    assert_eq!(told[0], ("edit", "completed", "src/a.rs is written, 16 bytes"));
    assert!(told[1].1 == "failed" && told[1].2.contains("2 times"), "{told:?}");
    assert!(told[2].1 == "failed" && told[2].2.contains("does not stand"), "{told:?}");
    assert_eq!(told[3], ("move", "completed", "src/a.rs is lib/b.rs now"));
    assert_eq!(told[4], ("glob", "completed", "lib/b.rs\n"));
    assert_eq!(told[5], ("grep", "completed", "lib/b.rs:1:one\nlib/b.rs-2-2\n"));
    assert_eq!(told[6], ("read", "completed", "     2\t2\n[… the file goes on at line 3 …]"));
    assert_eq!(told[7], ("delete", "completed", "lib/b.rs is removed"));
    assert_eq!(told[8], ("list", "completed", "[the directory is empty]"));
    assert!(events.iter().any(|event| event.fact.tag() == "turn.ended"));
    stage.finish().await;
}

async fn files_stage() -> Stage {
    stage(&[
        ("edit", json!({ "path": "src/a.rs", "old_text": "two", "new_text": "2" })),
        ("edit", json!({ "path": "src/a.rs", "old_text": "same", "new_text": "x" })),
        ("edit", json!({ "path": "src/a.rs", "old_text": "nowhere", "new_text": "x" })),
        ("move", json!({ "from": "src/a.rs", "to": "lib/b.rs" })),
        ("glob", json!({ "pattern": "**/*.rs" })),
        ("grep", json!({ "pattern": "^ONE", "ignore_case": true, "context": 1 })),
        ("read", json!({ "path": "lib/b.rs", "line": 2, "limit": 1 })),
        ("delete", json!({ "path": "lib/b.rs" })),
        ("list", json!({ "path": "lib" })),
    ])
    .await
}

pub(crate) async fn stage_log(stage: &Stage) -> Vec<trunkline_core::event::Event> {
    crate::world::log(&*stage.disk, stage.id).await
}

#[tokio::test]
async fn no_path_and_no_command_leads_out_of_the_workspace() {
    let outside = tempfile::Builder::new().prefix("outside").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "canary of the file").unwrap();
    let at = |name: &str| outside.path().join(name).to_str().unwrap().to_owned();
    let mut stage = stage(&[
        ("read", json!({ "path": at("secret") })),
        ("read", json!({ "path": "link/secret" })),
        ("read", json!({ "path": "../../../../../../etc/passwd" })),
        ("list", json!({ "path": "/etc" })),
        ("grep", json!({ "pattern": "canary", "path": "link" })),
        ("grep", json!({ "pattern": "canary" })),
        ("write", json!({ "path": at("made"), "content": "x" })),
        ("write", json!({ "path": "link/made", "content": "x" })),
        ("edit", json!({ "path": "link/secret", "old_text": "canary", "new_text": "x" })),
        ("move", json!({ "from": "link/secret", "to": "stolen" })),
        ("move", json!({ "from": "own", "to": "link/own" })),
        ("delete", json!({ "path": "link/secret" })),
        ("shell", json!({ "command": "echo x", "cwd": outside.path() })),
        ("shell", json!({ "command": "echo x", "cwd": "link" })),
        ("shell", json!({ "command": format!("echo x > {}", at("made")) })),
        ("shell", json!({ "command": "env; cat \"$TRUNKLINE_HOME\"/secrets.json" })),
    ])
    .await;
    symlink(outside.path(), stage.workspace().join("link")).unwrap();
    std::fs::write(stage.workspace().join("own"), "own").unwrap();
    stage.mode(Mode::TrustAll).await;
    let events = stage.turn("Break out.").await;
    let told = calls(&events);
    assert_eq!(told.len(), 16);
    for (tool, status, text) in &told {
        assert!(!text.contains("canary of"), "{tool}: {text}");
        assert!(!text.contains(CANARY), "a command does not see the daemon's keys: {text}");
        assert!(status == "failed" || tool == "grep", "{tool}: {status} {text}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "canary of the file");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1, "nothing is new there");
    stage.finish().await;
}

#[tokio::test]
async fn a_command_tells_what_it_prints_how_it_ends_and_is_ended_in_time() {
    let mut stage = stage(&[
        ("shell", json!({ "command": "echo out; echo err >&2; exit 3" })),
        ("shell", json!({ "command": "sleep 600 & echo $! ; sleep 600", "timeout_s": 1 })),
        ("shell", json!({ "command": "yes 0123456789 | head -c 200000" })),
        ("shell", json!({ "command": "pwd", "cwd": "sub" })),
        ("shell", json!({ "command": " " })),
    ])
    .await;
    std::fs::create_dir(stage.workspace().join("sub")).unwrap();
    stage.mode(Mode::TrustAll).await;
    let events = stage.turn("Run.").await;
    let told = calls(&events);
    assert_eq!((told[0].1.as_str(), told[0].2.as_str()), ("failed", "out\nerr\n[exit code 3]"));
    assert!(told[1].1 == "failed" && told[1].2.contains("took too long"), "{told:?}");
    assert!(
        told[2].2.starts_with("[… the beginning is left out …]") && told[2].2.len() < 70_000,
        "{}",
        told[2].2.len()
    );
    assert!(told[3].1 == "completed" && told[3].2.ends_with("/sub"), "{told:?}");
    assert!(told[4].1 == "failed" && told[4].2.contains("empty"));
    let tags: Vec<_> = events.iter().map(|event| event.fact.tag().to_owned()).collect();
    assert!(tags.contains(&"terminal.output".to_owned()) && tags.contains(&"terminal.exited".to_owned()));
    let mut running =
        updates(&events, "tool_call_update").into_iter().filter(|update| update["status"] == "in_progress");
    assert!(
        running.any(|update| update["content"][0]["type"] == "terminal"),
        "what it prints is shown as it comes"
    );
    stage.empty().await;
    stage.finish().await;
}

#[tokio::test]
async fn a_command_in_the_background_runs_on_is_looked_at_and_ended() {
    let id = "term-1-1";
    let mut stage = stage(&[
        ("shell", json!({ "command": "echo ready; sleep 600", "background": true })),
        ("shell_output", json!({ "id": id, "wait_s": 1 })),
        ("shell_stop", json!({ "id": id })),
        ("shell_output", json!({ "id": id })),
    ])
    .await;
    stage.mode(Mode::TrustAll).await;
    let events = stage.turn("Serve.").await;
    let told = calls(&events);
    assert!(told[0].2.contains(id), "{told:?}");
    assert_eq!(told[1].2, "ready\n[it runs]");
    assert!(told[2].2.contains("[ended by SIGTERM]"), "{told:?}");
    assert!(told[3].1 == "failed" && told[3].2.contains("no command"), "{told:?}");
    stage.empty().await;
    stage.finish().await;
}

#[tokio::test]
async fn a_session_that_asks_about_all_asks_about_reading_too_and_a_new_mode_lets_go() {
    let mut stage = stage(&[("list", json!({})), ("list", json!({ "path": "." }))]).await;
    stage.mode(Mode::ConfirmAll).await;
    stage.prompt("Look.").await;
    stage.until("request.opened").await;
    assert_eq!(inbox(&stage.hub).await.len(), 1);
    stage.mode(Mode::Default).await;
    stage.until("turn.ended").await;
    assert!(inbox(&stage.hub).await.is_empty());
    stage.finish().await;
}

#[tokio::test]
async fn a_file_that_changed_while_a_person_was_asked_is_not_written() {
    let mut stage = stage(&[("edit", json!({ "path": "a", "old_text": "1", "new_text": "2" }))]).await;
    std::fs::write(stage.workspace().join("a"), "1").unwrap();
    stage.prompt("Edit.").await;
    stage.until("request.opened").await;
    std::fs::write(stage.workspace().join("a"), "1, and mine").unwrap();
    stage.answer("allow", None).await;
    let events = stage.until("turn.ended").await;
    assert_eq!(calls_of(&events)[0].1, "failed");
    assert_eq!(std::fs::read_to_string(stage.workspace().join("a")).unwrap(), "1, and mine");
    stage.finish().await;
}
