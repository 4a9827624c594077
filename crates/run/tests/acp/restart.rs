//! Sessions that outlive their agent's process.

use crate::stage::Stage;
use crate::stage::played::{end, error, notes, said};
use crate::world::tags;

const NO_RESUME: &str = "capabilities['sessionCapabilities'] = {}";

#[tokio::test]
async fn a_session_is_resumed_after_the_daemon_starts_anew() {
    let mut stage = Stage::new().await;
    let first = stage.hears("say(session)").await;
    stage.restart().await;
    assert_eq!(stage.hears("say(session)").await, first);
    let called = stage.finish().await;
    assert_eq!(called[3..], ["initialize", "session/resume", "session/prompt"]);
}

#[tokio::test]
async fn a_session_is_resumed_after_a_crash() {
    let mut stage = Stage::new().await;
    let first = stage.hears("say(session)").await;
    let events = stage.turn("say('half a'); print('boom', file=sys.stderr); os._exit(9)").await;
    let error = error(&events);
    assert!(
        error
            .starts_with("actor ended in the middle of the turn, with exit code 9.\nIt was run as `python3 "),
        "{error}"
    );
    assert!(error.ends_with("\nThe end of its stderr:\nboom"), "{error}");
    assert_eq!(said(&events), "half a");
    assert_eq!(stage.hears("say(session)").await, first);
    stage.finish().await;
}

#[tokio::test]
async fn a_replay_is_not_written_down_twice() {
    let mut stage = Stage::set(NO_RESUME).await;
    stage.hears("say('first')").await;
    stage.restart().await;
    let events = stage.turn("say('second')").await;
    assert_eq!((said(&events).as_str(), notes(&events)), ("second", vec![]));
    assert_eq!(stage.finish().await[3..], ["initialize", "session/load", "session/prompt"]);
}

/// Gemini answers and then replays, and ends with its commands.
#[tokio::test]
async fn a_replay_after_the_answer_is_sat_out() {
    let mut stage = Stage::set(
        "capabilities['sessionCapabilities'] = {}
def answer_first(params):
    global after
    restore(params)
    def then():
        for pause in (0.1, 0.1, 0.5):
            time.sleep(pause)
            replay()
        commands('help')
    after = then
    return {'modes': None}
overrides['session/load'] = answer_first",
    )
    .await;
    stage.hears("say('first')").await;
    stage.restart().await;
    let events = stage.turn("say('second')").await;
    assert_eq!(said(&events), "second");
    assert!(tags(&events).contains(&"agent.status"), "gauges are kept");
    let record = std::fs::read_to_string(stage.record()).unwrap();
    let (commands, prompt) =
        (record.rfind("available_commands").unwrap(), record.rfind("session/prompt").unwrap());
    assert!(commands < prompt, "the prompt waits for the end of the replay");
    stage.finish().await;
}

#[tokio::test]
async fn where_resuming_fails_loading_is_tried_and_then_a_new_session_begun() {
    let mut stage = Stage::set(
        "def fail(params): raise Refused(-32603, 'No previous sessions found')
overrides['session/resume'] = fail",
    )
    .await;
    let first = stage.hears("say(session)").await;
    stage.restart().await;
    assert_eq!(stage.hears("overrides['session/load'] = fail; say(session)").await, first);
    std::fs::read_dir(stage.record().parent().unwrap()).unwrap().flatten().for_each(|entry| {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("record.")) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    });
    stage.restart().await;
    let events = stage.turn("say(session)").await;
    assert_ne!(said(&events), first);
    assert_eq!(notes(&events), ["history_lost"]);
    stage.restart().await;
    let called = stage.finish().await;
    let tried = ["initialize", "session/resume", "session/load", "session/new", "session/prompt"];
    assert_eq!(called[called.len() - 5..], tried);
}

#[tokio::test]
async fn an_agent_that_can_do_neither_begins_anew() {
    let mut stage = Stage::set("capabilities.clear()").await;
    stage.hears("say('x')").await;
    stage.restart().await;
    let events = stage.turn("say('y')").await;
    assert_eq!((notes(&events), end(&events).error.clone()), (vec!["history_lost"], None));
    stage.finish().await;
}

#[tokio::test]
async fn a_session_that_was_never_prompted_has_no_history_to_lose() {
    let mut stage = Stage::set("capabilities.clear()").await;
    stage.prompt("say('x'); wait_for_cancel()").await;
    stage.until("driver.memo").await;
    stage.hub.shutdown().await;
    stage.until("turn.ended").await;
    stage.restart().await;
    stage.finish().await;
}
