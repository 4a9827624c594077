//! The inbox of a session: what was left for an agent that fetches its messages.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_core::id::{MessageId, Seq, SessionId};
use trunkline_core::message::{Message, Queued};
use trunkline_core::raw::Raw;
use trunkline_core::session::Command;
use trunkline_run::tail::Next;
use uuid::Uuid;

use crate::app::{Shared, at, nothing};
use crate::extract::{Id, Ids, Json, NoBody, Query, Who};
use crate::gate::Pass;
use crate::problem::{Answer, Problem};
use crate::routes::List;
use crate::stream::{Bye, Ending};

/// How long a poll may wait.
const MAX_WAIT_MS: u64 = 120_000;

/// A message for an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SendMessage")]
pub(crate) struct Send {
    /// What it is.
    kind: String,
    /// What it says.
    payload: Raw,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    wait_ms: Option<u64>,
}

pub(crate) async fn list(
    app: Shared,
    Who(caller): Who,
    pass: Pass,
    Id(id): Id<SessionId>,
    Query(query): Query<Wait>,
) -> Answer<Response> {
    let wait = query.wait_ms.unwrap_or(0);
    if wait > MAX_WAIT_MS {
        return Err(Problem::invalid("wait_ms", format!("wait_ms must be at most {MAX_WAIT_MS}")));
    }
    caller.may_act_for(id)?;
    let mut tail = app.hub.follow(id, Seq(u64::MAX)).await?;
    let mut ending = Ending::new(&app.hub, pass);
    let deadline = tokio::time::sleep(Duration::from_millis(wait));
    tokio::pin!(deadline);
    loop {
        let done = app.hub.command(&caller, id, Command::Deliver, None).await?;
        let (items, _) = app.hub.look(id, |session| session.inbox.list()).await?;
        if !items.is_empty() {
            return Ok(at(StatusCode::OK, done.pos, &List { items }));
        }
        tokio::select! {
            biased;
            next = tail.next() => if matches!(next, Ok(Next::Removed) | Err(_)) {
                return Err(trunkline_core::refused::Refused::Deleted { id }.into());
            },
            () = &mut deadline => return Ok(at(StatusCode::OK, done.pos, &List::<Message> { items: vec![] })),
            why = ending.comes() => return match why {
                Bye::Shutdown => Ok(at(StatusCode::OK, done.pos, &List::<Message> { items: vec![] })),
                Bye::Token => Err(Problem::unauthenticated("this token was revoked or has expired meanwhile")),
            },
        }
    }
}

pub(crate) async fn send(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Send>,
) -> Answer<Response> {
    let Send { kind, payload } = json.body;
    let message = MessageId::new(Uuid::now_v7());
    let done = app
        .hub
        .command(&caller, id, Command::Send(Queued { id: message, kind, payload, sender: None }), json.key)
        .await?;
    let queued = done.events.into_iter().find_map(|event| match event.fact {
        trunkline_core::event::Fact::MessageQueued(Queued { id, kind, payload, sender }) => {
            Some(Message { id, kind, payload, sender, seq: event.seq, at: event.at, delivered_at: None })
        }
        _ => None,
    });
    let queued = queued.ok_or_else(|| Problem::not_found("message", &message.to_string()))?;
    Ok(at(StatusCode::CREATED, done.pos, &queued))
}

pub(crate) async fn ack(
    app: Shared,
    Who(caller): Who,
    Ids(id, message): Ids<SessionId, MessageId>,
    given: NoBody,
) -> Answer<Response> {
    let done = app.hub.command(&caller, id, Command::Ack(message), given.key).await?;
    Ok(nothing(done.pos))
}
