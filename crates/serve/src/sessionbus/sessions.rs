//! Sessions: register, heartbeat, state, list.

use std::cmp::Reverse;

use axum::http::request::Parts;
use serde_json::json;
use trunkline_core::id::SessionId;
use trunkline_core::outside::{Born, MAX_NAME, Report, SESSIONBUS};
use trunkline_core::principal::Caller;
use trunkline_core::row::{RowKind, facet};
use trunkline_core::view::SessionView;
use uuid::Uuid;

use super::fields::{Fields, Need};
use super::json::Json;
use super::list::{self, MAX_LISTED, Page, Part};
use super::show::{Clock, STATES, SessionSummary, status};
use super::{Fail, Outcome, answer, parameter};
use crate::app::App;

pub(crate) async fn register(app: &App, caller: &Caller, body: Json) -> Outcome {
    let mut fields = Fields::of(body);
    let name = fields.text("display_name", Need::Always, 1, Some(MAX_NAME));
    let tenant = fields.text("tenant_id", Need::Never, 0, Some(MAX_NAME));
    let metadata = fields.object("metadata");
    fields.done().map_err(Fail::Wrong)?;
    let id = SessionId::new(Uuid::now_v7());
    let born = Born { dialect: SESSIONBUS.to_owned(), name: name.unwrap_or_default(), tenant };
    let created = born.session(id, metadata);
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
    show(app, id).await
}

/// One session.
pub(crate) async fn show(app: &App, id: SessionId) -> Outcome {
    let (view, _) = app.hub.look(id, trunkline_core::session::Session::view).await?;
    let view = view.ok_or(Fail::Missing("Session not found"))?;
    let seen = app.hub.seen(id).await?;
    Ok(answer(&clock(app).session(view, seen)))
}

pub(crate) async fn list(app: &App, caller: &Caller, parts: &Parts) -> Outcome {
    let page = all(app, caller, parameter(parts, "tenant_id"), &Part::of(parts)?).await?;
    Ok(page.answer(parts, |summary| summary))
}

/// All that a list may have.
pub(crate) async fn every(app: &App, caller: &Caller) -> Outcome {
    Ok(answer(&all(app, caller, None, &Part::first(MAX_LISTED)).await?.items))
}

/// How many there are in such a list.
pub(crate) async fn count(app: &App, caller: &Caller) -> Result<usize, Fail> {
    Ok(all(app, caller, None, &Part::first(MAX_LISTED)).await?.items.len())
}

/// Sessions. Pages go by what changed last; within one the session last seen stands first.
pub(crate) async fn all(
    app: &App,
    caller: &Caller,
    tenant: Option<String>,
    part: &Part,
) -> Result<Page<SessionSummary>, Fail> {
    caller.may_list()?;
    let facets: Vec<_> = tenant.map(|tenant| facet("tenant", tenant)).into_iter().collect();
    let page: Page<SessionView> = list::rows(app, RowKind::Session, vec![facets], part).await?;
    let mut seen = Vec::with_capacity(page.items.len());
    for view in &page.items {
        seen.push(app.hub.seen(view.id).await?);
    }
    let (clock, mut seen) = (clock(app), seen.into_iter());
    let page = page.map(|views| {
        let mut known: Vec<_> = views.into_iter().zip(seen.by_ref()).collect();
        let rank =
            |(view, seen): &(SessionView, _)| (Clock::last_seen(view, *seen), view.created_at, view.id);
        known.sort_by_cached_key(|known| Reverse(rank(known)));
        known.into_iter().map(|(view, seen)| clock.session(view, seen)).collect()
    });
    Ok(page)
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
