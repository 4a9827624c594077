//! The inbox: a poll that waits, and acknowledgements.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use trunkline_core::id::{MessageId, Pos, Seq, SessionId};
use trunkline_core::message::Message;
use trunkline_core::outside::Report;
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::session::Command;
use trunkline_run::CommandError;
use trunkline_run::tail::{Follow, Next};

use super::fields::whole;
use super::sessions::session;
use super::show::{self, InboxMessage};
use super::{Fail, Outcome, answer, is_local, json_answer};
use crate::app::App;
use crate::gate::Pass;
use crate::stream::{Bye, Ending};

/// How long a poll waits if it does not say, in seconds, and at most.
const WAIT: (u64, u64) = (30, 120);
/// An empty answer comes this much early: the original client gives up after 30 s, which is also how long it asks to wait.
const EARLY: Duration = Duration::from_millis(400);
/// A poll that waits longer than the original client would is kept alive by a blank now and then, which JSON may begin with.
const PATIENT: Duration = Duration::from_secs(30);
/// How often.
const BLANK: Duration = Duration::from_secs(10);
/// How often an agent that waits counts as being there.
const SEEN: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Messages {
    messages: Vec<InboxMessage>,
}

/// How long a poll is to wait, by a number of seconds as it was given.
pub(crate) fn seconds(given: Option<&str>) -> Result<Duration, Fail> {
    whole("timeout", given, WAIT.0, WAIT.1).map(Duration::from_secs).map_err(Fail::Wrong)
}

pub(crate) async fn poll(
    app: &Arc<App>,
    caller: &Caller,
    pass: Pass,
    id: &str,
    wait: Duration,
) -> Result<Response, Fail> {
    let waits = Box::pin(Poll::begin(app, caller, session(id)?)).await?;
    let ending = Ending::new(&app.hub, pass);
    if wait <= PATIENT {
        let run = Box::pin(waits.run(ending, Instant::now() + wait.saturating_sub(EARLY)));
        return Ok(answer(&run.await?).into_response());
    }
    Ok(json_answer(StatusCode::OK, with_blanks(waits, ending, wait.saturating_sub(EARLY))))
}

/// The same for a caller whose connection needs no blanks: `wait` is a number of seconds as it was given.
pub(crate) async fn wait(
    app: &Arc<App>,
    caller: &Caller,
    pass: Pass,
    id: &str,
    wait: Option<&str>,
) -> Outcome {
    let until = Instant::now() + seconds(wait)?;
    let waits = Box::pin(Poll::begin(app, caller, session(id)?)).await?;
    Ok(answer(&waits.run(Ending::new(&app.hub, pass), until).await?))
}

/// One poll that waits.
struct Poll {
    app: Arc<App>,
    caller: Caller,
    id: SessionId,
    tail: Follow,
}

impl Poll {
    async fn begin(app: &Arc<App>, caller: &Caller, id: SessionId) -> Result<Self, Fail> {
        // The tail comes first: what is queued after the first look wakes it.
        let tail = app.hub.follow(id, Seq(u64::MAX)).await?;
        let poll = Self { app: Arc::clone(app), caller: caller.clone(), id, tail };
        poll.see().await?;
        Ok(poll)
    }

