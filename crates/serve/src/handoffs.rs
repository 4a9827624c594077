//! Handoffs: save, list, show, change; lanes, their messages, checkpoints; and the prompt for the next agent.

use axum::Json as Body;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use trunkline_core::event::Fact;
use trunkline_core::handoff::{
    CheckpointCreated, CheckpointView, HandoffId, HandoffView, LaneClosed, LaneId, LaneOpened, LaneView,
    Saved, Stamp, Standing, Updated, Whole, prompt,
};
use trunkline_core::id::{Pos, SessionId};
use trunkline_core::principal::{Caller, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::row::{RowKind, facet};
use trunkline_run::handoff::Filter as Find;

use crate::app::{App, Part, Shared, at};
use crate::extract::{At, Id, Ids, Json, NoBody, Query, Who};
use crate::problem::{Answer, Problem};

/// How many checkpoints come with a handoff if it is not said.
const NEWEST: usize = 10;
/// How many may be asked for.
const MAX_NEWEST: usize = 50;

/// What is saved.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SaveHandoff")]
pub(crate) struct Save {
    /// The agent whose work it is. With an agent's token it is that agent, and need not be said.
    agent_id: Option<String>,
    /// The repository, normally the path of its root. With an agent's token its own, if not said.
    repo: Option<String>,
    /// How it stands, in a word: `active`, if not said; `paused`, `completed` …
    status: Option<String>,
    /// What is being done.
    task_summary: Option<String>,
    /// What was decided; normally a list of texts.
    decisions: Option<Raw>,
    /// Which files were touched; normally a list of paths.
    files_touched: Option<Raw>,
    /// What is left to do; normally a list of texts.
    todos: Option<Raw>,
    /// Whatever else is to be found again.
    metadata: Option<Raw>,
    /// The session it comes from. With an agent's token it is its own.
    session: Option<SessionId>,
}

/// What is to be changed. What is absent stays; `null` is a value.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ChangeHandoff")]
pub(crate) struct Change {
    /// How it stands.
    status: Option<String>,
    /// What is being done.
    #[serde(deserialize_with = "present")]
    task_summary: Option<Option<String>>,
    /// The repository.
    #[serde(deserialize_with = "present")]
    repo: Option<Option<String>>,
    /// What was decided, whole.
    #[serde(deserialize_with = "present")]
    decisions: Option<Raw>,
    /// Which files were touched, whole.
    #[serde(deserialize_with = "present")]
    files_touched: Option<Raw>,
    /// What is left to do, whole.
    #[serde(deserialize_with = "present")]
    todos: Option<Raw>,
    /// Whatever else, whole.
    #[serde(deserialize_with = "present")]
    metadata: Option<Raw>,
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    agent: Option<String>,
    repo: Option<String>,
    status: Option<String>,
    session: Option<SessionId>,
    to: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Newest {
    checkpoints: Option<usize>,
}

/// A lane that is to be opened.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenLane {
    /// The agent that opens it. With an agent's token it is that agent, and need not be said.
    from_agent: Option<String>,
    /// The agent it leads to.
    to_agent: String,
    /// What that agent should know; an empty object, if not said.
    context: Option<Raw>,
}

/// A message in a lane.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SayInLane {
    /// Which of the two agents writes. With an agent's token it is that agent, and need not be said.
    from_agent: Option<String>,
    /// What.
    text: String,
}

/// A checkpoint that is to be kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeCheckpoint {
    /// The agent that makes it. With an agent's token it is that agent, and need not be said.
    agent_id: Option<String>,
    /// The lane it belongs to.
    lane: Option<LaneId>,
    /// Whatever is needed to go on from there, at most 1 MiB.
    snapshot: Raw,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    lane: Option<LaneId>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The prompt for the agent that takes over.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResumePrompt {
    /// The handoff.
    handoff: HandoffId,
    /// The prompt. What the record says stands in lines that begin with `| `.
    prompt: String,
}

/// A handoff that was kept elsewhere until now, with its ids and its times.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreHandoff {
    /// The handoff.
    handoff: Saved,
    /// Its lanes.
    #[serde(default)]
    lanes: Vec<RestoreLane>,
    /// Its checkpoints.
    #[serde(default)]
    checkpoints: Vec<CheckpointCreated>,
}

/// A lane that was kept elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreLane {
    /// The lane.
    lane: LaneOpened,
    /// When it was closed.
    closed: Option<Stamp>,
}

/// What of it was not here yet.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Restored {
    /// Handoffs.
    handoffs: usize,
    /// Lanes.
    lanes: usize,
    /// Checkpoints.
    checkpoints: usize,
}

