//! A limit that is reached is a question to a person, before the model is asked again.

use serde_json::json;
use trunkline_core::budget::Reached;
use trunkline_core::id::RequestId;
use trunkline_core::raw::Raw;
use trunkline_core::request::{Choice, Opened, OptionKind, Outcome};
use uuid::Uuid;

use crate::turn::Turn;

const GO_ON: &str = "go_on";
const STOP: &str = "stop";

/// Asks whether as much again may be used. Nobody answers in a person's place.
pub(super) async fn may_go_on(turn: &Turn, profile: &str, reached: &Reached) -> bool {
    let option = |id: &str, name: &str, kind| Choice { id: id.to_owned(), name: name.to_owned(), kind };
    let title = format!("The budget is used up: {}", reached.told);
    let question =
        "The model is asked no more in this turn unless you say that as much again may be used.".to_owned();
    let context = Raw::of(&json!({ "budget": reached.what, "profile": profile })).ok();
    let asked = Opened {
        options: vec![
            option(GO_ON, "Go on, with as much again", OptionKind::AllowOnce),
            option(STOP, "Stop here", OptionKind::RejectOnce),
        ],
        context,
        ..Opened::question(RequestId::new(Uuid::now_v7()), title, question)
    };
    let Ok(closed) = turn.ask(asked).await else { return false };
    let chosen = closed.answer.and_then(|answer| answer.option);
    closed.outcome == Outcome::Answered && chosen.as_deref() == Some(GO_ON)
}
