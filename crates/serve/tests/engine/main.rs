//! The dialect of the original engine of model turns, over HTTP, as its clients speak it.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod access;
mod embedding;
mod hub;
mod page;
mod permissions;
#[path = "../fixtures/plain.rs"]
mod plain;
mod profiles;
mod sessions;
mod turns;
mod world;
