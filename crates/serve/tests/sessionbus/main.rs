//! The dialect of the original human-input hub over real sockets: what its clients send, and what they rely on.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod access;
mod dashboard;
mod errors;
mod events;
mod inbox;
mod lists;
mod offline;
#[path = "../fixtures/plain.rs"]
mod plain;
mod races;
mod requests;
mod sessions;
mod world;
