//! The Agent Client Protocol, version 1, as a client and as an agent speak it: the types of its messages.
//!
//! Facts are from the protocol's documentation and schema at <https://agentclientprotocol.com>; the tests hold
//! every type here against `agent-client-protocol-schema`. The types go both ways. What we do not interpret stays
//! the JSON that came, members we do not know are ignored, and an optional member of the wrong type counts as
//! absent, as the schema asks of readers; only what a message cannot do without is demanded.
//!
//! Messages are params and results; their envelopes are [`jsonrpc`](crate::jsonrpc)'s:
//!
//! ```
//! use trunkline_wire::{acp, jsonrpc};
//!
//! let mut line = Vec::new();
//! let prompt = acp::PromptRequest {
//!     session_id: "s1".into(),
//!     prompt: vec![acp::ContentBlock::text("Hello").to_raw()],
//!     meta: None,
//! };
//! jsonrpc::write_request(&mut line, &1.into(), acp::method::SESSION_PROMPT, &prompt).unwrap();
//! let jsonrpc::Message::Request(request) = jsonrpc::Message::parse(&line).unwrap() else { panic!() };
//! let read: acp::PromptRequest = jsonrpc::parse_params(request.params).unwrap();
//! assert_eq!(read.session_id, "s1");
//! ```

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

mod content;
mod fs;
mod initialize;
mod lenient;
pub mod merge;
mod permission;
mod session;
mod terminal;
mod tool;
mod update;

pub use content::{
    AudioContent, ContentBlock, EmbeddedResource, ImageContent, ResourceContents, ResourceLink, TextContent,
};
pub use fs::{ReadTextFileRequest, ReadTextFileResponse, WriteTextFileRequest};
pub use initialize::{
    AgentCapabilities, AuthMethod, AuthenticateRequest, ClientCapabilities, FileSystemCapabilities,
    Implementation, InitializeRequest, InitializeResponse, McpCapabilities, PROTOCOL_VERSION,
    PromptCapabilities, SessionCapabilities,
};
pub use permission::{
    PermissionOption, PermissionOptionKind, RequestPermissionOutcome, RequestPermissionRequest,
    RequestPermissionResponse,
};
pub use session::{
    CancelNotification, CloseSessionRequest, ConfigValue, EnvVariable, HttpHeader, LoadSessionRequest,
    LoadSessionResponse, McpServer, McpServerRemote, McpServerStdio, NewSessionRequest, NewSessionResponse,
    PromptRequest, PromptResponse, ResumeSessionRequest, ResumeSessionResponse, SessionMode,
    SessionModeState, SetSessionConfigOptionRequest, SetSessionConfigOptionResponse, SetSessionModeRequest,
    SetSessionModelRequest, StopReason, Usage,
};
pub use terminal::{
    CreateTerminalRequest, CreateTerminalResponse, TerminalExitStatus, TerminalOutputResponse,
    TerminalRequest,
};
pub use tool::{
    Diff, ToolCall, ToolCallContent, ToolCallLocation, ToolCallStatus, ToolContent, ToolKind, ToolTerminal,
    given_tool_name, tool_name,
};
pub use update::{
    AvailableCommand, AvailableCommandsUpdate, ContentChunk, CurrentModeUpdate, Plan, PlanEntry,
    PlanEntryPriority, PlanEntryStatus, SessionNotification, SessionUpdate, UpdateView, UsageUpdate,
};

/// Names of the protocol's methods.
pub mod method {
    /// Request to the agent: versions and capabilities; the first one.
    pub const INITIALIZE: &str = "initialize";
    /// Request to the agent: log in by one of its methods.
    pub const AUTHENTICATE: &str = "authenticate";
    /// Request to the agent: start a session.
    pub const SESSION_NEW: &str = "session/new";
    /// Request to the agent: restore a session and replay its history, if `loadSession` is offered.
    pub const SESSION_LOAD: &str = "session/load";
    /// Request to the agent: restore a session without replay, if `sessionCapabilities.resume` is offered.
    pub const SESSION_RESUME: &str = "session/resume";
    /// Request to the agent: give a session's resources back, if `sessionCapabilities.close` is offered.
    pub const SESSION_CLOSE: &str = "session/close";
    /// Request to the agent: a turn; its answer ends the turn.
    pub const SESSION_PROMPT: &str = "session/prompt";
    /// Notification to the agent: end the turn; the prompt is then answered with `cancelled`.
    pub const SESSION_CANCEL: &str = "session/cancel";
    /// Request to the agent: switch the mode.
    pub const SESSION_SET_MODE: &str = "session/set_mode";
    /// Request to the agent: set one of its options.
    pub const SESSION_SET_CONFIG_OPTION: &str = "session/set_config_option";
    /// Request to the agent: switch the model. From drafts before configuration options; some agents offer only
    /// this, with a `models` member in the answer to `session/new`.
    pub const SESSION_SET_MODEL: &str = "session/set_model";
    /// Notification to the client: what the agent says and does.
    pub const SESSION_UPDATE: &str = "session/update";
    /// Request to the client: may the agent do this?
    pub const SESSION_REQUEST_PERMISSION: &str = "session/request_permission";
    /// Request to the client: read a file.
    pub const FS_READ_TEXT_FILE: &str = "fs/read_text_file";
    /// Request to the client: write a file.
    pub const FS_WRITE_TEXT_FILE: &str = "fs/write_text_file";
    /// Request to the client: run a command.
    pub const TERMINAL_CREATE: &str = "terminal/create";
    /// Request to the client: what a command has printed so far.
    pub const TERMINAL_OUTPUT: &str = "terminal/output";
    /// Request to the client: answered when the command has ended.
    pub const TERMINAL_WAIT_FOR_EXIT: &str = "terminal/wait_for_exit";
    /// Request to the client: end the command; the terminal stays.
    pub const TERMINAL_KILL: &str = "terminal/kill";
    /// Request to the client: end the command if it runs, and forget the terminal.
    pub const TERMINAL_RELEASE: &str = "terminal/release";
}

/// The `_meta` member, in which a peer may put anything.
pub type Meta = Option<Box<RawValue>>;

/// A result of which nothing is needed: `{}` when written, anything when read.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|IgnoredAny| Self {})
    }
}
