//! The feed: one stream of all lists, and of the logs of chosen sessions. Browsers allow six connections to a host; a page
//! needs this one.

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{BoxStream, SelectAll, select_all, unfold};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use trunkline_core::id::{Pos, Seq, SessionId};
use trunkline_core::presence::Joined;
use trunkline_core::refused::Refused;
use trunkline_core::row::{Row, RowKind};
use trunkline_log::LogError;
use trunkline_log::frame::Change;
use trunkline_run::hub::Attached;
use trunkline_run::tail::{Follow, Next, Shown};
use trunkline_run::{CommandError, Hub};

use crate::app::Shared;
use crate::extract::{Query, Who};
use crate::gate::Pass;
use crate::problem::{Answer, Problem};
use crate::stream::{self, Ending, KEEP_ALIVE};

/// How many logs one feed may follow.
const MAX_SESSIONS: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    after: Option<String>,
    sessions: Option<String>,
    client: Option<String>,
}

pub(crate) async fn feed(
    app: Shared,
    Who(caller): Who,
    pass: Pass,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Answer<Response> {
    caller.may_list()?;
    let after = place(&headers, which.after.as_deref())?;
    let mut sources = vec![lists(&app.hub, after)];
    let mut attached = Vec::new();
    for (id, after) in sessions(which.sessions.as_deref().unwrap_or(""))? {
        match app.hub.follow(id, after).await {
            Ok(follow) => {
                if let Some(name) = &which.client {
                    let client = app.clients.fetch_add(1, Ordering::Relaxed);
                    let joined = Joined { client, name: name.clone(), since: None };
                    attached.push(app.hub.join(&caller, id, joined).await?);
                }
                sources.push(unfold(Some((id, follow)), log).boxed());
            }
            // A page may still show a session that was deleted meanwhile; its other logs go on.
            Err(CommandError::Refused(Refused::NotFound { .. } | Refused::Deleted { .. })) => {
                sources.push(futures_util::stream::iter([Ok(removed(id, None))]).boxed());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let ending = Ending::new(&app.hub, pass);
    let reader = Reader { sources: select_all(sources), ending, over: false, _attached: attached };
    Ok(stream::answer(Body::from_stream(unfold(reader, Reader::next))))
}

fn place(headers: &HeaderMap, after: Option<&str>) -> Answer<Option<Pos>> {
    let given = match headers.get("last-event-id") {
        Some(value) => Some(value.to_str().unwrap_or("?")),
        None => after,
    };
    let wrong = |_| {
        let detail = "after and Last-Event-ID must be a value the daemon gave";
        Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", detail).field("after")
    };
    given.map(|text| text.trim().parse().map(Pos).map_err(wrong)).transpose()
}

fn sessions(text: &str) -> Answer<Vec<(SessionId, Seq)>> {
    let wrong = || Problem::invalid("sessions", "sessions must be `<id>:<after>`, comma separated");
    let one = |part: &str| {
        let (id, after) = part.split_once(':').unwrap_or((part, "0"));
        Ok((id.parse().map_err(|_| wrong())?, Seq(after.parse().map_err(|_| wrong())?)))
    };
    let all: Vec<_> = text.split(',').filter(|part| !part.is_empty()).map(one).collect::<Answer<_>>()?;
    if all.len() > MAX_SESSIONS {
        return Err(Problem::invalid("sessions", format!("sessions must be at most {MAX_SESSIONS}")));
    }
    Ok(all)
}

/// What changes in the lists after a place, or from now on.
fn lists(hub: &Hub, after: Option<Pos>) -> Source {
    let target = hub.pos();
    let after = after.map_or(target, |after| after.min(target));
    let state = Some((hub.changes(after), (after < target).then_some(target)));
    let caught_up = || stream::named("caught-up", None, "{}");
    let first = futures_util::stream::iter((after >= target).then(|| Ok(caught_up())));
    let rest = unfold(state, move |state| async move {
        let (mut changes, mut target) = state?;
        let mut out = Vec::new();
        match changes.next().await.unwrap_or_else(|| Err(LogError::Down("its tail has ended".to_owned()))) {
            Ok(change) => {
                out.extend(told(&change));
                if target.is_some_and(|target| change.pos >= target) {
                    target = None;
                    out.push(caught_up());
                }
            }
            Err(LogError::Gap { first }) => {
                out.push(stream::named("gap", None, &format!("{{\"first\":{first}}}")));
            }
            Err(error) => return Some((Err(error), None)),
        }
        Some((Ok(Bytes::from(out.concat())), Some((changes, target))))
    });
    let told = |bytes: &Result<Bytes, LogError>| bytes.as_ref().map_or(true, |bytes| !bytes.is_empty());
    first.chain(rest.filter(move |bytes| std::future::ready(told(bytes)))).boxed()
}

/// The rows of one commit that lists show.
fn told(change: &Change) -> Vec<Bytes> {
    let id = change.pos.to_string();
    let tell = |row: &Row| {
        let (event, data) = match (row.kind, &row.body) {
            (RowKind::Session, Some(body)) => ("session", body.get().to_owned()),
            (RowKind::Session, None) => ("session-removed", format!("{{\"id\":\"{}\"}}", row.key)),
            (RowKind::Request, Some(body)) => ("request", body.get().to_owned()),
            (RowKind::Request, None)
            | (
                RowKind::Inbox
                | RowKind::Owed
                | RowKind::Key
                | RowKind::Blob
                | RowKind::Seen
                | RowKind::Unrecorded
                | RowKind::Audit
                | RowKind::Handoff
                | RowKind::Lane
                | RowKind::Checkpoint
                | RowKind::Copied,
                _,
            ) => return None,
        };
        Some(stream::named(event, Some(&id), &data))
    };
    let mut all: Vec<_> = change.rows.iter().filter_map(tell).collect();
    if change.head == Seq::ZERO
        && let Some(session) = change.log.as_session()
        && all.is_empty()
    {
        all.push(removed(session, Some(&id)));
    }
    all
}

fn removed(session: SessionId, at: Option<&str>) -> Bytes {
    stream::named("session-removed", at, &format!("{{\"id\":\"{session}\"}}"))
}

/// The log of one session, until it is removed.
async fn log(
    state: Option<(SessionId, Follow)>,
) -> Option<(Result<Bytes, LogError>, Option<(SessionId, Follow)>)> {
    let (id, mut follow) = state?;
    let before = follow.cursor();
    let bytes = match follow.next().await {
        Ok(Next::Frames(frames)) => frames_of(id, before, &frames),
        Ok(Next::CaughtUp(head)) => {
            stream::named("events", None, &format!("{{\"session\":\"{id}\",\"events\":[],\"head\":{head}}}"))
        }
        Ok(Next::Gap(first)) => {
            stream::named("events", None, &format!("{{\"session\":\"{id}\",\"events\":[],\"gap\":{first}}}"))
        }
        // The lists tell it as well, unless they have passed that place already.
        Ok(Next::Removed) => return Some((Ok(removed(id, None)), None)),
        Err(error) => return Some((Err(error), None)),
    };
    Some((Ok(bytes), Some((id, follow))))
}

fn frames_of(id: SessionId, before: Seq, frames: &[std::sync::Arc<Shown>]) -> Bytes {
    let mut data = format!("{{\"session\":\"{id}\",\"events\":[");
    let lines = frames.iter().flat_map(|shown| shown.frame.lines_after(before));
    for (n, (_, line)) in lines.enumerate() {
        if n > 0 {
            data.push(',');
        }
        data.push_str(&stream::show(line));
    }
    data.push_str("]}");
    stream::named("events", None, &data)
}

/// Part of a feed. After an error nothing follows.
type Source = BoxStream<'static, Result<Bytes, LogError>>;

/// All sources of a feed as one stream that ends with the daemon, with its reader's token, or when one of them cannot be
/// read: a feed without one of its parts would look as if nothing happened there.
struct Reader {
    sources: SelectAll<Source>,
    ending: Ending,
    over: bool,
    _attached: Vec<Attached>,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.over {
            return None;
        }
        let mut all = Vec::new();
        tokio::select! {
            biased;
            why = self.ending.comes() => {
                self.over = true;
                all.push(stream::bye(why));
            }
            bytes = self.sources.next() => self.take(bytes?, &mut all),
            () = tokio::time::sleep(KEEP_ALIVE) => all.push(stream::keep_alive()),
        }
        // What else is ready goes out in the same write, within reason.
        while all.len() < 64 && !self.over {
            match self.sources.next().now_or_never() {
                Some(Some(more)) => self.take(more, &mut all),
                Some(None) | None => break,
            }
        }
        Some((Ok(Bytes::from(all.concat())), self))
    }

    fn take(&mut self, told: Result<Bytes, LogError>, all: &mut Vec<Bytes>) {
        match told {
            Ok(bytes) => all.push(bytes),
            // The client comes back with its cursors; by then the store may be well again.
            Err(error) => {
                tracing::error!(%error, "a feed ends: the store cannot be read");
                self.over = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_with_their_cursors() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(sessions("").unwrap(), []);
        assert_eq!(sessions(&format!("{id}:7")).unwrap(), [(id.parse().unwrap(), Seq(7))]);
        assert_eq!(sessions(id).unwrap(), [(id.parse().unwrap(), Seq(0))]);
        assert_eq!(sessions("x:1").unwrap_err().field.as_deref(), Some("sessions"));
        assert!(sessions(&vec![id; 101].join(",")).is_err());
    }
}
