//! Budgets: what is used up is a question to a person before the model is asked again, and nobody answers in its place.

use std::time::Duration;

use serde_json::json;
use trunkline_core::budget::Budget;
use trunkline_core::grant::Mode;
use trunkline_core::id::SessionId;
use trunkline_core::profile::{Profile, Provider};
use trunkline_core::spending::DailyBudget;
use trunkline_core::turn::{StopReason, WhenBusy};

use crate::stage::{Script, Stage, answers, played};
use crate::world::{Reader, inbox, owner, prompt};

/// Answers of a model that uses 10 tokens in and 5 out each time.
fn script() -> Script {
    let used = json!({ "answer": [{ "text": "Done." }], "usage": { "input": 10, "output": 5 } });
    answers(&vec![used; 8])
}

/// A session that may use this.
async fn stage(budget: Budget) -> Stage {
    Stage::with(Provider::Openai, script(), |profile| profile.budget = Some(budget)).await
}

/// A session whose profile may use so many tokens on a day, or all profiles together.
async fn daily(of_profile: Option<u64>, of_all: Option<u64>) -> Stage {
    let budget = |tokens: Option<u64>| tokens.map(|_| DailyBudget { tokens, ..DailyBudget::default() });
    let change = |profile: &mut Profile| profile.daily_budget = budget(of_profile);
    Stage::limited(Provider::Openai, script(), change, budget(of_all)).await
}

async fn ask(stage: &Stage, id: SessionId) {
    stage.hub.command(&owner(), id, prompt("Two.", WhenBusy::Reject), None).await.unwrap();
}

/// Waits until so many questions are open.
async fn until_open(stage: &Stage, readers: &mut [&mut Reader]) {
    for reader in readers {
        played::until(reader, "request.opened").await;
    }
    assert!(!inbox(&stage.hub).await.is_empty());
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

#[tokio::test]
async fn the_days_budget_of_a_profile_counts_over_its_sessions_and_restarts_and_ends_with_the_day() {
    let mut stage = daily(Some(15), None).await;
    stage.mode(Mode::TrustAll).await;
    assert_eq!(stage.hears("One.").await, "Done.");
    let (other, mut reader) = stage.another().await;
    ask(&stage, other).await;
    until_open(&stage, &mut [&mut reader]).await;
    assert_eq!(stage.asked().len(), 1, "another session is asked before its first call");
    let asked = stage.answer("go_on", None).await;
    assert_eq!(
        asked["title"],
        "The day's budget of the profile default is used up: 15 of 15 tokens are used today"
    );
    assert_eq!((&asked["context"]["of"], &asked["context"]["budget"]), (&json!("profile"), &json!("tokens")));
    played::until(&mut reader, "turn.ended").await;
    stage.restart().await;
    stage.prompt("Three.").await;
    stage.until_asked().await;
    let asked = stage.answer("stop", None).await;
    assert!(asked["title"].as_str().unwrap().ends_with("30 of 30 tokens are used today"), "{asked}");
    let events = stage.until("turn.ended").await;
    assert_eq!(played::end(&events).stop_reason, StopReason::MaxTurnRequests);
    assert_eq!(stage.asked().len(), 2);
    stage.restart_as(87).await;
    assert_eq!(stage.hears("Four.").await, "Done.", "it is another day");
    let day = stage.hub.spending().await.unwrap();
    assert_eq!(
        (day.day.as_str(), day.all.used.tokens, day.profiles["default"].used.turns),
        ("1970-01-02", 15, 1)
    );
    stage.finish().await;
}

#[tokio::test]
async fn one_answer_about_the_day_frees_every_session_that_waits_and_so_does_midnight() {
    let mut stage = daily(None, Some(15)).await;
    stage.hears("One.").await;
    let (second, mut reader) = stage.another().await;
    let (third, mut last) = stage.another().await;
    ask(&stage, second).await;
    until_open(&stage, &mut [&mut reader]).await;
    ask(&stage, third).await;
    until_open(&stage, &mut [&mut last]).await;
    let asked = inbox(&stage.hub).await;
    assert_eq!(asked.len(), 2, "each has asked");
    let answer = trunkline_core::request::Answer { option: Some("go_on".to_owned()), ..Default::default() };
    stage.hub.answer(&owner(), &asked[0], answer, None).await.unwrap();
    for reader in [&mut reader, &mut last] {
        let events = played::until(reader, "turn.ended").await;
        assert_eq!(played::end(&events).stop_reason, StopReason::EndTurn, "nobody answered the other");
    }
    assert!(inbox(&stage.hub).await.is_empty(), "what needs no answer is in no inbox");
    stage.prompt("Four.").await;
    stage.until_asked().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_hours(24)).await;
    tokio::time::resume();
    let events = stage.until("turn.ended").await;
    assert_eq!(played::end(&events).stop_reason, StopReason::EndTurn);
    assert!(inbox(&stage.hub).await.is_empty());
    stage.finish().await;
}
