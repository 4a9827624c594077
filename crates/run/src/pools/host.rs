//! The driver `worker`: each turn of a session is one request to a pool.
//!
//! The session's own id is the `sessionId` by which the router pins it to a worker. What the worker tells meanwhile is
//! the turn's: `params.update` is an update, every other line a note. A permission that it asks for is asked of a
//! person, and the answer goes back to it.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use trunkline_core::raw::Raw;
use trunkline_core::turn::{Outcome, StopReason};
use trunkline_wire::acp::{
    self, PromptResponse, RequestPermissionRequest, RequestPermissionResponse, method,
};
use trunkline_wire::jsonrpc::{
    ErrorObject, Id, Message, Notification, Request, Response, parse_params, write_error, write_result,
};
use trunkline_wire::raw::Members;
use trunkline_wire::router::{Record, code};

use super::open::Opened;
use super::{Closed, Connection, Heard, Pools};
use crate::acp::permission;
use crate::acp::trouble::shown;
use crate::driver::{Driver, Host, SessionPort};
use crate::turn::Turn;

/// How many notes of one turn are kept; how many were left out is told at its end.
const MAX_NOTES: usize = 100;
/// How long what a note is about may be to be kept as it is.
const MAX_NOTED: usize = 64 << 10;

/// Makes hosts for sessions whose turns go to a pool.
#[derive(Debug)]
pub struct WorkerDriver {
    pools: Pools,
}

impl WorkerDriver {
    /// A driver over these pools.
    #[must_use]
    pub const fn new(pools: Pools) -> Self {
        Self { pools }
    }
}

impl Driver for WorkerDriver {
    fn host(&self, port: SessionPort) -> Box<dyn Host> {
        Box::new(WorkerHost { port, pools: self.pools.clone(), connection: None, opened: None, missed: 0 })
    }
}

struct WorkerHost {
    port: SessionPort,
    pools: Pools,
    /// It owns the session at its worker, so it is kept from turn to turn.
    connection: Option<Connection>,
    /// The session at its worker, where that has to be opened.
    opened: Option<Opened>,
    /// How many updates came while no turn was running.
    missed: u64,
}

/// A request to a worker.
#[derive(Serialize)]
struct Call<'a, P> {
    jsonrpc: &'static str,
    id: &'a Id,
    method: &'a str,
    params: P,
    #[serde(rename = "sessionId")]
    session: &'a str,
    pool: &'a str,
    #[serde(rename = "_ext")]
    ext: serde_json::Value,
}

#[derive(Serialize)]
struct Params<'a> {
    #[serde(rename = "sessionId")]
    session: &'a str,
    prompt: &'a [Raw],
}

/// What a worker may say at the end; nothing of it must be there.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    stop_reason: Option<acp::StopReason>,
    usage: Option<acp::Usage>,
}

#[async_trait]
impl Host for WorkerHost {
    async fn turn(&mut self, turn: &Turn) -> Outcome {
        match self.attempt(turn).await {
            Ok(outcome) => outcome,
            Err(_) if turn.is_stopping() => Outcome::of(StopReason::Cancelled),
            Err(why) => Outcome::error(why),
        }
    }

    async fn idle(&mut self) {
        while let Some(connection) = &mut self.connection {
            match connection.next().await {
                Some(Heard::Line(line)) => {
                    if let Some(answer) = self.overhear(&line) {
                        // A worker that asks this much between two turns can do without one of the refusals.
                        let _no_room = self.connection.as_ref().map(|to| to.lines.try_send(answer));
                    }
                }
                Some(Heard::Record(_)) => {}
                None => {
                    self.connection = None;
                    return;
                }
            }
        }
        std::future::pending::<()>().await;
    }

    /// The worker is others' as well: it goes on, and what it still says is for nobody.
    async fn end(&mut self) {
        self.connection = None;
    }
}

