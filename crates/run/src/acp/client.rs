//! What an agent may ask of us: files, terminals, permission.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use trunkline_core::event::Fact;
use trunkline_core::request::Outcome;
use trunkline_wire::acp::{
    CreateTerminalRequest, CreateTerminalResponse, Empty, ReadTextFileRequest, ReadTextFileResponse,
    RequestPermissionOutcome, RequestPermissionRequest, RequestPermissionResponse, TerminalRequest,
    WriteTextFileRequest, method,
};
use trunkline_wire::jsonrpc::{ErrorObject, Id, NotAdmitted, Request, code, parse_params};

use super::agent::Agent;
use super::conversation::Scope;
use super::permission;
use super::terminal::Made;
use super::trouble::shown;
use crate::turn::Turn;

/// How long after a request was cancelled the turn's stop may take to be heard of here.
const STOP_FOLLOWS: Duration = Duration::from_millis(100);

/// What kind of request is owed an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owed {
    /// A person is asked.
    Permission,
    /// It is being worked on.
    Work,
}

/// Work that is done.
pub(super) enum Work {
    /// There is an answer.
    Answer(Result<Box<RawValue>, ErrorObject>),
    /// Something was done that the log is to know of.
    Did(Box<Fact>, Box<RawValue>),
    /// A command runs that is not listed yet.
    Made(Box<Made>),
}

/// An answer to a question whether it may.
pub(super) type Answered = (Id, Result<RequestPermissionOutcome, ErrorObject>);

