use serde_json::{Value, json};
use trunkline_core::profile::Provider;
use trunkline_core::turn::StopReason;

use crate::stage::played::{end, error, notes};
use crate::stage::{CANARY, Stage, WIRES, answers, note, words};

fn fails(status: u16, message: &str) -> Value {
    json!([{ "error": { "status": status, "message": message, "retry_after": 0 } }])
}

#[tokio::test]
async fn what_passes_is_tried_again_and_told() {
    for provider in WIRES {
        let script = answers(&[fails(429, "slow down"), fails(503, "no room"), json!([{ "text": "Now." }])]);
        let mut stage = Stage::new(provider, script).await;
        let events = stage.turn("Hello?").await;
        assert_eq!(words(&events), "Now.", "{provider:?}");
        assert_eq!(notes(&events), ["retrying", "retrying"]);
        let told = note(&events, "retrying");
        assert_eq!(
            (&told["code"], &told["attempt"], &told["begun"]),
            (&json!("rate_limited"), &json!(1), &json!(false))
        );
        stage.finish().await;
    }
}

#[tokio::test]
async fn what_stays_ends_the_turn_at_once_in_words() {
    let cases = [
        (401, "bad key", "authentication_failed"),
        (400, "prompt is too long: 9 > 8", "context_too_long"),
        (404, "no such model", "invalid_request"),
    ];
    for provider in WIRES {
        for (status, message, code) in cases {
            let mut stage = Stage::new(provider, answers(&[fails(status, message)])).await;
            let events = stage.turn("Hello?").await;
            assert!(error(&events).contains(message), "{provider:?} {}", error(&events));
            assert_eq!(note(&events, "model_failed")["code"], code, "{provider:?}");
            assert_eq!(stage.asked().len(), 1, "it is of no use to ask again");
            stage.finish().await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_again() {
    for provider in WIRES {
        let script = answers(&[
            json!([{ "text": "Half an ans" }, { "cut": {} }]),
            json!([{ "text": "A whole one." }]),
        ]);
        let mut stage = Stage::new(provider, script).await;
        let events = stage.turn("Hello?").await;
        assert_eq!(end(&events).stop_reason, StopReason::EndTurn, "{provider:?} {:?}", end(&events));
        assert_eq!(note(&events, "retrying")["begun"], true, "{provider:?}");
        let asked = stage.asked();
        assert!(!asked[1].body.to_string().contains("Half an ans"), "what does not count is not known");
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told_without_any_secret() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    let mut stage = Stage::with(Provider::Anthropic, answers(&[]), |profile| {
        profile.base_url = Some(format!("http://{address}"));
    })
    .await;
    // It takes connections, and says nothing: that is waited for no longer than it may.
    drop(gone);
    stage.prompt("Hello?").await;
    let events = stage.until("turn.note").await;
    let told = note(&events, "retrying");
    assert_eq!(told["code"], "connection_failed");
    stage.cancel().await;
    let events = stage.until("turn.ended").await;
    assert_eq!(end(&events).stop_reason, StopReason::Cancelled, "it stops while it waits");
    let log = crate::world::log(&*stage.disk, stage.id).await;
    assert!(!log.iter().any(|event| event.to_line().contains(CANARY)));
    stage.finish().await;
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_not_waited_for_for_ever() {
    let script = answers(&[json!([{ "text": "Yes" }, { "wait_for": "never" }]), json!([{ "text": "No." }])]);
    let mut stage = Stage::with(Provider::Openai, script, |profile| profile.timeout_s = Some(1)).await;
    let events = stage.turn("Hello?").await;
    assert_eq!(note(&events, "retrying")["code"], "connection_failed");
    assert!(words(&events).ends_with("No."));
    stage.finish().await;
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_put_in_short_and_goes_on() {
    let long = "x".repeat(4_000);
    let script = answers(&[
        json!({ "answer": [{ "text": "One." }], "usage": { "input": 100, "output": 5 } }),
        json!({ "answer": [{ "text": "Two." }], "usage": { "input": 7_000, "output": 5 } }),
        json!([{ "text": "THE SUMMARY" }]),
        json!([{ "text": "Three." }]),
    ]);
    let mut stage = Stage::with(Provider::Anthropic, script, |profile| profile.context = Some(8_000)).await;
    stage.turn(&format!("first {long}")).await;
    stage.turn(&format!("second {long}")).await;
    let events = stage.turn("third").await;
    assert_eq!(words(&events), "Three.", "a summary is said to nobody");
    let told = note(&events, "history_compacted");
    assert_eq!(told["summary"], "THE SUMMARY");
    let asked = stage.asked();
    let (summary, last) = (asked[2].body.to_string(), asked[3].body.to_string());
    assert!(summary.contains("Put the conversation below in short") && summary.contains("first x"));
    assert!(last.contains("THE SUMMARY") && last.contains("third") && !last.contains("first x"), "{last}");
    stage.restart().await;
    stage.server.load(answers(&[json!([{ "text": "Four." }])])).unwrap();
    assert_eq!(stage.hears("fourth").await, "Four.");
    assert!(stage.asked().last().unwrap().body.to_string().contains("THE SUMMARY"), "it stays short");
    stage.finish().await;
}

#[tokio::test]
async fn a_provider_that_says_that_it_is_too_long_is_believed() {
    let script = answers(&[
        json!([{ "text": "One." }]),
        json!([{ "text": "Two." }]),
        fails(400, "prompt is too long: 9 > 8"),
        json!([{ "text": "THE SUMMARY" }]),
        json!([{ "text": "Three." }]),
    ]);
    let mut stage = Stage::with(Provider::Anthropic, script, |profile| profile.context = Some(4_000)).await;
    stage.turn(&format!("first {}", "x".repeat(3_500))).await;
    stage.turn(&format!("second {}", "y".repeat(3_500))).await;
    assert_eq!(stage.hears("third").await, "Three.");
    stage.finish().await;
}
