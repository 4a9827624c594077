//! The MCP server from outside, over HTTP.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod ask;
mod client;
mod conformance;
mod fixtures;
#[path = "../fixtures/plain.rs"]
mod plain;
mod resources;
mod tools;
#[expect(dead_code, reason = "the dialect's own tests use the rest")]
#[path = "../sessionbus/world.rs"]
mod world;
