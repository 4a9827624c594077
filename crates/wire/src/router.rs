//! The routing core of `stdio_bus`: bytes of clients and workers in, decisions out.
//!
//! Clients send lines of JSON; each goes, byte for byte, to a worker of a pool, and what the worker says comes back to
//! whom it concerns. The core holds every rule of that and no socket, process or clock: it is told what was read and
//! what ended, and says what to write and what to start. Every buffer in it is bounded by a configured limit.
//!
//! * A line is known by its top-level keys only ([`scan()`]): `id`, `sessionId`, `pool`, and whether it has a `method`,
//!   a `result` or an `error`.
//! * A session is pinned to the worker that its first message went to, and owned by the client that sent it. It ends
//!   with either of them.
//! * Without a session a message goes to the worker that owes the fewest answers, in turn among equals.
//! * An answer goes to the client that asked, found by the worker and the exact bytes of the id. Where two requests
//!   with the same id meet at one worker, the later is sent under a new id and its answer gets the old one back; all
//!   other lines are forwarded as they are.
//! * Every request of a client that stays gets exactly one answer: the worker's, or an error with its id and one of
//!   the codes in [`code`].
//! * Reading from clients never pauses. A worker is not read while the only client that it works for does not read;
//!   a client that shares its worker with others may fall behind by eight queues and is then cut off.
//!
//! ```
//! use trunkline_wire::router::{Action, Config, Peer, Router};
//!
//! let config = Config::parse(br#"{"pools":[{"id":"p","command":"echo-worker","instances":1}]}"#).unwrap();
//! let mut router = Router::new(config);
//! let Some(Action::Start(worker)) = router.next_action() else { panic!("a pool has workers") };
//!
//! let client = router.connect(false, 0).unwrap();
//! router.client_bytes(client, b"{\"id\":1,\"method\":\"m\"}\n", 0);
//! assert_eq!(router.output(Peer::Worker(worker)), b"{\"id\":1,\"method\":\"m\"}\n");
//! router.written(Peer::Worker(worker), 22, 0);
//!
//! router.worker_bytes(worker, b"{\"id\":1,\"result\":{}}\n", 1);
//! assert_eq!(router.output(Peer::Client(client)), b"{\"id\":1,\"result\":{}}\n");
//! ```
//!
//! Whoever embeds it keeps a loop: feed what was read, do what [`Router::next_action`] says, write what
//! [`Router::take_ready`] names and tell [`Router::written`], and call [`Router::tick`] when [`Router::next_tick`]
//! is due. Times are milliseconds of any clock that does not go back.

mod book;
mod choose;
mod client;
mod config;
mod core;
mod end;
mod flow;
mod input;
mod outbox;
mod own;
mod policy;
mod pools;
mod restart;
mod scan;
mod sessions;
mod status;
#[cfg(test)]
mod tests;
mod time;
mod worker;

pub use config::{Config, ConfigError, DEFAULT_MAX_PENDING, DEFAULT_MAX_WORKER_QUEUE, Health, Limits};
pub use config::{MAX_CONFIG, MAX_INSTANCES, Mode, Policy, Pool, Rule};
pub use core::{Action, ClientId, Ended, Notice, Peer, Router, WorkerId, code};
pub use policy::Record;
pub use restart::{Circuit, Verdict};
pub use scan::{Keys, MAX_NAME, Malformed, scan, scan_end, scan_start};
pub use status::WorkerStatus;
