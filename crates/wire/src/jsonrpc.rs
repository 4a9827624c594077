//! A JSON-RPC 2.0 peer without I/O: lines in, messages out, and the books of who owes whom an answer.
//!
//! * [`Message::parse`] reads one line into an envelope; `params`, `result` and `data` stay the bytes that came.
//! * [`write_request`], [`write_notification`], [`write_result`], [`write_error`] append one line each.
//! * [`Outgoing`] holds what we asked, [`Incoming`] what we were asked, until the one answer.
//!
//! Facts of the protocol are from the JSON-RPC 2.0 specification; where real peers bend it (no `jsonrpc` member,
//! a null `error` beside a `result`), reading is lenient and writing is strict.

mod error;
mod id;
mod message;
mod pending;
mod write;

pub use error::{ErrorObject, code};
pub use id::{BadId, Id, MAX_ID};
pub use message::{Message, Notification, ParseError, Request, Response, parse_params};
pub use pending::{Incoming, NotAdmitted, Outgoing};
pub use write::{write_error, write_notification, write_request, write_result};
