//! Sessions over pools of scripted workers: a real hub, real processes. No test waits for a time: each waits for an
//! event, or for the end of a process.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod acp;
#[path = "../hub/script.rs"]
mod script;
mod stage;
mod turns;
#[expect(dead_code, reason = "the hub's own tests use the rest")]
#[path = "../hub/world.rs"]
mod world;
