//! Lists. A client of the original asks for nothing and gets the whole list; one that knows of pages asks for one with
//! `limit` and `cursor`, and finds the next in the header `Link`. A page costs a page, however long the list is.

use std::collections::VecDeque;

use axum::http::HeaderValue;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use trunkline_core::row::{Row, RowKind};
use trunkline_log::frame::{Cursor, MAX_FOUND, Query};

use super::fields::{Wrong, whole};
use super::json::Json;
use super::{Fail, Reply, answer, parameter};
use crate::app::{App, read_cursor, show_cursor};

/// How many items a list has at most, if the caller does not want fewer.
pub(crate) const MAX_LISTED: usize = 10_000;
/// How many bytes of rows a list has at most, and the row that goes beyond.
const MAX_BYTES: usize = 64 << 20;

/// Which part of a list.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) limit: usize,
    after: Option<Cursor>,
}

/// A part of a list, and where it goes on.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    next: Option<Cursor>,
}

impl Part {
    /// From the beginning.
    pub(crate) const fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }

    /// What a caller asks for.
    pub(crate) fn of(parts: &Parts) -> Result<Self, Fail> {
        let most = MAX_LISTED as u64;
        let limit = whole("limit", parameter(parts, "limit").as_deref(), most, most).map_err(Fail::Wrong)?;
        let after = parameter(parts, "cursor").map(|given| {
            let says = "Value error, cursor must be one that a Link header gave";
            read_cursor(&given).map_err(|_| {
                Fail::Wrong(vec![Wrong::new("value_error", &["query", "cursor"], says, Json::Text(given))])
            })
        });
        Ok(Self { limit: usize::try_from(limit).unwrap_or(MAX_LISTED), after: after.transpose()? })
    }
}

impl<T> Page<T> {
    /// The same page with other items.
    pub(crate) fn map<U>(self, change: impl FnOnce(Vec<T>) -> Vec<U>) -> Page<U> {
        Page { items: change(self.items), next: self.next }
    }

    /// The list as the original gives it, with a header that tells the next page, if there is one.
    pub(crate) fn answer<S: Serialize>(self, parts: &Parts, show: impl FnMut(T) -> S) -> Reply {
        let mut reply = answer(&self.items.into_iter().map(show).collect::<Vec<_>>());
        if let Some(next) = self.next {
            let query = parts.uri.query().unwrap_or("");
            let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
            let cursor = format!("cursor={}", show_cursor(&next));
            let query = kept.chain([cursor.as_str()]).collect::<Vec<_>>().join("&");
            let link = format!("<{}?{query}>; rel=\"next\"", parts.uri.path());
            reply.next = HeaderValue::from_str(&link).ok();
        }
        reply
    }
}

/// A part of the rows that have all facets of any of these sets, in the order of their rank.
pub(crate) async fn rows<T: DeserializeOwned>(
    app: &App,
    kind: RowKind,
    sets: Vec<Vec<String>>,
    part: &Part,
) -> Result<Page<T>, Fail> {
    let mut lists: Vec<_> = sets.into_iter().map(|facets| List::of(kind, facets, part)).collect();
    let mut page = Page { items: Vec::new(), next: None };
    let (mut taken, mut bytes) = (0, 0);
    loop {
        let mut first: Option<(Cursor, usize)> = None;
        for (at, list) in lists.iter_mut().enumerate() {
            let Some(row) = list.front(app).await? else { continue };
            if first.as_ref().is_none_or(|(place, _)| (row.rank, &row.key) < (place.rank, &place.key)) {
                first = Some((Cursor::of(row), at));
            }
        }
        let Some((place, at)) = first else { return Ok(Page { next: None, ..page }) };
        if taken >= part.limit || bytes >= MAX_BYTES {
            return Ok(page);
        }
        let body = lists[at].rows.pop_front().and_then(|row| row.body);
        taken += 1;
        bytes += body.as_ref().map_or(0, |body| body.get().len());
        page.items.extend(body.and_then(|body| body.read::<T>().ok()));
        page.next = Some(place);
    }
}

/// The rows of one set of facets, read as they are needed.
struct List {
    query: Query,
    rows: VecDeque<Row>,
    ended: bool,
}

impl List {
    fn of(kind: RowKind, facets: Vec<String>, part: &Part) -> Self {
        // One more than wanted tells whether there is a next page.
        let limit = part.limit.saturating_add(1).min(MAX_FOUND);
        let query = Query { facets, limit, after: part.after.clone(), ..Query::all(kind) };
        Self { query, rows: VecDeque::new(), ended: false }
    }

    async fn front(&mut self, app: &App) -> Result<Option<&Row>, Fail> {
        if self.rows.is_empty() && !self.ended {
            let found = app.hub.find(&self.query, app.hub.pos()).await?;
            self.rows = found.rows.into_iter().map(|(_, row)| row).collect();
            self.ended = found.next.is_none();
            self.query.after = found.next;
        }
        Ok(self.rows.front())
    }
}
