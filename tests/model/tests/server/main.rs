//! The model server from outside, over its socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as the tests do")]

mod answers;
mod client;
mod command;
mod control;
mod failures;
mod rules;
