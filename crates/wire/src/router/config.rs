//! The configuration: the JSON file of stdio_bus 2.0.3, and what we add to it.
//!
//! Unknown keys are ignored at every level. The original's parser took a trailing comma, bytes behind the closing
//! brace and a missing last brace, so these are mended where the text does not parse as it is; see `lenient.rs`.
//! Every key that is not marked *original* is ours and does nothing unless it is given.

mod lenient;
mod read;

use std::collections::BTreeMap;

/// The largest configuration that is read: 4 MiB.
pub const MAX_CONFIG: usize = 4_194_304;

/// Why a configuration is refused. The text begins with `config:`, as the original's did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("config: {0}")]
pub struct ConfigError(pub String);

/// All that a router is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `pools` (*original*): at least one.
    pub pools: Vec<Pool>,
    /// `limits` (*original*, with additions).
    pub limits: Limits,
    /// `transport.mode` (*original*): used where the command line says nothing.
    pub mode: Option<Mode>,
    /// `default_pool`: where a message goes that names no pool, agent or capability.
    pub default_pool: Option<String>,
    /// `route_params_session`: `params.sessionId` and `result.sessionId` bind and find sessions as well, so that
    /// agents that know no top-level `sessionId` can be routed to and heard.
    pub route_params_session: bool,
    /// `answer_hello`: the router itself answers `stdio_bus/hello`.
    pub answer_hello: bool,
    /// `status`: the router itself answers `stdio_bus/status` and `stdio_bus/metrics`.
    pub status: bool,
    /// `tag_streams`: a notification for a session that has exactly one request unanswered gets a top-level
    /// `requestId`, so that one client can tell two streams apart.
    pub tag_streams: bool,
    /// `record`: a file to which identities and audit records are appended, one JSON object on a line.
    pub record: Option<String>,
    /// `keepalive_ms`: in stdio mode, an empty line on stdout this often while it is quiet, for readers that block on
    /// it; 0 is never.
    pub keepalive_ms: Option<u64>,
}

/// How the binary listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One client on stdin and stdout.
    Stdio,
    /// A TCP listener.
    Tcp,
    /// A Unix listener.
    Unix,
}

/// Workers that are alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    /// `id` (*original*). Pools of one id are one pool.
    pub id: String,
    /// `command` (*original*): looked up in PATH.
    pub command: String,
    /// `args` (*original*).
    pub args: Vec<String>,
    /// `instances` (*original*): how many workers.
    pub instances: usize,
    /// `env`: variables set for the workers, on top of the router's own; null removes one.
    pub env: BTreeMap<String, Option<String>>,
    /// `cwd`: the workers' folder.
    pub cwd: Option<String>,
    /// `agents`: messages with one of these as `agentId` go here.
    pub agents: Vec<String>,
    /// `capabilities`: messages with one of these as `capability` go here.
    pub capabilities: Vec<String>,
    /// `request_timeout_ms`: a request unanswered for this long gets an error.
    pub request_timeout_ms: Option<u64>,
    /// `max_pending`: requests that one worker may owe answers to.
    pub max_pending: usize,
    /// `max_worker_queue`: bytes that may wait for one worker. One line is always taken by an empty queue.
    pub max_worker_queue: usize,
    /// `health`: a request that is sent to workers now and then; one that does not answer is replaced.
    pub health: Option<Health>,
    /// `policy`: which methods may be called by whom.
    pub policy: Option<Policy>,
}

/// `health` of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `method`: any answer to it will do, an error too.
    pub method: String,
    /// `interval_ms`: how long after an answer the next is asked for. 10,000 unless given.
    pub interval_ms: u64,
    /// `timeout_ms`: how long the answer may take. 5,000 unless given.
    pub timeout_ms: u64,
}

/// `policy` of a pool: the first rule that fits decides. What it says of who calls is what the client says of
/// itself in `_ext.identity`; it keeps honest clients in their lanes and is no authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `default`: `allow` (unless given) or `deny`.
    pub allow: bool,
    /// `rules`.
    pub rules: Vec<Rule>,
}

/// One rule of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `role`: fits this `_ext.identity.role` only.
    pub role: Option<String>,
    /// `subject`: fits this `_ext.identity.subjectId` only.
    pub subject: Option<String>,
    /// `allow`: methods; a `*` at the end stands for any rest.
    pub allow: Vec<String>,
    /// `deny`: methods, looked at before `allow`.
    pub deny: Vec<String>,
}

/// `limits`. Each bounds memory or time; what happens at it is said beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `max_input_buffer` (*original*): bytes of a line with its line end, from clients and from workers. A longer
    /// one is dropped and answered with an error. 1 MiB.
    pub max_input_buffer: usize,
    /// `max_output_queue` (*original*): bytes that may wait for a client before its workers are no longer read;
    /// eight times as many before it is cut off. 4 MiB.
    pub max_output_queue: usize,
    /// `max_restarts` (*original*): restarts of a worker within the window before its circuit opens; 0: it is
    /// never restarted. 5.
    pub max_restarts: usize,
    /// `restart_window_sec` (*original*). 60.
    pub restart_window_ms: u64,
    /// `drain_timeout_sec` (*original*): how long workers may take to end before they are killed; 0 counts as 30.
    pub drain_timeout_ms: u64,
    /// `drain_silence_ms`: how long a worker that owes an answer may say nothing at the end before it is waited for no
    /// more. 5,000.
    pub drain_silence_ms: u64,
    /// `backpressure_timeout_sec` (*original*): a client among several whose queue stays full this long is cut
    /// off. 60.
    pub backpressure_timeout_ms: u64,
    /// `max_sessions`: sessions bound at a time; a message that would bind one more is refused. 262,144.
    pub max_sessions: usize,
    /// `max_clients`: connections at a time; one more is closed at once. 16,384.
    pub max_clients: usize,
}

/// The most workers that one pool may ask for.
pub const MAX_INSTANCES: usize = 4096;

/// Requests that a worker may owe answers to, unless the pool says otherwise.
pub const DEFAULT_MAX_PENDING: usize = 131_072;

/// Bytes that may wait for a worker, unless the pool says otherwise: 64 MiB.
pub const DEFAULT_MAX_WORKER_QUEUE: usize = 64 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_input_buffer: 1_048_576,
            max_output_queue: 4_194_304,
            max_restarts: 5,
            restart_window_ms: 60_000,
            drain_timeout_ms: 30_000,
            drain_silence_ms: 5_000,
            backpressure_timeout_ms: 60_000,
            max_sessions: 262_144,
            max_clients: 16_384,
        }
    }
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// If it is no JSON object, or a key that we know has a value that it cannot have.
    ///
    /// ```
    /// use trunkline_wire::router::Config;
    /// let config = Config::parse(br#"{"pools":[{"id":"p","command":"cat","instances":2}]}"#).unwrap();
    /// assert_eq!(config.pools[0].instances, 2);
    /// assert_eq!(config.limits.max_restarts, 5);
    /// let error = Config::parse(br#"{"pools":[{"id":"p","command":"cat"}]}"#).unwrap_err();
    /// assert_eq!(error.to_string(), "config: pool 'p' must have at least 1 instance");
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        read::config(&lenient::parse(text)?)
    }
}
