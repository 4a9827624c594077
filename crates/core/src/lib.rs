//! What is true: the facts a log may hold, the state they fold to, and the pure rules that grant or refuse a command.
//!
//! Nothing here reads a clock, does I/O or waits. The parts, from the ground up:
//!
//! - [`id`], [`time`], [`raw`], [`principal`]: the small types everything else is written in.
//! - [`event`]: the envelope and the closed list of facts, with their stable tags.
//! - [`machine`]: what a kind of log is: `decide`, `apply`, `wanted`, `rows`.
//! - [`session`] and its parts [`turn`], [`request`], [`message`], [`grant`], [`agent`], [`outside`], [`setting`], [`key`].
//! - [`blob`] (what is too large for a log), [`access`] (tokens), [`name`] (claims of names and creation keys), [`presence`] (who is attached).
//! - [`kv`] (keys with values), [`topic`] (what is published), [`group`] (who takes what of it), [`registry`] (who takes part): what agents share.
//! - [`import`]: how the facts of an export become those of a new session.
//! - [`profile`]: where a model is, and how it is asked.
//! - [`answer_link`]: what is answered without a token.
//! - [`budget`]: what a session may use before a person is asked. [`spending`]: what models have used today, over all sessions. [`park`]: how long a turn waits for a provider's limit.
//! - [`mcp`]: servers that give the built-in agent more tools.
//! - [`tell`]: messages that wake an agent, and the guards that keep agents from waking each other for ever.
//! - [`handoff`]: records of work that another agent goes on from.
//! - [`audit`]: who allowed what, in a chain of hashes.
//! - [`row`], [`view`]: the projections every list is served from.
//! - [`refused`]: why a command was not granted.
#![forbid(unsafe_code)]

pub mod access;
pub mod agent;
pub mod answer_link;
pub mod audit;
pub mod blob;
pub mod budget;
pub mod call;
pub mod event;
pub mod grant;
pub mod group;
pub mod handoff;
pub mod id;
pub mod import;
pub mod key;
pub mod kv;
pub mod machine;
pub mod mcp;
pub mod message;
pub mod name;
pub mod operator;
pub mod outside;
pub mod park;
pub mod passage;
pub mod pattern;
pub mod presence;
pub mod principal;
pub mod profile;
mod quote;
pub mod raw;
pub mod refused;
pub mod registry;
pub mod request;
pub mod risk;
pub mod row;
pub mod session;
pub mod setting;
pub mod spending;
pub mod tell;
pub mod text;
pub mod time;
pub mod topic;
pub mod turn;
pub mod view;
