//! A model provider that answers from a script, for tests: it speaks OpenAI's chat completions and responses,
//! Anthropic's messages and Gemini's dialect on loopback, streamed or whole, and records what it was asked.
//!
//! - [`ModelServer`]: the server in a test's own process; the command `trunkline-model-server` is the same one.
//! - [`Script`]: what it answers, [`Recorded`]: what it was asked.
//! - [`kit`]: real agents of other vendors, set up to use it.
//!
//! # Scripts
//!
//! A script is JSON, the same for all dialects. Its rules are tried in order; the first that fits answers:
//!
//! ```json
//! { "rules": [
//!   { "when": { "user_text": "write hello.txt", "after_tool": false },
//!     "answer": [
//!       { "thought": "A file is wanted." },
//!       { "text": "I will " }, { "text": "write it." },
//!       { "call": [
//!         { "tool": "write_file", "arguments": { "file_path": "/w/hello.txt", "content": "hello" } },
//!         { "tool": "Write", "arguments": { "file_path": "/w/hello.txt", "content": "hello" } } ] } ],
//!     "usage": { "input": 120, "output": 30 } },
//!   { "when": { "after_tool": true },
//!     "answer": [ { "wait_for": "go" }, { "text": "Done." } ] },
//!   { "times": 1, "answer": [ { "error": { "status": 429, "message": "slow down", "retry_after": 1 } } ] },
//!   { "answer": [ { "text": "half an ans" }, { "wait_ms": 20 }, { "cut": {} } ] }
//! ] }
//! ```
//!
//! | in a rule | meaning | when absent |
//! |---|---|---|
//! | `when.user_text` | the last user message with text contains this | any |
//! | `when.after_tool` | the conversation ends in a tool result, or does not | either |
//! | `when.result_text` | a tool result it ends in contains this | any |
//! | `when.offers` | one of these tools is offered | any |
//! | `when.dialect` | `chat`, `responses`, `messages` or `gemini` | any |
//! | `times` | how many requests it answers | any number |
//! | `answer` | the steps, see [`Step`]; a `call` takes the first tool of its list that is offered, or is `unoffered` | required |
//! | `stop` | `length` or `filter` | a normal end |
//! | `usage` | `input`, `output`, `cached` tokens to report | 10, 5, 0 |
//! | `chunk_bytes` | the stream is written in pieces of this size | one piece for each step |
//!
//! Unknown keys are an error. A `wait_for` waits at a gate until [`ModelServer::release`] opens it, and
//! [`ModelServer::reached`] tells the test that an answer stands there, so that nothing need sleep. From outside the
//! process, `POST /control/release/GATE` opens a gate and `GET /control/requests` gives the record.
//!
//! # Limits
//!
//! A script has at most [`MAX_SCRIPT_BYTES`] and [`MAX_ENTRIES`] rules, each of at most as many steps. A request
//! body over [`MAX_BODY_BYTES`] is answered 413 and not recorded. The record keeps the last [`MAX_KEPT`] requests
//! and [`MAX_KEPT_BYTES`] of bodies. Requests are not authenticated and credentials are not recorded: listen on
//! loopback only.

mod ask;
mod dialect;
mod gates;
mod journal;
pub mod kit;
mod play;
mod script;
mod server;

pub use ask::{Ask, Input, Offer};
pub use dialect::Dialect;
pub use gates::NoSuchGate;
pub use journal::{MAX_KEPT, MAX_KEPT_BYTES, Outcome, Recorded};
pub use script::{
    Call, Failure, MAX_ENTRIES, MAX_SCRIPT_BYTES, Rule, Script, ScriptError, Step, Stop, Usage, When, call,
};
pub use server::{MAX_BODY_BYTES, ModelServer, StartError};
