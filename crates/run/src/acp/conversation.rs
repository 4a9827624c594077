//! The conversation with an agent during a turn: one question of ours at a time, and whatever comes meanwhile.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use trunkline_core::raw::Raw;
use trunkline_wire::acp::merge::Gauge;
use trunkline_wire::acp::{CancelNotification, Empty, SessionNotification, UpdateView, method};
use trunkline_wire::jsonrpc::{
    ErrorObject, Id, Message, Notification, ParseError, Response, code, parse_params,
};

use super::agent::Agent;
use super::client::{Answered, Work};
use super::link::{Broken, until};
use super::trouble::shown;
use crate::custody::Said;
use crate::turn::Turn;

/// Updates and notes of more than this are written before the next line is read.
const LARGE: usize = 64 << 10;
/// How many bytes of updates may come before the session is open.
const MAX_EARLY: usize = 4 << 20;
/// The largest gauge that is kept, in bytes. Gauges stay in memory.
pub(super) const MAX_GAUGE: usize = 2 << 20;
/// How many notes one turn may have.
const MAX_NOTES: usize = 200;
/// How much of what a note is about is kept, in bytes.
const MAX_NOTED: usize = 64 << 10;

/// A turn and what happens in it.
pub(super) struct Scope<'t> {
    pub(super) turn: &'t Turn,
    pub(super) asks: FuturesUnordered<BoxFuture<'t, Answered>>,
    pub(super) phase: Phase,
    /// Whether the agent was told that the turn is cancelled.
    pub(super) cancelled: bool,
    calls: u32,
    notes: usize,
}

/// What becomes of updates.
pub(super) enum Phase {
    /// The session is being opened: they wait until its id is known.
    Opening { early: Vec<(String, Raw)>, bytes: usize },
    /// They are of the past, and in our log already. Gauges are kept.
    Replay { commands: bool },
    /// They belong to the turn.
    Live,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// As long as the agent says something within this time. A turn that stops ends the wait.
    Start(Duration),
    /// As long as it takes. A turn that stops is cancelled, and the answer to that is waited for.
    Prompt,
    /// Until nothing was said for this time. No answer is waited for.
    Silence(Duration),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// There is: an error.
    Refused(ErrorObject),
    /// There will never be one.
    Broken(Broken),
    /// It took too long; for a silence, the aim.
    Late,
    /// The turn is to stop.
    Stopped,
}

enum Happened {
    Heard(Result<Said, Broken>),
    Worked(Id, Work),
    Answered(Answered),
    Chosen,
    Late,
    Stop,
}

impl<'t> Scope<'t> {
    pub(super) fn new(turn: &'t Turn) -> Self {
        let phase = Phase::Live;
        Self { turn, asks: FuturesUnordered::new(), phase, cancelled: false, calls: 0, notes: 0 }
    }

    /// Keeps what the agent should not have done, or what nobody here knows.
    pub(super) async fn note(&mut self, code: &str, message: impl Into<String>, about: Option<&RawValue>) {
        self.notes += 1;
        if self.notes > MAX_NOTES {
            return;
        }
        let text = |raw: &RawValue| Raw::of(&shown(raw.get())).expect("a text has a JSON form");
        let keep =
            |raw: &RawValue| if raw.get().len() <= MAX_NOTED { raw.to_owned().into() } else { text(raw) };
        self.turn.note(code, message, about.map(keep)).await;
    }

    /// Tells what was too much to be noted.
    pub(super) async fn finish(self) {
        if let Some(more @ 1..) = self.notes.checked_sub(MAX_NOTES) {
            self.turn.note("notes_left_out", format!("{more} more notes were left out"), None).await;
        }
    }

    fn next_id(&mut self) -> Id {
        let id = format!("{}.{}.{}", self.turn.id(), self.turn.attempt(), self.calls);
        self.calls += 1;
        Id::try_from(id.as_str()).expect("short texts are ids")
    }
}