impl WorkerHost {
    async fn attempt(&mut self, turn: &Turn) -> Result<Outcome, String> {
        let pool = self.port.created.agent.clone();
        let settings = self.pools.settings(&pool).map(|set| (set.method().to_owned(), set.acp));
        let Some((method, acp)) = settings else {
            return Err(format!(
                "there is no pool called {pool}; it was in the daemon's configuration as [pools.{pool}]"
            ));
        };
        let mut talk = Talk {
            turn,
            pool: &pool,
            method: &method,
            session: self.port.id.to_string(),
            theirs: None,
            notes: 0,
        };
        if let more @ 1.. = std::mem::take(&mut self.missed) {
            let message = format!("{more} updates came while no turn was running, and are not kept");
            talk.note("updates_between_turns", message, None).await;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.pools.connect().await.map_err(|closed| closed.to_string())?),
        };
        let outcome = if acp {
            match talk.open(connection, &self.pools, &self.port, self.opened.take()).await {
                Ok(Some(opened)) => {
                    talk.theirs = Some(opened.session.clone());
                    self.opened = Some(opened);
                    talk.hold(connection).await
                }
                Ok(None) => Ok(Outcome::of(StopReason::Cancelled)),
                Err(stop) => Err(stop),
            }
        } else {
            talk.hold(connection).await
        };
        if let Some(more @ 1..) = talk.notes.checked_sub(MAX_NOTES) {
            turn.note("notes_left_out", format!("{more} more notes were left out"), None).await;
        }
        if let Err(Stop::Cut(_)) = &outcome {
            self.connection = None;
        }
        outcome.map_err(|stop| match stop {
            Stop::Cut(closed) => closed.to_string(),
            Stop::Refused(why) => why,
        })
    }

    /// What a worker says between two turns: nothing is asked of a person then.
    fn overhear(&mut self, line: &[u8]) -> Option<Bytes> {
        match Message::parse(line) {
            Ok(Message::Request(Request { id, method, .. })) => {
                let why = format!("no turn is running, so nobody can be asked for `{}`", shown(&method));
                Some(refusal(&id, &ErrorObject::new(code::UNAVAILABLE.into(), why)))
            }
            Ok(Message::Notification(_)) => {
                self.missed += 1;
                None
            }
            Ok(Message::Response(_)) | Err(_) => None,
        }
    }
}

/// Why a turn has no answer.
pub(super) enum Stop {
    Cut(Closed),
    Refused(String),
}

/// A turn's exchange with its worker.
pub(super) struct Talk<'t> {
    pub(super) turn: &'t Turn,
    pub(super) pool: &'t str,
    method: &'t str,
    /// The session's id, by which it is routed.
    pub(super) session: String,
    /// Its id at the worker, if that is another.
    theirs: Option<String>,
    notes: usize,
}

