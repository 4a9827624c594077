//! The commands as a user types them, against the real daemon and its demo agent.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary itself, as a user does")]

mod attach;
mod commands;
mod demo_agent;
mod home;
mod looking;
mod mcp;
mod pools;
mod pty;
