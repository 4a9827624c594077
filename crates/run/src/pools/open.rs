//! Sessions at workers that speak the Agent Client Protocol: `session/new`, or `session/load` where a session goes on at
//! another process.
//!
//! Towards the router a session has our id, at the top level, which pins it to a worker; towards the worker it has the
//! worker's, in `params`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use trunkline_core::raw::Raw;
use trunkline_wire::acp::{LoadSessionRequest, NewSessionRequest, NewSessionResponse, method};
use trunkline_wire::jsonrpc::{ErrorObject, Id, Message};
use trunkline_wire::router::code;

use super::host::{Stop, Talk, refusal};
use super::{Closed, Connection, Heard, Pools, Seat};
use crate::acp::open::Memory;
use crate::driver::SessionPort;

/// How long nothing must be said after `session/load` until its replay is taken to be over: some replay on after the
/// answer.
const SILENCE: Duration = Duration::from_millis(300);

/// A session that its worker knows.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    seat: Seat,
    /// The worker's id of the session.
    pub(super) session: String,
}

impl Talk<'_> {
    /// Sees to it that the worker knows the session. `None` if the turn is to stop.
    pub(super) async fn open(
        &mut self,
        connection: &mut Connection,
        pools: &Pools,
        port: &SessionPort,
        opened: Option<Opened>,
    ) -> Result<Option<Opened>, Stop> {
        let seat = pools.seat(&self.session).await.map_err(Stop::Cut)?;
        if let Some(opened) = opened
            && seat == Some(opened.seat)
        {
            return Ok(Some(opened));
        }
        let cwd = match (&port.created.workspace, pools.settings(self.pool).and_then(|set| set.cwd.clone())) {
            (Some(workspace), _) => PathBuf::from(workspace),
            (None, Some(cwd)) => cwd,
            (None, None) => PathBuf::from("/"),
        };
        let Some(session) = self.introduce(connection, port, cwd).await? else { return Ok(None) };
        let seat = pools.seat(&self.session).await.map_err(Stop::Cut)?;
        let theirs = pools.seat(&session).await.map_err(Stop::Cut)?;
        match seat {
            Some(seat) if theirs == Some(seat) => Ok(Some(Opened { seat, session })),
            Some(_) if theirs.is_some() => Err(Stop::Refused(format!(
                "the pool {} gave the session the id {session}, which a session at another of its workers has: what is \
                 said to one could reach the other. Run it with instances = 1",
                self.pool
            ))),
            Some(_) | None => Err(Stop::Refused(format!("the worker of the pool {} ended", self.pool))),
        }
    }

    /// Has the worker take up the session that an earlier one had, or begin one.
    async fn introduce(
        &mut self,
        connection: &mut Connection,
        port: &SessionPort,
        cwd: PathBuf,
    ) -> Result<Option<String>, Stop> {
        let store = |error| Stop::Refused(format!("the session cannot be looked at: {error}"));
        let (memo, had) = port
            .look(|session| (session.agent.memo.clone(), session.turns.count > 0))
            .await
            .map_err(store)?;
        let memory: Option<Memory> = memo.and_then(|memo| memo.read().ok());
        if let Some(Memory { acp_session }) = memory {
            let params = LoadSessionRequest {
                session_id: acp_session.clone(),
                cwd: cwd.clone(),
                ..LoadSessionRequest::default()
            };
            match self.call(connection, method::SESSION_LOAD, &params).await? {
                None => return Ok(None),
                Some(Ok(_)) => {
                    self.sit_out(connection).await?;
                    return Ok(Some(acp_session));
                }
                Some(Err(error)) if had => {
                    let message = format!(
                        "the worker does not remember what was said before: `session/load` failed: {error}"
                    );
                    self.note("history_lost", message, None).await;
                }
                Some(Err(_)) => {}
            }
        }
        let params = NewSessionRequest { cwd, ..NewSessionRequest::default() };
        let result = match self.call(connection, method::SESSION_NEW, &params).await? {
            None => return Ok(None),
            Some(Ok(result)) => result,
            Some(Err(error)) => return Err(self.refused(method::SESSION_NEW, &error)),
        };
        let answer: NewSessionResponse = serde_json::from_str(result.get()).map_err(|error| {
            Stop::Refused(format!("the pool {} answered `session/new` with nonsense: {error}", self.pool))
        })?;
        let memory = Raw::of(&Memory { acp_session: answer.session_id.clone() });
        port.remember(memory.expect("a memory has a JSON form")).await.map_err(store)?;
        Ok(Some(answer.session_id))
    }

    /// Calls the worker before there is anything to say in the session: what it tells meanwhile is a replay, and what it
    /// asks nobody can answer. `None` if the turn is to stop.
    async fn call(
        &mut self,
        connection: &mut Connection,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Option<Result<Box<RawValue>, ErrorObject>>, Stop> {
        let turn = self.turn;
        let id = format!("{}.{}:{method}", turn.id(), turn.attempt());
        let id = Id::try_from(id.as_str()).expect("short texts are ids");
        connection.send(self.request(&id, method, params)).await.map_err(Stop::Cut)?;
        loop {
            let heard = tokio::select! {
                biased;
                _ = turn.stopping() => return Ok(None),
                heard = connection.next() => heard.ok_or(Stop::Cut(Closed))?,
            };
            match heard {
                Heard::Record(record) => self.record(&record).await,
                Heard::Line(line) => match Message::parse(&line) {
                    Ok(Message::Response(response)) if response.id == id => {
                        return Ok(Some(response.outcome.map(RawValue::to_owned)));
                    }
                    Ok(Message::Request(request)) => {
                        let error = ErrorObject::new(code::UNAVAILABLE.into(), "the session is not open yet");
                        connection.send(refusal(&request.id, &error)).await.map_err(Stop::Cut)?;
                    }
                    Ok(_) | Err(_) => {}
                },
            }
        }
    }

    /// Waits until a replay is over.
    async fn sit_out(&mut self, connection: &mut Connection) -> Result<(), Stop> {
        while let Ok(heard) = tokio::time::timeout(SILENCE, connection.next()).await {
            heard.ok_or(Stop::Cut(Closed))?;
        }
        Ok(())
    }
}
