//! Modes, answers, and what was allowed for good.
//!
//! An answer that reaches further than once is a standing permission like any other: it counts everywhere, is listed, can be
//! taken back, and covers nothing of high risk.

use axum::body::Body;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use trunkline_core::call::Call;
use trunkline_core::event::Fact;
use trunkline_core::grant::{Added, Grant, Mode, ProjectCommand, Scope};
use trunkline_core::id::{GrantId, RequestId, SessionId};
use trunkline_core::pattern::Pattern;
use trunkline_core::principal::Caller;
use trunkline_core::request::{Answer, Kind, Open, OptionKind};
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::{Command, Session};
use trunkline_core::view::{RequestStatus, RequestView};
use trunkline_log::frame::{MAX_FOUND, Query as Find};
use trunkline_run::CommandError;
use trunkline_wire::acp::UpdateView;
use trunkline_wire::engine;
use uuid::Uuid;

use super::fold::Given;
use super::{Outcome, ok, read};
use crate::app::App;
use crate::problem::Problem;

/// How many requests are counted.
const MAX_COUNTED: usize = 10_000;
const MODES: [Mode; 4] = [Mode::Default, Mode::ConfirmAll, Mode::AutoApproveEdits, Mode::TrustAll];

/// The engine's number of a mode.
pub(super) fn number(mode: Mode) -> usize {
    MODES.iter().position(|one| *one == mode).map_or(1, |at| at + 1)
}

/// The mode of a word.
pub(super) fn mode_of(word: &str) -> Result<Mode, Problem> {
    let valid = "Valid: confirm_all, default, auto_approve_edits, trust_all";
    let unknown =
        || Problem::new(StatusCode::BAD_REQUEST, "unknown_mode", format!("Unknown mode '{word}'. {valid}"));
    MODES.into_iter().find(|mode| mode.word() == word).ok_or_else(unknown)
}

#[derive(Deserialize)]
struct Decision {
    tool_id: String,
    decision: String,
    #[serde(default)]
    scope: Reach,
}

/// How far an answer reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reach {
    #[default]
    Once,
    Session,
    Project,
    AlwaysEdits,
    TrustTool,
}

/// What is asked of a person, as far as an answer needs it.
struct Pending {
    id: RequestId,
    allow: Option<String>,
    deny: Option<String>,
    call: Call,
    project: Option<String>,
}

pub(super) async fn answer(app: &App, caller: &Caller, id: SessionId, body: Body) -> Outcome {
    caller.may_operate()?;
    let Decision { tool_id, decision, scope } = read(body).await?;
    let approve = match decision.as_str() {
        "approve" => true,
        "deny" => false,
        _ => {
            let detail = "decision must be 'approve' or 'deny'";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_decision", detail).field("decision"));
        }
    };
    let wanted = tool_id.clone();
    let (found, _) = app.hub.look(id, move |session| pending(session, &wanted)).await?;
    let missing = || {
        let detail = format!("No pending permission for tool_id '{}'", engine::tool_id(&tool_id));
        Problem::new(StatusCode::NOT_FOUND, "no_pending_permission", detail).field("tool_id")
    };
    let found = found.ok_or_else(missing)?;
    let mut rules = Vec::new();
    let mut answered = false;
    if approve && scope != Reach::Once {
        let grants = grants(scope, &found)?;
        rules.extend(grants.iter().map(|added| Given::of(added).rule().to_owned()));
        answered = give(app, caller, id, found.id, grants).await?;
    }
    let option = if approve { &found.allow } else { &found.deny };
    let option = option.clone().ok_or_else(missing)?;
    if !answered {
        // The prompt has shown the risk, which is what is confirmed.
        let given = Answer { option: Some(option), confirm: true, ..Answer::default() };
        app.hub.command(caller, id, Command::Answer(found.id, given), None).await?;
    }
    Ok(ok(
        &json!({ "ok": true, "tool_id": tool_id, "decision": decision, "request": found.id, "rules": rules }),
    ))
}

/// Gives standing permissions, and says whether they have answered the request on which they were given.
async fn give(
    app: &App,
    caller: &Caller,
    id: SessionId,
    request: RequestId,
    grants: Vec<Added>,
) -> Result<bool, Problem> {
    let mut answered = false;
    for added in grants {
        if added.scope == Some(Scope::Project) {
            app.hub.grant_project(caller, ProjectCommand::Add(added)).await?;
        } else {
            let done = app.hub.command(caller, id, Command::Grant(added), None).await?;
            answered |= done.events.iter().any(|event| match &event.fact {
                Fact::RequestClosed(closed) => closed.id == request,
                _ => false,
            });
        }
    }
    if !answered {
        // Those of a project are in force by now, and may have answered it.
        let open = app.hub.look(id, move |session| session.requests.open.contains_key(&request)).await?.0;
        answered = !open;
    }
    Ok(answered)
}

