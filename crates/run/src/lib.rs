//! What is done: the Hub that decides commands and follows logs, the drivers that move agents, the custody of processes.
//!
//! - [`hub`]: the one handle everything outside uses: command, look, read, find, follow.
//! - `cell`, `cells`, [`tail`]: one task for each log in use, and its live end.
//! - `runner`: makes running equal wanted. [`driver`]: what a driver is. [`turn`]: a turn as its driver sees it.
//! - [`audit`]: what is done is recorded in the chain.
//! - [`tell`]: messages for agents.
//! - [`handoff`]: records of work, for the next agent.
//! - `seen`: when agents that run elsewhere were last there.
//! - [`limit`]: how many turns run at a time.
//! - [`clock`]: the one place where time is read.
//! - [`model`]: the driver that asks a model itself; [`profiles`]: where models are; [`secrets`]: their keys; `http`: the way there.
//! - [`bundle`]: agents that are folders, for `model`.
//! - `spending`: what models have used today.
//! - [`mcp`]: servers that give `model` more tools.
//! - [`notify`]: a word on the desktop when somebody is asked.
//! - [`operator`]: commands that run without any model.
//! - [`pools`]: workers that many sessions share.
//! - [`peer`]: whether whoever connects is one of our agents.
//! - [`search`]: what was said, found by its words.
//! - [`tls`]: the certificate that listeners show.
//! - [`sandbox`]: what an agent may touch, as a description.
//! - [`custody`], [`keep`]: every child process runs under a keeper, so that nobody survives its session.

pub mod acp;
pub mod audit;
mod blob;
pub mod bundle;
mod bus;
pub mod catalog;
mod cell;
mod cells;
pub mod clock;
pub mod custody;
pub mod driver;
pub mod groups;
pub mod handoff;
pub mod http;
pub mod hub;
mod import;
pub mod keep;
mod latest;
pub mod limit;
pub mod mcp;
pub mod model;
pub mod notify;
pub mod operator;
pub mod peer;
mod permits;
mod persist;
pub mod pools;
pub mod profiles;
mod runner;
pub mod sandbox;
pub mod search;
pub mod secrets;
mod seen;
mod spending;
pub mod tail;
pub mod tell;
pub mod tls;
pub mod topics;
pub mod turn;
pub mod workspace;

pub use cell::{CommandError, Done, KeyGiven};
pub use hub::Hub;
pub use runner::Drivers;
