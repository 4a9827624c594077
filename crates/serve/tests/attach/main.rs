//! The dialect of attachable sessions, over HTTP, as its clients speak it.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod access;
mod actor;
#[path = "../fixtures/plain.rs"]
mod plain;
mod sessions;
mod streams;
mod world;
