//! Turns that are stopped.

use trunkline_core::event::Fact;
use trunkline_core::session::Command;
use trunkline_core::turn::{StopReason, WhenBusy};
use trunkline_run::catalog::Custom;

use crate::stage::played::{end, notes, said};
use crate::stage::{Set, Stage, is_gone};
use crate::world::{inbox, prompt, tags};

/// Where each of these first stands in the recorded conversation.
fn order(stage: &Stage, parts: &[&str]) -> Vec<usize> {
    let record = std::fs::read_to_string(stage.record()).unwrap();
    parts.iter().map(|part| record.find(part).unwrap_or_else(|| panic!("{part} in {record}"))).collect()
}

#[tokio::test]
async fn an_agent_that_listens_ends_its_turn_and_takes_the_next() {
    let mut stage = Stage::new().await;
    stage.prompt("say(str(os.getpid())); wait_for_cancel(); say(' last words')").await;
    let pid = said(&stage.until("turn.update").await);
    stage.command(prompt("say(str(os.getpid()))", WhenBusy::Queue)).await;
    stage.cancel().await;
    let events = stage.until("turn.ended").await;
    assert_eq!((end(&events).stop_reason, said(&events).as_str()), (StopReason::Cancelled, " last words"));
    assert_eq!(said(&stage.until("turn.ended").await), pid, "the same process");
    let mut places = order(&stage, &["session/cancel", r#"{\"stopReason\": \"cancelled\"}"#]);
    places.extend(std::fs::read_to_string(stage.record()).unwrap().rfind("session/prompt"));
    assert!(places.is_sorted(), "the answer is read before the next prompt goes out: {places:?}");
    let said = ["initialize", "session/new", "session/prompt", "session/cancel", "session/prompt"];
    assert_eq!(stage.finish().await, said);
}

#[tokio::test]
async fn a_question_is_answered_after_the_cancel_is_told() {
    let mut stage = Stage::new().await;
    stage.prompt("say(repr(ask())); say(repr(ask('Once more')))").await;
    stage.until("request.opened").await;
    stage.cancel().await;
    let events = stage.until("turn.ended").await;
    assert_eq!((end(&events).stop_reason, said(&events).as_str()), (StopReason::Cancelled, "NoneNone"));
    assert!(!tags(&events).contains(&"request.opened"), "nothing is asked any more");
    assert!(inbox(&stage.hub).await.is_empty());
    let places = order(&stage, &["session/cancel", r#"\"outcome\":\"cancelled\""#]);
    assert!(places.is_sorted(), "{places:?}");
    stage.finish().await;
}

#[tokio::test]
async fn an_agent_that_does_not_listen_is_killed_with_all_it_started() {
    let mut stage = Stage::new().await;
    stage
        .prompt("signal.signal(signal.SIGTERM, signal.SIG_IGN); say(f'{daemon()} {os.getpid()}'); hang()")
        .await;
    let pids = said(&stage.until("turn.update").await);
    stage.cancel_within(100).await;
    let events = stage.until("turn.ended").await;
    assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
    let exited = events.iter().find_map(|event| match &event.fact {
        Fact::AgentExited(exited) => Some((exited.incarnation, exited.signal)),
        _ => None,
    });
    assert_eq!(exited, Some((1, Some(9))));
    stage.empty().await;
    assert!(pids.split(' ').all(is_gone), "{pids}");
    let events = stage.turn("say('back')").await;
    assert_eq!((said(&events).as_str(), notes(&events)), ("back", vec![]));
    let called = stage.finish().await;
    assert_eq!(called[3..], ["initialize", "session/resume", "session/prompt"]);
}

#[tokio::test]
async fn a_deleted_session_leaves_no_process() {
    for code in ["hang()", "signal.signal(signal.SIGTERM, signal.SIG_IGN); daemon(); hang()", "ask()"] {
        let mut stage = Stage::new().await;
        stage.prompt(&format!("say('x'); {code}")).await;
        stage.until("turn.update").await;
        stage.command(Command::Delete).await;
        stage.empty().await;
        while !stage.hub.hosted().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_turn_can_be_stopped_while_its_agent_starts() {
    for setup in ["hang()", "overrides['session/new'] = lambda params: hang()"] {
        let mut stage = Stage::with(Set { setup, ..Set::default() }).await;
        stage.prompt("say('never')").await;
        stage.until("agent.started").await;
        stage.cancel().await;
        let events = stage.until("turn.ended").await;
        assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
        assert!(tags(&events).contains(&"agent.exited"));
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_cancel_ends_the_commands_of_the_turn() {
    let mut stage = Stage::new().await;
    stage.prompt("call('terminal/create', command='sleep', args=['1000']); wait_for_cancel()").await;
    stage.until("terminal.started").await;
    stage.cancel().await;
    let events = stage.until("turn.ended").await;
    assert!(tags(&events).contains(&"terminal.exited"), "{:?}", tags(&events));
    assert_eq!(stage.custody.scan().len(), 1, "the agent runs on");
    stage.finish().await;
}

#[tokio::test]
async fn an_agent_that_is_spent_by_a_cancel_is_started_anew() {
    let custom = Custom { restart_after_cancel: Some(true), ..Custom::default() };
    let mut stage = Stage::with(Set { custom, ..Set::default() }).await;
    let first = stage.hears("say(str(os.getpid()))").await;
    stage.prompt("say('x'); wait_for_cancel()").await;
    stage.until("turn.update").await;
    stage.cancel().await;
    stage.until("turn.ended").await;
    stage.until("agent.exited").await;
    assert_ne!(stage.hears("say(str(os.getpid()))").await, first);
    let called = stage.finish().await;
    let expected = [
        "session/prompt",
        "session/prompt",
        "session/cancel",
        "initialize",
        "session/resume",
        "session/prompt",
    ];
    assert_eq!(called[2..], expected);
}

#[tokio::test]
async fn the_daemon_stops_within_two_seconds_and_the_turn_gets_its_end() {
    let mut stage = Stage::new().await;
    stage.prompt("signal.signal(signal.SIGTERM, signal.SIG_IGN); say('x'); hang()").await;
    stage.until("turn.update").await;
    let began = tokio::time::Instant::now();
    stage.hub.shutdown().await;
    assert!(began.elapsed().as_millis() < 2_000, "{:?}", began.elapsed());
    let events = stage.until("turn.ended").await;
    assert_eq!(end(&events).stop_reason, StopReason::Interrupted);
    stage.empty().await;
}
