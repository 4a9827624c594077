//! Sessions: made, listed, shown, cancelled, deleted.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use trunkline_core::grant::{Added, Mode};
use trunkline_core::id::{GrantId, SessionId};
use trunkline_core::mcp::MAX_SERVERS;
use trunkline_core::outside::Born;
use trunkline_core::principal::Caller;
use trunkline_core::profile::{Profile, Provider};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::{Command, Created, Setup};
use trunkline_core::setting::Setting;
use trunkline_core::turn::{STOP_GRACE_MS, Why};
use trunkline_core::view::{SessionState, SessionView};
use trunkline_log::frame::{MAX_FOUND, Query as Find};
use trunkline_run::CommandError;
use trunkline_run::bundle::Bundle;
use trunkline_run::model::MODEL;
use trunkline_run::profiles::SecretChange;
use trunkline_wire::model::Secret;
use uuid::Uuid;

use super::{Asked, DIALECT, Outcome, Settings, mcp, ok, param, permission, read};
use crate::app::App;
use crate::problem::Problem;

/// How many sessions are listed: the newest.
const MAX_LISTED: usize = 10_000;
/// How the profiles begin that are made of credentials that came with a session.
pub(super) const INLINE: &str = "inline-";
/// What such a profile is called in answers.
const INLINE_NAME: &str = "app-inline";
/// The profile that is meant if none is named.
pub(super) const DEFAULT: &str = "default";

/// What a session is made of.
#[derive(Deserialize)]
struct Create {
    profile: Option<String>,
    agent: Option<String>,
    system_prompt: Option<String>,
    workspace: Option<String>,
    approval_mode: Option<String>,
    credentials: Option<Value>,
    metadata: Option<serde_json::Map<String, Value>>,
    #[serde(default)]
    mcp_servers: Vec<String>,
    session_id: Option<String>,
    /// Seconds for which a permission is asked.
    permission_timeout: Option<u64>,
}

/// The core session of the name that a client uses.
pub(super) async fn resolve(app: &App, name: &str) -> Result<SessionId, Problem> {
    let found = match name.parse() {
        Ok(id) => Some(id),
        Err(_) => app.hub.named(DIALECT, name).await?,
    };
    let Some(id) = found else { return Err(missing()) };
    let looked =
        app.hub.look(id, |session| session.created.as_ref().map(|(created, ..)| created.driver.clone()));
    match looked.await {
        Ok((Some(driver), _)) if driver == MODEL => Ok(id),
        // What is no session of a model is none here.
        Ok(_) | Err(CommandError::Refused(Refused::NotFound { .. } | Refused::Deleted { .. })) => {
            Err(missing())
        }
        Err(error) => Err(error.into()),
    }
}

fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Session not found")
}

/// The name by which clients know a session: their own, if they gave one.
pub(super) fn name(view: &SessionView) -> String {
    let own = view.born.as_ref().filter(|born| born.dialect == DIALECT && !born.name.is_empty());
    own.map_or_else(|| view.id.to_string(), |born| born.name.clone())
}

pub(super) fn shown(view: &SessionView, (servers, connected): (Vec<String>, Vec<String>)) -> Value {
    let mode = view.mode.unwrap_or(Mode::Default);
    let profile = match view.model.as_deref() {
        None => DEFAULT,
        Some(name) if name.starts_with(INLINE) => INLINE_NAME,
        Some(name) => name,
    };
    let running =
        matches!(view.state, SessionState::Running | SessionState::Waiting | SessionState::Stopping);
    json!({
        "session_id": name(view), "id": view.id, "profile": profile, "workspace": view.workspace, "project": view.project,
        "approval_mode": mode.word(), "approval_mode_id": permission::number(mode),
        "created_at": crate::moment::naive(view.created_at),
        "total_turns": view.turns, "total_input_tokens": view.input_tokens, "total_output_tokens": view.output_tokens,
        "history_length": view.remembered, "active": running, "state": view.state.word(), "title": view.title,
        "metadata": view.metadata, "mcp_servers": servers, "mcp_connected": connected,
    })
}

