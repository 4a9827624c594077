//! The feed: lists, inbox and any number of sessions in one stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::view::{RequestView, SessionView};

use crate::call::{Call, Params};
use crate::error::Error;
use crate::http::Http;
use crate::sse::{Signal, Sse};
use crate::types::Cursor;

/// What the feed gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum FeedItem {
    /// A session is new, or looks like this now.
    Session(Box<SessionView>),
    /// A session was deleted.
    SessionRemoved(SessionId),
    /// A request is new, or looks like this now.
    Request(Box<RequestView>),
    /// Events of a session that was asked for. Each comes once and in order.
    Events {
        /// Which session.
        session: SessionId,
        /// The new events; never empty.
        events: Vec<Event>,
    },
    /// All events a session had are told; what comes now is live.
    SessionCaughtUp {
        /// Which session.
        session: SessionId,
        /// The last event there was.
        head: Seq,
    },
    /// Events of a session before this one are gone for good.
    SessionGap {
        /// Which session.
        session: SessionId,
        /// The first one the daemon still has.
        first: Seq,
    },
    /// What had happened since the cursor is told; what comes now is live.
    CaughtUp,
    /// Something may have happened that is not told, because the cursor is too old, or there was none when the connection
    /// was lost: load the lists again.
    Gap,
    /// The daemon answers, for the first time or again.
    Open,
    /// The connection is lost; the stream goes on by itself once the daemon is back.
    Lost(Error),
}

/// What happens to all sessions and requests, over broken connections too.
///
/// It ends after an error, which is something that trying again does not help. Memory is bounded by one event of the wire
/// (64 MiB) and one cursor for each session asked for.
pub struct FeedStream {
    sse: Sse,
    /// The last event given of each session asked for.
    sessions: BTreeMap<SessionId, Seq>,
    after: Option<Cursor>,
    client: Option<String>,
    /// The connection was lost before there was a place to go on from: what happened meanwhile is not told.
    blind: bool,
}

impl FeedStream {
    pub(crate) fn new(
        http: Arc<Http>,
        after: Option<Cursor>,
        sessions: BTreeMap<SessionId, Seq>,
        client: Option<&str>,
    ) -> Self {
        let sse = Sse::new(http, Call::stream("/v1/feed"));
        let mut feed = Self { sse, sessions, after, client: client.map(str::to_owned), blind: false };
        feed.aim();
        feed
    }

    /// The next item. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<FeedItem, Error>> {
        StreamExt::next(self).await
    }

    /// Says where the next connection starts.
    fn aim(&mut self) {
        let sessions: Vec<_> =
            self.sessions.iter().map(|(session, seq)| format!("{session}:{seq}")).collect();
        let sessions = Some(sessions.join(",")).filter(|list| !list.is_empty());
        let after = self.after.as_ref().map(Cursor::as_str);
        let params = Params::default().maybe("after", after).maybe("sessions", sessions.as_deref());
        let params = params.maybe("client", self.client.as_deref());
        self.sse.call.path = params.of("/v1/feed");
    }

    fn read(&mut self, event: &str, data: &str) -> Result<Option<FeedItem>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Removed {
            id: SessionId,
        }
        #[derive(Deserialize)]
        struct Events {
            session: SessionId,
            events: Vec<Event>,
            head: Option<Seq>,
            gap: Option<Seq>,
        }
        self.sse.thrives();
        Ok(match event {
            "session" => Some(FeedItem::Session(serde_json::from_str(data)?)),
            "session-removed" => {
                let Removed { id } = serde_json::from_str(data)?;
                self.sessions.remove(&id);
                Some(FeedItem::SessionRemoved(id))
            }
            "request" => Some(FeedItem::Request(serde_json::from_str(data)?)),
            "events" => {
                let Events { session, mut events, head, gap } = serde_json::from_str(data)?;
                let last = self.sessions.entry(session).or_default();
                events.retain(|event| event.seq > *last);
                *last = events.last().map_or(*last, |event| event.seq);
                match (head, gap) {
                    _ if !events.is_empty() => Some(FeedItem::Events { session, events }),
                    (_, Some(first)) => Some(FeedItem::SessionGap { session, first }),
                    (Some(head), None) => Some(FeedItem::SessionCaughtUp { session, head }),
                    (None, None) => None,
                }
            }
            "caught-up" => Some(FeedItem::CaughtUp),
            "gap" => Some(FeedItem::Gap),
            _ => None,
        })
    }
}

impl Stream for FeedStream {
    type Item = Result<FeedItem, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let item = match ready!(self.sse.poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => Err(error),
                Some(Ok(Signal::Open)) if std::mem::take(&mut self.blind) => Ok(FeedItem::Gap),
                Some(Ok(Signal::Open)) => Ok(FeedItem::Open),
                Some(Ok(Signal::Lost(error))) => {
                    self.blind = self.after.is_none();
                    self.aim();
                    Ok(FeedItem::Lost(error))
                }
                Some(Ok(Signal::Event(event))) => {
                    if !event.id.is_empty() {
                        self.after = Some(Cursor::new(event.id.as_str()));
                    }
                    match self.read(&event.event, &event.data) {
                        Ok(Some(item)) => Ok(item),
                        Ok(None) => continue,
                        Err(error) => {
                            self.sse.close();
                            Err(self.sse.call.odd(error.to_string()))
                        }
                    }
                }
            };
            return Poll::Ready(Some(item));
        }
    }
}
