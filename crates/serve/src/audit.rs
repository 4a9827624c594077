//! The audit: who allowed what, from where, seeing what.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::audit::chain::Head;
use trunkline_core::audit::{Deed, Record};
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::raw::Raw;
use trunkline_core::row::{RowKind, facet};
use trunkline_core::time::Time;
use trunkline_log::frame::Query as Find;
use trunkline_run::audit::Entry;

use crate::app::{Part, Shared, at, limit, read_cursor, show_cursor};
use crate::extract::{Query, Who};
use crate::problem::{Answer, Problem};

/// How many bytes of records are read at a time.
const BYTES: usize = 1 << 20;

/// Which records.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    session: Option<SessionId>,
    principal: Option<String>,
    kind: Option<String>,
    since: Option<Time>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Which part of the chain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<u64>,
}

/// A record with its place in the chain.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub(crate) struct Item {
    /// Its number.
    n: Seq,
    /// When it was recorded.
    at: Time,
    /// The hash of the record before it.
    prev: String,
    /// Its own: SHA-256 of `trunkline audit 1`, the number, `prev` and the record's bytes, joined by line ends.
    hash: String,
    /// The record.
    #[schemars(with = "Record")]
    record: Raw,
}

/// Records of the audit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditPage")]
pub(crate) struct Records {
    /// The records.
    items: Vec<Item>,
    /// The cursor of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The newest record of all.
    head: Head,
}

impl From<Entry> for Item {
    fn from(Entry { n, at, recorded }: Entry) -> Self {
        Self { n, at, prev: recorded.prev, hash: recorded.hash, record: recorded.record }
    }
}

/// Records, newest first.
pub(crate) async fn list(app: Shared, Who(caller): Who, Query(filter): Query<Filter>) -> Answer<Response> {
    caller.may_administer()?;
    let Filter { session, principal, kind, since, limit: most, cursor } = filter;
    if let Some(kind) = kind.as_deref().filter(|kind| !Deed::KINDS.contains(kind)) {
        let kinds = Deed::KINDS.join(", ");
        return Err(Problem::invalid("kind", format!("kind {kind:?} is none of {kinds}")));
    }
    let facets = [
        session.map(|id| facet("session", id)),
        principal.map(|name| facet("principal", name)),
        kind.map(|kind| facet("kind", kind)),
    ];
    let part = Part { limit: most, cursor };
    let find = Find {
        facets: facets.into_iter().flatten().collect(),
        after: part.cursor.as_deref().map(read_cursor).transpose()?,
        limit: limit(part.limit)?,
        ..Find::all(RowKind::Audit)
    };
    let head = app.hub.audit_head().await?;
    let found = app.hub.find(&find, app.hub.pos()).await?;
    let mut page = Records { items: Vec::new(), next: found.next.as_ref().map(show_cursor), head };
    for (_, row) in &found.rows {
        let Some(entry) = entry(&app, &row.key).await? else { continue };
        if since.is_some_and(|since| entry.at < since) {
            // Those behind it were recorded earlier still.
            page.next = None;
            break;
        }
        page.items.push(entry.into());
    }
    Ok(at(StatusCode::OK, app.hub.pos(), &page))
}

/// The chain, oldest first: what is needed to verify it.
pub(crate) async fn chain(app: Shared, Who(caller): Who, Query(part): Query<After>) -> Answer<Response> {
    caller.may_administer()?;
    let head = app.hub.audit_head().await?;
    let entries = app.hub.audit_after(Seq(part.after.unwrap_or(0)), BYTES).await?;
    let items: Vec<Item> = entries.into_iter().map(Item::from).collect();
    let next = items.last().filter(|item| item.n < head.n).map(|item| item.n.to_string());
    Ok(at(StatusCode::OK, app.hub.pos(), &Records { items, next, head }))
}

/// The record of this number.
async fn entry(app: &Shared, n: &str) -> Answer<Option<Entry>> {
    let Some(before) = n.parse::<u64>().ok().and_then(|n| n.checked_sub(1)) else { return Ok(None) };
    let entries = app.hub.audit_after(Seq(before), 1).await?;
    Ok(entries.into_iter().next())
}
