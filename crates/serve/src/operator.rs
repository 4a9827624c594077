//! Operator actions: what there is, running one, and what ran.

use axum::Json as Body;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::operator::{Operator, Run};
use trunkline_run::operator::{Action, NotRun};

use crate::app::Shared;
use crate::extract::{Id, Json, Who};
use crate::problem::{Answer, Problem};
use crate::routes::List;

/// An action, as lists show it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OperatorAction")]
pub(crate) struct View {
    /// Its name.
    name: String,
    /// Its name for people.
    label: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The command line.
    argv: Vec<String>,
    /// Whether it changes something.
    mutating: bool,
    /// Whether it runs only if it is confirmed.
    confirm: bool,
    /// Whether several runs of it may be under way at a time.
    parallel: bool,
    /// Whether it is the one to show first.
    primary: bool,
    /// The action that runs before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    /// How many seconds it may run.
    timeout_s: u64,
}

/// How to run it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    /// That it is meant: an action that has `confirm` runs with this alone.
    #[serde(default)]
    confirm: bool,
}

pub(crate) async fn list(app: Shared, Who(caller): Who) -> Answer<Body<List<View>>> {
    caller.may_list()?;
    Ok(Body(List { items: app.actions.iter().map(|(name, action)| view(name, action)).collect() }))
}

pub(crate) async fn run(
    app: Shared,
    Who(caller): Who,
    Id(name): Id<String>,
    json: Json<Start>,
) -> Answer<Body<Run>> {
    caller.may_operate()?;
    let action = app.actions.get(&name).ok_or_else(|| Problem::not_found("action", &name))?;
    if action.must_confirm() && !json.body.confirm {
        let detail = format!("{name} must be confirmed: send `{{\"confirm\": true}}`");
        return Err(Problem::new(StatusCode::CONFLICT, "unconfirmed", detail).field("confirm"));
    }
    match app.actions.run(&app.hub, &caller, &name).await {
        Ok(run) => Ok(Body(run)),
        Err(NotRun::Unknown(name)) => Err(Problem::not_found("action", &name)),
        Err(NotRun::Command(error)) => Err(error.into()),
    }
}

/// Those that run, then those that are over, the last one first.
pub(crate) async fn runs(app: Shared, Who(caller): Who) -> Answer<Body<List<Run>>> {
    caller.may_list()?;
    let all = |operator: &Operator| {
        operator.running.values().chain(&operator.over).rev().cloned().collect::<Vec<_>>()
    };
    let mut items = app.hub.operator(all).await?;
    items.sort_by_key(|run| (run.outcome.is_some(), std::cmp::Reverse(run.run)));
    Ok(Body(List { items }))
}

fn view(name: &str, action: &Action) -> View {
    View {
        name: name.to_owned(),
        label: action.label.clone().unwrap_or_else(|| name.to_owned()),
        description: action.description.clone(),
        argv: action.argv.clone(),
        mutating: action.mutating,
        confirm: action.must_confirm(),
        parallel: action.parallel,
        primary: action.primary,
        before: action.before.clone(),
        timeout_s: action.timeout_s,
    }
}