impl Agent {
    /// Does what is asked, or begins to.
    pub(super) async fn serve<'t>(&mut self, scope: &mut Scope<'t>, request: Request<'_>) {
        let Request { id, method, params } = request;
        let asks = method == method::SESSION_REQUEST_PERMISSION;
        let owed = if asks { Owed::Permission } else { Owed::Work };
        match self.owed.insert(id.clone(), owed) {
            Ok(()) => {}
            Err(NotAdmitted::Duplicate) => {
                let message =
                    format!("`{}` came with the id of a request that has no answer yet", shown(&method));
                return scope.note("duplicate_request", message, params).await;
            }
            Err(full @ NotAdmitted::Full { .. }) => {
                return self.link.answer(&id, Err::<&Empty, _>(&ErrorObject::internal(full)));
            }
        }
        let job = if asks {
            match self.params::<RequestPermissionRequest>(params) {
                Ok(asked) => return scope.asks.push(ask(scope.turn, id, asked).boxed()),
                Err(error) => Err(error),
            }
        } else {
            self.job(&method, params)
        };
        match job {
            Ok(job) => self.jobs.push(job.map(|work| (id, work)).boxed()),
            Err(error) => {
                if error.code == code::METHOD_NOT_FOUND {
                    scope
                        .note("unknown_request", format!("it asked in vain: {}", error.message), params)
                        .await;
                }
                self.answer(&id, Err(&error));
            }
        }
    }

    /// Answers a request while no turn runs: only what was begun can be brought to its end.
    pub(super) fn serve_late(&mut self, request: Request<'_>) {
        let Request { id, method, params } = request;
        if let Err(error) = self.owed.insert(id.clone(), Owed::Work) {
            if error != NotAdmitted::Duplicate {
                self.link.answer(&id, Err::<&Empty, _>(&ErrorObject::internal(error)));
            }
            return;
        }
        let job = match &*method {
            method::SESSION_REQUEST_PERMISSION => {
                let outcome = RequestPermissionOutcome::Cancelled;
                return self.answer(&id, Ok(&*raw(&RequestPermissionResponse { outcome })));
            }
            method::FS_READ_TEXT_FILE | method::FS_WRITE_TEXT_FILE | method::TERMINAL_CREATE => {
                Err(no_turn())
            }
            _ => self.job(&method, params),
        };
        match job {
            Ok(job) => self.jobs.push(job.map(|work| (id, work)).boxed()),
            Err(error) => self.answer(&id, Err(&error)),
        }
    }

    /// Answers what was worked on.
    pub(super) async fn settle(&mut self, turn: &Turn, id: &Id, work: Work) {
        match work {
            Work::Answer(answer) => self.answer(id, answer.as_deref()),
            Work::Did(fact, reply) => {
                turn.fact(*fact).await;
                self.answer(id, Ok(&*reply));
            }
            Work::Made(made) => {
                turn.fact(made.started.clone()).await;
                // The terminal tells its output by itself, and its start stands before that.
                turn.finish().await;
                let terminal_id = self.terminals.add(*made, Some((turn.id(), turn.attempt())));
                self.answer(id, Ok(&*raw(&CreateTerminalResponse { terminal_id })));
            }
        }
    }

    /// As [`settle`](Self::settle), when the turn is over.
    pub(super) fn settle_late(&mut self, id: &Id, work: Work) {
        match work {
            Work::Answer(answer) => self.answer(id, answer.as_deref()),
            Work::Did(fact, reply) => {
                self.between.fact(*fact);
                self.answer(id, Ok(&*reply));
            }
            // Dropped, the command ends.
            Work::Made(_) => {
                self.answer(id, Err(&no_turn()));
            }
        }
    }

    /// Gives a request its one answer.
    pub(super) fn answer(&mut self, id: &Id, answer: Result<&RawValue, &ErrorObject>) {
        if self.owed.take(id).is_some() {
            self.link.answer(id, answer);
        }
    }

    /// Tells the agent what a person decided.
    pub(super) async fn decided(&mut self, scope: &mut Scope<'_>, (id, outcome): Answered) {
        match outcome {
            Ok(outcome) => self.answer(&id, Ok(&*raw(&RequestPermissionResponse { outcome }))),
            Err(error) => {
                scope
                    .note("request_refused", format!("it was not asked whether it may: {error}"), None)
                    .await;
                self.answer(&id, Err(&error));
            }
        }
    }

    /// Nobody is asked any more.
    pub(super) fn withdraw(&mut self) {
        let asked: Vec<Id> = self
            .owed
            .iter()
            .filter(|(_, owed)| **owed == Owed::Permission)
            .map(|(id, _)| id.clone())
            .collect();
        let cancelled = raw(&RequestPermissionResponse { outcome: RequestPermissionOutcome::Cancelled });
        asked.iter().for_each(|id| self.answer(id, Ok(&*cancelled)));
    }

    /// The work that a request asks for.
    fn job(
        &mut self,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<BoxFuture<'static, Work>, ErrorObject> {
        let files = Arc::clone(&self.files);
        Ok(match method {
            method::FS_READ_TEXT_FILE if self.entry.offer_read => {
                let asked: ReadTextFileRequest = self.params(params)?;
                blocking(move || {
                    let (content, fact) = files.read(&asked)?;
                    Ok((fact.into(), raw(&ReadTextFileResponse { content })))
                })
            }
            method::FS_WRITE_TEXT_FILE => {
                let asked: WriteTextFileRequest = self.params(params)?;
                blocking(move || Ok((files.write(&asked)?.into(), raw(&Empty {}))))
            }
            method::TERMINAL_CREATE => {
                let asked: CreateTerminalRequest = self.params(params)?;
                if asked.cwd.as_ref().is_some_and(|cwd| !cwd.is_absolute()) {
                    return Err(ErrorObject::invalid_params("cwd must be an absolute path"));
                }
                let made = self.terminals.create(&asked);
                made.map(|made| {
                    made.map_or_else(|error| Work::Answer(Err(error)), |made| Work::Made(made.into()))
                })
                .boxed()
            }
            method::TERMINAL_OUTPUT => {
                let output = self.terminals.find(&self.terminal(params)?)?.output();
                std::future::ready(Work::Answer(Ok(raw(&output)))).boxed()
            }
            method::TERMINAL_WAIT_FOR_EXIT => {
                let terminal = self.terminals.find(&self.terminal(params)?)?;
                terminal.wait().map(|status| Work::Answer(Ok(raw(&status)))).boxed()
            }
            method::TERMINAL_KILL => {
                let terminal = self.terminals.find(&self.terminal(params)?)?;
                terminal.kill().map(|killed| Work::Answer(killed.map(|()| raw(&Empty {})))).boxed()
            }
            method::TERMINAL_RELEASE => {
                let terminal = self.terminal(params)?;
                let terminal = self.terminals.release(&terminal)?;
                terminal.kill().map(|killed| Work::Answer(killed.map(|()| raw(&Empty {})))).boxed()
            }
            unknown => return Err(ErrorObject::method_not_found(&shown(unknown))),
        })
    }

    fn terminal(&self, params: Option<&RawValue>) -> Result<String, ErrorObject> {
        Ok(self.params::<TerminalRequest>(params)?.terminal_id)
    }

    /// Reads parameters, which must name our session.
    fn params<T: DeserializeOwned>(&self, params: Option<&RawValue>) -> Result<T, ErrorObject> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            session_id: String,
        }
        let Named { session_id } = parse_params(params)?;
        if self.session.as_ref().is_some_and(|ours| *ours != session_id) {
            return Err(ErrorObject::invalid_params(format_args!("there is no session {session_id}")));
        }
        parse_params(params)
    }
}

/// Asks a person.
async fn ask(turn: &Turn, id: Id, asked: RequestPermissionRequest) -> Answered {
    let closed = turn.ask(permission::opened(&asked)).await;
    if closed.as_ref().is_ok_and(|closed| closed.outcome == Outcome::Cancelled) {
        // The agent should hear that the turn is cancelled before it hears that nobody answered, or it goes on as if
        // it had been refused.
        let _withdrawn = tokio::time::timeout(STOP_FOLLOWS, turn.stopping()).await;
    }
    (id, permission::outcome(closed))
}

/// Work on files: it blocks, so it has a thread of its own.
fn blocking(
    work: impl FnOnce() -> Result<(Fact, Box<RawValue>), ErrorObject> + Send + 'static,
) -> BoxFuture<'static, Work> {
    let done = tokio::task::spawn_blocking(work);
    let work = |done: Result<_, _>| match done {
        Ok(Ok((fact, reply))) => Work::Did(Box::new(fact), reply),
        Ok(Err(error)) => Work::Answer(Err(error)),
        Err(panicked) => Work::Answer(Err(ErrorObject::internal(panicked))),
    };
    done.map(work).boxed()
}

fn no_turn() -> ErrorObject {
    ErrorObject::new(code::INVALID_REQUEST, "no turn is running")
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("messages have string keys only")
}
