//! The agents that there are: every session that takes work, and whoever takes part on the bus.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Pos, Seq, SessionId};
use trunkline_core::principal::Caller;
use trunkline_core::registry::{Entry, Registry};
use trunkline_core::row::RowKind;
use trunkline_core::time::Time;
use trunkline_core::view::{SessionState, SessionView};
use trunkline_log::frame::{MAX_FOUND, Query as Find};
use trunkline_wire::acp::UpdateView;

use super::{Asked, Outcome, ok, param, read};
use crate::app::App;
use crate::problem::Problem;

/// How many sessions are agents here: those that something moved last.
const MAX_AGENTS: usize = 1_000;
/// How many lines of output are given.
const MAX_LINES: usize = 1_000;
/// How many facts of a log are looked at for its last lines.
const MAX_LOOKED: u64 = 2_000;
/// How much of a log is read at once.
const PAGE: usize = 1 << 20;

/// An agent of a session; `None` of one that takes no more work, or of which nobody has heard for long.
pub(super) fn of_session(view: &SessionView) -> Option<Value> {
    let state = match view.state {
        SessionState::Running | SessionState::Stopping => "working",
        SessionState::Waiting => "waiting",
        SessionState::Idle => "idle",
        SessionState::Failed => "error",
        SessionState::Closed => return None,
    };
    if view.unseen {
        return None;
    }
    let id = view.id.to_string();
    let task = view.title.as_deref().filter(|_| matches!(state, "working" | "waiting")).map(plain);
    Some(json!({
        "agent_id": id, "identity": format!("{}-{}", plain(&view.agent), &id[id.len() - 6..]), "kind": "session",
        "project": view.project, "workspace": view.workspace, "state": state, "current_task": task,
        "started_at": seconds(view.created_at), "last_heartbeat": seconds(view.updated_at), "capabilities": [],
        "is_coordinator": false, "alive": true,
    }))
}

