//! The prompts that wait.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use trunkline_core::id::{SessionId, TurnId};
use trunkline_core::principal::Principal;
use trunkline_core::raw::Raw;
use trunkline_core::session::Command;
use trunkline_core::time::Time;

use crate::app::{Shared, at, nothing};
use crate::extract::{Id, Ids, Who};
use crate::problem::Answer;

/// The prompts that wait, next one first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Queue {
    items: Vec<Waiting>,
}

/// A prompt that waits.
#[derive(Debug, Serialize, JsonSchema)]
struct Waiting {
    /// Its turn.
    turn: TurnId,
    /// What is asked.
    prompt: Vec<Raw>,
    /// Who asked.
    by: Principal,
    /// When.
    at: Time,
}

pub(crate) async fn list(app: Shared, Who(caller): Who, Id(id): Id<SessionId>) -> Answer<Response> {
    caller.may_read(id)?;
    let (items, pos) = app
        .hub
        .look(id, |session| {
            let waiting = session.turns.queue.iter().cloned();
            waiting.map(|w| Waiting { turn: w.turn, prompt: w.queued.prompt, by: w.by, at: w.at }).collect()
        })
        .await?;
    Ok(at(StatusCode::OK, pos, &Queue { items }))
}

pub(crate) async fn remove(
    app: Shared,
    Who(caller): Who,
    Ids(id, turn): Ids<SessionId, TurnId>,
) -> Answer<Response> {
    let done = app.hub.command(&caller, id, Command::Unqueue(turn), None).await?;
    Ok(nothing(done.pos))
}
