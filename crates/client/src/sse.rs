//! A stream of server-sent events that connects again by itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Response;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, Sleep};
use trunkline_wire::sse::{Decoder, Event};

use crate::backoff::Backoff;
use crate::call::Call;
use crate::error::Error;
use crate::http::Http;

/// After this much silence the connection counts as dead: the daemon sends a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// What comes out of the stream.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The daemon answers.
    Open,
    /// An event.
    Event(Event),
    /// The connection is gone, and will be made again after a while from where [`Sse::call`] says.
    Lost(Error),
}

/// The stream. Polling it is cancel-safe; dropping it closes the connection.
pub(crate) struct Sse {
    http: Arc<Http>,
    /// What is asked for when it connects next. Whoever reads the stream keeps the cursor in it up to date.
    pub(crate) call: Call,
    state: State,
    decoder: Decoder,
    backoff: Backoff,
    /// When the silence is too long, or the wait is over.
    timer: Pin<Box<Sleep>>,
    hint: Option<Duration>,
}

enum State {
    Begin,
    Connecting(Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>),
    Open(Incoming),
    Waiting,
    Over,
}

impl Sse {
    /// A stream that connects when it is polled first.
    pub(crate) fn new(http: Arc<Http>, call: Call) -> Self {
        Self {
            http,
            call,
            state: State::Begin,
            decoder: Decoder::default(),
            backoff: Backoff::default(),
            timer: Box::pin(tokio::time::sleep(SILENCE)),
            hint: None,
        }
    }

    /// The next signal. An error is the last one: the daemon refuses, and would refuse again.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Signal, Error>>> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Poll::Ready(Some(self.take(event)));
            }
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Begin => self.connect(),
                State::Connecting(answer) => match (answer.as_mut().poll(cx), self.timer.as_mut().poll(cx)) {
                    (Poll::Ready(Ok(response)), _) => {
                        self.state = State::Open(response.into_body());
                        self.decoder = Decoder::default();
                        self.set_timer(SILENCE);
                        return Poll::Ready(Some(Ok(Signal::Open)));
                    }
                    (Poll::Ready(Err(error)), _) => return Poll::Ready(Some(self.lose(error))),
                    (Poll::Pending, Poll::Ready(())) => return Poll::Ready(Some(self.lose_to_silence())),
                    (Poll::Pending, Poll::Pending) => return Poll::Pending,
                },
                State::Open(body) => match Pin::new(body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.decoder.push(&frame.into_data().unwrap_or_default());
                        self.hint = self.decoder.retry().map(Duration::from_millis);
                        self.set_timer(SILENCE);
                    }
                    Poll::Ready(Some(Err(error))) => {
                        let error = self.http.broken(error);
                        return Poll::Ready(Some(self.lose(error)));
                    }
                    Poll::Ready(None) => {
                        let error = self.http.broken("the daemon ended the stream");
                        return Poll::Ready(Some(self.lose(error)));
                    }
                    Poll::Pending => {
                        ready!(self.timer.as_mut().poll(cx));
                        return Poll::Ready(Some(self.lose_to_silence()));
                    }
                },
                State::Waiting => {
                    ready!(self.timer.as_mut().poll(cx));
                    self.connect();
                }
            }
        }
    }

    /// Nothing more is wanted.
    pub(crate) fn close(&mut self) {
        self.state = State::Over;
        self.decoder = Decoder::default();
    }

    /// Something useful came: the next loss is answered quickly.
    pub(crate) fn thrives(&mut self) {
        self.backoff.reset();
    }

    fn take(&mut self, event: Result<Event, trunkline_wire::sse::TooLarge>) -> Result<Signal, Error> {
        event.map(Signal::Event).map_err(|error| {
            self.close();
            // Asking again would bring the same event again.
            self.call.odd(error.to_string())
        })
    }

    fn connect(&mut self) {
        let (http, call) = (Arc::clone(&self.http), self.call.clone());
        self.set_timer(SILENCE);
        self.state = State::Connecting(Box::pin(async move {
            let response = http.open(&call).await?;
            let kind =
                response.headers().get(hyper::header::CONTENT_TYPE).map(hyper::header::HeaderValue::as_bytes);
            if kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
                Ok(response)
            } else {
                Err(call.odd("it is no event stream"))
            }
        }));
    }

    fn lose_to_silence(&mut self) -> Result<Signal, Error> {
        let error = Error::TimedOut { base_url: self.http.base_url(), after: SILENCE };
        self.lose(error)
    }

    fn lose(&mut self, error: Error) -> Result<Signal, Error> {
        if !error.is_passing() {
            self.close();
            return Err(error);
        }
        let wait = self.backoff.next(self.hint);
        self.set_timer(wait);
        self.state = State::Waiting;
        self.decoder = Decoder::default();
        Ok(Signal::Lost(error))
    }

    fn set_timer(&mut self, wait: Duration) {
        self.timer.as_mut().reset(Instant::now() + wait);
    }
}
