//! Verbs: operator actions, by their bare names.

use axum::http::StatusCode;
use serde_json::json;
use trunkline_core::operator::Run;
use trunkline_core::principal::Caller;
use trunkline_run::operator::NotRun;

use super::{Fail, Outcome, answer, json_answer};
use crate::app::App;

pub(super) fn list(app: &App, caller: &Caller) -> Outcome {
    caller.may_list()?;
    let names = |mutating: bool| -> Vec<&String> {
        app.actions.iter().filter(|(_, action)| !mutating || action.mutating).map(|(name, _)| name).collect()
    };
    Ok(answer(&json!({ "verbs": names(false), "mutating": names(true) })))
}

/// Runs one. A client of this dialect has asked its user already where that is called for.
pub(super) async fn run(app: &App, caller: &Caller, verb: &str) -> Outcome {
    caller.may_operate()?;
    let run = app.actions.run(&app.hub, caller, verb).await.map_err(|error| match error {
        NotRun::Unknown(verb) => Fail::NoVerb(verb),
        NotRun::Command(error) => error.into(),
    })?;
    let Run { outcome, .. } = run;
    let outcome = outcome.unwrap_or_default();
    // Why there is no exit code stands where a person looks for it.
    let stderr = match &outcome.error {
        Some(error) if outcome.stderr.is_empty() => error.clone(),
        Some(error) => format!("{}\n{error}", outcome.stderr),
        None => outcome.stderr,
    };
    let body = json!({
        "verb": verb, "exit_code": outcome.exit_code, "stdout": outcome.stdout, "stderr": stderr, "rejected": false,
    });
    let status = if outcome.exit_code == Some(0) { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    Ok(json_answer(status, body.to_string().into_bytes()))
}
