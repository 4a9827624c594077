//! Requests: ask, list, answer, set aside, take back.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_core::id::{Pos, RequestId, SessionId};
use trunkline_core::raw::Raw;
use trunkline_core::request::{self, Answer as Given, Choice, Kind, OnTimeout, Opened, Priority};
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::Command;
use trunkline_core::time::Time;
use trunkline_core::view::RequestView;
use uuid::Uuid;

use crate::app::{App, Part, Shared, at};
use crate::extract::{At, Id, Json, NoBody, Query, Who};
use crate::problem::{Answer, Problem};

/// What a person is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AskRequest")]
pub(crate) struct Ask {
    /// What kind of answer it wants.
    kind: Kind,
    /// One line that says what it is about.
    title: String,
    /// The question in full.
    #[serde(default)]
    question: String,
    /// The answers offered.
    #[serde(default)]
    options: Vec<Choice>,
    /// JSON Schema of a form's answer.
    schema: Option<Raw>,
    /// Whatever helps to decide.
    context: Option<Raw>,
    /// How soon.
    #[serde(default)]
    priority: Priority,
    /// Labels.
    tags: Option<Vec<String>>,
    /// When it stops waiting.
    deadline: Option<Time>,
    /// What happens then; nothing, if not said.
    #[serde(default)]
    on_timeout: OnTimeout,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    status: Option<String>,
    session: Option<String>,
    project: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) async fn ask(
    app: Shared,
    Who(caller): Who,
    Id(session): Id<SessionId>,
    json: Json<Ask>,
) -> Answer<Response> {
    let Ask { kind, title, question, options, schema, context, priority, tags, deadline, on_timeout } =
        json.body;
    let asked = Opened {
        id: RequestId::new(Uuid::now_v7()),
        kind,
        title,
        question,
        options,
        tool_call: None,
        tool: None,
        schema,
        context,
        priority,
        tags,
        deadline,
        on_timeout,
    };
    let done = app.hub.command(&caller, session, Command::Ask(asked.clone()), json.key).await?;
    // A retry gets the request that the first try opened.
    let opened = done.events.iter().find_map(|event| match &event.fact {
        trunkline_core::event::Fact::RequestOpened(opened) => Some(opened.id),
        _ => None,
    });
    view(&app, StatusCode::CREATED, opened.unwrap_or(asked.id), done.pos).await
}

pub(crate) async fn list(
    app: Shared,
    Who(caller): Who,
    At(pos): At,
    Query(filter): Query<Filter>,
) -> Answer<Response> {
    match filter.session.as_deref().map(str::parse) {
        Some(Ok(session)) => caller.may_read(session)?,
        Some(Err(_)) => return Err(Problem::invalid("session", "session must be a session id")),
        None => caller.may_list()?,
    }
    let (kind, status) = match filter.status.as_deref() {
        Some("open") => (RowKind::Inbox, None),
        Some(status @ ("dismissed" | "answered" | "expired" | "cancelled" | "superseded")) => {
            (RowKind::Request, Some(facet("status", status)))
        }
        None => (RowKind::Request, None),
        Some(_) => {
            let words = "status must be open, dismissed, answered, expired, cancelled or superseded";
            return Err(Problem::invalid("status", words));
        }
    };
    let session = filter.session.map(|id| facet("session", id));
    let project = filter.project.map(|path| facet("project", path));
    let facets = [session, project, status].into_iter().flatten().collect();
    let part = Part { limit: filter.limit, cursor: filter.cursor };
    app.page::<RequestView>(kind, facets, part, pos).await
}

pub(crate) async fn show(
    app: Shared,
    Who(caller): Who,
    At(pos): At,
    Id(id): Id<RequestId>,
) -> Answer<Response> {
    let request = find(&app, id, pos).await?;
    caller.may_read(request.session)?;
    Ok(at(StatusCode::OK, pos.max(app.hub.pos()), &request))
}

pub(crate) async fn answer(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<RequestId>,
    json: Json<Given>,
) -> Answer<Response> {
    caller.may_operate()?;
    let request = find(&app, id, Pos(0)).await?;
    let done = app.hub.answer(&caller, &request, json.body, json.key).await?;
    view(&app, StatusCode::OK, id, done.pos).await
}

pub(crate) async fn dismiss(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<RequestId>,
    given: NoBody,
) -> Answer<Response> {
    caller.may_operate()?;
    let request = find(&app, id, Pos(0)).await?;
    let done = app.hub.command(&caller, request.session, Command::Dismiss(id), given.key).await?;
    view(&app, StatusCode::OK, id, done.pos).await
}

pub(crate) async fn withdraw(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<RequestId>,
    given: NoBody,
) -> Answer<Response> {
    let request = find(&app, id, Pos(0)).await?;
    caller.may_act_for(request.session)?;
    let command = Command::Withdraw(id, request::Outcome::Cancelled);
    let done = app.hub.command(&caller, request.session, command, given.key).await?;
    view(&app, StatusCode::OK, id, done.pos).await
}

pub(crate) async fn find(app: &App, id: RequestId, pos: Pos) -> Answer<RequestView> {
    let row = app.row(RowKind::Request, &id.to_string(), pos).await?;
    let view = row.and_then(|(_, body)| body.read().ok());
    view.ok_or_else(|| Problem::not_found("request", &id.to_string()))
}

async fn view(app: &App, status: StatusCode, id: RequestId, pos: Pos) -> Answer<Response> {
    let request = find(app, id, pos).await?;
    Ok(at(status, pos, &request))
}
