//! The dialect of the original agent bus over TCP, as its clients see it.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

#[path = "../fixtures/plain.rs"]
mod plain;

mod access;
mod crowd;
mod handoffs;
mod keys;
mod topics;
mod world;
