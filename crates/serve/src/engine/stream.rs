//! A turn as it goes on, and attaching to a session's turns again.
//!
//! A client that leaves stops nothing: its stream is a reader of the log. Whoever comes back with the id of the last event that
//! it has is told what followed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trunkline_core::event::Event;
use trunkline_core::grant::Grant;
use trunkline_core::id::{GrantId, Seq, SessionId, TurnId};
use trunkline_core::presence::Joined;
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::session::{Command, Session};
use trunkline_core::turn::{Queued, WhenBusy};
use trunkline_log::frame::Frame as Stored;
use trunkline_run::hub::Attached;
use trunkline_run::tail::{Follow, Next};

use super::fold::{Fold, Given, IDS, is_last};
use super::{Asked, Outcome, param, read};
use crate::app::App;
use crate::folded::{Place, last_seen};
use crate::gate::Pass;
use crate::problem::Problem;
use crate::stream::{self, Ending, Told};

/// How long a stream waits for the end of its turn once the daemon stops.
const LAST_WORDS: Duration = Duration::from_millis(450);

#[derive(Deserialize)]
struct Message {
    content: String,
}

/// Starts a turn, and tells it to its end.
pub(super) async fn message(app: &App, asked: &Asked, id: SessionId, name: &str, body: Body) -> Outcome {
    asked.caller.may_operate()?;
    let Message { content } = read(body).await?;
    if content.is_empty() {
        return Err(Problem::invalid("content", "content must not be empty"));
    }
    let block = Raw::of(&json!({ "type": "text", "text": content })).expect("a text has a JSON form");
    let queued = Queued { prompt: vec![block], timeout_ms: app.turn_timeout_ms };
    let command = Command::Prompt { queued, when_busy: WhenBusy::Reject };
    let done = app.hub.command(&asked.caller, id, command, None).await?;
    let turn = done.events.iter().find_map(|event| event.turn).ok_or(Refused::NotRunning)?;
    let reader = Reader { app, caller: &asked.caller, id, name };
    reader.answer(before(turn), None, Some(turn), asked.pass.clone()).await
}

/// Attaches to all turns of a session: what followed the last event that the client has, then what comes.
pub(super) async fn events(app: &App, asked: &Asked, id: SessionId, name: &str) -> Outcome {
    asked.caller.may_read(id)?;
    let seen = last_seen(&asked.headers).or_else(|| param(&asked.query, "after")?.trim().parse().ok());
    let Place { after, turn, seen } = IDS.place(&app.hub, id, seen).await?;
    let reader = Reader { app, caller: &asked.caller, id, name };
    reader.answer(turn.map_or(after, before), seen, None, asked.pass.clone()).await
}

/// The last fact before a turn: that it was queued is told too.
const fn before(turn: TurnId) -> Seq {
    Seq(turn.0.0 - 1)
}

struct Reader<'a> {
    app: &'a App,
    caller: &'a Caller,
    id: SessionId,
    name: &'a str,
}

impl Reader<'_> {
    /// The answer that carries the stream.
    async fn answer(self, from: Seq, seen: Option<u64>, turn: Option<TurnId>, pass: Pass) -> Outcome {
        let Self { app, caller, id, name } = self;
        let (known, _) = app.hub.look(id, known).await?;
        let follow = app.hub.follow(id, from).await?;
        let client = app.clients.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let joined = Joined { client, name: "engine".to_owned(), since: None };
        let attached = app.hub.join(caller, id, joined).await?;
        let (workspace, grants) = known;
        let told = Attach {
            follow,
            fold: Fold::new(name.to_owned(), workspace, grants),
            name: name.to_owned(),
            turn,
            seen,
            stop: app.hub.stopping(),
            until: None,
            _attached: attached,
        };
        // The stream ends itself when the daemon stops: the end of its turn is still to be told.
        let ending = Ending::of_token(&app.hub, pass);
        let mut response = stream::answer(stream::body(told, ending));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        Ok(response)
    }
}

