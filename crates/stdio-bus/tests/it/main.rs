//! The built binary, from outside, with scripted workers.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod bus;
mod cli;
mod docker;
mod ending;
mod extras;
mod failures;
mod forwarding;
mod pressure;
mod sockets;
