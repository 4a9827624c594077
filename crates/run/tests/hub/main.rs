//! The hub over the memory store, with scripted agents, virtual time and a store that can fail.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod basics;
mod bus;
mod failures;
mod handoffs;
mod limit;
mod script;
mod seen;
mod tells;
mod two_hubs;
mod world;
