//! Who may ask: listeners, authentication, the routes and what stands behind them.
//!
//! - [`server`]: connections in, and a stop that does not wait for ever. [`router`]: the same for a program that has its own.
//! - `tls`: which connections are TLS, and what the others are told.
//! - `local`: callers without a credential, by what the kernel says of them.
//! - `gate`: Host, Origin and Sec-Fetch checks, then the token. [`auth`]: tokens and one-time links.
//! - `routes`: every route once; [`openapi`] is made from the same table. `extract`, `problem`: what goes in, what goes wrong.
//! - One file for each resource of `/v1`: `sessions`, `events`, `blobs`, `feed`, `turns`, `queue`, `requests`, `inbox`, `messages`,
//!   `grants`, `audit`, `presence`, `catalog`, `agents`, `registry`, `kv`, `topics`, `handoffs`, `pools`, `profiles`, `mcp_servers`,
//!   `operator`, `tokens`, `push`, `search`, `exchange`, `import`, `shutdown`, `health`. `ui`: the page. `built`: files that
//!   are built in. `answer_link`: a request answered without a token, in plain `html`.
//! - `folded`: what dialects share that fold a session's facts into events.
//! - `stream`: server-sent events. `socket`: many of those streams over one WebSocket.
//! - [`mcp`]: the MCP server. Dialects: `sessionbus` of the original human-input hub, `attach` of attachable sessions, `engram` of
//!   the original agent bus, with `subscriptions` to what it tells, `engine` of the original engine of model turns.
#![forbid(unsafe_code)]

mod agents;
mod answer_link;
mod app;
mod attach;
mod audit;
pub mod auth;
mod blobs;
mod built;
mod catalog;
mod embed;
mod engine;
mod engram;
mod events;
mod exchange;
mod extract;
mod feed;
mod folded;
mod gate;
mod grants;
mod handoffs;
mod health;
mod html;
mod import;
mod inbox;
mod kv;
mod local;
pub mod mcp;
mod mcp_servers;
mod messages;
mod moment;
pub mod openapi;
mod operator;
mod pools;
mod presence;
mod problem;
mod profiles;
mod push;
mod queue;
mod registry;
mod requests;
mod routes;
mod search;
pub mod server;
mod sessionbus;
mod sessions;
mod settings;
mod shutdown;
mod socket;
mod stream;
mod subscriptions;
mod tls;
mod tokens;
mod topics;
mod turns;
mod ui;

pub use attach::{BadNetwork, Network, Settings as AttachSettings};
pub use embed::{Config as RouterConfig, router};
pub use engine::Settings as EngineSettings;
pub use engram::Access as Engram;
pub use gate::Allowed;
pub use server::{Listener, Options, Server};
pub use sessionbus::Access as Sessionbus;
