//! Standing permissions: of a session, of a project, and what a rule would have allowed.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::event::{Event, Fact};
use trunkline_core::grant::{Added, Grant, Mode, ProjectCommand, Scope, preview as covered};
use trunkline_core::id::{GrantId, RequestId, SessionId};
use trunkline_core::pattern::Pattern;
use trunkline_core::principal::Principal;
use trunkline_core::risk::{Level, Risk};
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::Command;
use trunkline_core::time::Time;
use trunkline_core::view::{RequestStatus, RequestView};
use trunkline_log::frame::{Cursor, Query as Find};
use uuid::Uuid;

use crate::app::{Shared, at, nothing};
use crate::extract::{Id, Ids, Json, Query, Who};
use crate::problem::{Answer, Problem};
use crate::routes::List;

/// How many days a preview looks back, if it is not said.
const WEEK: u64 = 7;
/// How many days a preview looks back at most.
const MAX_DAYS: u64 = 90;
/// How many requests a preview looks at; older ones are left out, and it says so.
const MAX_LOOKED: usize = 5_000;
/// How many requests a preview names.
const MAX_NAMED: usize = 50;

/// A permission to give. One of `tool`, `pattern`, `mode`, or the scope `edits`, says what it covers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AddGrant")]
pub(crate) struct Add {
    /// The tool it covers, by its exact name.
    tool: Option<String>,
    /// What it covers, such as `shell(npm run *)` or `edit(src/**)`.
    pattern: Option<String>,
    /// What is asked about at all.
    mode: Option<Mode>,
    /// How far it reaches: the session, if not said.
    scope: Option<Scope>,
    /// For whose turns it counts; for those of people, if not said.
    principal: Option<String>,
    /// Whether it also counts while nothing confines the agent; not, if not said.
    #[serde(default)]
    unconfined: bool,
    /// The request on which it is given.
    request: Option<RequestId>,
    /// When it stops counting; with the session, if not said.
    expires: Option<Time>,
    /// The session, for `/v1/grants`.
    session: Option<SessionId>,
    /// The project, for `/v1/grants`.
    project: Option<String>,
}

/// Which grants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    session: Option<SessionId>,
    project: Option<String>,
}

/// A rule to try on what was asked before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PreviewGrant")]
pub(crate) struct Try {
    /// The rule.
    pattern: String,
    /// Only requests of this session.
    session: Option<SessionId>,
    /// Only requests of this project.
    project: Option<String>,
    /// How many days back: 7, if not said, and at most 90.
    days: Option<u64>,
}

/// What a rule would have done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GrantPreview")]
pub(crate) struct Preview {
    /// The rule.
    pattern: String,
    /// From when on requests were looked at.
    since: Time,
    /// How many permissions were asked since then.
    looked_at: usize,
    /// Whether older ones were left out, because there are too many.
    truncated: bool,
    /// How many of them the rule would have allowed.
    allowed: usize,
    /// How many it covers that would still have been asked about, because their risk is high.
    high_risk: usize,
    /// How many it would have allowed that somebody refused.
    refused: usize,
    /// The newest that it covers, at most 50.
    items: Vec<Covered>,
}

/// A request that a rule covers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GrantCovered")]
pub(crate) struct Covered {
    /// The request.
    request: RequestId,
    /// Its session.
    session: SessionId,
    /// When it was asked.
    at: Time,
    /// What it was about.
    title: String,
    /// Its risk.
    risk: Risk,
    /// Where it stands.
    status: RequestStatus,
}

impl Add {
    fn grant(self, id: GrantId) -> Answer<Added> {
        let principal = self.principal.map(|name| name.parse::<Principal>()).transpose();
        let principal = principal.map_err(|_| Problem::invalid("principal", "principal must be a name"))?;
        // The form of earlier versions, a tool alone, is kept as it was.
        let scope = if self.tool.is_some() && self.scope.is_none() {
            None
        } else {
            Some(self.scope.unwrap_or_default())
        };
        Ok(Added {
            id,
            tool: self.tool.unwrap_or_default(),
            expires: self.expires,
            scope,
            pattern: self.pattern,
            mode: self.mode,
            principal,
            unconfined: self.unconfined,
            project: self.project,
            request: self.request,
        })
    }
}

pub(crate) async fn list(app: Shared, Who(caller): Who, Id(id): Id<SessionId>) -> Answer<Response> {
    caller.may_read(id)?;
    let (items, pos) = app.hub.look(id, |session| session.grants.all.values().cloned().collect()).await?;
    Ok(at(StatusCode::OK, pos, &List::<Grant> { items }))
}

pub(crate) async fn add(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<SessionId>,
    json: Json<Add>,
) -> Answer<Response> {
    let grant = GrantId::new(Uuid::now_v7());
    let added = json.body.grant(grant)?;
    let done = app.hub.command(&caller, id, Command::Grant(added), json.key).await?;
    Ok(at(StatusCode::CREATED, done.pos, &given(done.events, grant)?))
}

pub(crate) async fn revoke(
    app: Shared,
    Who(caller): Who,
    Ids(id, grant): Ids<SessionId, GrantId>,
) -> Answer<Response> {
    let done = app.hub.command(&caller, id, Command::Revoke(grant), None).await?;
    Ok(nothing(done.pos))
}

