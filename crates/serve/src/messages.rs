//! Messages from agent to agent, and from people to agents: whom they reach, and what came of them.

use axum::Json as Body;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::id::{MessageId, SessionId};
use trunkline_core::principal::{Caller, Scope};
use trunkline_core::row::RowKind;
use trunkline_core::tell::State;
use trunkline_core::view::{SessionState, SessionView};
use trunkline_log::frame::{MAX_FOUND, Query as Find};
use trunkline_run::tell::{Letter, Sent};

use crate::app::{App, Shared, at};
use crate::extract::{Ids, Json, Who};
use crate::problem::{Answer, Problem};

/// How many sessions a problem names.
const MAX_NAMED: usize = 5;
/// How much of an id stands for it.
const LEAST: usize = 6;
/// How alike two names are that may have been mixed up.
const ALIKE: f64 = 0.75;

/// A message to an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tell {
    /// The agent: its session's id, the beginning or the end of it, the session's title, or the agent's name, if only one
    /// session has it.
    to: String,
    /// What it says, at most 256 KiB.
    text: String,
}

/// Where a message stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MessageStatus {
    /// The message.
    id: MessageId,
    /// The session of the agent that it is for.
    to: SessionId,
    /// Where it stands.
    state: State,
}

pub(crate) async fn send(app: Shared, Who(caller): Who, json: Json<Tell>) -> Answer<Response> {
    caller.may_tell()?;
    let Tell { to, text } = json.body;
    let (sent, pos) = tell(&app, &caller, &to, None, text, json.key).await?;
    Ok(at(StatusCode::CREATED, pos, &sent))
}

pub(crate) async fn show(
    app: Shared,
    Who(caller): Who,
    Ids(to, id): Ids<SessionId, MessageId>,
) -> Answer<Body<MessageStatus>> {
    // Whoever knows the id of a message has sent it, or has read it.
    caller.may_tell().or_else(|_| caller.may_read(to))?;
    let (state, _) = app.hub.look(to, move |session| session.message_state(id)).await?;
    let state = state.ok_or_else(|| Problem::not_found("message", &id.to_string()))?;
    Ok(Body(MessageStatus { id, to, state }))
}

/// Sends a message to whoever is meant.
pub(crate) async fn tell(
    app: &App,
    caller: &Caller,
    to: &str,
    from: Option<SessionId>,
    text: String,
    key: Option<(String, String)>,
) -> Answer<(Sent, trunkline_core::id::Pos)> {
    let to = recipient(app, caller, to).await?;
    let letter = Letter { to, from, text, timeout_ms: app.turn_timeout_ms };
    Ok(app.hub.tell(caller, letter, &app.guards, key).await?)
}

/// The session that is meant. An agent finds by name those of its own project.
async fn recipient(app: &App, caller: &Caller, to: &str) -> Answer<SessionId> {
    if let Ok(id) = to.parse() {
        return Ok(id);
    }
    let query = Find { limit: MAX_FOUND, ..Find::all(RowKind::Session) };
    let found = app.hub.find(&query, app.hub.pos()).await?;
    let bodies = found.rows.iter().filter_map(|(_, row)| row.body.as_ref());
    let mut views: Vec<SessionView> = bodies.filter_map(|body| body.read().ok()).collect();
    let standing = app.hub.handoffs().standing(caller).await?;
    let project = standing.and_then(|standing| standing.project);
    let own = match caller.scope {
        Scope::Agent(own) => Some(own),
        Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => None,
    };
    views.retain(|view| {
        let near = own.is_none()
            || (project.is_some() && view.project.as_ref().or(view.workspace.as_ref()) == project.as_ref());
        view.state != SessionState::Closed && own != Some(view.id) && near
    });
    pick(to, &views)
}

fn pick(to: &str, views: &[SessionView]) -> Answer<SessionId> {
    let named = |view: &&SessionView| {
        view.agent.eq_ignore_ascii_case(to)
            || view.title.as_ref().is_some_and(|title| title.eq_ignore_ascii_case(to))
    };
    let by_id = |view: &&SessionView| {
        let id = view.id.to_string();
        to.len() >= LEAST && (id.starts_with(to) || id.ends_with(to))
    };
    let mut found: Vec<_> = views.iter().filter(named).collect();
    if found.is_empty() {
        found = views.iter().filter(by_id).collect();
    }
    match found[..] {
        [one] => Ok(one.id),
        [] => Err(unknown(to, views)),
        _ => {
            let names: Vec<_> = found.iter().take(MAX_NAMED).map(|view| shown(view)).collect();
            let detail = format!(
                "{} sessions are called {}: name one by its id: {}",
                found.len(),
                clean(to),
                names.join("; ")
            );
            Err(Problem::new(StatusCode::CONFLICT, "ambiguous", detail).field("to"))
        }
    }
}

fn unknown(to: &str, views: &[SessionView]) -> Problem {
    let alike = |name: &str| strsim::jaro_winkler(&name.to_lowercase(), &to.to_lowercase());
    let best = |view: &SessionView| alike(&view.agent).max(view.title.as_deref().map_or(0.0, alike));
    let mut near: Vec<_> =
        views.iter().map(|view| (best(view), view)).filter(|(score, _)| *score > ALIKE).collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let near: Vec<_> = near.iter().take(MAX_NAMED).map(|(_, view)| shown(view)).collect();
    let hint = if near.is_empty() {
        "GET /v1/sessions lists them".to_owned()
    } else {
        format!("did you mean {}?", near.join("; "))
    };
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no agent {}; {hint}", clean(to)))
        .field("to")
}

fn shown(view: &SessionView) -> String {
    let title = view.title.as_deref().filter(|title| *title != view.agent);
    let title = title.map(|title| format!(" ({})", clean(title))).unwrap_or_default();
    format!("{}{title} {}", clean(&view.agent), view.id)
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(n: u8, agent: &str, title: &str) -> SessionView {
        let view = json!({
            "id": format!("0190163d-8694-739b-aea5-966c26f8ad{n:02}"), "state": "idle", "agent": agent, "title": title,
            "driver": "acp", "created_at": 1, "created_by": "owner", "updated_at": 1, "queued": 0, "pending": 0, "turns": 0,
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn one_is_meant_or_the_problem_says_who_may_be() {
        let views = [view(10, "claude", "port it"), view(11, "codex", "codex"), view(12, "codex", "review")];
        assert_eq!(pick("Claude", &views).unwrap(), views[0].id);
        assert_eq!(pick("review", &views).unwrap(), views[2].id);
        assert_eq!(pick("26f8ad11", &views).unwrap(), views[1].id);
        let problem = pick("codex", &views).unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), ("ambiguous", Some("to")));
        assert!(
            problem.detail.contains("codex (review) 0190163d-8694-739b-aea5-966c26f8ad12"),
            "{}",
            problem.detail
        );
        let problem = pick("cluade", &views).unwrap_err();
        assert_eq!(problem.code, "not_found");
        assert!(problem.detail.contains("did you mean claude (port it)"), "{}", problem.detail);
        assert!(pick("zzz", &views).unwrap_err().detail.contains("lists them"));
        assert_eq!(pick("10", &views).unwrap_err().code, "not_found", "too short a part of an id");
    }
}
