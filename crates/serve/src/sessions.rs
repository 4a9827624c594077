//! Sessions: make, list, show, change, close, delete.

use std::path::Path;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_core::id::{Pos, SessionId};
use trunkline_core::raw::Raw;
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::{Command, Created, EXTERNAL, Updated};
use trunkline_core::view::{SessionState, SessionView};
use uuid::Uuid;

use crate::app::{App, Part, Shared, at, nothing};
use crate::extract::{At, Id, Json, NoBody, Query, Who};
use crate::problem::{Answer, Problem};

/// What a session is made of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateSession")]
pub(crate) struct Create {
    /// An agent of the catalog, such as `gemini`; for an external session what the agent calls itself.
    agent: Option<String>,
    /// The command line of an agent that is not in the catalog.
    argv: Option<Vec<String>>,
    /// `external` for an agent that runs elsewhere and registers here. Else the catalog says what moves it.
    driver: Option<String>,
    /// The directory the agent works in: absolute, and it must exist. A hosted session needs one.
    workspace: Option<String>,
    /// What people call it; the first prompt, if it is not given.
    title: Option<String>,
    /// Whatever its maker wants to find again; an object of at most 64 KiB.
    metadata: Option<Raw>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    state: Option<SessionState>,
    agent: Option<String>,
    workspace: Option<String>,
    project: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) async fn create(app: Shared, Who(caller): Who, json: Json<Create>) -> Answer<Response> {
    let id = SessionId::new(Uuid::now_v7());
    let created = json.body.resolve(id, &app)?;
    let (id, pos) = app.hub.create(&caller, created, json.key).await?;
    view(&app, StatusCode::CREATED, id, pos).await
}

pub(crate) async fn list(
    app: Shared,
    Who(caller): Who,
    At(pos): At,
    Query(filter): Query<Filter>,
) -> Answer<Response> {
    caller.may_list()?;
    let named = [
        ("state", filter.state.map(|state| state.word().to_owned())),
        ("agent", filter.agent),
        ("workspace", filter.workspace),
        ("project", filter.project),
    ];
    let facets = named.into_iter().filter_map(|(name, value)| Some(facet(name, value?))).collect();
    let part = Part { limit: filter.limit, cursor: filter.cursor };
    app.page::<SessionView>(RowKind::Session, facets, part, pos).await
}

pub(crate) async fn show(
    app: Shared,
    Who(caller): Who,
    At(pos): At,
    Id(id): Id<SessionId>,
) -> Answer<Response> {
    caller.may_read(id)?;
    view(&app, StatusCode::OK, id, pos).await
}

pub(crate) async fn update(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Updated>,
) -> Answer<Response> {
    let done = app.hub.command(&caller, id, Command::Update(json.body), json.key).await?;
    view(&app, StatusCode::OK, id, done.pos).await
}

pub(crate) async fn close(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    given: NoBody,
) -> Answer<Response> {
    let done = app.hub.command(&caller, id, Command::Close, given.key).await?;
    view(&app, StatusCode::OK, id, done.pos).await
}

pub(crate) async fn remove(app: Shared, Who(caller): Who, Id(id): Id<SessionId>) -> Answer<Response> {
    let done = app.hub.command(&caller, id, Command::Delete, None).await?;
    Ok(nothing(done.pos))
}

/// The session as lists show it, from a view that has reached `pos`.
async fn view(app: &App, status: StatusCode, id: SessionId, pos: Pos) -> Answer<Response> {
    match app.row(RowKind::Session, &id.to_string(), pos).await? {
        Some((_, body)) => Ok(at(status, pos.max(app.hub.pos()), &body)),
        None => {
            // The log tells a deleted session from one that never was.
            let ((), _) = app.hub.look(id, |_| ()).await?;
            Err(Problem::not_found("session", &id.to_string()))
        }
    }
}

impl Create {
    fn resolve(self, id: SessionId, app: &App) -> Answer<Created> {
        let Self { agent, argv, driver, workspace, title, metadata } = self;
        let workspace = workspace.map(|path| directory(&path)).transpose()?;
        let project = workspace.as_deref().map(trunkline_run::workspace::project_root);
        let made = |driver: String, agent: String, argv: Vec<String>| {
            let (workspace, project) = (workspace.clone(), project.clone());
            Created {
                id,
                driver,
                agent,
                argv,
                workspace,
                project,
                title,
                metadata,
                born: None,
                setup: None,
                imported: None,
            }
        };
        if driver.as_deref() == Some(EXTERNAL) {
            let agent = agent
                .ok_or_else(|| Problem::invalid("agent", "agent must say what the agent calls itself"))?;
            return Ok(made(EXTERNAL.to_owned(), agent, Vec::new()));
        }
        if workspace.is_none() {
            return Err(Problem::invalid(
                "workspace",
                "workspace must name the directory the agent works in",
            ));
        }
        let wanted = |error: trunkline_run::catalog::Unrunnable| Problem::invalid("agent", error.to_string());
        let place = Path::new(workspace.as_deref().unwrap_or_default());
        let entry = app.catalog.resolve_in(agent.as_deref(), argv.as_deref(), place).map_err(wanted)?;
        if driver.as_ref().is_some_and(|driver| *driver != entry.driver) {
            let detail = format!("driver must be `{}` for this agent, or absent", entry.driver);
            return Err(Problem::invalid("driver", detail));
        }
        Ok(made(entry.driver, entry.name, entry.argv))
    }
}

/// A directory that exists, in its one canonical spelling.
pub(crate) fn directory(path: &str) -> Answer<String> {
    if !Path::new(path).is_absolute() {
        return Err(Problem::invalid("workspace", "workspace must be an absolute path"));
    }
    let found = std::fs::canonicalize(path).map_err(|error| {
        Problem::invalid("workspace", format!("workspace {path} cannot be used: {error}"))
    })?;
    if !found.is_dir() {
        return Err(Problem::invalid("workspace", format!("workspace {path} is not a directory")));
    }
    found
        .into_os_string()
        .into_string()
        .map_err(|_| Problem::invalid("workspace", "workspace must be valid UTF-8"))
}
