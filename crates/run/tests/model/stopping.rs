use serde_json::json;
use trunkline_core::grant::Mode;
use trunkline_core::profile::Provider;
use trunkline_core::turn::StopReason;

use crate::stage::played::end;
use crate::stage::{Stage, WIRES, answers, call, words};
use crate::world::inbox;

/// Everything that was asked of a model must be a conversation that it takes: each call is answered.
fn is_whole(stage: &Stage) {
    for asked in stage.asked() {
        let body = asked.body.to_string();
        let calls = body.matches(r#""type":"tool_use""#).count()
            + body.matches(r#""type":"function","#).count() * usize::from(body.contains("tool_calls"))
            + body.matches(r#""type":"function_call""#).count();
        let results = body.matches(r#""type":"tool_result""#).count()
            + body.matches(r#""role":"tool""#).count()
            + body.matches(r#""type":"function_call_output""#).count();
        assert!(results >= calls.min(1), "{body}");
    }
}

#[tokio::test]
async fn a_turn_stops_in_the_middle_of_a_word_and_the_next_is_taken() {
    for provider in WIRES {
        let script = answers(&[
            json!([{ "text": "Half an ans" }, { "wait_for": "never" }, { "text": "wer" }]),
            json!([{ "text": "Whole." }]),
        ]);
        let mut stage = Stage::new(provider, script).await;
        stage.prompt("Talk.").await;
        stage.until("turn.update").await;
        stage.cancel().await;
        let events = stage.until("turn.ended").await;
        assert_eq!(end(&events).stop_reason, StopReason::Cancelled, "{provider:?}");
        assert_eq!(stage.hears("Again.").await, "Whole.", "{provider:?}");
        let last = stage.asked()[1].body.to_string();
        assert!(last.contains("Half an ans") && last.contains("Again."), "what was said is known: {last}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_turn_stops_while_a_person_is_asked_and_while_a_command_runs() {
    for provider in WIRES {
        let both = json!([
            { "text": "Two." },
            call("shell", json!({ "command": "echo begun; sleep 600" })),
            call("list", json!({})),
        ]);
        let script =
            answers(&[both.clone(), json!([{ "text": "Well." }]), both, json!([{ "text": "Good." }])]);
        let mut stage = Stage::new(provider, script).await;
        stage.prompt("Run.").await;
        stage.until("request.opened").await;
        stage.cancel().await;
        let events = stage.until("turn.ended").await;
        assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
        assert!(inbox(&stage.hub).await.is_empty(), "nobody is asked any more");
        assert_eq!(stage.hears("And now?").await, "Well.", "{provider:?}");
        stage.mode(Mode::TrustAll).await;
        stage.prompt("Run again.").await;
        stage.until("terminal.output").await;
        stage.cancel().await;
        let events = stage.until("turn.ended").await;
        assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
        stage.empty().await;
        assert_eq!(stage.hears("And now?").await, "Good.", "{provider:?}");
        is_whole(&stage);
        let last = stage.asked()[3].ask.clone().unwrap();
        assert_eq!(last.user_text, "And now?", "{provider:?}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_daemon_that_dies_in_the_middle_of_a_call_leaves_a_session_that_goes_on() {
    let script = answers(&[
        json!([call("shell", json!({ "command": "sleep 600" }))]),
        json!([{ "text": "Here again." }]),
    ]);
    let mut stage = Stage::new(Provider::Anthropic, script).await;
    stage.mode(Mode::TrustAll).await;
    stage.prompt("Run.").await;
    stage.until("terminal.started").await;
    stage.restart().await;
    let events = stage.until("turn.ended").await;
    assert!(
        matches!(end(&events).stop_reason, StopReason::Interrupted | StopReason::Cancelled),
        "{:?}",
        end(&events)
    );
    assert_eq!(stage.hears("Go on.").await, "Here again.");
    let last = stage.asked()[1].body.to_string();
    assert!(last.contains("tool_use") && last.contains("tool_result"), "{last}");
    assert_eq!(words(&events), "");
    stage.empty().await;
    stage.finish().await;
}