/// Those of all projects, of one, or of a session with those of its project.
pub(crate) async fn list_all(
    app: Shared,
    Who(caller): Who,
    Query(filter): Query<Filter>,
) -> Answer<Response> {
    let Filter { session, project } = filter;
    let Some(id) = session else {
        caller.may_list()?;
        let items = app.hub.project_grants(project).await?;
        return Ok(at(StatusCode::OK, app.hub.pos(), &List::<Grant> { items }));
    };
    caller.may_read(id)?;
    let look = |session: &trunkline_core::session::Session| {
        let project = session.created.as_ref().and_then(|(created, ..)| created.project.clone());
        (session.grants.all.values().cloned().collect::<Vec<_>>(), project)
    };
    let ((mut items, project), pos) = app.hub.look(id, look).await?;
    if let Some(project) = project {
        items.extend(app.hub.project_grants(Some(project)).await?);
    }
    Ok(at(StatusCode::OK, pos, &List::<Grant> { items }))
}

/// Gives one to a session or to a project.
pub(crate) async fn add_any(app: Shared, Who(caller): Who, json: Json<Add>) -> Answer<Response> {
    let grant = GrantId::new(Uuid::now_v7());
    let session = json.body.session;
    let mut added = json.body.grant(grant)?;
    let done = match (session, &added.project) {
        (Some(id), None) => app.hub.command(&caller, id, Command::Grant(added), None).await?,
        (None, Some(_)) => {
            added.scope = Some(Scope::Project);
            app.hub.grant_project(&caller, ProjectCommand::Add(added)).await?
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::invalid("session", "either session or project must be given"));
        }
    };
    Ok(at(StatusCode::CREATED, done.pos, &given(done.events, grant)?))
}

/// Takes back one of a project, or, with `session`, one of a session.
pub(crate) async fn revoke_any(
    app: Shared,
    Who(caller): Who,
    Id(grant): Id<GrantId>,
    Query(filter): Query<Filter>,
) -> Answer<Response> {
    let done = match filter.session {
        Some(id) => app.hub.command(&caller, id, Command::Revoke(grant), None).await?,
        None => app.hub.grant_project(&caller, ProjectCommand::Revoke(grant)).await?,
    };
    Ok(nothing(done.pos))
}

/// What would this rule have allowed?
pub(crate) async fn preview(app: Shared, Who(caller): Who, json: Json<Try>) -> Answer<Response> {
    let Try { pattern, session, project, days } = json.body;
    match session {
        Some(id) => caller.may_read(id)?,
        None => caller.may_list()?,
    }
    let rule: Pattern =
        pattern.parse().map_err(|error| Problem::invalid("pattern", format!("pattern {error}")))?;
    let days = days.unwrap_or(WEEK).clamp(1, MAX_DAYS);
    let since = Time(app.hub.now().0 - i64::try_from(days * 86_400_000).unwrap_or(i64::MAX));
    let facets = [session.map(|id| facet("session", id)), project.map(|path| facet("project", path))];
    let mut find =
        Find { facets: facets.into_iter().flatten().collect(), limit: 200, ..Find::all(RowKind::Request) };
    let (looked_at, truncated, allowed, high_risk, refused) = (0, false, 0, 0, 0);
    let mut found =
        Preview { pattern, since, looked_at, truncated, allowed, high_risk, refused, items: Vec::new() };
    loop {
        let page = app.hub.find(&find, app.hub.pos()).await?;
        let views = page.rows.iter().filter_map(|(_, row)| row.body.as_ref()?.read::<RequestView>().ok());
        let recent: Vec<_> = views.take_while(|view| view.created_at >= since).collect();
        recent.iter().for_each(|view| found.take(&rule, view));
        let last = page.rows.last().map(|(_, row)| Cursor::of(row));
        if recent.len() < page.rows.len() || page.rows.len() < find.limit {
            break;
        }
        if found.looked_at >= MAX_LOOKED {
            found.truncated = true;
            break;
        }
        find.after = last;
    }
    Ok(at(StatusCode::OK, app.hub.pos(), &found))
}

impl Preview {
    fn take(&mut self, rule: &Pattern, view: &RequestView) {
        self.looked_at += usize::from(view.kind == trunkline_core::request::Kind::Permission);
        let Some(risk) = covered(rule, view) else { return };
        let chosen = view.closed.as_ref().and_then(|closed| closed.answer.as_ref()?.option.as_deref());
        let refuses = |id: &str| view.options.iter().any(|choice| choice.id == id && choice.kind.rejects());
        match risk.level {
            Level::High => self.high_risk += 1,
            Level::Low | Level::Medium | Level::Unknown => {
                self.allowed += 1;
                self.refused += usize::from(chosen.is_some_and(refuses));
            }
        }
        if self.items.len() < MAX_NAMED {
            self.items.push(Covered {
                request: view.id,
                session: view.session,
                at: view.created_at,
                title: view.title.clone(),
                risk,
                status: view.status,
            });
        }
    }
}

/// The grant as it was given. A retry gets the one of the first try.
fn given(events: Vec<Event>, id: GrantId) -> Answer<Grant> {
    let added = events.into_iter().find_map(|event| match event.fact {
        Fact::GrantAdded(added) => Some(Grant { added, by: event.by, at: event.at }),
        _ => None,
    });
    added.ok_or_else(|| Problem::not_found("grant", &id.to_string()))
}
