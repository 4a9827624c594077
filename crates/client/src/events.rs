//! The events of one session, as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId};

use crate::call::{Call, Params};
use crate::error::Error;
use crate::http::Http;
use crate::sse::{Signal, Sse};

/// What a session's stream gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventItem {
    /// An event. Each comes once and in order, whatever happens to the connection.
    Event(Box<Event>),
    /// What was there is told; what comes now is live.
    CaughtUp {
        /// The last event there was.
        head: Seq,
    },
    /// Events before this one are gone for good, because the daemon no longer keeps them.
    Gap {
        /// The first one it still has.
        first: Seq,
    },
    /// The daemon answers, for the first time or again.
    Open,
    /// The connection is lost; the stream goes on by itself once the daemon is back.
    Lost(Error),
    /// The session was deleted. The stream ends here.
    Deleted,
}

/// The events of a session: a replay that goes on live, and over broken connections.
///
/// It ends after [`EventItem::Deleted`], and after an error, which is something that trying again does not help. Memory is
/// bounded by one event (64 MiB).
pub struct EventStream {
    sse: Sse,
    last: Seq,
}

impl EventStream {
    pub(crate) fn new(http: Arc<Http>, session: SessionId, after: Seq, client: Option<&str>) -> Self {
        let path = Params::default().maybe("client", client).of(&format!("/v1/sessions/{session}/events"));
        let mut stream = Self { sse: Sse::new(http, Call::stream(path)), last: after };
        stream.move_to(after);
        stream
    }

    /// The next item. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<EventItem, Error>> {
        StreamExt::next(self).await
    }

    /// The last event it has given, or what it was told to start after.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.last
    }

    fn move_to(&mut self, seq: Seq) {
        self.last = seq;
        self.sse.call.last_event_id = Some(seq.to_string());
    }

    /// Reads one event of the wire; `None` if it tells nothing new.
    fn read(&mut self, event: &str, data: &str) -> Result<Option<EventItem>, serde_json::Error> {
        #[derive(Deserialize)]
        struct CaughtUp {
            head: Seq,
        }
        #[derive(Deserialize)]
        struct Gap {
            first: Seq,
        }
        self.sse.thrives();
        Ok(match event {
            "message" => {
                let event = Event::from_line(data)?;
                let new = event.seq > self.last;
                if new {
                    self.move_to(event.seq);
                }
                new.then(|| EventItem::Event(Box::new(event)))
            }
            "caught-up" => Some(EventItem::CaughtUp { head: serde_json::from_str::<CaughtUp>(data)?.head }),
            "gap" => {
                let Gap { first } = serde_json::from_str(data)?;
                self.move_to(self.last.max(Seq(first.0.saturating_sub(1))));
                Some(EventItem::Gap { first })
            }
            "deleted" => {
                self.sse.close();
                Some(EventItem::Deleted)
            }
            _ => None,
        })
    }
}

impl Stream for EventStream {
    type Item = Result<EventItem, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let item = match ready!(self.sse.poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => Err(error),
                Some(Ok(Signal::Open)) => Ok(EventItem::Open),
                Some(Ok(Signal::Lost(error))) => Ok(EventItem::Lost(error)),
                Some(Ok(Signal::Event(event))) => match self.read(&event.event, &event.data) {
                    Ok(Some(item)) => Ok(item),
                    Ok(None) => continue,
                    Err(error) => {
                        self.sse.close();
                        Err(self.sse.call.odd(error.to_string()))
                    }
                },
            };
            return Poll::Ready(Some(item));
        }
    }
}
