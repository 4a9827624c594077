//! How protocols are spoken: codecs that take bytes and give values, and the other way round.
//!
//! Nothing here does I/O, reads a clock, spawns or blocks; whoever holds the socket or the pipe calls in. Payloads
//! that we do not interpret stay the bytes that came, as `serde_json::value::RawValue`.
//!
//! * [`ndjson`]: one JSON text per line, bounded, with the offset of each line.
//! * [`sse`]: server-sent events, both directions.
//! * [`jsonrpc`]: JSON-RPC 2.0 envelopes and the books of unanswered requests.
//! * [`acp`]: the messages of the Agent Client Protocol; [`acp::merge`] coalesces an agent's updates.
//! * [`claude`]: Claude Code's own stream-json, spoken as ACP.
//! * [`model`]: the wires of model providers: requests, streams, failures.
//! * [`engram`]: the agent bus over TCP.
//! * [`router`]: the routing core of `stdio_bus`: sessions, correlation, back-pressure and restarts, without I/O.
//! * [`engine`]: the words of the original engine of model turns.
//! * [`tool_use`]: a tool call as other agents tell it, as one of the Agent Client Protocol.
//! * [`raw`]: looking into raw JSON.
//! * [`fuzz`]: entry points for a fuzzer.

#![forbid(unsafe_code)]

pub mod acp;
pub mod claude;
pub mod engine;
pub mod engram;
pub mod fuzz;
pub mod jsonrpc;
pub mod model;
pub mod ndjson;
pub mod raw;
pub mod router;
pub mod sse;
pub mod tool_use;
