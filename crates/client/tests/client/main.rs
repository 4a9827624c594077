//! The client against a server that says exactly what a test tells it to.

mod calls;
mod server;
mod streams;
