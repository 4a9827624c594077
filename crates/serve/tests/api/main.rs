//! `/v1` over real sockets, with a hub over the memory store.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod answer_links;
mod audit;
mod bad_input;
mod bus;
mod external;
mod flaky;
mod gate;
mod handoffs;
mod mcp_servers;
mod messages;
#[path = "../fixtures/plain.rs"]
mod plain;
mod pools;
mod profiles;
mod quiet;
mod search;
mod settings;
mod socket;
mod statuses;
mod streams;
mod tokens;
mod world;
