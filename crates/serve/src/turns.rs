//! Turns: prompt, watch, cancel.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Seq, SessionId, TurnId};
use trunkline_core::raw::Raw;
use trunkline_core::session::Command;
use trunkline_core::turn::{Ended, Queued, STOP_GRACE_MS, WhenBusy, Why};

use crate::app::{Shared, at};
use crate::extract::{Id, Ids, Json, Who};
use crate::problem::{Answer, Problem};

/// What the agent is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prompt {
    /// A text, or content blocks as in the Agent Client Protocol.
    prompt: Blocks,
    /// What to do while a turn runs; `reject` if not said.
    #[serde(default)]
    when_busy: WhenBusy,
    /// How long the turn may run.
    timeout_ms: Option<u64>,
}

/// A text, or content blocks.
#[derive(Debug, JsonSchema)]
#[schemars(with = "TextOrBlocks")]
struct Blocks(Vec<Raw>);

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum TextOrBlocks {
    Text(String),
    Blocks(Vec<Raw>),
}

impl<'de> Deserialize<'de> for Blocks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let raw = Raw::deserialize(deserializer)?;
        if raw.get().starts_with('"') {
            let text: String = raw.read().map_err(D::Error::custom)?;
            let block = Raw::of(&json!({ "type": "text", "text": text })).map_err(D::Error::custom)?;
            return Ok(Self(vec![block]));
        }
        raw.read().map(Self).map_err(|_| D::Error::custom("must be a text or a list of content blocks"))
    }
}

/// The turn that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Prompted {
    /// Its number.
    turn: TurnId,
    /// Its session.
    session: SessionId,
    /// Whether it runs or waits.
    state: TurnState,
}

/// Where a turn stands.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TurnState {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It is over.
    Ended,
    /// It was taken back before it ran.
    Unqueued,
}

/// A turn.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TurnView {
    /// Its number.
    turn: TurnId,
    /// Its session.
    session: SessionId,
    /// Where it stands.
    state: TurnState,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Ended>,
}

/// Which turn to stop.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    /// Only if it is this one.
    turn: Option<TurnId>,
}

/// The turn that was asked to stop.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cancelled {
    /// Its number.
    turn: TurnId,
}

pub(crate) async fn prompt(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Prompt>,
) -> Answer<Response> {
    let Prompt { prompt, when_busy, timeout_ms } = json.body;
    let queued = Queued { prompt: prompt.0, timeout_ms: timeout_ms.or(app.turn_timeout_ms) };
    let command = Command::Prompt { queued, when_busy };
    let done = app.hub.command(&caller, id, command, json.key).await?;
    let first = done.events.first().map_or(Seq::ZERO, |event| event.seq);
    let runs = done.events.iter().any(|event| matches!(event.fact, Fact::TurnStarted(_)));
    let state = if runs { TurnState::Running } else { TurnState::Queued };
    Ok(at(StatusCode::CREATED, done.pos, &Prompted { turn: TurnId(first), session: id, state }))
}

pub(crate) async fn cancel(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Cancel>,
) -> Answer<Response> {
    let command = Command::Stop { turn: json.body.turn, why: Why::Cancelled, grace_ms: STOP_GRACE_MS };
    let done = app.hub.command(&caller, id, command, json.key).await?;
    let turn = match done.events.first().and_then(|event| event.turn) {
        Some(turn) => turn,
        // It was stopping already.
        None => {
            let (running, _) =
                app.hub.look(id, |session| session.turns.running.as_ref().map(|r| r.turn)).await?;
            running.ok_or(trunkline_core::refused::Refused::NotRunning)?
        }
    };
    Ok(at(StatusCode::ACCEPTED, done.pos, &Cancelled { turn }))
}

pub(crate) async fn show(
    app: Shared,
    Who(caller): Who,
    Ids(id, turn): Ids<SessionId, TurnId>,
) -> Answer<Response> {
    caller.may_read(id)?;
    let (known, pos) = app
        .hub
        .look(id, move |session| {
            let running = session.turns.running.as_ref().filter(|running| running.turn == turn);
            let queued = session.turns.queue.iter().any(|waiting| waiting.turn == turn);
            match running {
                Some(running) if running.stopping.is_some() => Some(TurnState::Stopping),
                Some(_) => Some(TurnState::Running),
                None => queued.then_some(TurnState::Queued),
            }
        })
        .await?;
    let view = match known {
        Some(state) => TurnView { turn, session: id, state, ended: None },
        None => past(&app, id, turn).await?,
    };
    Ok(at(StatusCode::OK, pos, &view))
}

/// A turn that is over is found in the log: it begins at its own number.
async fn past(app: &crate::app::App, id: SessionId, turn: TurnId) -> Answer<TurnView> {
    let missing = || Problem::not_found("turn", &turn.to_string());
    let mut after = Seq(turn.0.0 - 1);
    let mut first = true;
    loop {
        let page = app.hub.read(id, after, 1 << 20).await?;
        for frame in &page.frames {
            for (seq, line) in frame.lines_after(after) {
                let Ok(event) = Event::from_line(line) else { continue };
                if std::mem::take(&mut first) && !(seq == turn.0 && matches!(event.fact, Fact::TurnQueued(_)))
                {
                    return Err(missing());
                }
                let over = |state, ended| TurnView { turn, session: id, state, ended };
                match event.fact {
                    Fact::TurnEnded(ended) if event.turn == Some(turn) => {
                        return Ok(over(TurnState::Ended, Some(ended)));
                    }
                    Fact::TurnUnqueued(_) if event.turn == Some(turn) => {
                        return Ok(over(TurnState::Unqueued, None));
                    }
                    _ => {}
                }
            }
            after = frame.last;
        }
        if !page.more {
            return Err(missing());
        }
    }
}