/// All that are not closed, the oldest first.
pub(super) async fn all(app: &App, more: &[(&str, &str)]) -> Result<Vec<SessionView>, Problem> {
    let facets = more.iter().map(|(name, value)| facet(name, *value)).collect();
    let mut find = Find { facets, limit: MAX_FOUND, ..Find::all(RowKind::Session) };
    let mut views: Vec<SessionView> = Vec::new();
    loop {
        let found = app.hub.find(&find, app.hub.pos()).await?;
        let read = found.rows.iter().filter_map(|(_, row)| row.body.as_ref()?.read().ok());
        // Whatever its agent is called: one that is a folder has a name of its own.
        let ours = |view: &SessionView| view.driver == MODEL && view.state != SessionState::Closed;
        views.extend(read.filter(ours));
        find.after = found.next;
        if find.after.is_none() || views.len() >= MAX_LISTED {
            break;
        }
    }
    views.sort_by_key(|view| (view.created_at, view.id));
    Ok(views)
}

pub(super) async fn list(app: &App, asked: &Asked) -> Outcome {
    asked.caller.may_list()?;
    let mut more = Vec::new();
    for name in ["workspace", "project"] {
        if let Some(value) = param(&asked.query, name) {
            more.push((name, value));
        }
    }
    let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let views = all(app, &more).await?;
    let mut sessions = Vec::with_capacity(views.len());
    let hosted: BTreeSet<_> = app.hub.hosted().into_iter().map(|(id, _)| id).collect();
    for view in &views {
        // One whose agent is not kept running is connected to nothing.
        let servers = match hosted.contains(&view.id) {
            true => mcp::used(app, &asked.caller, view.id).await,
            false => Default::default(),
        };
        sessions.push(shown(view, servers));
    }
    Ok(ok(&json!({ "sessions": sessions })))
}

pub(super) async fn show(app: &App, caller: &Caller, id: SessionId) -> Outcome {
    caller.may_read(id)?;
    let view = view(app, id).await?;
    Ok(ok(&shown(&view, mcp::used(app, caller, id).await)))
}

async fn view(app: &App, id: SessionId) -> Result<SessionView, Problem> {
    let (view, _) = app.hub.look(id, trunkline_core::session::Session::view).await?;
    view.ok_or_else(missing)
}

pub(super) async fn create(app: &App, caller: &Caller, body: Body) -> Outcome {
    caller.may_operate()?;
    let body: Create = read(body).await?;
    let mode = match &body.approval_mode {
        None => Mode::ConfirmAll,
        Some(word) => permission::mode_of(word)?,
    };
    let bundle = match &body.agent {
        Some(agent) => Some(bundle(app, agent, body.workspace.as_deref()).await?),
        None => None,
    };
    let named = body.profile.clone().filter(|name| name != DEFAULT);
    let named = named.or_else(|| bundle.as_ref().and_then(|bundle| bundle.profile.clone()));
    let named = named.filter(|_| body.credentials.is_none());
    let profile = named.map(|name| super::profile::find(app, &name)).transpose()?.map(|listed| listed.name);
    let id = take_name(app, caller, body.session_id.as_deref()).await?;
    let workspace = workspace(&app.engine, body.workspace.as_deref(), id).await?;
    let mut servers = body.mcp_servers;
    servers.extend(bundle.iter().flat_map(|bundle| bundle.mcp_servers.iter().flatten().cloned()));
    let agent = bundle.as_ref().map_or_else(|| MODEL.to_owned(), |bundle| bundle.name.clone());
    let words = bundle.and_then(|bundle| bundle.prompt).or(body.system_prompt);
    servers.sort();
    servers.dedup();
    servers.truncate(MAX_SERVERS);
    let metadata = body.metadata.filter(|metadata| !metadata.is_empty());
    let setup = Setup {
        system_prompt: words.map(|words| without_commands(&words)).filter(|words| !words.is_empty()),
        ask_ms: body.permission_timeout.map(|seconds| seconds.saturating_mul(1_000)).or(app.engine.ask_ms),
    };
    let created = Created {
        id,
        driver: MODEL.to_owned(),
        agent,
        argv: Vec::new(),
        project: Some(trunkline_run::workspace::project_root(&workspace)),
        workspace: Some(workspace),
        title: None,
        metadata: metadata.map(|metadata| Raw::of(&metadata).expect("it has string keys only")),
        born: Some(Born {
            dialect: DIALECT.to_owned(),
            name: body.session_id.unwrap_or_default(),
            tenant: None,
        }),
        setup: (setup != Setup::default()).then(|| Box::new(setup)),
        imported: None,
    };
    // A key is taken when nothing else can be wrong, so that none is left without its session.
    let profile = match &body.credentials {
        Some(credentials) => Some(inline(app, caller, credentials).await?),
        None => profile,
    };
    if let Err(error) = app.hub.create(caller, created, None).await {
        if let (Some(profile), true) = (profile, body.credentials.is_some()) {
            app.hub.delete_profile(caller, &profile).await?;
        }
        return Err(error.into());
    }
    let grant = Added::mode(GrantId::new(Uuid::now_v7()), mode);
    app.hub.command(caller, id, Command::Grant(grant), None).await?;
    if let Some(profile) = profile {
        app.hub.command(caller, id, Command::Set(Setting::Model(profile)), None).await?;
    }
    // One that cannot be connected to is told among the session's servers; the session is there all the same.
    let connects = servers.iter().map(|name| app.hub.mcp_connect(caller, id, name));
    for failed in futures_util::future::join_all(connects).await.into_iter().filter_map(Result::err) {
        tracing::debug!(session = %id, error = %failed, "a server that a client has named was not connected to");
    }
    show(app, caller, id).await
}

