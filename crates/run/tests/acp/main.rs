//! Scripted agents with every fault of their kind, driven by a real hub over real processes. No test waits for a time:
//! each waits for an event, or for the end of a process.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod cancel;
mod claude;
mod faults;
mod files;
mod oracle;
mod restart;
#[path = "../hub/script.rs"]
mod script;
mod settings;
mod stage;
mod starting;
mod terminals;
mod turns;
#[expect(dead_code, reason = "the hub's own tests use the rest")]
#[path = "../hub/world.rs"]
mod world;
