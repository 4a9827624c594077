//! What was said, as the model is given it, and what stands over it.

use serde_json::{Value, json};
use trunkline_core::id::SessionId;
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::session::Command;
use trunkline_wire::engine;

use super::{Asked, Outcome, ok, param, session};
use crate::app::App;
use crate::problem::Problem;

pub(super) async fn show(app: &App, asked: &Asked, id: SessionId, name: &str) -> Outcome {
    asked.caller.may_read(id)?;
    let wrong = || Problem::invalid("limit", "limit must be a number, 0 or more");
    let limit: usize = match param(&asked.query, "limit") {
        None => 0,
        Some(text) => text.parse().map_err(|_| wrong())?,
    };
    let own = words(app, id).await?;
    let history = app.hub.conversation(id).await?;
    let mut all: Vec<Value> = engine::history(own.as_deref(), &history.messages);
    if limit > 0 && all.len() > limit {
        all.drain(..all.len() - limit);
    }
    Ok(ok(&json!({ "session_id": name, "history": all })))
}

/// Has the agent forget what was said; not while a turn goes on with it. The transcript stays.
pub(super) async fn forget(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    app.hub.command(caller, id, Command::Forget, None).await?;
    Ok(session::done(name))
}

pub(super) async fn system_prompt(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    caller.may_read(id)?;
    let own = words(app, id).await?;
    Ok(ok(&json!({ "session_id": name, "system_prompt": own.unwrap_or_default() })))
}

/// What stands over a session is what it was made with: there are no commands in it that could give something else now.
pub(super) async fn rebuild(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    caller.may_operate()?;
    let (running, _) =
        app.hub.look(id, |session| session.turns.running.as_ref().map(|running| running.turn)).await?;
    if let Some(turn) = running {
        return Err(Refused::Busy { turn }.into());
    }
    let own = words(app, id).await?;
    let warning = "the system prompt of a session is what it was made with";
    Ok(ok(&json!({ "session_id": name, "system_prompt": own.unwrap_or_default(), "warning": warning })))
}

async fn words(app: &App, id: SessionId) -> Result<Option<String>, Problem> {
    let own = |session: &trunkline_core::session::Session| {
        session.created.as_ref().and_then(|(created, ..)| created.setup.as_ref()?.system_prompt.clone())
    };
    Ok(app.hub.look(id, own).await?.0)
}
