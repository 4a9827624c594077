//! From a JSON object to a configuration, with the original's words for what is wrong.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Config, ConfigError, DEFAULT_MAX_PENDING, DEFAULT_MAX_WORKER_QUEUE};
use super::{Health, Limits, Mode, Policy, Pool, Rule};

type Object = Map<String, Value>;
type Read<T> = Result<T, ConfigError>;

fn wrong<T>(text: impl Into<String>) -> Read<T> {
    Err(ConfigError(text.into()))
}

pub(super) fn config(object: &Object) -> Read<Config> {
    let config = Config {
        pools: pools(object)?,
        limits: limits(object.get("limits"))?,
        mode: mode(object.get("transport"))?,
        default_pool: text(object, "default_pool")?,
        route_params_session: flag(object, "route_params_session")?,
        answer_hello: flag(object, "answer_hello")?,
        status: flag(object, "status")?,
        tag_streams: flag(object, "tag_streams")?,
        record: text(object, "record")?,
        keepalive_ms: number(object, "keepalive_ms")?,
    };
    match &config.default_pool {
        Some(name) if !config.pools.iter().any(|pool| pool.id == *name) => {
            wrong(format!("'default_pool' names no pool: '{name}'"))
        }
        _ => Ok(config),
    }
}

fn pools(object: &Object) -> Read<Vec<Pool>> {
    let pools = match object.get("pools") {
        None => return wrong("missing required 'pools' array"),
        Some(Value::Array(pools)) => pools,
        Some(_) => return wrong("invalid 'pools' array"),
    };
    if pools.is_empty() {
        return wrong("'pools' array must not be empty");
    }
    pools.iter().enumerate().map(|(index, value)| pool(index, value)).collect()
}

fn pool(index: usize, value: &Value) -> Read<Pool> {
    let invalid = || ConfigError("invalid 'pools' array".to_owned());
    let object = value.as_object().ok_or_else(invalid)?;
    let string = |key: &str| match object.get(key) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(invalid()),
    };
    let (id, command) = (string("id")?, string("command")?);
    let args = match object.get("args") {
        None => Vec::new(),
        Some(value) => texts(value).ok_or_else(invalid)?,
    };
    let instances = match object.get("instances") {
        None => 0,
        Some(value) => usize::try_from(value.as_u64().ok_or_else(invalid)?).map_err(|_| invalid())?,
    };
    if id.is_empty() {
        return wrong(format!("pool {index} missing required 'id' field"));
    }
    if command.is_empty() {
        return wrong(format!("pool '{id}' missing required 'command' field"));
    }
    if instances == 0 {
        return wrong(format!("pool '{id}' must have at least 1 instance"));
    }
    if instances > super::MAX_INSTANCES {
        return wrong(format!("pool '{id}' must have at most {} instances", super::MAX_INSTANCES));
    }
    additions(object, Pool { id: id.clone(), command, args, instances, ..Pool::default() })
        .map_err(|ConfigError(what)| ConfigError(format!("pool '{id}': {what}")))
}

/// The keys of a pool that the original does not know.
fn additions(object: &Object, pool: Pool) -> Read<Pool> {
    let bound = |key, default| Ok(number(object, key)?.map_or(default, saturated));
    Ok(Pool {
        env: env(object.get("env"))?,
        cwd: text(object, "cwd")?,
        agents: list(object, "agents")?,
        capabilities: list(object, "capabilities")?,
        request_timeout_ms: number(object, "request_timeout_ms")?,
        max_pending: bound("max_pending", DEFAULT_MAX_PENDING)?,
        max_worker_queue: bound("max_worker_queue", DEFAULT_MAX_WORKER_QUEUE)?,
        health: object.get("health").map(health).transpose()?,
        policy: object.get("policy").map(policy).transpose()?,
        ..pool
    })
}

fn env(value: Option<&Value>) -> Read<BTreeMap<String, Option<String>>> {
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    let Some(object) = value.as_object() else { return wrong("invalid 'env' object") };
    let variable = |(name, value): (&String, &Value)| match value {
        _ if name.is_empty() || name.contains(['=', '\0']) => wrong(format!("invalid 'env' name '{name}'")),
        Value::Null => Ok((name.clone(), None)),
        Value::String(text) if !text.contains('\0') => Ok((name.clone(), Some(text.clone()))),
        _ => wrong("invalid 'env' object"),
    };
    object.iter().map(variable).collect()
}