impl Agent {
    /// Asks the agent, and serves it until it answers.
    pub(super) async fn call<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        method: &str,
        params: &impl Serialize,
        wait: Wait,
    ) -> Result<Box<RawValue>, NoAnswer> {
        let id = scope.next_id();
        self.link.request(&id, method, params);
        self.listen(scope, Some(&id), wait).await
    }

    /// Serves the agent until it answers, or until the wait is over.
    pub(super) async fn listen<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        awaited: Option<&Id>,
        wait: Wait,
    ) -> Result<Box<RawValue>, NoAnswer> {
        self.heard = Instant::now();
        loop {
            match self.happening(scope, wait).await {
                Happened::Heard(Ok(said)) => {
                    if let Some(answer) = self.hear(scope, awaited, &said).await {
                        return answer.map_err(NoAnswer::Refused);
                    }
                }
                Happened::Heard(Err(broken)) => return Err(NoAnswer::Broken(broken)),
                Happened::Worked(id, work) => self.settle(scope.turn, &id, work).await,
                Happened::Answered(answered) => {
                    if scope.turn.is_stopping() && matches!(wait, Wait::Prompt) {
                        self.cancel(scope);
                    }
                    self.decided(scope, answered).await;
                }
                Happened::Chosen => self.send_chosen(),
                Happened::Late => return Err(NoAnswer::Late),
                Happened::Stop if matches!(wait, Wait::Prompt) => self.cancel(scope),
                Happened::Stop => return Err(NoAnswer::Stopped),
            }
        }
    }

    /// What happens next. Cancelling loses nothing.
    async fn happening<'t>(&mut self, scope: &mut Scope<'t>, wait: Wait) -> Happened {
        let turn = scope.turn;
        let open = matches!(scope.phase, Phase::Live) && self.session.is_some();
        // Garbage without end must not put off the end of patience, but what was said in time breaks a silence, however
        // late we come to hear it.
        let (late, silent) = match wait {
            Wait::Start(patience) => (Some(self.heard + patience), None),
            Wait::Silence(patience) => (None, Some(self.heard + patience)),
            Wait::Prompt => (None, None),
        };
        tokio::select! {
            // An agent that never stops talking comes last. Its questions are asked in the order of its words.
            biased;
            _ = turn.stopping(), if !scope.cancelled => Happened::Stop,
            () = until(late) => Happened::Late,
            Some(answered) = scope.asks.next() => Happened::Answered(answered),
            Some((id, work)) = self.jobs.next() => Happened::Worked(id, work),
            Ok(()) = self.port.settings.changed(), if open => Happened::Chosen,
            said = self.link.next() => Happened::Heard(said),
            () = until(silent) => Happened::Late,
        }
    }

    /// Tells the agent that the turn is cancelled. It still answers the prompt.
    fn cancel(&mut self, scope: &mut Scope<'_>) {
        if let (false, Some(session_id)) = (scope.cancelled, self.session.clone()) {
            self.link.notify(method::SESSION_CANCEL, &CancelNotification { session_id });
        }
        scope.cancelled = true;
    }

    /// Takes a line; the answer if it is the one that is awaited.
    async fn hear<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        awaited: Option<&Id>,
        said: &Said,
    ) -> Option<Result<Box<RawValue>, ErrorObject>> {
        let text = match &said.line.text {
            Ok(text) => text,
            Err(long) => {
                scope.note("line_too_long", format!("{long}; it was left out"), None).await;
                return None;
            }
        };
        let message = match Message::parse(text) {
            Ok(message) => message,
            Err(error) => return self.stumble(scope, awaited, text, &error).await,
        };
        self.heard = Instant::now();
        match message {
            Message::Response(Response { id, outcome }) if Some(&id) == awaited => {
                return Some(outcome.map(ToOwned::to_owned));
            }
            Message::Response(Response { id, outcome }) => match self.set(&id, outcome) {
                Some(answered) => answered.tell(scope.turn).await,
                None => {
                    let message = format!("it answered {id}, which nobody asked");
                    scope.note("unexpected_answer", message, None).await;
                }
            },
            Message::Notification(Notification { method, params }) if method == method::SESSION_UPDATE => {
                self.update(scope, params).await;
            }
            Message::Notification(Notification { method, params }) => {
                scope.note("unknown_notification", format!("it told `{}`", shown(&method)), params).await;
            }
            Message::Request(request) => self.serve(scope, request).await,
        }
        None
    }

    /// A line that is no message. It ends nothing, unless it was meant as the answer that is awaited.
    async fn stumble(
        &mut self,
        scope: &mut Scope<'_>,
        awaited: Option<&Id>,
        text: &[u8],
        error: &ParseError,
    ) -> Option<Result<Box<RawValue>, ErrorObject>> {
        if matches!(error, ParseError::Empty) {
            return None;
        }
        if let Some(id) = error.request() {
            self.link
                .answer(id, Err::<&Empty, _>(&ErrorObject::new(code::INVALID_REQUEST, error.to_string())));
        }
        if awaited.is_some() && error.response() == awaited {
            return Some(Err(ErrorObject::new(code::INVALID_REQUEST, error.to_string())));
        }
        let start = shown(&String::from_utf8_lossy(&text[..text.len().min(MAX_NOTED)]));
        let data = serde_json::value::to_raw_value(&start).expect("a text has a JSON form");
        scope.note("bad_line", error.to_string(), Some(&data)).await;
        self.garbage.get_or_insert(start);
        None
    }

    async fn update(&mut self, scope: &mut Scope<'_>, params: Option<&RawValue>) {
        let update: Result<SessionNotification<'_>, _> = parse_params(params);
        let SessionNotification { session_id, update } = match update {
            Ok(update) => update,
            Err(error) => return scope.note("bad_update", error.to_string(), params).await,
        };
        let kind = UpdateView::of(update).kind();
        let (gauge, bytes) = (Gauge::of(&kind), update.get().len());
        if gauge.is_some() && bytes > MAX_GAUGE {
            let message = format!("a `{}` of {bytes} bytes is too large to be kept", shown(&kind));
            return scope.note("gauge_too_large", message, None).await;
        }
        match &mut scope.phase {
            Phase::Opening { bytes: held, .. } if *held + bytes > MAX_EARLY => {
                let message = "updates came before the session was open, too many to be held";
                return scope.note("update_too_early", message, None).await;
            }
            Phase::Opening { early, bytes: held } => {
                *held += bytes;
                return early.push((session_id.into_owned(), update.to_owned().into()));
            }
            Phase::Replay { commands } => {
                *commands |= gauge == Some(Gauge::AvailableCommands);
                if gauge.is_none() {
                    return;
                }
            }
            Phase::Live => {}
        }
        self.keep(scope, &session_id, update.to_owned().into()).await;
    }

    async fn keep(&mut self, scope: &mut Scope<'_>, session: &str, update: Raw) {
        if self.session.as_deref() != Some(session) {
            let message = format!("an update of another session, {}", shown(session));
            return scope.note("foreign_session", message, Some(update.as_raw())).await;
        }
        let large = update.get().len() > LARGE;
        scope.turn.update(update).await;
        if large {
            // The line stays counted as read ahead until the disk has it.
            scope.turn.finish().await;
        }
    }

    /// The session is open: what came before belongs to it.
    pub(super) async fn live(&mut self, scope: &mut Scope<'_>) {
        if let Phase::Opening { early, .. } = std::mem::replace(&mut scope.phase, Phase::Live) {
            for (session, update) in early {
                self.keep(scope, &session, update).await;
            }
        }
    }
}