/// What a fold knows of a session before its first event.
fn known(session: &Session) -> (Option<String>, BTreeMap<GrantId, Given>) {
    let workspace = session.created.as_ref().and_then(|(created, ..)| created.workspace.clone());
    let given = |(id, grant): (&GrantId, &Grant)| (*id, Given::of(&grant.added));
    (workspace, session.grants.all.iter().map(given).collect())
}

/// A client: a cursor in the log, and the fold of the turn that it is in.
struct Attach {
    follow: Follow,
    fold: Fold,
    name: String,
    /// The one turn that is told; `None` tells all.
    turn: Option<TurnId>,
    seen: Option<u64>,
    stop: CancellationToken,
    /// When the stream ends because the daemon does.
    until: Option<Instant>,
    _attached: Attached,
}

impl Told for Attach {
    type Item = (Seq, Option<Next>);
    const SILENCE: (Duration, &'static [u8]) = (Duration::from_secs(15), b": ping\n\n");

    async fn next(&mut self) -> Option<Self::Item> {
        let before = self.follow.cursor();
        loop {
            let late = async {
                match self.until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if self.until.is_none() => {
                    // Who follows no turn waits for no end.
                    let wait = if self.turn.is_some() { LAST_WORDS } else { Duration::ZERO };
                    self.until = Some(Instant::now() + wait);
                }
                next = self.follow.next() => return match next {
                    Ok(next) => Some((before, Some(next))),
                    // The client comes back with what it has; by then the store may be well again.
                    Err(error) => {
                        tracing::error!(%error, "a stream ends: the log cannot be read");
                        None
                    }
                },
                () = late => return Some((before, None)),
            }
        }
    }

    async fn take(&mut self, (before, next): Self::Item, ready: &mut VecDeque<Bytes>) -> ControlFlow<()> {
        match next {
            Some(Next::Frames(frames)) => {
                for shown in &frames {
                    let (told, over) = self.tell(&shown.frame, before);
                    if !told.is_empty() {
                        ready.push_back(told);
                    }
                    if over {
                        return ControlFlow::Break(());
                    }
                }
            }
            Some(Next::CaughtUp(_)) if self.turn.is_none() => {
                ready.push_back(Bytes::from_static(b"event: caught-up\ndata: {\"type\":\"caught_up\"}\n\n"));
            }
            Some(Next::CaughtUp(_)) => {}
            Some(Next::Gap(first)) => {
                ready.push_back(Bytes::from(format!(
                    "data: {}\n\n",
                    json!({ "type": "gap", "first": first })
                )));
            }
            Some(Next::Removed) => return ControlFlow::Break(()),
            None => {
                if self.turn.is_some() {
                    ready.push_back(self.cut());
                }
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

impl Attach {
    /// The events that the facts of a stored frame complete, of those that the client has not; and whether that was the last.
    fn tell(&mut self, frame: &Stored, before: Seq) -> (Bytes, bool) {
        let mut out = String::new();
        for (_, line) in frame.lines_after(before) {
            let Ok(event) = Event::from_line(line) else { continue };
            if self.turn.is_some() && event.turn.is_some() && event.turn != self.turn {
                continue;
            }
            for frame in self.fold.take(&event) {
                if self.seen.is_none_or(|seen| frame.id > seen) {
                    out.push_str(&frame.lines());
                }
                if self.turn.is_some() && is_last(frame.kind()) {
                    return (Bytes::from(out), true);
                }
            }
        }
        (Bytes::from(out), false)
    }

    /// What is said of a turn whose end did not come before that of the daemon. It has no id: the turn's real end has.
    fn cut(&self) -> Bytes {
        let event = json!({
            "type": "error", "session_id": self.name, "code": "interrupted", "message": "the daemon stops", "retryable": true,
        });
        Bytes::from(format!("data: {event}\n\n"))
    }
}