/// The core id of a session that is to be made. A name that a client gives is its own for ever.
async fn take_name(app: &App, caller: &Caller, name: Option<&str>) -> Result<SessionId, Problem> {
    let id = SessionId::new(Uuid::now_v7());
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(id) };
    let exists = || {
        let detail = format!("the session {name} exists already, or did");
        Problem::new(StatusCode::CONFLICT, "exists", detail).field("session_id")
    };
    if name.parse::<SessionId>().is_ok() {
        return Err(exists());
    }
    let owner = app.hub.claim(caller, DIALECT, name, id).await?;
    if owner == id {
        return Ok(id);
    }
    match app.hub.look(owner, |_| ()).await {
        // Whoever took the name has died before there was a session of it.
        Err(CommandError::Refused(Refused::NotFound { .. })) => Ok(owner),
        Ok(_) | Err(CommandError::Refused(_)) => Err(exists()),
        Err(error) => Err(error.into()),
    }
}

/// The directory that a client means, if it names one.
fn place(settings: &Settings, named: &str) -> Option<PathBuf> {
    let home = named.strip_prefix('~').zip(settings.user_home.as_ref());
    let below = home.filter(|(rest, _)| rest.is_empty() || rest.starts_with('/'));
    let path =
        below.map_or_else(|| PathBuf::from(named), |(rest, home)| home.join(rest.trim_start_matches('/')));
    (!named.trim().is_empty()).then_some(path)
}

/// A directory that exists; one of the session's own, if none is named.
async fn workspace(settings: &Settings, named: Option<&str>, id: SessionId) -> Result<String, Problem> {
    let bad =
        |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad_workspace", detail).field("workspace");
    let given = named.and_then(|path| place(settings, path));
    let make = given.is_none();
    let path = given.unwrap_or_else(|| settings.sessions_dir.join(id.to_string()));
    if !path.is_absolute() {
        return Err(bad(format!("Workspace is not an absolute path: {}", path.display())));
    }
    let shown = path.display().to_string();
    let found = tokio::task::spawn_blocking(move || -> std::io::Result<(PathBuf, bool)> {
        if make {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        }
        let path = path.canonicalize()?;
        let is_dir = path.is_dir();
        Ok((path, is_dir))
    });
    match found.await {
        Ok(Ok((path, true))) => {
            path.into_os_string().into_string().map_err(|_| bad("Workspace is not UTF-8".to_owned()))
        }
        Ok(Ok((_, false))) => Err(bad(format!("Workspace is not a directory: {shown}"))),
        Ok(Err(_)) | Err(_) => Err(bad(format!("Workspace does not exist: {shown}"))),
    }
}

