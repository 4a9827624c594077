//! How long a requester waits for the error when its worker fails.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::load::{ask, check};
use super::parts::{FAULTY, Fault};
use super::peer::{Kind, Peer, Way};
use crate::report::{Figure, Unit};
use crate::stats::Samples;

/// In milliseconds, in the worst case.
const BUDGET: f64 = 100.0;
/// How often each fault is seen.
const TIMES: usize = 20;
/// How long a request to a worker that hangs may take, in milliseconds: without a limit it would be for ever.
const LIMIT: u64 = 50;

/// Measures `router`, the binary.
pub(super) fn measure(router: &Path, dir: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for fault in Fault::ALL {
        let limit = if fault == Fault::Hangs { LIMIT } else { 0 };
        let took = (0..TIMES).map(|_| once(router, dir, fault, limit)).collect::<Result<Samples>>()?;
        let beyond = if limit > 0 { format!(", beyond its {limit} ms") } else { String::new() };
        let figure = Figure::new(
            format!("error, the worker {fault}{beyond}"),
            took.percentile(100),
            Unit::Milliseconds,
        );
        figures.push(figure.at_most(BUDGET).note(format!("p50 {:.2} ms of {TIMES}", took.median())));
    }
    Ok(figures)
}

/// From the request that the worker fails at to the error.
fn once(router: &Path, dir: &Path, fault: Fault, limit: u64) -> Result<Duration> {
    let mut pool = json!({ "args": [FAULTY, fault.to_string()] });
    if limit > 0 {
        pool["request_timeout_ms"] = json!(limit);
    }
    let mut peer = Peer::with(Kind::Router(router), Way::Stdio, &pool, dir)?;
    let ends = peer.connect()?;
    check(&ends)?;
    let (answer, took) = ask(&ends, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"fail\"}\n")?;
    let answer: Value = serde_json::from_slice(&answer)?;
    answer["error"]["code"].as_i64().with_context(|| format!("no error: {answer}"))?;
    Ok(took.saturating_sub(Duration::from_millis(limit)))
}
