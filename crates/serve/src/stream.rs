//! Event streams: how frames of a log become server-sent events, and how every stream ends when the daemon stops or its
//! reader's token no longer counts.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use tokio_util::sync::CancellationToken;
use trunkline_core::event::Event;
use trunkline_core::id::Seq;
use trunkline_log::frame::{Frame, is_hidden};
use trunkline_run::Hub;
use trunkline_wire::sse;

use crate::gate::Pass;

/// How often a stream without events sends a comment, so that a dead connection is noticed.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client should come back after the daemon stopped.
const RETRY_MS: u64 = 500;

/// The whole frame as events. It depends on nothing but the frame, so that all readers can share it.
pub(crate) fn encode(frame: &Frame) -> Bytes {
    encode_after(frame, Seq::ZERO)
}

/// The events of a frame after a cursor.
pub(crate) fn encode_after(frame: &Frame, after: Seq) -> Bytes {
    let mut out = BytesMut::with_capacity(frame.lines.len() + 32 * usize::try_from(frame.count).unwrap_or(0));
    for (seq, line) in frame.lines_after(after) {
        let id = seq.to_string();
        let shown = show(line);
        write(&mut out, &sse::Frame { id: Some(&id), event: None, data: &shown });
    }
    out.freeze()
}

/// A line as readers outside the daemon see it.
pub(crate) fn show(line: &str) -> std::borrow::Cow<'_, str> {
    if !is_hidden(line) {
        return line.into();
    }
    match Event::from_line(line) {
        Ok(event) => event.shown().to_line().into(),
        Err(_) => "null".into(),
    }
}

/// A named event.
pub(crate) fn named(event: &str, id: Option<&str>, data: &str) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out, &sse::Frame { id, event: Some(event), data });
    out.freeze()
}

/// A comment.
pub(crate) fn keep_alive() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

/// What a stream tells, for one client.
pub(crate) trait Told: Send + Sized + 'static {
    /// What comes.
    type Item: Send;
    /// How long the stream may be silent, and what it says then, so that a dead connection is noticed.
    const SILENCE: (Duration, &'static [u8]) = (KEEP_ALIVE, b": keep-alive\n\n");

    /// Waits for what comes next; `None` when nothing will. May be dropped while it waits.
    fn next(&mut self) -> impl Future<Output = Option<Self::Item>> + Send;

    /// Puts into the queue what is to be sent of it, and says whether the stream goes on after that.
    fn take(
        &mut self,
        item: Self::Item,
        ready: &mut VecDeque<Bytes>,
    ) -> impl Future<Output = ControlFlow<()>> + Send;

    /// What the stream says when it ends from the daemon's side.
    fn bye(_why: Bye) -> Option<Bytes> {
        None
    }
}

/// The body that tells it.
pub(crate) fn body(told: impl Told, ending: Ending) -> Body {
    let reader = Reader { told, ready: VecDeque::new(), ending, over: false };
    Body::from_stream(unfold(reader, Reader::next))
}

/// A client's stream: what it tells, what of that is ready to be sent, and nothing else.
struct Reader<T> {
    told: T,
    ready: VecDeque<Bytes>,
    ending: Ending,
    over: bool,
}

impl<T: Told> Reader<T> {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let (long, word) = T::SILENCE;
        let silence = tokio::time::sleep(long);
        tokio::pin!(silence);
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some((Ok(bytes), self));
            }
            if self.over {
                return None;
            }
            let item = tokio::select! {
                biased;
                why = self.ending.comes() => {
                    self.over = true;
                    self.ready.extend(T::bye(why));
                    continue;
                }
                item = self.told.next() => item,
                () = &mut silence => return Some((Ok(Bytes::from_static(word)), self)),
            };
            self.over = match item {
                Some(item) => self.told.take(item, &mut self.ready).await.is_break(),
                None => true,
            };
        }
    }
}

/// Why a stream ends though there may be more to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bye {
    /// The daemon stops.
    Shutdown,
    /// The token of who reads was revoked or has expired.
    Token,
}

/// What may end a stream from the daemon's side.
pub(crate) struct Ending {
    stop: CancellationToken,
    /// Of callers that came with a token that may end before the stream.
    token: BoxFuture<'static, ()>,
}

impl Ending {
    /// For a caller who came with this pass, of a stream that ends by itself when the daemon stops.
    pub(crate) fn of_token(hub: &Hub, pass: Pass) -> Self {
        Self { stop: CancellationToken::new(), ..Self::new(hub, pass) }
    }

    /// For a caller who came with this pass.
    pub(crate) fn new(hub: &Hub, pass: Pass) -> Self {
        let token = match pass.0 {
            Some(sha256) => {
                let hub = hub.clone();
                async move { hub.token_over(sha256).await }.boxed()
            }
            None => std::future::pending().boxed(),
        };
        Self { stop: hub.stopping(), token }
    }

    /// Resolves when the stream is to end. Not to be asked again after that.
    pub(crate) async fn comes(&mut self) -> Bye {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Bye::Shutdown,
            () = &mut self.token => Bye::Token,
        }
    }
}

/// The end of a stream from the daemon's side: when to come back, and why it ends.
pub(crate) fn bye(why: Bye) -> Bytes {
    let mut out = BytesMut::new();
    sse::write_retry(&mut out, RETRY_MS);
    let data = format!("{{\"reason\":\"{}\"}}", reason(why));
    write(&mut out, &sse::Frame { id: None, event: Some("bye"), data: &data });
    out.freeze()
}

/// Why a stream ends, in the word that clients know.
pub(crate) fn reason(why: Bye) -> &'static str {
    match why {
        Bye::Shutdown => "shutdown",
        Bye::Token => "token",
    }
}

fn write(out: &mut BytesMut, frame: &sse::Frame<'_>) {
    frame.write(out).expect("ids are digits and names are ours: neither has a line end");
}

/// The answer that carries a stream.
pub(crate) fn answer(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use trunkline_core::agent::Memo;
    use trunkline_core::id::Seq;
    use trunkline_core::principal::Principal;
    use trunkline_core::raw::Raw;
    use trunkline_core::session::Updated;
    use trunkline_core::time::Time;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_frame_is_sent_line_by_line_and_never_a_secret() {
        let event = |seq, fact| Event {
            seq: Seq(seq),
            at: Time(0),
            by: Principal::owner(),
            turn: None,
            key: None,
            fact,
        };
        let secret = Memo { raw: Raw::parse(r#"{"s":"hush"}"#).unwrap() };
        let events = [event(4, Updated::default().into()), event(5, secret.into())];
        let frame = Frame::of(Uuid::nil(), &events, false);
        let all = String::from_utf8(encode(&frame).to_vec()).unwrap();
        assert_eq!(
            all,
            "id: 4\ndata: {\"type\":\"session.updated\",\"seq\":4,\"at\":0,\"by\":\"owner\",\"data\":{}}\n\n\
             id: 5\ndata: {\"type\":\"driver.memo\",\"seq\":5,\"at\":0,\"by\":\"owner\",\"data\":null}\n\n"
        );
        let rest = encode_after(&frame, Seq(4));
        assert!(rest.starts_with(b"id: 5\n"));
        assert!(encode_after(&frame, Seq(5)).is_empty());
    }
}
