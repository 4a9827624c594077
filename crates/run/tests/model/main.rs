//! The driver that asks models itself, against a scripted provider over real HTTP, with real files and real processes. No test
//! waits for a time but where a tool's own limit is what is tested.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod budgets;
mod bundles;
mod faults;
mod mcp;
mod parking;
mod profiles;
#[path = "../hub/script.rs"]
mod script;
mod stage;
mod stopping;
mod tools;
mod turns;
#[expect(dead_code, reason = "the hub's own tests use the rest")]
#[path = "../hub/world.rs"]
mod world;
