//! `send_to_agent`: one agent writes to another.

use serde_json::json;
use trunkline_core::principal::{Caller, Scope};

use super::arguments::Arguments;
use super::wait::Call;
use super::{hub, place};
use crate::messages;
use crate::sessionbus::{Fail, Reply};

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Reply, Fail> {
    let Call { app, who, .. } = call;
    let from = place::find(app, who, None, call.parts, call.context).await?;
    let caller = match who.caller.scope {
        // An agent writes, whoever's token it holds: what it wakes runs in its own name, never in a person's.
        Scope::Operator | Scope::Admin => Caller { source: who.caller.source.clone(), ..Caller::agent(from) },
        Scope::Agent(_) | Scope::Local | Scope::Viewer => who.caller.clone(),
    };
    let (to, text) = (arguments.text("to"), arguments.text("text").to_owned());
    let key = call.key.as_deref().map(hub::key);
    match messages::tell(app, &caller, to, Some(from), text, key).await {
        Ok((sent, _)) => Ok(Reply::of(&json!({
            "message_id": sent.id, "session_id": sent.to, "state": sent.state, "turn": sent.turn,
        }))),
        Err(problem) => Err(Fail::Says(problem.status(), problem.detail.clone())),
    }
}