    /// Keeps that the agent is there: it waits, after all.
    async fn see(&self) -> Result<(), Fail> {
        match self.app.hub.report(&self.caller, self.id, Report::default()).await {
            // A hosted session has no agent to be seen, but a token may look into its inbox.
            Err(CommandError::Refused(Refused::Forbidden { .. })) if !is_local(&self.caller) => {
                Ok(self.caller.may_act_for(self.id)?)
            }
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// Waits for messages until a time. It does so for long, so what it does now and then is there only meanwhile.
    async fn run(mut self, mut ending: Ending, until: Instant) -> Result<Messages, Fail> {
        let mut seen = Instant::now() + SEEN;
        loop {
            let messages = Box::pin(self.fetch()).await?;
            if !messages.is_empty() {
                return Ok(Messages { messages });
            }
            tokio::select! {
                biased;
                next = self.tail.next() => match next {
                    Ok(Next::Removed) | Err(_) => return Err(Fail::Missing("Session not found")),
                    Ok(Next::Frames(_) | Next::CaughtUp(_) | Next::Gap(_)) => {}
                },
                () = tokio::time::sleep_until(until) => return Ok(Messages { messages: Vec::new() }),
                () = tokio::time::sleep_until(seen) => {
                    Box::pin(self.see()).await?;
                    seen = Instant::now() + SEEN;
                }
                why = ending.comes() => return match why {
                    Bye::Shutdown => Ok(Messages { messages: Vec::new() }),
                    Bye::Token => {
                        let why = "this token was revoked or has expired meanwhile".to_owned();
                        Err(Fail::Says(StatusCode::UNAUTHORIZED, why))
                    }
                },
            }
        }
    }

    /// What waits, marked as fetched.
    async fn fetch(&self) -> Result<Vec<InboxMessage>, Fail> {
        let known = |session: &trunkline_core::session::Session| {
            let waiting = session.inbox.list().into_iter();
            waiting.filter(|message| show::known(message).is_some()).collect::<Vec<Message>>()
        };
        let (waiting, _) = self.app.hub.look(self.id, known).await?;
        let fresh: Vec<_> = waiting
            .iter()
            .filter(|message| message.delivered_at.is_none())
            .map(|message| message.id)
            .collect();
        let mut now = self.app.hub.now();
        if !fresh.is_empty() {
            let done = self.app.hub.command(&self.caller, self.id, Command::Fetch(fresh), None).await?;
            match done.events.first() {
                Some(event) => now = event.at,
                // Another poll was faster: it has kept when.
                None => {
                    let (waiting, _) = self.app.hub.look(self.id, known).await?;
                    return Ok(waiting.iter().filter_map(|message| show::message(message, now)).collect());
                }
            }
        }
        Ok(waiting.iter().filter_map(|message| show::message(message, now)).collect())
    }
}

/// The answer of a long poll as a body that begins at once and is blank until there is something to say.
fn with_blanks(poll: Poll, ending: Ending, wait: Duration) -> Body {
    let until = Instant::now() + wait;
    let work = Box::pin(poll.run(ending, until));
    let body = futures_util::stream::unfold(Some(work), |work| async move {
        let mut work = work?;
        tokio::select! {
            biased;
            outcome = &mut work => {
                let messages = outcome.unwrap_or(Messages { messages: Vec::new() });
                let body = serde_json::to_vec(&messages).unwrap_or_else(|_| b"{\"messages\":[]}".to_vec());
                Some((Bytes::from(body), None))
            }
            () = tokio::time::sleep(BLANK) => Some((Bytes::from_static(b" "), Some(work))),
        }
    });
    Body::from_stream(body.map(Ok::<_, Infallible>))
}

pub(crate) async fn ack(app: &App, caller: &Caller, id: &str, message: &str) -> Outcome {
    let missing = || Fail::Missing("Message not found");
    let session: SessionId = id.parse().map_err(|_| missing())?;
    let message: MessageId = message.parse().map_err(|_| missing())?;
    match app.hub.command(caller, session, Command::Ack(message), None).await {
        Ok(_) => {
            let _a_hosted_session_is_seen_anyway = app.hub.report(caller, session, Report::default()).await;
        }
        Err(CommandError::Refused(Refused::NotFound { .. } | Refused::Deleted { .. })) => {
            // It was acknowledged before if it told how a request of this session ended: such a message has its id.
            let request =
                super::requests::find(app, &message.to_string(), Pos(0)).await.map_err(|_| missing())?;
            if request.session != session || request.closed.is_none() {
                return Err(missing());
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(answer(&json!({ "message_id": message, "status": "ACKED" })))
}
