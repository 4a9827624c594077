//! The stream of a session: what was, one `caught-up`, and then what comes.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::HeaderMap;
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

use super::fold::{Detail, Fold, fact_of, last_of};
use super::{Fail, Outcome};
use crate::app::App;
use crate::gate::Pass;
use crate::stream::{self, Ending, Told};

pub(super) async fn attach(app: &App, caller: &Caller, pass: Pass, id: SessionId, parts: &Parts) -> Outcome {
    caller.may_read(id)?;
    let detail = if wants_all(parts.uri.query()) { Detail::All } else { Detail::Blocks };
    let seen = resume(&parts.headers);
    let (from, seen) = place(app, id, seen).await?;
    let follow = app.hub.follow(id, from).await?;
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

/// The last frame that the client has. What is no number of a frame means that it has none.
fn resume(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

/// After which fact to read, and which frames to leave out: the fold of the turn in which the client stopped begins anew.
async fn place(app: &App, id: SessionId, seen: Option<u64>) -> Result<(Seq, Option<u64>), Fail> {
    let Some(seen) = seen else { return Ok((Seq::ZERO, None)) };
    let fact = fact_of(seen);
    let before = Seq(fact.0.saturating_sub(1));
    let page = app.hub.read(id, before, 1).await?;
    // A client that has more than there is has it from another life of the log; it is told what comes from now on.
    if fact > page.head {
        return Ok((page.head, Some(last_of(page.head))));
    }
    let line = page.frames.iter().flat_map(|frame| frame.lines_after(before)).next();
    let event = line.and_then(|(_, line)| Event::from_line(line).ok());
    let turn = event.filter(|event| event.seq == fact).and_then(|event| event.turn);
    Ok((turn.map_or(fact, |turn| turn.0), Some(seen)))
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
    fn only_a_number_says_what_a_client_has() {
        let with = |id: &str| HeaderMap::from_iter([("last-event-id".parse().unwrap(), id.parse().unwrap())]);
        assert_eq!(resume(&HeaderMap::new()), None);
        assert_eq!(resume(&with(" 15 ")), Some(15));
        for other in ["-5", "x", "", "1.5", "99999999999999999999999"] {
            assert_eq!(resume(&with(other)), None, "{other}");
        }
        assert!(wants_all(Some("a=1&deltas=1")) && !wants_all(Some("deltas=0")) && !wants_all(None));
    }
}
