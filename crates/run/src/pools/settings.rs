//! What a user says about pools, and what the router and the custody are told of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use trunkline_wire::acp::method;
use trunkline_wire::router::{self, Config, DEFAULT_MAX_PENDING, DEFAULT_MAX_WORKER_QUEUE, MAX_INSTANCES};

use crate::catalog::Entry;

/// The longest name of a pool.
const MAX_NAME: usize = 64;
/// How long a worker that is replaced may take to end, unless the limits say otherwise.
const DRAIN_MS: u64 = 2_000;

/// A pool, as a table `[pools.NAME]` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its name for people.
    pub title: Option<String>,
    /// The program that each worker runs.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How many workers; one, if it is not said.
    pub instances: Option<usize>,
    /// Variables to set.
    pub env: BTreeMap<String, String>,
    /// Variables of the daemon to pass on beside the usual ones.
    pub env_pass: Vec<String>,
    /// The workers' directory, absolute.
    pub cwd: Option<PathBuf>,
    /// Whether workers speak the Agent Client Protocol: they are greeted, and sessions are opened at them.
    pub acp: bool,
    /// The method by which a prompt is sent; `session/prompt`, if it is not said.
    pub method: Option<String>,
    /// How long a request may stay unanswered.
    pub request_timeout_ms: Option<u64>,
    /// How many answers one worker may owe.
    pub max_pending: Option<usize>,
    /// How many bytes may wait for one worker.
    pub max_worker_queue: Option<usize>,
    /// A request that is sent to idle workers now and then.
    pub health: Option<Health>,
    /// Which methods may be called by whom.
    pub policy: Option<Policy>,
}

/// `[pools.NAME.health]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Any answer to it will do.
    pub method: String,
    /// How long after an answer it is asked again.
    #[serde(default = "interval")]
    pub interval_ms: u64,
    /// How long the answer may take.
    #[serde(default = "timeout")]
    pub timeout_ms: u64,
}

/// `[pools.NAME.policy]`: the first rule that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What holds where no rule fits.
    pub default: Otherwise,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// What holds where no rule fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// Everything may be called.
    #[default]
    Allow,
    /// Nothing may be called.
    Deny,
}

/// `[[pools.NAME.policy.rules]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Fits this principal only: `owner`, or the name of a token.
    pub subject: Option<String>,
    /// Methods; a `*` at the end stands for any rest.
    pub allow: Vec<String>,
    /// Methods, looked at before `allow`.
    pub deny: Vec<String>,
}

/// `[pool_limits]`: what all pools share. See [`router::Limits`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a line.
    pub max_input_buffer: Option<usize>,
    /// Bytes that may wait for a session before its worker is no longer read.
    pub max_output_queue: Option<usize>,
    /// Restarts of a worker within the window before its circuit opens.
    pub max_restarts: Option<usize>,
    /// The window.
    pub restart_window_sec: Option<u64>,
    /// How long a worker that is replaced may take to end.
    pub drain_timeout_sec: Option<u64>,
    /// How long a full queue is borne.
    pub backpressure_timeout_sec: Option<u64>,
    /// Sessions at a time.
    pub max_sessions: Option<usize>,
}

const fn interval() -> u64 {
    10_000
}

const fn timeout() -> u64 {
    5_000
}

impl Settings {
    /// Looks whether a pool can be as it is described.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
            return Err(format!(
                "a pool's name is 1 to {MAX_NAME} letters, digits, dots, dashes and underscores"
            ));
        }
        if self.command.is_empty() {
            return Err("it needs a command".to_owned());
        }
        let instances = self.instances.unwrap_or(1);
        if !(1..=MAX_INSTANCES).contains(&instances) {
            return Err(format!("instances must be 1 to {MAX_INSTANCES}"));
        }
        if self.cwd.as_ref().is_some_and(|cwd| !cwd.is_absolute()) {
            return Err("cwd must be an absolute path".to_owned());
        }
        Ok(())
    }

    /// The method by which a prompt is sent.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.as_deref().unwrap_or(method::SESSION_PROMPT)
    }

    /// The pool as an agent of the catalog.
    #[must_use]
    pub fn entry(&self, name: &str) -> Entry {
        let argv = [std::slice::from_ref(&self.command), &self.args].concat();
        Entry {
            title: self.title.clone().unwrap_or_else(|| name.to_owned()),
            driver: super::WORKER.to_owned(),
            env: self.env.clone(),
            env_pass: self.env_pass.clone(),
            ..Entry::plain(name, argv)
        }
    }

    fn pool(&self, name: &str) -> router::Pool {
        let rule = |rule: &Rule| router::Rule {
            role: None,
            subject: rule.subject.clone(),
            allow: rule.allow.clone(),
            deny: rule.deny.clone(),
        };
        let health = self.health.as_ref().map(|health| router::Health {
            method: health.method.clone(),
            interval_ms: health.interval_ms.max(1),
            timeout_ms: health.timeout_ms.max(1),
        });
        let policy = self.policy.as_ref().map(|policy| router::Policy {
            allow: policy.default == Otherwise::Allow,
            rules: policy.rules.iter().map(rule).collect(),
        });
        router::Pool {
            id: name.to_owned(),
            command: self.command.clone(),
            args: self.args.clone(),
            instances: self.instances.unwrap_or(1),
            request_timeout_ms: self.request_timeout_ms,
            max_pending: self.max_pending.unwrap_or(DEFAULT_MAX_PENDING),
            max_worker_queue: self.max_worker_queue.unwrap_or(DEFAULT_MAX_WORKER_QUEUE),
            health,
            policy,
            ..router::Pool::default()
        }
    }
}

/// The router's configuration. A prompt can be long, so a line may be as long as a prompt, unless the limits say
/// otherwise.
pub(super) fn config(pools: &BTreeMap<String, Settings>, limits: &Limits) -> Config {
    let base = router::Limits::default();
    let ms = |seconds: Option<u64>, base: u64| seconds.map_or(base, |seconds| seconds.saturating_mul(1000));
    Config {
        pools: pools.iter().map(|(name, settings)| settings.pool(name)).collect(),
        limits: router::Limits {
            max_input_buffer: limits.max_input_buffer.unwrap_or(super::MAX_LINE),
            max_output_queue: limits.max_output_queue.unwrap_or(base.max_output_queue),
            max_restarts: limits.max_restarts.unwrap_or(base.max_restarts),
            restart_window_ms: ms(limits.restart_window_sec, base.restart_window_ms),
            drain_timeout_ms: ms(limits.drain_timeout_sec, DRAIN_MS),
            backpressure_timeout_ms: ms(limits.backpressure_timeout_sec, base.backpressure_timeout_ms),
            max_sessions: limits.max_sessions.unwrap_or(base.max_sessions),
            ..base
        },
        route_params_session: true,
        // Its value is nowhere looked at here: records go to the session that they are about.
        record: Some("session".to_owned()),
        ..Config::default()
    }
}
