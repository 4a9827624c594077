//! The stream of events: requests that were made, answered and dismissed.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::principal::Caller;
use trunkline_core::row::RowKind;
use trunkline_log::LogError;
use trunkline_log::frame::Change;
use trunkline_run::Hub;

use super::show::priority_word;
use super::{Fail, json_answer, parameter};
use crate::app::App;
use crate::gate::Pass;
use crate::moment::zoned;
use crate::stream::{self, Ending, KEEP_ALIVE, Told};

pub(crate) fn stream(app: &Arc<App>, caller: &Caller, pass: Pass, parts: &Parts) -> Result<Response, Fail> {
    caller.may_list()?;
    let changes = Changes {
        changes: app.hub.changes(app.hub.pos()),
        hub: app.hub.clone(),
        sessions: parameter(parts, "sessions").is_some(),
    };
    let mut response = json_answer(StatusCode::OK, stream::body(changes, Ending::new(&app.hub, pass)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    Ok(response)
}

/// What changes, from a place in the store's tail on.
struct Changes {
    hub: Hub,
    changes: BoxStream<'static, Result<Change, LogError>>,
    /// Whether its reader wants to know of sessions too, by events that have a name of their own.
    sessions: bool,
}

impl Told for Changes {
    type Item = Change;
    const SILENCE: (Duration, &'static [u8]) = (KEEP_ALIVE, b"event: ping\ndata: {}\n\n");

    async fn next(&mut self) -> Option<Change> {
        loop {
            match self.changes.next().await? {
                Ok(change) => return Some(change),
                // What is missing is told by nobody; the pages of the dialect load everything anew at each event.
                Err(LogError::Gap { .. }) => {}
                Err(error) => {
                    tracing::error!(%error, "a stream of events ends: the store cannot be read");
                    return None;
                }
            }
        }
    }

    async fn take(&mut self, change: Change, ready: &mut VecDeque<Bytes>) -> ControlFlow<()> {
        let Some(session) = change.log.as_session() else { return ControlFlow::Continue(()) };
        if change.rows.iter().any(|row| row.kind == RowKind::Request) {
            // The rows tell what requests are now; what happened to them stands in the frame.
            let before = Seq(change.head.0.saturating_sub(1));
            match self.hub.read(session, before, 1).await {
                Ok(page) => {
                    let events =
                        page.frames.first().and_then(|frame| frame.events().ok()).unwrap_or_default();
                    ready.extend(events.iter().filter_map(|event| tell(session, event)));
                }
                Err(error) => tracing::debug!(%session, %error, "an event is not told"),
            }
        }
        if self.sessions && change.rows.iter().any(|row| row.kind == RowKind::Session) {
            let told = format!("event: session\ndata: {{\"session_id\": \"{session}\"}}\n\n");
            ready.push_back(Bytes::from(told));
        }
        ControlFlow::Continue(())
    }
}

/// What the original tells of an event.
fn tell(session: SessionId, event: &Event) -> Option<Bytes> {
    let (name, id, more) = match &event.fact {
        Fact::RequestOpened(asked) => {
            let more = format!(", \"priority\": \"{}\"", priority_word(asked.priority));
            ("request.created", asked.id, more)
        }
        Fact::RequestClosed(closed) if closed.answer.is_some() => {
            ("request.answered", closed.id, String::new())
        }
        Fact::RequestClosed(closed) => ("request.dismissed", closed.id, String::new()),
        Fact::RequestDismissed(dismissed) => ("request.dismissed", dismissed.id, String::new()),
        _ => return None,
    };
    let sent = zoned(event.at);
    Some(Bytes::from(format!(
        "data: {{\"event\": \"{name}\", \"payload\": {{\"request_id\": \"{id}\", \"session_id\": \"{session}\"{more}}}, \
         \"sent_at\": \"{sent}\"}}\n\n"
    )))
}
