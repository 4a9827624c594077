//! Real processes in custody. No test waits for a time: each waits for a line, an end, or a pidfd.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod confined;
mod daemon;
mod endings;
mod starting;
mod streams;
mod support;
