//! `trunkline demo-agent`: a real agent that speaks the Agent Client Protocol on stdin and stdout, without a model, a key or
//! a network.
//!
//! On a prompt it looks around its workspace, makes a plan, says what it does in words that come one by one, asks whether
//! it may write a file, writes it, and reports. When it is refused it leaves the file alone and says so; when it is
//! cancelled it stops at once, in the middle of a sentence if need be.
//!
//! It remembers nothing between prompts but whether it may always write. So a session needs no history to go on after the
//! process was restarted: `session/resume` is offered, and asks again. `session/load`, which would have to tell the history,
//! is not offered.
//!
//! One thread reads lines, the other does everything else; while it pauses between words it hears what comes.

mod look;
mod peer;
mod turn;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use trunkline_wire::acp::{
    self, AgentCapabilities, ClientCapabilities, ContentBlock, Implementation, InitializeRequest,
    InitializeResponse, LoadSessionRequest, LoadSessionResponse, NewSessionRequest, NewSessionResponse,
    PROTOCOL_VERSION, PromptRequest, PromptResponse, SessionCapabilities, method,
};
use trunkline_wire::jsonrpc::{ErrorObject, Id, code, parse_params};
use uuid::Uuid;

use crate::error::{CliError, Result};
use crate::exit::Exit;
use peer::{Heard, Peer};

/// How many sessions one process holds; a daemon runs one process for each.
const MAX_SESSIONS: usize = 100;

/// Runs until stdin ends.
pub(crate) fn run(pace: Duration) -> Result<Exit> {
    if std::io::stdin().is_terminal() {
        return Err(CliError::usage("the demo agent speaks ACP on stdin and stdout, not with people")
            .hint("run it in a session: trunkline run demo \"look around\""));
    }
    let mut agent =
        Agent { peer: Peer::new(), client: ClientCapabilities::default(), sessions: BTreeMap::new(), pace };
    // The end of stdin, or a client that has gone, is how this ends.
    while let Ok(heard) = agent.peer.wait() {
        if let Heard::Request { id, method, params } = heard
            && agent.request(&id, &method, params.as_deref(), false).is_err()
        {
            break;
        }
    }
    Ok(Exit::Ok)
}

/// The agent and its sessions.
struct Agent {
    peer: Peer,
    client: ClientCapabilities,
    sessions: BTreeMap<String, Session>,
    pace: Duration,
}

/// A session.
#[derive(Debug, Clone)]
struct Session {
    cwd: PathBuf,
    /// It was allowed to write once and for all.
    may_write: bool,
}

/// The client is gone: nothing can be said any more.
#[derive(Debug)]
struct Gone;

impl Agent {
    /// Answers a request. While a turn runs another prompt is refused: one process does one thing at a time.
    fn request(
        &mut self,
        id: &Id,
        method: &str,
        params: Option<&RawValue>,
        busy: bool,
    ) -> std::result::Result<(), Gone> {
        let outcome = match method {
            method::INITIALIZE => self.initialize(params).and_then(|answer| raw(&answer)),
            method::AUTHENTICATE => raw(&acp::Empty {}),
            method::SESSION_NEW => self.new_session(params).and_then(|answer| raw(&answer)),
            method::SESSION_RESUME => self.resume(params).and_then(|answer| raw(&answer)),
            method::SESSION_PROMPT if busy => Err(ErrorObject::new(
                code::INVALID_REQUEST,
                "another prompt is being worked on; cancel it or wait",
            )),
            method::SESSION_PROMPT => match self.prompt(params) {
                Ok(Ok(answer)) => raw(&answer),
                Ok(Err(gone)) => return Err(gone),
                Err(error) => Err(error),
            },
            method => Err(ErrorObject::method_not_found(method)),
        };
        self.peer.answer(id, &outcome)
    }

    fn initialize(
        &mut self,
        params: Option<&RawValue>,
    ) -> std::result::Result<InitializeResponse, ErrorObject> {
        let request: InitializeRequest = parse_params(params)?;
        self.client = request.client_capabilities;
        Ok(InitializeResponse {
            protocol_version: PROTOCOL_VERSION,
            agent_capabilities: AgentCapabilities {
                session_capabilities: SessionCapabilities { resume: true, ..SessionCapabilities::default() },
                ..AgentCapabilities::default()
            },
            auth_methods: Vec::new(),
            agent_info: Some(Implementation {
                name: "trunkline-demo".to_owned(),
                title: Some("Trunkline's demo agent".to_owned()),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
            meta: None,
        })
    }

    fn new_session(
        &mut self,
        params: Option<&RawValue>,
    ) -> std::result::Result<NewSessionResponse, ErrorObject> {
        let request: NewSessionRequest = parse_params(params)?;
        let session_id = format!("demo-{}", Uuid::new_v4().simple());
        self.add(&session_id, &request.cwd)?;
        Ok(NewSessionResponse { session_id, ..NewSessionResponse::default() })
    }

    fn resume(&mut self, params: Option<&RawValue>) -> std::result::Result<LoadSessionResponse, ErrorObject> {
        let request: LoadSessionRequest = parse_params(params)?;
        self.add(&request.session_id, &request.cwd)?;
        Ok(LoadSessionResponse::default())
    }

    fn add(&mut self, id: &str, cwd: &Path) -> std::result::Result<(), ErrorObject> {
        if !cwd.is_absolute() || !cwd.is_dir() {
            return Err(ErrorObject::invalid_params(format!(
                "cwd: {} is not an absolute path of a directory",
                cwd.display()
            )));
        }
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(id) {
            return Err(ErrorObject::internal(format!(
                "there are {MAX_SESSIONS} sessions, which is the limit"
            )));
        }
        self.sessions.insert(id.to_owned(), Session { cwd: cwd.to_owned(), may_write: false });
        Ok(())
    }

    fn prompt(
        &mut self,
        params: Option<&RawValue>,
    ) -> std::result::Result<std::result::Result<PromptResponse, Gone>, ErrorObject> {
        let request: PromptRequest = parse_params(params)?;
        let Some(session) = self.sessions.get(&request.session_id) else {
            let why = format!("there is no session {}", request.session_id);
            return Err(ErrorObject::new(code::RESOURCE_NOT_FOUND, why));
        };
        let session = session.clone();
        let blocks =
            request.prompt.iter().filter_map(|block| serde_json::from_str::<ContentBlock>(block.get()).ok());
        let words: Vec<_> = blocks.filter_map(|block| block.as_text().map(str::to_owned)).collect();
        let ended = turn::play(self, &request.session_id, &session, &words.join("\n"));
        Ok(ended.map(|stop_reason| PromptResponse { stop_reason, usage: None, meta: None }))
    }
}

fn raw(answer: &impl Serialize) -> std::result::Result<Box<RawValue>, ErrorObject> {
    serde_json::value::to_raw_value(answer).map_err(ErrorObject::internal)
}