fn health(value: &Value) -> Read<Health> {
    let Some(object) = value.as_object() else { return wrong("invalid 'health' object") };
    let Some(method) = text(object, "method")? else { return wrong("'health' needs a 'method'") };
    let time = |key, default| Ok(number(object, key)?.map_or(default, |ms| ms.max(1)));
    Ok(Health { method, interval_ms: time("interval_ms", 10_000)?, timeout_ms: time("timeout_ms", 5_000)? })
}

fn policy(value: &Value) -> Read<Policy> {
    let Some(object) = value.as_object() else { return wrong("invalid 'policy' object") };
    let allow = match text(object, "default")?.as_deref() {
        None | Some("allow") => true,
        Some("deny") => false,
        Some(_) => return wrong("'default' of a policy is \"allow\" or \"deny\""),
    };
    let rule = |value: &Value| match value.as_object() {
        Some(object) => Ok(Rule {
            role: text(object, "role")?,
            subject: text(object, "subject")?,
            allow: list(object, "allow")?,
            deny: list(object, "deny")?,
        }),
        None => wrong("invalid 'rules' of a policy"),
    };
    let rules = match object.get("rules") {
        None => Vec::new(),
        Some(Value::Array(rules)) => rules.iter().map(rule).collect::<Read<_>>()?,
        Some(_) => return wrong("invalid 'rules' of a policy"),
    };
    Ok(Policy { allow, rules })
}

fn limits(value: Option<&Value>) -> Read<Limits> {
    let default = Limits::default();
    let invalid = || ConfigError("invalid 'limits' object".to_owned());
    let Some(value) = value else { return Ok(default) };
    let object = value.as_object().ok_or_else(invalid)?;
    let number =
        |key: &str, default: u64| number(object, key).map_err(|_| invalid()).map(|n| n.unwrap_or(default));
    let size = |key: &str, default: usize| number(key, default as u64).map(saturated);
    let seconds = |key: &str, default: u64| number(key, default / 1000).map(|n| n.saturating_mul(1000));
    let drain = seconds("drain_timeout_sec", default.drain_timeout_ms)?;
    Ok(Limits {
        max_input_buffer: size("max_input_buffer", default.max_input_buffer)?,
        max_output_queue: size("max_output_queue", default.max_output_queue)?,
        max_restarts: size("max_restarts", default.max_restarts)?,
        restart_window_ms: seconds("restart_window_sec", default.restart_window_ms)?,
        drain_timeout_ms: if drain == 0 { default.drain_timeout_ms } else { drain },
        drain_silence_ms: number("drain_silence_ms", default.drain_silence_ms)?,
        backpressure_timeout_ms: seconds("backpressure_timeout_sec", default.backpressure_timeout_ms)?,
        max_sessions: size("max_sessions", default.max_sessions)?,
        max_clients: size("max_clients", default.max_clients)?,
    })
}

/// The original also knew `shm` and `mqueue`, length-prefixed frames and a binary protocol, which no client of it
/// uses: they are refused rather than misunderstood.
fn mode(value: Option<&Value>) -> Read<Option<Mode>> {
    let Some(value) = value else { return Ok(None) };
    let Some(object) = value.as_object() else { return wrong("invalid 'transport' object") };
    for (key, only) in [("framing", "ndjson"), ("protocol", "json")] {
        match text(object, key)? {
            Some(other) if other != only => {
                return wrong(format!("transport {key} '{other}' is not supported"));
            }
            _ => {}
        }
    }
    match text(object, "mode")?.as_deref() {
        None => Ok(None),
        Some("stdio") => Ok(Some(Mode::Stdio)),
        Some("tcp") => Ok(Some(Mode::Tcp)),
        Some("unix") => Ok(Some(Mode::Unix)),
        Some(other) => wrong(format!("transport mode '{other}' is not supported")),
    }
}

fn text(object: &Object, key: &str) -> Read<Option<String>> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => Ok(Some(text.clone())),
        Some(_) => wrong(format!("'{key}' must be a non-empty string")),
    }
}