/// The folder that an agent is: its driver reads it again, and keeps to the tools that it names.
async fn bundle(app: &App, agent: &str, workspace: Option<&str>) -> Result<Bundle, Problem> {
    let missing = || {
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("Agent '{agent}' not found")).field("agent")
    };
    let home = app.engine.agents_home.clone().ok_or_else(missing)?;
    let workspace = workspace.and_then(|path| place(&app.engine, path));
    let name = agent.to_owned();
    let find = move || trunkline_run::bundle::find(&home, workspace.as_deref(), &name);
    let found = tokio::task::spawn_blocking(find).await.map_err(|_| missing())?;
    let wrong = |why: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_agent", why).field("agent");
    found.map_err(wrong)?.ok_or_else(missing)
}

/// Nothing in a prompt is carried out: what stands between marks of commands is left out, whoever wrote it.
fn without_commands(text: &str) -> String {
    const OPEN: &str = "<trender";
    const CLOSE: &str = "</trender>";
    const INSTEAD: &str = "[dynamic content removed for security]";
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(OPEN) {
        out.push_str(&rest[..at]);
        out.push_str(INSTEAD);
        rest = rest[at..].find(CLOSE).map_or("", |end| &rest[at + end + CLOSE.len()..]);
    }
    out + rest
}

/// A profile of the credentials that came along. Its key lies where all keys do, and goes with the session.
async fn inline(app: &App, caller: &Caller, credentials: &Value) -> Result<String, Problem> {
    // Read by hand: a reader of types quotes what it finds where it expects something else.
    let wrong = |field: &str| {
        let field = format!("credentials.{field}");
        Problem::invalid(field.clone(), format!("{field} must be a text that is not empty"))
    };
    let text = |field: &'static str| {
        credentials[field].as_str().filter(|text| !text.is_empty()).ok_or_else(|| wrong(field))
    };
    let (key, model) = (text("api_key")?, text("model")?);
    let provider = match credentials.get("provider") {
        None | Some(Value::Null) => Provider::Anthropic,
        Some(Value::String(name)) => super::profile::provider(name, key, "")?,
        Some(_) => return Err(wrong("provider")),
    };
    let base_url = credentials["base_url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned);
    let max_tokens = credentials["max_tokens"].as_u64().and_then(|tokens| u32::try_from(tokens).ok());
    let name = format!("{INLINE}{}", Uuid::now_v7().simple());
    let profile = Profile { base_url, max_tokens, ..Profile::new(provider, model) };
    let secrets = SecretChange { key: Some(Some(Secret::new(key))), headers: Vec::new() };
    super::profile::keep(app, caller, &name, profile, secrets).await?;
    Ok(name)
}

/// The one thing that the original lets be changed is a token of a third product, which there is not here.
pub(super) async fn patch(app: &App, caller: &Caller, id: SessionId, name: &str, body: Body) -> Outcome {
    caller.may_operate()?;
    let _whatever_it_says: Value = read::<serde_json::Map<String, Value>>(body).await?.into();
    view(app, id).await?;
    Ok(done(name))
}

pub(super) async fn delete(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    let model = view(app, id).await?.model;
    app.hub.command(caller, id, Command::Delete, None).await?;
    if let Some(profile) = model.filter(|model| model.starts_with(INLINE)) {
        let gone = app.hub.delete_profile(caller, &profile).await;
        if let Err(error) = gone {
            tracing::warn!(%error, profile, "a profile outlives its session");
        }
    }
    Ok(done(name))
}

pub(super) async fn cancel(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    let command = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: STOP_GRACE_MS };
    match app.hub.command(caller, id, command, None).await {
        Ok(_) | Err(CommandError::Refused(Refused::NotRunning)) => Ok(done(name)),
        Err(error) => Err(error.into()),
    }
}

/// What the original says of whatever went well.
pub(super) fn done(name: &str) -> Response<Body> {
    ok(&json!({ "ok": true, "session_id": name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_a_prompt_are_left_out() {
        let without = "[dynamic content removed for security]";
        assert_eq!(without_commands("a <trender>rm -rf ~</trender> b"), format!("a {without} b"));
        assert_eq!(without_commands("<trender x=1>a</trender><trender>b"), format!("{without}{without}"));
        assert_eq!(without_commands("nothing"), "nothing");
    }
}
