//! Claude Code's own protocol, spoken as the Agent Client Protocol.
//!
//! `claude -p --input-format stream-json --output-format stream-json` writes and reads one JSON object per line, and over
//! the same pipes asks whether it may use a tool and takes orders (`control_request`, as its SDK uses them with
//! `--permission-prompt-tool stdio`). An [`Adapter`] stands between such a process and a client of ACP: whatever holds
//! for agents that speak ACP holds for Claude Code then.
//!
//! ```text
//! claude → hear → client     system/init, stream_event, assistant, user → session/update
//!                            control_request can_use_tool              → session/request_permission
//!                            result                                    → usage_update, the answer to session/prompt
//! client → say  → claude     session/prompt                            → user
//!                            session/cancel                            → control_request interrupt
//!                            session/set_mode, session/set_model       → control_request set_permission_mode, set_model
//! ```
//!
//! Facts are from Claude Code 2.1.83 and 2.1.332, as they were seen on their pipes.

mod calls;
mod client;
mod end;
mod flow;
mod permission;
mod said;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::acp::{SessionNotification, SessionUpdate, method};
use crate::jsonrpc::{self, ErrorObject, Id};
use crate::raw::Members;

use client::{Greeting, Order};
use flow::Flow;
use permission::Asked;

pub use client::{MODES, NO_CONVERSATION};

/// What a process is started with behind its own arguments, the session aside.
pub const ARGUMENTS: [&str; 9] = [
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--include-partial-messages",
    "--permission-prompt-tool",
    "stdio",
];

/// Behind [`ARGUMENTS`], before the session's id: it has had a process before.
pub const RESUME: &str = "--resume";
/// Behind [`ARGUMENTS`], before the session's id, a UUID: it is new.
pub const SESSION_ID: &str = "--session-id";

/// Behind [`ARGUMENTS`], before a JSON object with the member `mcpServers`.
pub const MCP_CONFIG: &str = "--mcp-config";

/// How many of its questions may be open at a time. What is more is refused.
const MAX_ASKED: usize = 256;

/// One process of Claude Code, as an agent that speaks ACP.
#[derive(Debug)]
pub struct Adapter {
    session: String,
    out: Out,
    greeting: Greeting,
    /// The client's prompt that has no answer yet.
    prompt: Option<Id>,
    /// Whether that was cancelled.
    cancelled: bool,
    flow: Flow,
    asked: BTreeMap<String, Asked>,
    /// What the client has ordered and Claude has not answered, by our number.
    orders: BTreeMap<String, Order>,
    number: u64,
}

/// Lines to be passed on, each with its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Out {
    /// To the client.
    pub client: Vec<Vec<u8>>,
    /// To Claude.
    pub claude: Vec<Vec<u8>>,
}

impl Adapter {
    /// For a process that was just started with this session's id.
    #[must_use]
    pub fn new(session: impl Into<String>) -> Self {
        Self {
            session: session.into(),
            out: Out::default(),
            greeting: Greeting::default(),
            prompt: None,
            cancelled: false,
            flow: Flow::default(),
            asked: BTreeMap::new(),
            orders: BTreeMap::new(),
            number: 0,
        }
    }

    /// What is to be passed on since this was last asked.
    pub fn take(&mut self) -> Out {
        std::mem::take(&mut self.out)
    }

    /// Takes a line of Claude's. One that is no object, or not as it should be, is passed on as what no client takes for a
    /// message.
    pub fn hear(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        if self.understand(line).is_none() {
            let text = String::from_utf8_lossy(line);
            self.out.client.push(written(&text));
        }
    }

    fn understand(&mut self, line: &[u8]) -> Option<()> {
        let raw: &RawValue = serde_json::from_slice(line).ok()?;
        let members = Members::of(raw)?;
        match &*members.get_str("type")? {
            "stream_event" => self.event(serde_json::from_str(raw.get()).ok()?),
            "assistant" => self.message(serde_json::from_str(raw.get()).ok()?),
            "user" => self.results(serde_json::from_str(raw.get()).ok()?),
            "system" => self.system(&members),
            "result" => self.result(&serde_json::from_str(raw.get()).ok()?),
            "control_request" => self.ask(serde_json::from_str(raw.get()).ok()?),
            "control_response" => self.ordered(serde_json::from_str(raw.get()).ok()?),
            // Kinds that say nothing about the work: progress, keep-alive, hints; and those that are newer than this.
            _ => {}
        }
        Some(())
    }

    fn update(&mut self, update: &SessionUpdate) {
        let update = update.to_raw();
        let params = SessionNotification { session_id: self.session.as_str().into(), update: &update };
        let mut line = Vec::new();
        jsonrpc::write_notification(&mut line, method::SESSION_UPDATE, &params).expect(STRING_KEYS);
        self.out.client.push(line);
    }

    fn answer(&mut self, id: &Id, answer: Result<&impl Serialize, &ErrorObject>) {
        let mut line = Vec::new();
        match answer {
            Ok(result) => jsonrpc::write_result(&mut line, id, result).expect(STRING_KEYS),
            Err(error) => jsonrpc::write_error(&mut line, id, error),
        }
        self.out.client.push(line);
    }

    fn tell(&mut self, line: &impl Serialize) {
        self.out.claude.push(written(line));
    }
}

const STRING_KEYS: &str = "messages have string keys only";

/// As one line. Raw JSON within may have line breaks between tokens, which become spaces.
fn written(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect(STRING_KEYS);
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    line
}
