//! The Rust SDK: one [`Client`] for every route of a Trunkline daemon's `/v1` API, and its two live streams.
//!
//! - [`Client`]: made from an address and a token, or [discovered](Client::discover) from a home directory.
//! - [`EventStream`], [`FeedStream`]: server-sent events that resume by themselves, with no gap and no double.
//! - [`types`]: what is sent and received, beside the types of `trunkline_core`.
//! - [`Error`], [`Problem`]: what can go wrong, with the daemon's stable codes.
//! - [`Runtime`]: where a daemon listens, as it writes it down in its home directory.
//!
//! ```no_run
//! # async fn doc() -> Result<(), trunkline_client::Error> {
//! use trunkline_client::{Client, EventItem, types::{NewSession, NewTurn}};
//!
//! let client = Client::discover(std::path::Path::new("/home/ana/.trunkline"))?;
//! let session = client.create_session(&NewSession::agent("gemini").workspace("/src/app")).await?;
//! client.prompt(session.id, &NewTurn::text("fix the failing test")).await?;
//! let mut events = client.events(session.id, Default::default(), Some("example"));
//! while let Some(item) = events.next().await {
//!     if let EventItem::Event(event) = item? {
//!         println!("{}", event.to_line());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! TLS is not built in: a daemon listens on loopback, where a token travels no wire.
#![forbid(unsafe_code)]

mod audit;
mod backoff;
pub mod bus;
mod call;
mod client;
mod connect;
mod error;
mod events;
mod feed;
mod grants;
mod handoffs;
mod home;
mod http;
mod mcp;
mod messages;
mod operator;
mod passage;
mod profiles;
mod push;
pub mod search;
mod sse;
pub mod types;

pub use bus::{BusItem, BusStream};
pub use client::Client;
pub use error::{Error, Problem};
pub use events::{EventItem, EventStream};
pub use feed::{FeedItem, FeedStream};
pub use home::{Runtime, RuntimeTls, SOCKET_FILE, TOKEN_FILE, read_token};
pub use passage::{Passage, Passed, SESSION};
