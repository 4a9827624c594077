//! `handoff_save` and `handoff_resume`: an agent leaves its work for another, and another takes it over.

use axum::http::StatusCode;
use serde_json::{Value, json};
use trunkline_core::handoff::{HandoffId, HandoffView, Saved, Updated, Whole, prompt};
use trunkline_core::id::SessionId;
use trunkline_core::outside::MCP;
use trunkline_core::principal::Scope;
use trunkline_core::raw::Raw;
use trunkline_core::session::Session;
use trunkline_run::handoff::Filter;

use super::arguments::Arguments;
use super::wait::Call;
use super::{hub, place};
use crate::sessionbus::{Fail, Reply};

/// How many of the newest handoffs are looked through for one that can be taken over.
const LOOKED_THROUGH: usize = 50;

/// The session in whose name a handoff is saved.
struct From {
    session: SessionId,
    agent: String,
    project: Option<String>,
    born: bool,
}

pub(crate) async fn save(call: &Call<'_>, arguments: &Arguments) -> Result<Reply, Fail> {
    let handoffs = call.app.hub.handoffs();
    let caller = &call.who.caller;
    let key = call.key.as_deref().map(hub::key);
    let (id, pos) = match arguments.maybe("handoff_id") {
        Some(id) => {
            let id = parse(id)?;
            let done = handoffs.update(caller, &id, changed(arguments), key).await?;
            (id, done.pos)
        }
        None => {
            let saved = saved(&from(call, arguments).await?, call, arguments);
            handoffs.save(caller, saved, key).await?
        }
    };
    if let Some(snapshot) = arguments.any("checkpoint") {
        let from = from(call, arguments).await?;
        handoffs.checkpoint(caller, &id, None, from.agent, raw(snapshot), None).await?;
    }
    let view = handoffs.get(&id, pos).await?.ok_or(Fail::Missing("Handoff not found"))?;
    Ok(Reply::of(&view))
}

pub(crate) async fn resume(call: &Call<'_>, arguments: &Arguments) -> Result<Reply, Fail> {
    let id = match arguments.maybe("handoff_id") {
        Some(id) => parse(id)?,
        None => newest(call, arguments).await?.id,
    };
    let whole = read(call, &id).await?;
    let prompt = prompt(&whole);
    Ok(Reply::of(&json!({ "handoff_id": id, "prompt": prompt, "handoff": whole.handoff })))
}

/// The newest handoff that somebody else has left.
async fn newest(call: &Call<'_>, arguments: &Arguments) -> Result<HandoffView, Fail> {
    let handoffs = call.app.hub.handoffs();
    let agent = arguments.maybe("agent").map(str::to_owned);
    let standing = handoffs.standing(&call.who.caller).await?;
    let own = match &standing {
        Some(standing) => standing.project.clone(),
        None => place::workspace(call.parts).map(|path| trunkline_run::workspace::project_root(&path)),
    };
    let repo = arguments.maybe("repo").map(str::to_owned).or(own);
    if repo.is_none() && agent.is_none() {
        let why = "which work? Give handoff_id, repo or agent";
        return Err(Fail::Says(StatusCode::UNPROCESSABLE_ENTITY, why.to_owned()));
    }
    let filter = Filter { agent, repo, ..Filter::default() };
    let found = handoffs.find(&filter, None, LOOKED_THROUGH, call.app.hub.pos()).await?;
    let mine =
        |view: &HandoffView| standing.as_ref().is_some_and(|standing| view.session == Some(standing.session));
    let left = found.items.into_iter().find(|view| {
        view.is_left() && !mine(view) && view.may_be_read_by(&call.who.caller, standing.as_ref()).is_ok()
    });
    left.ok_or(Fail::Missing("Nobody has left any work here that is not completed"))
}

async fn read(call: &Call<'_>, id: &HandoffId) -> Result<Whole, Fail> {
    let handoffs = call.app.hub.handoffs();
    let standing = handoffs.standing(&call.who.caller).await?;
    let whole = handoffs.whole(id, 1).await?;
    whole.handoff.may_be_read_by(&call.who.caller, standing.as_ref()).map_err(Fail::from)?;
    Ok(whole)
}

async fn from(call: &Call<'_>, arguments: &Arguments) -> Result<From, Fail> {
    let Call { app, who, .. } = call;
    let session = place::find(app, who, arguments.maybe("session_id"), call.parts, call.context).await?;
    let known = move |state: &Session| {
        let (created, ..) = state.created.as_ref()?;
        let project = created.project.clone().or_else(|| created.workspace.clone());
        Some(From { session, agent: created.agent.clone(), project, born: created.born.is_some() })
    };
    let (from, _) = app.hub.look(session, known).await?;
    let from = from.ok_or(Fail::Missing("Session not found"))?;
    if who.caller.scope == Scope::Local && !from.born {
        let why = "a handoff of this session is saved by its agent, or with a token";
        return Err(Fail::Says(StatusCode::FORBIDDEN, why.to_owned()));
    }
    Ok(from)
}

fn saved(from: &From, call: &Call<'_>, arguments: &Arguments) -> Saved {
    let local = call.who.caller.scope == Scope::Local;
    // The id is made when it is saved.
    let plain = Saved::of(HandoffId::made(0), from.agent.clone());
    let texts = |name: &str, default: Raw| arguments.texts(name).map_or(default, |texts| raw(&json!(texts)));
    Saved {
        repo: arguments.maybe("repo").map(str::to_owned).or_else(|| from.project.clone()),
        status: arguments.maybe("status").map_or(plain.status, str::to_owned),
        task_summary: Some(arguments.text("summary").to_owned()),
        decisions: texts("decisions", plain.decisions),
        files_touched: texts("files", plain.files_touched),
        todos: texts("todos", plain.todos),
        session: Some(from.session),
        born: local.then(|| MCP.to_owned()),
        ..plain
    }
}

fn changed(arguments: &Arguments) -> Updated {
    let texts = |name: &str| arguments.texts(name).map(|texts| raw(&json!(texts)));
    Updated {
        status: arguments.maybe("status").map(str::to_owned),
        task_summary: Some(Some(arguments.text("summary").to_owned())),
        repo: arguments.maybe("repo").map(|repo| Some(repo.to_owned())),
        decisions: texts("decisions"),
        files_touched: texts("files"),
        todos: texts("todos"),
        ..Updated::default()
    }
}

fn raw(value: &Value) -> Raw {
    Raw::of(value).expect("JSON has a JSON form")
}

fn parse(id: &str) -> Result<HandoffId, Fail> {
    id.parse().map_err(|_| Fail::Missing("Handoff not found"))
}
