//! The built binary from outside: over HTTP, with real kills, a real full disk and real agents.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary itself, as a user does")]

mod actions;
mod agents;
mod audit;
mod bus;
mod confined;
mod engine;
mod handoffs;
mod harness;
mod hooks;
mod kill;
mod kollabor;
mod mcp;
mod moving;
mod notifying;
mod originals;
mod permissions;
mod pushing;
mod searching;
mod sending;
mod servers;
mod start;
mod strangers;
mod tls;
mod turns;
