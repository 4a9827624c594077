//! What handlers share.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use trunkline_core::id::{LogId, Pos};
use trunkline_core::raw::Raw;
use trunkline_core::row::RowKind;
use trunkline_log::frame::{Cursor, Query as Find};
use trunkline_run::Hub;
use trunkline_run::catalog::Catalog;
use trunkline_run::pools::Pools;
use trunkline_run::sandbox::Sandbox;
use trunkline_run::search::Transcripts;

use crate::auth::Auth;
use crate::extract::AT;
use crate::gate::Allowed;
use crate::problem::{Answer, Problem};

/// What handlers share.
pub(crate) struct App {
    pub(crate) hub: Hub,
    pub(crate) auth: Auth,
    pub(crate) links: Arc<trunkline_run::notify::link::Links>,
    pub(crate) push: trunkline_run::notify::push::Push,
    pub(crate) allowed: Allowed,
    /// The certificate, if TLS is spoken.
    pub(crate) tls: Option<Arc<trunkline_run::tls::Tls>>,
    pub(crate) catalog: Arc<Catalog>,
    /// How agents are confined.
    pub(crate) sandbox: Sandbox,
    /// What was said in sessions.
    pub(crate) transcripts: Transcripts,
    pub(crate) pools: Pools,
    pub(crate) actions: trunkline_run::operator::Actions,
    /// The URL of the page, as the owner would type it.
    pub(crate) base_url: String,
    /// Where other machines find the daemon, if that is known.
    pub(crate) outside: Option<String>,
    /// How much agents may write to each other.
    pub(crate) guards: trunkline_core::tell::Guards,
    /// How long a turn may run if its prompt does not say.
    pub(crate) turn_timeout_ms: Option<u64>,
    pub(crate) started: tokio::time::Instant,
    /// Who may use the dialect of the original human-input hub.
    pub(crate) sessionbus: crate::sessionbus::Access,
    /// Who may use the dialect of the original agent bus.
    pub(crate) engram: crate::engram::Access,
    /// The dialect of attachable sessions.
    pub(crate) attach: crate::attach::Settings,
    /// The dialect of the original engine of model turns.
    pub(crate) engine: crate::engine::Settings,
    /// Numbers the clients that attach.
    pub(crate) clients: std::sync::atomic::AtomicU64,
    /// What runs beside the answers, and ends before the server does.
    pub(crate) tasks: tokio_util::task::TaskTracker,
    /// Cancelled when somebody asks the daemon to stop.
    pub(crate) stop_asked: tokio_util::sync::CancellationToken,
}

/// The state handlers take.
pub(crate) type Shared = axum::extract::State<Arc<App>>;

/// A JSON answer that tells how far the store has come.
pub(crate) fn at(status: StatusCode, pos: Pos, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    mark(&mut response, pos);
    response
}

/// An answer without a body that tells how far the store has come.
pub(crate) fn nothing(pos: Pos) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    mark(&mut response, pos);
    response
}

fn mark(response: &mut Response, pos: Pos) {
    let value = HeaderValue::from_str(&pos.to_string()).expect("digits fit a header");
    response.headers_mut().insert(HeaderName::from_static(AT), value);
}

impl App {
    /// The body of one row, and the log it belongs to.
    pub(crate) async fn row(&self, kind: RowKind, key: &str, at: Pos) -> Answer<Option<(LogId, Raw)>> {
        let found = self.hub.find(&Find::one(kind, key), at).await?;
        let row = found.rows.into_iter().next();
        Ok(row.and_then(|(log, row)| Some((log, row.body?))))
    }
}

/// A page of a list whose rows are views of one kind.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(crate) struct Page<T> {
    /// The items.
    #[schemars(with = "Vec<T>")]
    items: Vec<Raw>,
    /// The cursor of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How far the store had come: `after` of the feed.
    at: Pos,
    #[serde(skip)]
    of: PhantomData<T>,
}

/// Which part of a list: `limit` and `cursor` as they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<String>,
}

impl App {
    /// A page of rows that have all of these facets, from a view that has reached `pos`.
    pub(crate) async fn page<T>(
        &self,
        kind: RowKind,
        facets: Vec<String>,
        part: Part,
        pos: Pos,
    ) -> Answer<Response> {
        let after = part.cursor.as_deref().map(read_cursor).transpose()?;
        let query = Find { facets, after, limit: limit(part.limit)?, ..Find::all(kind) };
        let found = self.hub.find(&query, pos).await?;
        let page = Page::<T> {
            items: found.rows.into_iter().filter_map(|(_, row)| row.body).collect(),
            next: found.next.as_ref().map(show_cursor),
            at: found.pos,
            of: PhantomData,
        };
        Ok(at(StatusCode::OK, found.pos, &page))
    }
}

/// A cursor as callers hold it: opaque to them.
pub(crate) fn show_cursor(cursor: &Cursor) -> String {
    format!("{}.{}.{}", cursor.rank.0, cursor.rank.1, cursor.key)
}

/// A cursor as it came back.
pub(crate) fn read_cursor(text: &str) -> Answer<Cursor> {
    let mut parts = text.splitn(3, '.');
    let mut number = || parts.next().and_then(|part| part.parse::<i64>().ok());
    let rank = (number(), number());
    match (rank, parts.next()) {
        ((Some(major), Some(minor)), Some(key)) if !key.is_empty() && key.len() <= 400 => {
            Ok(Cursor { rank: (major, minor), key: key.to_owned() })
        }
        _ => Err(Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", "this is not a cursor the daemon gave")
            .field("cursor")),
    }
}

/// The number of items asked for: 1 to 200, 50 if not said.
pub(crate) fn limit(asked: Option<usize>) -> Answer<usize> {
    match asked {
        None => Ok(50),
        Some(limit @ 1..=200) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", "limit must be 1 to 200")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went() {
        let cursor = Cursor { rank: (-1_732_000_000_000, 3), key: "a.b-c".into() };
        assert_eq!(read_cursor(&show_cursor(&cursor)).unwrap(), cursor);
        for bad in ["", "1", "1.2", "1.2.", "x.2.key", "1.2.3.4x".repeat(200).as_str()] {
            assert_eq!(read_cursor(bad).unwrap_err().code, "bad_cursor", "{bad}");
        }
    }
}
