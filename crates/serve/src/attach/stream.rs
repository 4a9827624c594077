//! The stream of a session: what was, one `caught-up`, and then what comes.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use bytes::Bytes;
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::presence::Joined;
use trunkline_core::principal::Caller;
use trunkline_log::frame::Frame as Stored;
use trunkline_run::hub::Attached;
use trunkline_run::tail::{Follow, Next};

use super::Outcome;
use super::fold::{Detail, Fold, IDS};
use crate::app::App;
use crate::folded::{Place, last_seen};
use crate::gate::Pass;
use crate::stream::{self, Ending, Told};

pub(super) async fn attach(app: &App, caller: &Caller, pass: Pass, id: SessionId, parts: &Parts) -> Outcome {
    caller.may_read(id)?;
    let detail = if wants_all(parts.uri.query()) { Detail::All } else { Detail::Blocks };
    let Place { after, turn, seen } = IDS.place(&app.hub, id, last_seen(&parts.headers)).await?;
    let follow = app.hub.follow(id, turn.map_or(after, |turn| turn.0)).await?;
    let joined = Joined {
        client: app.clients.fetch_add(1, Ordering::Relaxed),
        name: "attach".to_owned(),
        since: None,
    };
    let attached = app.hub.join(caller, id, joined).await?;
    let attach = Attach {
        follow,
        fold: Fold::new(detail, app.base_url.as_str()),
        seen,
        caught_up: false,
        _attached: attached,
    };
    let mut response = stream::answer(stream::body(attach, Ending::new(&app.hub, pass)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    Ok(response)
}

fn wants_all(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "deltas=1"))
}

/// A client: a cursor in the log, and the fold of the turn that it is in.
struct Attach {
    follow: Follow,
    fold: Fold,
    seen: Option<u64>,
    caught_up: bool,
    _attached: Attached,
}

impl Told for Attach {
    type Item = (Seq, Next);
    const SILENCE: (Duration, &'static [u8]) = (Duration::from_secs(20), b": keepalive\n\n");

    async fn next(&mut self) -> Option<Self::Item> {
        let before = self.follow.cursor();
        match self.follow.next().await {
            Ok(next) => Some((before, next)),
            // The client comes back with what it has; by then the store may be well again.
            Err(error) => {
                tracing::error!(%error, "a stream ends: the log cannot be read");
                None
            }
        }
    }

    async fn take(&mut self, (before, next): Self::Item, ready: &mut VecDeque<Bytes>) -> ControlFlow<()> {
        match next {
            Next::Frames(frames) => {
                let told = frames.iter().map(|shown| self.tell(&shown.frame, before));
                ready.extend(told.filter(|told| !told.is_empty()));
            }
            Next::CaughtUp(_) if std::mem::replace(&mut self.caught_up, true) => {}
            Next::CaughtUp(_) => ready.push_back(Bytes::from_static(b"event: caught-up\ndata: {}\n\n")),
            // A kind that the original's clients do not know and pass over.
            Next::Gap(first) => {
                ready.push_back(Bytes::from(format!("data: {{\"kind\": \"gap\", \"first\": {first}}}\n\n")));
            }
            Next::Removed => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

impl Attach {
    /// The frames that the facts of a stored frame complete, of those that the client has not.
    fn tell(&mut self, frame: &Stored, before: Seq) -> Bytes {
        let mut out = String::new();
        for (_, line) in frame.lines_after(before) {
            let Ok(event) = Event::from_line(line) else { continue };
            for frame in self.fold.take(&event) {
                if self.seen.is_none_or(|seen| frame.id > seen) {
                    out.push_str(&format!("id: {}\ndata: {}\n\n", frame.id, frame.line()));
                }
            }
        }
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_told_to_those_who_ask_for_it() {
        assert!(wants_all(Some("a=1&deltas=1")) && !wants_all(Some("deltas=0")) && !wants_all(None));
    }
}
