//! Budgets: what is used up is a question to a person before the model is asked again, and nobody answers in its place.

use serde_json::json;
use trunkline_core::budget::Budget;
use trunkline_core::grant::Mode;
use trunkline_core::profile::Provider;
use trunkline_core::turn::StopReason;

use crate::stage::{Stage, answers, played};

/// A session that may use this, whose model uses 10 tokens in and 5 out each time.
async fn stage(budget: Budget) -> Stage {
    let used = json!({ "answer": [{ "text": "Done." }], "usage": { "input": 10, "output": 5 } });
    let script = answers(&[used.clone(), used.clone(), used.clone(), used]);
    Stage::with(Provider::Openai, script, |profile| profile.budget = Some(budget)).await
}

#[tokio::test]
async fn a_used_up_budget_asks_a_person_before_the_model_is_asked_again_and_outlives_a_restart() {
    let mut stage = stage(Budget { tokens: Some(15), ..Budget::default() }).await;
    stage.mode(Mode::TrustAll).await;
    assert_eq!(stage.hears("One.").await, "Done.");
    stage.restart().await;
    stage.prompt("Two.").await;
    stage.until_asked().await;
    assert_eq!(
        stage.asked().len(),
        1,
        "the model is not asked before the person has said so, whatever the mode"
    );
    let asked = stage.answer("go_on", None).await;
    assert_eq!(asked["title"], "The budget is used up: 15 of 15 tokens are used");
    assert_eq!(asked["context"]["budget"], "tokens");
    stage.until("turn.ended").await;
    assert_eq!(stage.asked().len(), 2);
    stage.prompt("Three.").await;
    stage.until_asked().await;
    let asked = stage.answer("stop", None).await;
    assert_eq!(
        asked["title"], "The budget is used up: 30 of 30 tokens are used",
        "as much again, and no more"
    );
    let events = stage.until("turn.ended").await;
    assert_eq!(played::end(&events).stop_reason, StopReason::MaxTurnRequests);
    assert_eq!(played::notes(&events), ["budget_reached"]);
    assert_eq!(stage.asked().len(), 2, "nothing was asked of the model");
    stage.finish().await;
}

#[tokio::test]
async fn a_turn_that_waits_for_its_budget_can_be_stopped() {
    let mut stage = stage(Budget { turns: Some(1), ..Budget::default() }).await;
    stage.hears("One.").await;
    stage.prompt("Two.").await;
    stage.until_asked().await;
    stage.cancel().await;
    let events = stage.until("turn.ended").await;
    assert_eq!(played::end(&events).stop_reason, StopReason::Cancelled);
    assert_eq!(stage.asked().len(), 1);
    stage.finish().await;
}
