//! Handoffs, which the original calls sessions, with their lanes and checkpoints.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use trunkline_core::handoff::{
    CheckpointId, CheckpointView, HandoffId, HandoffView, LaneId, LaneView, Saved, Updated,
};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_log::frame::{Cursor, MAX_FOUND};
use trunkline_run::handoff::{Filter, Part};
use trunkline_run::{CommandError, Hub};
use trunkline_wire::engram::{Filled, Handoff, Reply, ascii};

use crate::moment::zoned_micros;

/// The agents that a request names.
pub(super) fn named(handoff: &Handoff) -> Vec<Arc<str>> {
    let names = match handoff {
        Handoff::Save { agent_id, .. } | Handoff::Checkpoint { agent_id, .. } => vec![agent_id],
        Handoff::OpenLane { from_agent, to_agent, .. } => vec![from_agent, to_agent],
        Handoff::Get { .. }
        | Handoff::List { .. }
        | Handoff::Update { .. }
        | Handoff::GetLane { .. }
        | Handoff::ListLanes { .. }
        | Handoff::CloseLane { .. }
        | Handoff::ListCheckpoints { .. } => Vec::new(),
    };
    names.into_iter().map(|name| name.as_str().into()).collect()
}

/// Does what a request asks for.
pub(super) async fn answer(
    hub: &Hub,
    caller: &Caller,
    handoff: Handoff,
    reply: Reply,
) -> Result<Reply, CommandError> {
    let (handoffs, pos) = (hub.handoffs(), hub.pos());
    Ok(match handoff {
        Handoff::Save { agent_id, filled } => {
            let (id, _) = handoffs.save(caller, saved(agent_id, filled)?, None).await?;
            reply.text("session_id", id.as_str())
        }
        Handoff::Update { session_id, filled } => {
            let id = handoff_id(&session_id)?;
            if filled.is_empty() {
                // Nothing changes, and that it is there is still to be told.
                handoffs.whole(&id, 0).await?;
            } else {
                handoffs.update(caller, &id, updated(filled), None).await?;
            }
            reply
        }
        Handoff::Get { session_id, agent_id, repo } => {
            let found = match (session_id, agent_id, repo) {
                (Some(id), ..) => match id.parse() {
                    Ok(id) => handoffs.get(&id, pos).await?,
                    // What can be no id is not there.
                    Err(_) => None,
                },
                (None, None, None) => None,
                (None, agent, repo) => {
                    let filter = Filter { agent, repo, ..Filter::default() };
                    handoffs.find(&filter, None, 1, pos).await?.items.pop()
                }
            };
            reply.written("session", |out| maybe(out, found.as_ref(), session))
        }
        Handoff::List { agent_id, status, repo } => {
            let filter = Filter { agent: agent_id, status, repo, ..Filter::default() };
            let all = all(|after| handoffs.find(&filter, after, MAX_FOUND, pos).boxed()).await?;
            reply.list("sessions", &all, session)
        }
        Handoff::OpenLane { session_id, from_agent, to_agent, context } => {
            let id = handoff_id(&session_id)?;
            let context = Raw::from(context);
            let (lane, _) = handoffs.open_lane(caller, &id, from_agent, to_agent, context, None).await?;
            reply.text("lane_id", lane.as_str())
        }
        Handoff::GetLane { lane_id } => {
            let found = match lane_id.parse() {
                Ok(id) => handoffs.lane(&id, pos).await?,
                Err(_) => None,
            };
            reply.written("lane", |out| maybe(out, found.as_ref(), lane))
        }
        Handoff::ListLanes { session_id } => {
            let id = session_id.as_deref().map(handoff_id).transpose()?;
            let all = all(|after| handoffs.lanes(id.as_ref(), after, MAX_FOUND, pos).boxed()).await?;
            reply.list("lanes", &all, lane)
        }
        Handoff::CloseLane { lane_id } => {
            let id = own_lane(&lane_id)?;
            let missing = || Refused::not_found("lane", &lane_id);
            let found = handoffs.lane(&id, pos).await?.ok_or_else(missing)?;
            handoffs.close_lane(caller, &found.handoff, id, None).await?;
            reply
        }
        Handoff::Checkpoint { session_id, agent_id, snapshot, lane_id } => {
            let lane = lane_id.as_deref().map(own_lane).transpose()?;
            let id = handoff_id(&session_id)?;
            let snapshot = Raw::from(snapshot);
            let (kept, _) = handoffs.checkpoint(caller, &id, lane, agent_id, snapshot, None).await?;
            reply.text("checkpoint_id", CheckpointId::as_str(&kept))
        }
        Handoff::ListCheckpoints { session_id, lane_id } => {
            let id = session_id.as_deref().map(handoff_id).transpose()?;
            let of = lane_id.as_deref().map(own_lane).transpose()?;
            let part = |after| handoffs.checkpoints(id.as_ref(), of.as_ref(), after, MAX_FOUND, pos).boxed();
            reply.list("checkpoints", &all(part).await?, checkpoint)
        }
    })
}

