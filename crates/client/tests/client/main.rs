//! The client against a server that says exactly what a test tells it to.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod calls;
mod routes;
mod server;
mod streams;
