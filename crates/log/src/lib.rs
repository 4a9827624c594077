//! Where facts are kept: one trait, one conformance suite, two stores.
//!
//! - [`contract`]: the trait [`Log`] and its contract in prose.
//! - [`frame`]: what is appended, and what is read back.
//! - [`memory`]: a store in memory: the `live` store, and the reference for the others.
//! - [`sqlite`]: a store in one file: the `disk` store.
//! - [`engram`]: reads the handoffs of the original agent bus.
//! - [`search`]: the index of what was said in sessions.
//! - [`sessionbus`]: reads the database of the original human-input hub.
//! - [`settle`](settle()): what to do when a store does not know whether it wrote.
//! - `conformance`: what every store must do, as tests; with the feature `test-util`.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
pub mod contract;
pub mod engram;
mod foreign;
pub mod frame;
pub mod memory;
pub mod search;
pub mod sessionbus;
mod settle;
pub mod sqlite;
mod tail;

pub use contract::{AppendError, Log, LogError, OpenError};
pub use memory::Memory;
pub use search::Search;
pub use settle::{append_settled, settle};
pub use sqlite::{Reindexed, Sqlite};