/// The standing permissions that an answer of this reach gives.
fn grants(reach: Reach, found: &Pending) -> Result<Vec<Added>, Problem> {
    let new = || GrantId::new(Uuid::now_v7());
    let told = |added: Added| Added { request: Some(found.id), ..added };
    let tool = || found.call.tool.clone();
    let unclear = || {
        let detail = "no rule can say what this call does; allow it once";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_rule", detail).field("scope")
    };
    let patterns = || Pattern::like(&found.call).ok_or_else(unclear);
    match reach {
        Reach::Once => Ok(Vec::new()),
        Reach::Session => {
            let grant = |pattern: Pattern| told(Added::pattern(new(), pattern.to_string()));
            Ok(patterns()?.into_iter().map(grant).collect())
        }
        Reach::Project => {
            let project = found.project.clone().ok_or_else(unclear)?;
            let grant = |pattern: Pattern| {
                let (scope, project) = (Some(Scope::Project), Some(project.clone()));
                told(Added { scope, project, ..Added::pattern(new(), pattern.to_string()) })
            };
            Ok(patterns()?.into_iter().map(grant).collect())
        }
        Reach::AlwaysEdits => Ok(vec![told(Added { scope: Some(Scope::Edits), ..Added::tool(new(), "") })]),
        Reach::TrustTool => {
            let tool = tool().ok_or_else(unclear)?;
            // All commands are no tool: the kind of them is what a rule can name.
            let added = if engine::tool_type(&tool) == "terminal" {
                Added::pattern(new(), "shell")
            } else {
                Added { scope: Some(Scope::Tool), ..Added::tool(new(), tool) }
            };
            Ok(vec![told(added)])
        }
    }
}

fn pending(session: &Session, tool_id: &str) -> Option<Pending> {
    let (created, ..) = session.created.as_ref()?;
    let is_meant = |open: &&Open| {
        let call = open.asked.tool_call.as_ref().and_then(|call| {
            let id = UpdateView::of(call.as_raw()).tool_call_id()?;
            Some(engine::tool_id(&id))
        });
        open.asked.kind == Kind::Permission && call.unwrap_or_else(|| open.asked.id.to_string()) == tool_id
    };
    let open = session.requests.open.values().find(is_meant)?;
    let option = |fits: fn(OptionKind) -> bool, first: OptionKind| {
        let all = &open.asked.options;
        let choice = all
            .iter()
            .find(|choice| choice.kind == first)
            .or_else(|| all.iter().find(|choice| fits(choice.kind)));
        choice.map(|choice| choice.id.clone())
    };
    Some(Pending {
        id: open.asked.id,
        allow: option(OptionKind::allows, OptionKind::AllowOnce),
        deny: option(OptionKind::rejects, OptionKind::RejectOnce),
        call: Call::of(&open.asked, created.workspace.as_deref()),
        project: created.project.clone(),
    })
}

pub(super) async fn show(app: &App, caller: &Caller, id: SessionId, name: &str) -> Outcome {
    caller.may_read(id)?;
    let (seen, _) = app.hub.look(id, seen).await?;
    let of_project = match seen.project {
        Some(project) => app.hub.project_grants(Some(project)).await?,
        None => Vec::new(),
    };
    let mode = seen.mode.unwrap_or(Mode::Default);
    let approvals: Vec<_> = seen
        .grants
        .iter()
        .chain(&of_project)
        .filter(|grant| grant.added.mode.is_none())
        .map(approval)
        .collect();
    Ok(ok(&json!({
        "session_id": name, "approval_mode": mode.word(), "approval_mode_id": number(mode), "confined": seen.confined,
        "pending": seen.pending, "stats": stats(app, id).await?, "approvals": approvals,
    })))
}

struct Seen {
    mode: Option<Mode>,
    confined: bool,
    project: Option<String>,
    pending: Vec<String>,
    grants: Vec<Grant>,
}