impl Talk<'_> {
    /// Asks, and serves the worker until it answers.
    async fn hold(&mut self, connection: &mut Connection) -> Result<Outcome, Stop> {
        let turn = self.turn;
        let id = format!("{}.{}", turn.id(), turn.attempt());
        let id = Id::try_from(id.as_str()).expect("short texts are ids");
        connection.send(self.prompt(&id)).await.map_err(Stop::Cut)?;
        let mut asks = FuturesUnordered::new();
        let mut cancelled = false;
        loop {
            // A worker that never stops talking comes last. Its questions are asked in the order of its words.
            tokio::select! {
                biased;
                _ = turn.stopping(), if !cancelled => {
                    cancelled = true;
                    connection.send(self.cancel()).await.map_err(Stop::Cut)?;
                }
                Some((id, closed)) = asks.next() => {
                    let answer: Result<_, ErrorObject> = permission::outcome(closed);
                    let line = match answer {
                        Ok(outcome) => granted(&id, &RequestPermissionResponse { outcome }),
                        Err(error) => refusal(&id, &error),
                    };
                    connection.send(line).await.map_err(Stop::Cut)?;
                }
                heard = connection.next() => {
                    let line = match heard.ok_or(Stop::Cut(Closed))? {
                        Heard::Line(line) => line,
                        Heard::Record(record) => {
                            self.record(&record).await;
                            continue;
                        }
                    };
                    match Message::parse(&line) {
                        Ok(Message::Response(response)) if response.id == id => return self.over(response),
                        Ok(Message::Request(request)) => match question(&request) {
                            Ok(asked) => asks.push(async move {
                                (request.id, turn.ask(permission::opened(&asked)).await)
                            }),
                            Err(error) => {
                                connection.send(refusal(&request.id, &error)).await.map_err(Stop::Cut)?;
                            }
                        },
                        other => self.hear(other.ok(), &line).await,
                    }
                }
            }
        }
    }

    fn prompt(&self, id: &Id) -> Bytes {
        self.request(id, self.method, &Params { session: self.theirs(), prompt: self.turn.prompt() })
    }

    /// The session's id in `params`.
    fn theirs(&self) -> &str {
        self.theirs.as_deref().unwrap_or(&self.session)
    }

    pub(super) fn request(&self, id: &Id, method: &str, params: &impl Serialize) -> Bytes {
        let call = Call {
            jsonrpc: "2.0",
            id,
            method,
            params,
            session: &self.session,
            pool: self.pool,
            ext: json!({ "identity": { "subjectId": self.turn.by(), "assertedBy": "trunkline" } }),
        };
        serde_json::to_vec(&call).expect("a request has a JSON form").into()
    }

    fn cancel(&self) -> Bytes {
        let (session, theirs) = (&self.session, self.theirs());
        let cancel = json!({
            "jsonrpc": "2.0", "method": method::SESSION_CANCEL, "params": { "sessionId": theirs },
            "sessionId": session, "pool": self.pool,
        });
        cancel.to_string().into()
    }

    fn over(&self, Response { outcome, .. }: Response<'_>) -> Result<Outcome, Stop> {
        let pool = self.pool;
        let result = outcome.map_err(|error| self.refused(self.method, &error))?;
        let Answer { stop_reason, usage } = serde_json::from_str(result.get()).unwrap_or_default();
        let stop_reason = stop_reason.unwrap_or(acp::StopReason::EndTurn);
        Ok(crate::acp::host::outcome(pool, PromptResponse { stop_reason, usage, meta: None }))
    }

    /// An error in answer to a method.
    pub(super) fn refused(&self, method: &str, error: &ErrorObject) -> Stop {
        let unavailable = error.code == i64::from(code::UNAVAILABLE);
        let hint = if unavailable { "; `trunkline pools` shows its workers" } else { "" };
        Stop::Refused(format!("the pool {} answered `{method}` with an error: {error}{hint}", self.pool))
    }

    /// What is no answer and no question: an update, or something to be noted.
    async fn hear(&mut self, message: Option<Message<'_>>, line: &Bytes) {
        let line = std::str::from_utf8(line).ok().and_then(|text| serde_json::from_str(text).ok());
        match message {
            Some(Message::Notification(Notification { method, params })) => {
                let update = params.and_then(Members::of).and_then(|members| members.get("update"));
                match update.filter(|update| update.get().starts_with('{')) {
                    Some(update) => self.turn.update(update.to_owned().into()).await,
                    None => {
                        let message = format!("the worker told `{}`", shown(&method));
                        self.note("unknown_notification", message, line).await;
                    }
                }
            }
            Some(Message::Response(Response { id, .. })) => {
                let message = format!("the worker answered {id}, which nobody asked");
                self.note("unexpected_answer", message, line).await;
            }
            Some(Message::Request(_)) | None => {
                self.note("bad_line", "the worker said what is no message", line).await;
            }
        }
    }

    /// Who called, and whether they might: what the pool's policy said is kept.
    pub(super) async fn record(&mut self, record: &Record) {
        let method = record.method.as_deref().unwrap_or_default();
        let verb = if record.allowed { "allowed" } else { "denied" };
        let message = format!("the policy of the pool {} {verb} `{}`", record.pool, shown(method));
        let data = json!({
            "pool": record.pool, "method": record.method, "identity": record.identity, "audit": record.audit,
            "allowed": record.allowed,
        });
        let data = serde_json::value::to_raw_value(&data).expect("a record has a JSON form");
        self.note("pool_record", message, Some(&data)).await;
    }

    pub(super) async fn note(&mut self, code: &str, message: impl Into<String>, about: Option<&RawValue>) {
        self.notes += 1;
        if self.notes > MAX_NOTES {
            return;
        }
        let keep = |raw: &RawValue| {
            if raw.get().len() <= MAX_NOTED { raw.to_owned().into() } else { text(&shown(raw.get())) }
        };
        self.turn.note(code, message, about.map(keep)).await;
    }
}

/// What a worker asks that a person can answer.
fn question(request: &Request<'_>) -> Result<RequestPermissionRequest, ErrorObject> {
    if request.method == method::SESSION_REQUEST_PERMISSION {
        parse_params(request.params)
    } else {
        Err(ErrorObject::method_not_found(&request.method))
    }
}

fn text(text: &str) -> Raw {
    Raw::of(text).expect("a text has a JSON form")
}

fn granted(id: &Id, result: &impl Serialize) -> Bytes {
    let mut line = Vec::new();
    match write_result(&mut line, id, result) {
        Ok(()) => without_end(line),
        Err(error) => refusal(id, &ErrorObject::internal(error)),
    }
}

pub(super) fn refusal(id: &Id, error: &ErrorObject) -> Bytes {
    let mut line = Vec::new();
    write_error(&mut line, id, error);
    without_end(line)
}

fn without_end(mut line: Vec<u8>) -> Bytes {
    line.truncate(line.trim_ascii_end().len());
    line.into()
}