pub(crate) async fn list(
    app: Shared,
    Who(caller): Who,
    At(pos): At,
    Query(filter): Query<Filter>,
) -> Answer<Response> {
    let Filter { agent, repo, status, session, to, limit, cursor } = filter;
    let mut find = Find { agent, repo, status, session, to };
    match app.hub.handoffs().standing(&caller).await? {
        Some(standing) => narrow(&mut find, &standing)?,
        None => caller.may_list()?,
    }
    app.page::<HandoffView>(RowKind::Handoff, find.facets(), Part { limit, cursor }, pos).await
}

/// What an agent may list: what is its own, what is addressed to it, and what is of its project. That, if it says nothing.
fn narrow(find: &mut Find, standing: &Standing) -> Answer<()> {
    let own = find.session == Some(standing.session) || find.to.as_ref() == Some(&standing.agent);
    if own {
        return Ok(());
    }
    if find.repo.is_none() {
        find.repo.clone_from(&standing.project);
    }
    if find.repo.is_some() && find.repo == standing.project {
        return Ok(());
    }
    let why = "an agent lists handoffs of its project (repo), of its session (session) and those addressed to it (to)";
    Err(Refused::Forbidden { why: why.to_owned() }.into())
}

pub(crate) async fn save(app: Shared, Who(caller): Who, json: Json<Save>) -> Answer<Response> {
    let standing = app.hub.handoffs().standing(&caller).await?;
    let saved = json.body.saved(standing.as_ref())?;
    let (id, pos) = app.hub.handoffs().save(&caller, saved, json.key).await?;
    view(&app, StatusCode::CREATED, &id, pos).await
}

pub(crate) async fn show(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<HandoffId>,
    Query(newest): Query<Newest>,
) -> Answer<Response> {
    let newest = newest.checkpoints.unwrap_or(NEWEST);
    if newest > MAX_NEWEST {
        return Err(Problem::invalid("checkpoints", format!("checkpoints must be at most {MAX_NEWEST}")));
    }
    let whole = read(&app, &caller, &id, newest).await?;
    Ok(at(StatusCode::OK, app.hub.pos(), &whole))
}

pub(crate) async fn resume(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<HandoffId>,
) -> Answer<Body<ResumePrompt>> {
    let whole = read(&app, &caller, &id, 1).await?;
    Ok(Body(ResumePrompt { prompt: prompt(&whole), handoff: id }))
}

pub(crate) async fn update(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<HandoffId>,
    json: Json<Change>,
) -> Answer<Response> {
    let Change { status, task_summary, repo, decisions, files_touched, todos, metadata } = json.body;
    let updated = Stamp::default();
    let change = Updated { status, task_summary, repo, decisions, files_touched, todos, metadata, updated };
    let done = app.hub.handoffs().update(&caller, &id, change, json.key).await?;
    view(&app, StatusCode::OK, &id, done.pos).await
}

pub(crate) async fn open_lane(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<HandoffId>,
    json: Json<OpenLane>,
) -> Answer<Response> {
    let OpenLane { from_agent, to_agent, context } = json.body;
    let from_agent = named(&app, &caller, "from_agent", from_agent).await?;
    let to_agent = not_empty("to_agent", to_agent)?;
    let context = context.unwrap_or_else(empty);
    let handoffs = app.hub.handoffs();
    let (lane, pos) = handoffs.open_lane(&caller, &id, from_agent, to_agent, context, json.key).await?;
    lane_view(&app, StatusCode::CREATED, &lane, pos).await
}

pub(crate) async fn say(
    app: Shared,
    Who(caller): Who,
    Ids(id, lane): Ids<HandoffId, LaneId>,
    json: Json<SayInLane>,
) -> Answer<Response> {
    let SayInLane { from_agent, text } = json.body;
    let from_agent = named(&app, &caller, "from_agent", from_agent).await?;
    let done = app.hub.handoffs().say(&caller, &id, lane.clone(), from_agent, text, json.key).await?;
    lane_view(&app, StatusCode::CREATED, &lane, done.pos).await
}

pub(crate) async fn close_lane(
    app: Shared,
    Who(caller): Who,
    Ids(id, lane): Ids<HandoffId, LaneId>,
    given: NoBody,
) -> Answer<Response> {
    let done = app.hub.handoffs().close_lane(&caller, &id, lane.clone(), given.key).await?;
    lane_view(&app, StatusCode::OK, &lane, done.pos).await
}

pub(crate) async fn checkpoint(
    app: Shared,
    Who(caller): Who,
    Id(id): Id<HandoffId>,
    json: Json<MakeCheckpoint>,
) -> Answer<Response> {
    let MakeCheckpoint { agent_id, lane, snapshot } = json.body;
    let agent_id = named(&app, &caller, "agent_id", agent_id).await?;
    let handoffs = app.hub.handoffs();
    let (made, pos) = handoffs.checkpoint(&caller, &id, lane, agent_id, snapshot, json.key).await?;
    match app.row(RowKind::Checkpoint, made.as_str(), pos).await? {
        Some((_, body)) => Ok(at(StatusCode::CREATED, pos, &body)),
        None => Err(Problem::not_found("checkpoint", made.as_str())),
    }
}