fn seen(session: &Session) -> Seen {
    let asks = session.requests.pending().filter(|open| open.asked.kind == Kind::Permission);
    let id = |open: &Open| {
        let call = open.asked.tool_call.as_ref().map(|call| UpdateView::of(call.as_raw()));
        let id = call.and_then(|view| view.tool_call_id().map(|id| engine::tool_id(&id)));
        id.unwrap_or_else(|| open.asked.id.to_string())
    };
    Seen {
        mode: session.grants.mode(),
        confined: session.agent.is_confined(),
        project: session.created.as_ref().and_then(|(created, ..)| created.project.clone()),
        pending: asks.map(id).collect(),
        grants: session.grants.all.values().cloned().collect(),
    }
}

fn approval(grant: &Grant) -> Value {
    let given = Given::of(&grant.added);
    json!({ "id": grant.added.id, "scope": given.scope(), "rule": given.rule(), "by": grant.by, "at": grant.at.0, "expires": grant.added.expires.map(|time| time.0) })
}

/// What came of the permissions that were asked so far.
async fn stats(app: &App, id: SessionId) -> Result<Value, Problem> {
    let (mut total, mut auto, mut user, mut denied) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut find =
        Find { facets: vec![facet("session", id)], limit: MAX_FOUND, ..Find::all(RowKind::Request) };
    let mut left = MAX_COUNTED;
    loop {
        let found = app.hub.find(&find, app.hub.pos()).await?;
        let views = found.rows.iter().filter_map(|(_, row)| row.body.as_ref()?.read::<RequestView>().ok());
        for view in views.filter(|view| view.kind == Kind::Permission) {
            total += 1;
            let option = view.closed.as_ref().and_then(|closed| closed.answer.as_ref()?.option.as_deref());
            let allows =
                view.options.iter().any(|choice| Some(choice.id.as_str()) == option && choice.kind.allows());
            match view.status {
                // Where a rule answers, there is none by which a person was asked.
                RequestStatus::Answered if allows && view.rule.is_none() => auto += 1,
                RequestStatus::Answered if allows => user += 1,
                RequestStatus::Answered | RequestStatus::Expired => denied += 1,
                RequestStatus::Open
                | RequestStatus::Dismissed
                | RequestStatus::Cancelled
                | RequestStatus::Superseded => {}
            }
        }
        find.after = found.next;
        left = left.saturating_sub(found.rows.len());
        if find.after.is_none() || left == 0 {
            return Ok(json!({
                "total_checks": total, "auto_approved": auto, "user_approved": user, "denied": denied, "blocked": 0,
            }));
        }
    }
}

#[derive(Deserialize)]
struct SetMode {
    mode: String,
}

/// Sets the mode. What waits and is covered by it goes on.
pub(super) async fn mode(app: &App, caller: &Caller, id: SessionId, body: Body) -> Outcome {
    caller.may_operate()?;
    let SetMode { mode } = read(body).await?;
    let grant = Added::mode(GrantId::new(Uuid::now_v7()), mode_of(&mode)?);
    app.hub.command(caller, id, Command::Grant(grant), None).await?;
    Ok(ok(&json!({ "ok": true, "mode": mode })))
}

/// Takes a standing permission back, of the session or of its project.
pub(super) async fn revoke(app: &App, caller: &Caller, id: SessionId, grant: &str) -> Outcome {
    caller.may_operate()?;
    let missing = || Problem::not_found("approval", &grant.chars().take(80).collect::<String>());
    let grant: GrantId = grant.parse().map_err(|_| missing())?;
    let ((own, project), _) = app
        .hub
        .look(id, move |session| {
            let project = session.created.as_ref().and_then(|(created, ..)| created.project.clone());
            (session.grants.all.contains_key(&grant), project)
        })
        .await?;
    if own {
        app.hub.command(caller, id, Command::Revoke(grant), None).await?;
    } else {
        let of_project = match project {
            Some(project) => app.hub.project_grants(Some(project)).await?,
            None => Vec::new(),
        };
        if !of_project.iter().any(|one| one.added.id == grant) {
            return Err(missing());
        }
        let revoked: Result<_, CommandError> =
            app.hub.grant_project(caller, ProjectCommand::Revoke(grant)).await;
        revoked?;
    }
    Ok(ok(&json!({ "ok": true, "id": grant })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_a_word_and_a_number() {
        let all = ["default", "confirm_all", "auto_approve_edits", "trust_all"]
            .map(|word| number(mode_of(word).unwrap()));
        assert_eq!(all, [1, 2, 3, 4]);
        assert!(mode_of("yolo").unwrap_err().detail.contains("Unknown mode 'yolo'"));
    }
}
