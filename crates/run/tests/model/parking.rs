//! A provider's limit: a turn waits for its end where the profile says so, once, and can be stopped while it does.

use std::time::Duration;

use serde_json::{Value, json};
use trunkline_core::park::Park;
use trunkline_core::profile::Provider;
use trunkline_core::turn::StopReason;

use crate::stage::played::{end, error, notes};
use crate::stage::{Stage, WIRES, answers, note, words};

fn limited() -> Value {
    json!([{ "error": { "status": 429, "message": "slow down", "retry_after": 3600 } }])
}

/// A session whose profile lets a turn wait so many seconds, if any.
async fn stage(provider: Provider, script: &[Value], max_s: Option<u64>) -> Stage {
    let park = max_s.map(|max_s| Park { max_s });
    Stage::with(provider, answers(script), |profile| profile.park = park).await
}

async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_turn_waits_until_the_limit_is_over_and_goes_on_by_itself() {
    for provider in WIRES {
        let mut stage = stage(provider, &[limited(), json!([{ "text": "Now." }])], Some(3_600)).await;
        stage.prompt("Hello?").await;
        let events = stage.until("turn.note").await;
        let until = note(&events, "parked")["until"].as_i64().unwrap();
        let left = until - stage.hub.now().0;
        assert!((3_500_000..=3_601_000).contains(&left), "{provider:?}: {left}");
        assert_eq!(stage.asked().len(), 1);
        pass(3_602).await;
        let events = stage.until("turn.ended").await;
        assert_eq!((words(&events).as_str(), notes(&events)), ("Now.", vec!["resumed"]), "{provider:?}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_turn_waits_once_and_then_says_when_to_come_back() {
    let mut stage = stage(Provider::Anthropic, &[limited(), limited()], Some(3_600)).await;
    stage.prompt("Hello?").await;
    stage.until("turn.note").await;
    pass(3_602).await;
    let events = stage.until("turn.ended").await;
    assert!(error(&events).contains("slow down"));
    assert_eq!(notes(&events), ["resumed", "model_failed"]);
    assert_eq!(note(&events, "model_failed")["retry_after_ms"], 3_600_000);
    stage.finish().await;
}

#[tokio::test]
async fn nobody_waits_who_did_not_ask_for_it_or_for_longer_than_was_said() {
    for max_s in [None, Some(3_599)] {
        let mut stage = stage(Provider::Openai, &[limited()], max_s).await;
        let events = stage.turn("Hello?").await;
        assert_eq!(notes(&events), ["model_failed"], "{max_s:?}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_turn_that_waits_for_a_limit_can_be_stopped() {
    let mut stage = stage(Provider::Openai, &[limited(), json!([{ "text": "Hi." }])], Some(3_600)).await;
    stage.prompt("Hello?").await;
    stage.until("turn.note").await;
    stage.cancel().await;
    let events = stage.until("turn.ended").await;
    assert_eq!(end(&events).stop_reason, StopReason::Cancelled);
    assert_eq!(stage.hears("Again.").await, "Hi.");
    stage.finish().await;
}