pub(crate) async fn checkpoints(
    app: Shared,
    Who(caller): Who,
    At(pos): At,
    Id(id): Id<HandoffId>,
    Query(kept): Query<Kept>,
) -> Answer<Response> {
    read(&app, &caller, &id, 0).await?;
    let mut facets = vec![facet("handoff", &id)];
    facets.extend(kept.lane.map(|lane| facet("lane", lane)));
    let part = Part { limit: kept.limit, cursor: kept.cursor };
    app.page::<CheckpointView>(RowKind::Checkpoint, facets, part, pos).await
}

pub(crate) async fn restore(
    app: Shared,
    Who(caller): Who,
    json: Json<RestoreHandoff>,
) -> Answer<Body<Restored>> {
    caller.may_operate()?;
    let RestoreHandoff { handoff, lanes, checkpoints } = json.body;
    let id = handoff.id.clone();
    let mut facts: Vec<Fact> = vec![handoff.into()];
    for RestoreLane { lane, closed } in lanes {
        let closed = closed.map(|updated| LaneClosed { id: lane.id.clone(), updated });
        facts.push(lane.into());
        facts.extend(closed.map(Fact::from));
    }
    facts.extend(checkpoints.into_iter().map(Fact::from));
    let done = app.hub.handoffs().restore(&caller, &id, facts).await?;
    let mut restored = Restored::default();
    for event in done.events {
        match event.fact {
            Fact::HandoffSaved(_) => restored.handoffs += 1,
            Fact::LaneOpened(_) => restored.lanes += 1,
            Fact::CheckpointCreated(_) => restored.checkpoints += 1,
            _ => {}
        }
    }
    Ok(Body(restored))
}

impl Save {
    fn saved(self, standing: Option<&Standing>) -> Answer<Saved> {
        let Self { agent_id, repo, status, task_summary, decisions, files_touched, todos, metadata, session } =
            self;
        let agent = agent_id.or_else(|| standing.map(|standing| standing.agent.clone()));
        let agent = not_empty("agent_id", agent.unwrap_or_default())?;
        // The id is made when it is saved.
        let plain = Saved::of(HandoffId::made(0), agent);
        Ok(Saved {
            repo: repo.or_else(|| standing.and_then(|standing| standing.project.clone())),
            status: status.unwrap_or(plain.status),
            task_summary,
            decisions: decisions.unwrap_or(plain.decisions),
            files_touched: files_touched.unwrap_or(plain.files_touched),
            todos: todos.unwrap_or(plain.todos),
            metadata: metadata.unwrap_or(plain.metadata),
            session: session.or_else(|| standing.map(|standing| standing.session)),
            ..plain
        })
    }
}

/// The agent that is meant: the one that asks, if nobody is named.
async fn named(app: &App, caller: &Caller, field: &'static str, given: Option<String>) -> Answer<String> {
    let own = match (&given, caller.scope) {
        (None, Scope::Agent(_)) => app.hub.handoffs().standing(caller).await?.map(|own| own.agent),
        (None | Some(_), _) => None,
    };
    not_empty(field, given.or(own).unwrap_or_default())
}

fn not_empty(field: &'static str, text: String) -> Answer<String> {
    if text.trim().is_empty() {
        return Err(Problem::invalid(field, format!("{field} must name an agent")));
    }
    Ok(text)
}

fn empty() -> Raw {
    Raw::parse("{}").expect("it is JSON")
}

/// A handoff that the caller may read.
pub(crate) async fn read(app: &App, caller: &Caller, id: &HandoffId, newest: usize) -> Answer<Whole> {
    let standing = app.hub.handoffs().standing(caller).await?;
    let whole = app.hub.handoffs().whole(id, newest).await?;
    whole.handoff.may_be_read_by(caller, standing.as_ref())?;
    Ok(whole)
}

async fn view(app: &App, status: StatusCode, id: &HandoffId, pos: Pos) -> Answer<Response> {
    match app.hub.handoffs().get(id, pos).await? {
        Some(view) => Ok(at(status, pos.max(app.hub.pos()), &view)),
        None => Err(Problem::not_found("handoff", id.as_str())),
    }
}

async fn lane_view(app: &App, status: StatusCode, id: &LaneId, pos: Pos) -> Answer<Response> {
    let view: Option<LaneView> = app.hub.handoffs().lane(id, pos).await?;
    match view {
        Some(view) => Ok(at(status, pos, &view)),
        None => Err(Problem::not_found("lane", id.as_str())),
    }
}
