//! The log of a session: pages of JSON, or a stream that replays and then waits.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::presence::Joined;
use trunkline_core::principal::Caller;
use trunkline_run::hub::Attached;
use trunkline_run::tail::{Encoding, Follow, Next};

use crate::app::{App, Shared};
use crate::extract::{AT, Id, Query, Who};
use crate::gate::Pass;
use crate::problem::{Answer, Problem};
use crate::stream::{self, Bye, Ending, Told};

/// How many bytes of events a page has at most; at least one event is given if there is one.
const PAGE_BYTES: usize = 4 << 20;

/// A page of a log.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used: pages are written from the lines as they are kept")]
#[schemars(rename = "EventPage")]
pub(crate) struct Events {
    /// The events.
    items: Vec<Event>,
    /// The oldest event that is kept.
    first: Seq,
    /// The last event of the log.
    head: Seq,
    /// Whether there are events behind this page.
    more: bool,
    /// Whether events between the cursor and `first` are gone.
    gap: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    after: Option<String>,
    limit: Option<usize>,
    client: Option<String>,
}

pub(crate) async fn events(
    app: Shared,
    Who(caller): Who,
    pass: Pass,
    headers: HeaderMap,
    Id(id): Id<SessionId>,
    Query(which): Query<Which>,
) -> Answer<Response> {
    caller.may_read(id)?;
    let after = cursor(&headers, which.after.as_deref())?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if accept.contains("text/event-stream") {
        let name = which.client.unwrap_or_else(|| "stream".to_owned());
        let ending = Ending::new(&app.hub, pass);
        return follow(&app, &caller, ending, (id, after), name).await;
    }
    page(&app, id, after, which.limit).await
}

/// Where a reader stands. `Last-Event-ID` is what a client sends when it comes back, so it counts more.
pub(crate) fn cursor(headers: &HeaderMap, after: Option<&str>) -> Answer<Seq> {
    let given = match headers.get("last-event-id") {
        Some(value) => value.to_str().ok(),
        None => after.or(Some("0")),
    };
    let seq = given.map(str::trim).and_then(|text| text.parse().ok()).map(Seq);
    seq.ok_or_else(|| {
        let detail = "after and Last-Event-ID must be the number of an event";
        Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", detail).field("after")
    })
}

async fn page(app: &App, id: SessionId, after: Seq, limit: Option<usize>) -> Answer<Response> {
    let limit = limit.unwrap_or(1_000);
    if !(1..=10_000).contains(&limit) {
        return Err(Problem::invalid("limit", "limit must be 1 to 10000"));
    }
    let page = app.hub.read(id, after, PAGE_BYTES).await?;
    if page.head == Seq::ZERO {
        return Err(Problem::not_found("session", &id.to_string()));
    }
    let mut body = String::from("{\"items\":[");
    let mut last = after;
    let lines = page.frames.iter().flat_map(|frame| frame.lines_after(after));
    for (n, (seq, line)) in lines.take(limit).enumerate() {
        if n > 0 {
            body.push(',');
        }
        body.push_str(&stream::show(line));
        last = seq;
    }
    let more = last < page.head && last > after;
    let gap = after.plus(1) < page.first;
    let (first, head) = (page.first, page.head);
    body.push_str(&format!("],\"first\":{first},\"head\":{head},\"more\":{more},\"gap\":{gap}}}"));
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    let pos = HeaderValue::from_str(&app.hub.pos().to_string()).expect("digits fit a header");
    response.headers_mut().insert(AT, pos);
    Ok(response)
}

async fn follow(
    app: &App,
    caller: &Caller,
    ending: Ending,
    (id, after): (SessionId, Seq),
    name: String,
) -> Answer<Response> {
    let follow = app.hub.follow(id, after).await?;
    let joined = Joined { client: app.clients.fetch_add(1, Ordering::Relaxed), name, since: None };
    let attached = app.hub.join(caller, id, joined).await?;
    Ok(stream::answer(lines(follow, ending, Some(attached))))
}

/// A log as a stream of events, for as long as it lasts.
pub(crate) fn lines(follow: Follow, ending: Ending, attached: Option<Attached>) -> Body {
    stream::body(Log { follow, _attached: attached }, ending)
}

/// The log of a session from a cursor on.
struct Log {
    follow: Follow,
    _attached: Option<Attached>,
}

impl Told for Log {
    type Item = (Seq, Next);

    async fn next(&mut self) -> Option<Self::Item> {
        let before = self.follow.cursor();
        match self.follow.next().await {
            Ok(next) => Some((before, next)),
            // The client comes back with its cursor; by then the store may be well again.
            Err(error) => {
                tracing::error!(%error, "a stream ends: the log cannot be read");
                None
            }
        }
    }

    async fn take(&mut self, (before, next): Self::Item, ready: &mut VecDeque<Bytes>) -> ControlFlow<()> {
        match next {
            Next::Frames(frames) => {
                ready.extend(frames.iter().map(|shown| {
                    if shown.frame.first() > before {
                        shown.encoded(Encoding::Stream, stream::encode)
                    } else {
                        stream::encode_after(&shown.frame, before)
                    }
                }));
            }
            Next::CaughtUp(head) => {
                ready.push_back(stream::named("caught-up", None, &format!("{{\"head\":{head}}}")));
            }
            Next::Gap(first) => {
                ready.push_back(stream::named("gap", None, &format!("{{\"first\":{first}}}")));
            }
            Next::Removed => {
                ready.push_back(stream::named("deleted", None, "{}"));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn bye(why: Bye) -> Option<Bytes> {
        Some(stream::bye(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_event_id_counts_more_than_after() {
        let mut headers = HeaderMap::new();
        assert_eq!(cursor(&headers, None).unwrap(), Seq(0));
        assert_eq!(cursor(&headers, Some("7")).unwrap(), Seq(7));
        headers.insert("last-event-id", "9".parse().unwrap());
        assert_eq!(cursor(&headers, Some("7")).unwrap(), Seq(9));
        for bad in ["-1", "x", "1.5", ""] {
            headers.insert("last-event-id", bad.parse().unwrap());
            assert_eq!(cursor(&headers, None).unwrap_err().code, "bad_cursor", "{bad}");
        }
    }
}