fn flag(object: &Object, key: &str) -> Read<bool> {
    match object.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => wrong(format!("'{key}' must be true or false")),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

fn list(object: &Object, key: &str) -> Read<Vec<String>> {
    match object.get(key) {
        None => Ok(Vec::new()),
        Some(value) => match texts(value) {
            Some(texts) => Ok(texts),
            None => wrong(format!("'{key}' must be an array of strings")),
        },
    }
}

/// A non-negative integer; one that no `u64` holds is as good as the largest.
fn number(object: &Object, key: &str) -> Read<Option<u64>> {
    let huge = |value: &Value| value.as_f64().is_some_and(|float| float >= u64::MAX as f64);
    match object.get(key) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None if huge(value) => Ok(Some(u64::MAX)),
            None => wrong(format!("'{key}' must be a non-negative integer")),
        },
    }
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    fn with_pool(pool: &str) -> Result<Pool, String> {
        parse(&format!("{{\"pools\":[{pool}]}}")).map(|mut config| config.pools.remove(0))
    }

    fn with_limits(limits: &str) -> Result<Limits, String> {
        let text = format!(r#"{{"pools":[{{"id":"p","command":"c","instances":1}}],"limits":{limits}}}"#);
        parse(&text).map(|config| config.limits)
    }

    #[test]
    fn unknown_keys_are_ignored_at_every_level() {
        let text = r#"{"_comment":{"a":[1]},"pools":[{"id":"p","command":"c","instances":1,"args":["\u00e9"],
            "restart":true,"user":{}}],"limits":{"_description":[]},"transport":{"options":{"x":1}}}"#;
        let config = parse(text).unwrap();
        assert_eq!(config.pools[0].args, ["é"]);
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn pools_are_refused_in_the_original_words() {
        let invalid = "config: invalid 'pools' array";
        for (pool, error) in [
            ("{}", "config: pool 0 missing required 'id' field"),
            (r#"{"id":""}"#, "config: pool 0 missing required 'id' field"),
            (r#"{"id":7}"#, invalid),
            (r#"{"id":"p"}"#, "config: pool 'p' missing required 'command' field"),
            (r#"{"id":"p","command":"c"}"#, "config: pool 'p' must have at least 1 instance"),
            (r#"{"id":"p","command":"c","instances":0}"#, "config: pool 'p' must have at least 1 instance"),
            (r#"{"id":"p","command":"c","instances":-1}"#, invalid),
            (r#"{"id":"p","command":"c","instances":1.5}"#, invalid),
            (r#"{"id":"p","command":"c","instances":"1"}"#, invalid),
            (r#"{"id":"p","command":"c","instances":1,"args":null}"#, invalid),
            (r#"{"id":"p","command":"c","instances":1,"args":[1]}"#, invalid),
            ("7", invalid),
        ] {
            assert_eq!(with_pool(pool).unwrap_err(), error, "{pool}");
        }
        for text in ["{}", "{\"pools\":[]}", "{\"pools\":{}}"] {
            assert!(parse(text).is_err());
        }
    }

    #[test]
    fn limits_are_non_negative_integers() {
        let limits =
            with_limits(r#"{"max_input_buffer":0,"restart_window_sec":3,"drain_timeout_sec":0}"#).unwrap();
        assert_eq!(
            (limits.max_input_buffer, limits.restart_window_ms, limits.drain_timeout_ms),
            (0, 3000, 30_000)
        );
        assert_eq!(
            with_limits("{\"max_restarts\":99999999999999999999999}").unwrap().max_restarts,
            usize::MAX
        );
        for bad in
            ["null", "[]", "{\"max_restarts\":-1}", "{\"max_restarts\":1.5}", "{\"max_restarts\":null}"]
        {
            assert_eq!(with_limits(bad).unwrap_err(), "config: invalid 'limits' object", "{bad}");
        }
    }

    #[test]
    fn our_own_keys_are_checked() {
        let base = r#""id":"p","command":"c","instances":1"#;
        let pool = with_pool(&format!(
            r#"{{{base},"env":{{"A":"b","C":null}},"cwd":"/","agents":["x"],"health":{{"method":"ping"}},
                "policy":{{"default":"deny","rules":[{{"role":"r","allow":["a/*"]}}]}}}}"#
        ));
        let pool = pool.unwrap();
        assert_eq!(pool.env["A"].as_deref(), Some("b"));
        assert_eq!(pool.health.unwrap().interval_ms, 10_000);
        assert!(!pool.policy.unwrap().allow);
        for bad in [r#""env":[]"#, r#""env":{"A=":"b"}"#, r#""cwd":7"#, r#""agents":"x""#, r#""health":{}"#] {
            assert!(
                with_pool(&format!("{{{base},{bad}}}")).unwrap_err().starts_with("config: pool 'p': "),
                "{bad}"
            );
        }
        let bad = r#"{"pools":[{"id":"p","command":"c","instances":1}],"default_pool":"q"}"#;
        assert_eq!(parse(bad).unwrap_err(), "config: 'default_pool' names no pool: 'q'");
    }
}
