//! Sessions: register, heartbeat, state, list.

use axum::http::request::Parts;
use serde_json::json;
use trunkline_core::id::SessionId;
use trunkline_core::outside::{Born, MAX_NAME, Report};
use trunkline_core::principal::Caller;
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::{Created, EXTERNAL};
use trunkline_core::view::SessionView;
use trunkline_log::frame::{MAX_FOUND, Query};
use uuid::Uuid;

use super::fields::{Fields, Need};
use super::json::Json;
use super::show::{Clock, STATES, SessionSummary, status};
use super::{Fail, Outcome, answer, parameter};
use crate::app::App;

/// How many sessions a list has at most: those last seen.
const MAX_LISTED: usize = 10_000;
/// The name of this dialect in facts.
pub(crate) const DIALECT: &str = "sessionbus";

pub(crate) async fn register(app: &App, caller: &Caller, body: Json) -> Outcome {
    let mut fields = Fields::of(body);
    let name = fields.text("display_name", Need::Always, 1, Some(MAX_NAME));
    let tenant = fields.text("tenant_id", Need::Never, 0, Some(MAX_NAME));
    let metadata = fields.object("metadata");
    fields.done().map_err(Fail::Wrong)?;
    let name = name.unwrap_or_default();
    let id = SessionId::new(Uuid::now_v7());
    let called = clean(&name);
    let created = Created {
        id,
        driver: EXTERNAL.to_owned(),
        agent: called.clone(),
        argv: Vec::new(),
        workspace: None,
        project: None,
        title: Some(called),
        metadata,
        born: Some(Born { dialect: DIALECT.to_owned(), name, tenant }),
        imported: None,
    };
    app.hub.create(caller, created, None).await?;
    app.hub.report(caller, id, Report::default()).await?;
    Ok(answer(&json!({ "session_id": id })))
}

pub(crate) async fn heartbeat(app: &App, caller: &Caller, id: &str, body: Json) -> Outcome {
    let mut fields = Fields::of(body);
    let state = fields.choice("state", Need::Never, &STATES);
    let metadata = fields.object("metadata");
    fields.done().map_err(Fail::Wrong)?;
    report(app, caller, id, Report { status: state.and_then(status), metadata }).await
}

pub(crate) async fn state(app: &App, caller: &Caller, id: &str, body: Json) -> Outcome {
    let mut fields = Fields::of(body);
    let state = fields.choice("state", Need::Always, &STATES);
    fields.done().map_err(Fail::Wrong)?;
    report(app, caller, id, Report { status: state.and_then(status), metadata: None }).await
}

async fn report(app: &App, caller: &Caller, id: &str, report: Report) -> Outcome {
    let id = session(id)?;
    app.hub.report(caller, id, report).await?;
    let (view, _) = app.hub.look(id, trunkline_core::session::Session::view).await?;
    let view = view.ok_or(Fail::Missing("Session not found"))?;
    let seen = app.hub.seen(id).await?;
    Ok(answer(&clock(app).session(view, seen)))
}

pub(crate) async fn list(app: &App, caller: &Caller, parts: &Parts) -> Outcome {
    let limit = super::limit(parts, MAX_LISTED)?;
    Ok(answer(&all(app, caller, parameter(parts, "tenant_id"), limit).await?))
}

/// Sessions, the one last seen first.
pub(crate) async fn all(
    app: &App,
    caller: &Caller,
    tenant: Option<String>,
    limit: usize,
) -> Result<Vec<SessionSummary>, Fail> {
    caller.may_list()?;
    let facets: Vec<_> = tenant.map(|tenant| facet("tenant", tenant)).into_iter().collect();
    let mut query = Query { facets, limit: MAX_FOUND, ..Query::all(RowKind::Session) };
    let mut views: Vec<SessionView> = Vec::new();
    loop {
        let found = app.hub.find(&query, app.hub.pos()).await?;
        views.extend(found.rows.iter().filter_map(|(_, row)| row.body.as_ref()?.read().ok()));
        match found.next.filter(|_| views.len() < MAX_LISTED) {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let seen = app.hub.all_seen(MAX_LISTED).await?;
    let seen = |view: &SessionView| seen.get(&view.id).copied();
    let rank = |view: &SessionView| (Clock::last_seen(view, seen(view)), view.created_at, view.id);
    views.sort_by_cached_key(|view| std::cmp::Reverse(rank(view)));
    views.truncate(limit);
    let clock = clock(app);
    let shown = views.into_iter().map(|view| {
        let seen = seen(&view);
        clock.session(view, seen)
    });
    Ok(shown.collect())
}

/// An id that is not one of ours names nothing.
pub(crate) fn session(id: &str) -> Result<SessionId, Fail> {
    id.parse().map_err(|_| Fail::Missing("Session not found"))
}

fn clock(app: &App) -> Clock {
    let now = app.hub.now();
    let alive = i64::try_from(app.started.elapsed().as_millis()).unwrap_or(i64::MAX);
    Clock { now, started: trunkline_core::time::Time(now.0.saturating_sub(alive)) }
}

/// A name without what would break a line or a terminal.
fn clean(name: &str) -> String {
    let text: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.trim() {
        "" => "agent".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_for_other_clients() {
        assert_eq!(clean(" my\nagent\u{7}"), "my agent");
        assert_eq!(clean(" \n"), "agent");
    }
}