/// A list from end to end.
async fn all<'a, T>(
    part: impl Fn(Option<Cursor>) -> BoxFuture<'a, Result<Part<T>, CommandError>>,
) -> Result<Vec<T>, CommandError> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let part = part(after).await?;
        items.extend(part.items);
        after = part.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

fn handoff_id(text: &str) -> Result<HandoffId, Refused> {
    text.parse().map_err(|_| Refused::not_found("handoff", text))
}

fn own_lane(text: &str) -> Result<LaneId, Refused> {
    text.parse().map_err(|_| Refused::not_found("lane", text))
}

fn saved(agent_id: String, filled: Filled) -> Result<Saved, Refused> {
    let id = "new".parse().map_err(|_| Refused::invalid("id", "must be a name"))?;
    let Filled { status, task_summary, repo, decisions, files_touched, todos, metadata } = filled;
    let plain = Saved::of(id, agent_id);
    let raw = |given: Option<Box<serde_json::value::RawValue>>, plain| given.map_or(plain, Raw::from);
    Ok(Saved {
        status: status.unwrap_or_else(|| plain.status.clone()),
        task_summary: task_summary.flatten(),
        repo: repo.flatten(),
        decisions: raw(decisions, plain.decisions.clone()),
        files_touched: raw(files_touched, plain.files_touched.clone()),
        todos: raw(todos, plain.todos.clone()),
        metadata: raw(metadata, plain.metadata.clone()),
        born: Some("engram".to_owned()),
        ..plain
    })
}

fn updated(filled: Filled) -> Updated {
    let Filled { status, task_summary, repo, decisions, files_touched, todos, metadata } = filled;
    Updated {
        status,
        task_summary,
        repo,
        decisions: decisions.map(Raw::from),
        files_touched: files_touched.map(Raw::from),
        todos: todos.map(Raw::from),
        metadata: metadata.map(Raw::from),
        ..Updated::default()
    }
}

fn maybe<T>(out: &mut String, found: Option<&T>, write: impl FnOnce(&mut String, &T)) {
    match found {
        Some(found) => write(out, found),
        None => out.push_str("null"),
    }
}

fn session(out: &mut String, view: &HandoffView) {
    let members = [
        ("id", text(Some(view.id.as_str()))),
        ("agent_id", text(Some(&view.agent_id))),
        ("repo", text(view.repo.as_deref())),
        ("status", text(Some(&view.status))),
        ("task_summary", text(view.task_summary.as_deref())),
        ("decisions", view.decisions.get().to_owned()),
        ("files_touched", view.files_touched.get().to_owned()),
        ("todos", view.todos.get().to_owned()),
        ("metadata", view.metadata.get().to_owned()),
        ("created", text(Some(&zoned_micros(view.created.0)))),
        ("updated", text(Some(&zoned_micros(view.updated.0)))),
    ];
    object(out, &members);
}

fn lane(out: &mut String, view: &LaneView) {
    let members = [
        ("id", text(Some(view.id.as_str()))),
        ("session_id", text(Some(view.handoff.as_str()))),
        ("from_agent", text(Some(&view.from_agent))),
        ("to_agent", text(Some(&view.to_agent))),
        ("status", text(Some(view.status.word()))),
        ("context", view.context.get().to_owned()),
        ("created", text(Some(&zoned_micros(view.created.0)))),
        ("updated", text(Some(&zoned_micros(view.updated.0)))),
    ];
    object(out, &members);
}

fn checkpoint(out: &mut String, view: &CheckpointView) {
    let members = [
        ("id", text(Some(view.id.as_str()))),
        ("session_id", text(Some(view.handoff.as_str()))),
        ("lane_id", text(view.lane.as_ref().map(LaneId::as_str))),
        ("agent_id", text(Some(&view.agent_id))),
        ("snapshot", view.snapshot.get().to_owned()),
        ("created", text(Some(&zoned_micros(view.created.0)))),
    ];
    object(out, &members);
}

fn text(text: Option<&str>) -> String {
    serde_json::to_string(&text).unwrap_or_default()
}

fn object(out: &mut String, members: &[(&str, String)]) {
    for (n, (name, json)) in members.iter().enumerate() {
        *out += &format!("{}\"{name}\": ", if n == 0 { "{" } else { ", " });
        ascii(out, json);
    }
    out.push('}');
}