/// An agent of the registry; `None` of one that may not be counted on.
pub(super) fn of_registry(entry: &Entry, now: Time) -> Option<Value> {
    entry.is_present(now).then(|| {
        let capabilities: Vec<_> = entry.capabilities.iter().map(|one| plain(one)).collect();
        let name = plain(&entry.agent);
        json!({
            "agent_id": format!("bus:{name}"), "identity": name, "kind": "bus", "project": null, "state": "registered",
            "current_task": null, "started_at": seconds(entry.first_seen), "last_heartbeat": seconds(entry.last_seen),
            "capabilities": capabilities, "is_coordinator": false, "alive": true,
        })
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits")]
fn seconds(time: Time) -> f64 {
    time.0 as f64 / 1000.0
}

/// A text that is a text in a page too: the original client writes it there as it comes.
fn plain(text: &str) -> String {
    let other = |c: char| match c {
        '<' => '‹',
        '>' => '›',
        '"' => '”',
        '&' => '＆',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(other).take(200).collect()
}

/// All agents by their ids, and how far the store had come.
pub(super) async fn all(app: &App) -> Result<(BTreeMap<String, Value>, Pos), Problem> {
    let find = Find { limit: MAX_FOUND.min(MAX_AGENTS), ..Find::all(RowKind::Session) };
    let found = app.hub.find(&find, app.hub.pos()).await?;
    let views = found.rows.iter().filter_map(|(_, row)| row.body.as_ref()?.read::<SessionView>().ok());
    let mut agents: Vec<Value> = views.filter_map(|view| of_session(&view)).collect();
    agents.extend(registered(app).await?);
    let keyed =
        agents.into_iter().map(|agent| (agent["agent_id"].as_str().unwrap_or_default().to_owned(), agent));
    Ok((keyed.collect(), found.pos))
}

/// Those who take part on the bus.
pub(super) async fn registered(app: &App) -> Result<Vec<Value>, Problem> {
    let look =
        |registry: &Registry, now| registry.all().filter_map(|entry| of_registry(entry, now)).collect();
    Ok(app.hub.look_registry(look).await?)
}

pub(super) async fn list(app: &App, caller: &Caller) -> Outcome {
    caller.may_list()?;
    let (agents, _) = all(app).await?;
    let agents: Vec<_> = agents.into_values().collect();
    Ok(ok(&json!({ "count": agents.len(), "agents": agents })))
}

async fn find(app: &App, id: &str) -> Result<Value, Problem> {
    let missing = || {
        let detail = format!("Agent '{}' not found", plain(id));
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    };
    if let Ok(session) = id.parse::<SessionId>() {
        let (view, _) =
            app.hub.look(session, trunkline_core::session::Session::view).await.map_err(|_| missing())?;
        return view.as_ref().and_then(of_session).ok_or_else(missing);
    }
    let id = String::from_utf8_lossy(&crate::sessionbus::unescape(id.as_bytes(), false)).into_owned();
    registered(app).await?.into_iter().find(|agent| agent["agent_id"] == id.as_str()).ok_or_else(missing)
}

pub(super) async fn show(app: &App, asked: &Asked, id: &str) -> Outcome {
    asked.caller.may_list()?;
    let mut body = json!({ "agent": find(app, id).await? });
    if param(&asked.query, "ping").as_deref() == Some("true") {
        body["socket_alive"] = true.into();
    }
    Ok(ok(&body))
}

pub(super) async fn status(app: &App, caller: &Caller, id: &str) -> Outcome {
    caller.may_list()?;
    let agent = find(app, id).await?;
    Ok(ok(&json!({ "agent_id": agent["agent_id"], "status": agent })))
}

/// The last lines of what an agent said.
pub(super) async fn output(app: &App, asked: &Asked, id: &str) -> Outcome {
    asked.caller.may_list()?;
    let wrong = || Problem::invalid("lines", format!("lines must be 1 to {MAX_LINES}"));
    let lines = match param(&asked.query, "lines") {
        None => 100,
        Some(text) => text.parse().ok().filter(|lines| (1..=MAX_LINES).contains(lines)).ok_or_else(wrong)?,
    };
    let agent = find(app, id).await?;
    let text = match id.parse::<SessionId>() {
        Ok(session) => said(app, session).await?,
        Err(_) => String::new(),
    };
    let all: Vec<_> = text.lines().collect();
    let last = all[all.len().saturating_sub(lines)..].join("\n");
    Ok(ok(&json!({ "agent_id": agent["agent_id"], "output": last })))
}

async fn said(app: &App, session: SessionId) -> Result<String, Problem> {
    let head = app.hub.follow(session, Seq(u64::MAX)).await?.head();
    let mut after = Seq(head.0.saturating_sub(MAX_LOOKED));
    let mut text = String::new();
    loop {
        let page = app.hub.read(session, after, PAGE).await?;
        for frame in &page.frames {
            for (_, line) in frame.lines_after(after) {
                let Ok(Event { fact: Fact::TurnUpdate(update), .. }) = Event::from_line(line) else {
                    continue;
                };
                let view = UpdateView::of(update.update.as_raw());
                if view.kind() == "agent_message_chunk" {
                    text.push_str(view.text().as_deref().unwrap_or_default());
                } else if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
            }
        }
        match page.frames.last() {
            Some(last) if page.more => after = last.last,
            Some(_) | None => return Ok(text),
        }
    }
}

#[derive(Deserialize)]
struct Tell {
    target: String,
    content: String,
    #[serde(default = "from_api")]
    from_identity: String,
}

fn from_api() -> String {
    "api".to_owned()
}

/// Writes to an agent by its identity or id, or to all that can be written to.
pub(super) async fn tell(app: &App, caller: &Caller, body: Body) -> Outcome {
    caller.may_tell()?;
    let Tell { target, content, from_identity } = read(body).await?;
    let (agents, _) = all(app).await?;
    let everybody = matches!(target.as_str(), "*" | "all" | "everyone" | "broadcast");
    let is_meant = |agent: &&Value| {
        agent["kind"] == "session"
            && (everybody || agent["identity"] == target.as_str() || agent["agent_id"] == target.as_str())
    };
    let text = format!("[from {}] {content}", plain(&from_identity));
    let mut delivered = Vec::new();
    let mut refused = None;
    for agent in agents.values().filter(is_meant) {
        let id = agent["agent_id"].as_str().unwrap_or_default();
        match crate::messages::tell(app, caller, id, None, text.clone(), None).await {
            Ok(_) => delivered.push(agent["identity"].clone()),
            Err(problem) => refused = Some(problem),
        }
    }
    if delivered.is_empty() {
        let why = refused.map_or_else(
            || "agent offline or socket unavailable".to_owned(),
            |problem| problem.detail.clone(),
        );
        let detail = format!("Could not deliver message to '{}' ({why})", plain(&target));
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_delivered", detail));
    }
    Ok(ok(&json!({ "ok": true, "target": target, "delivered": true, "recipients": delivered })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_says_of_itself_is_text_in_a_page() {
        assert_eq!(plain("<img src=\"x\" onerror=a&b>\n"), "‹img src=”x” onerror=a＆b› ");
        assert_eq!(plain("plain text"), "plain text");
    }
}
