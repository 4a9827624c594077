//! One WebSocket with many streams: what `/v1` streams as server-sent events, over a single connection.
//!
//! A client names the paths of streams, and each is asked of the handlers that answer it over HTTP. So who may read what, where a
//! stream begins, what it tells and how it ends is decided there and nowhere else. A browser can send no header with a WebSocket:
//! then the client's first message is its token.
//!
//! A stream is a cursor here too. While a client takes nothing, nothing is read for it; one that takes nothing for long is cut, and
//! goes on later where it was.

mod message;
mod relay;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{AbortHandle, BoxStream, SelectAll, abortable};
use tokio_util::task::task_tracker::TaskTrackerToken;
use trunkline_core::principal::Caller;

use self::message::{Asked, Told, Why, read};
use crate::app::App;
use crate::gate::{self, Pass};
use crate::problem::Problem;
use crate::stream::{Bye, Ending, KEEP_ALIVE};
use crate::{local, stream};

/// Where it is.
pub(crate) const PATH: &str = "/v1/ws";
/// How many streams a client may read at a time.
const MAX_STREAMS: usize = 100;
/// How many bytes a message of a client may have.
const MAX_MESSAGE: usize = 64 << 10;
/// How long a client may take to show its token.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The socket over these streams: routes without the gate.
pub(crate) fn route(streams: Router) -> MethodRouter<Arc<App>> {
    get(async move |State(app): State<Arc<App>>, upgrade: Upgrade, extensions: Extensions| {
        open(app, streams.clone(), extensions, upgrade)
    })
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

fn open(
    app: Arc<App>,
    streams: Router,
    mut extensions: Extensions,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        let detail = format!("this path is a WebSocket: {rejection}");
        Problem::new(rejection.into_response().status(), "not_a_websocket", detail)
    })?;
    // It belongs to the upgrade; the streams must not hold the connection's other end.
    extensions.remove::<hyper::upgrade::OnUpgrade>();
    let running = app.tasks.token();
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let client = Client { socket, app, streams, extensions, _running: running };
        // Whoever is gone is told nothing more.
        let _gone = client.run().await;
    }))
}

/// The client is gone, or was cut.
struct Gone;

struct Client {
    socket: WebSocket,
    app: Arc<App>,
    /// The routes that stream, without the gate.
    streams: Router,
    /// What is known of the connection and its caller.
    extensions: Extensions,
    /// The daemon waits a moment for those who are being told that it stops.
    _running: TaskTrackerToken,
}

impl Client {
    async fn run(mut self) -> Result<(), Gone> {
        if self.extensions.get::<Caller>().is_none() {
            self.token().await?;
        }
        self.say(&Told::Ready).await?;
        self.relay().await
    }

    /// Waits for the token, which is the first message.
    async fn token(&mut self) -> Result<(), Gone> {
        let first = tokio::time::timeout(TOKEN_TIMEOUT, self.hear()).await;
        let shown = match first {
            Ok(Ok(Ok(Asked::Token { token }))) => self.open_with(&token).await,
            Ok(Ok(Ok(_))) => Err(Problem::unauthenticated("the first message must be your token")),
            Ok(Ok(Err(problem))) => Err(problem),
            Ok(Err(gone)) => return Err(gone),
            Err(_late) => Err(Problem::unauthenticated("no token came within 10 s")),
        };
        match shown {
            Ok(()) => Ok(()),
            Err(problem) => {
                self.say(&Told::Refused { id: None, problem: Why::Here(&problem) }).await?;
                self.close(close_code::POLICY, "no token").await
            }
        }
    }

    async fn open_with(&mut self, token: &str) -> Result<(), Problem> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Problem::unauthenticated("this is no token"))?;
        headers.insert(header::AUTHORIZATION, value);
        let source = local::source(&headers, &self.extensions);
        let (caller, pass) = gate::caller(&self.app, &headers, source).await?;
        self.extensions.insert(caller);
        self.extensions.insert(pass);
        Ok(())
    }

    /// Tells what comes on the streams, and starts and ends them as the client asks.
    async fn relay(mut self) -> Result<(), Gone> {
        let pass = self.extensions.get::<Pass>().cloned().unwrap_or(Pass(None));
        let mut ending = Ending::new(&self.app.hub, pass);
        let mut reading = Reading::default();
        loop {
            tokio::select! {
                biased;
                why = ending.comes() => return self.bye(why).await,
                asked = self.hear() => match asked? {
                    Ok(asked) => self.answer(asked, &mut reading).await?,
                    Err(problem) => self.say(&Told::Refused { id: None, problem: Why::Here(&problem) }).await?,
                },
                Some((id, text)) = reading.streams.next(), if !reading.ends.is_empty() => match text {
                    Some(text) => self.send(Message::Text(text.into())).await?,
                    None => {
                        reading.ends.remove(&id);
                        self.say(&Told::Ended { id: &id }).await?;
                    }
                },
                () = tokio::time::sleep(KEEP_ALIVE) => self.send(Message::Ping(Bytes::new())).await?,
            }
        }
    }

    async fn answer(&mut self, asked: Asked, reading: &mut Reading) -> Result<(), Gone> {
        match asked {
            Asked::Token { .. } => {
                let problem = Problem::invalid("type", "a token was shown already");
                self.say(&Told::Refused { id: None, problem: Why::Here(&problem) }).await
            }
            Asked::Subscribe { id, path, last_event_id } => {
                let refused = match reading.check(&id) {
                    Ok(()) => {
                        relay::request(&path, last_event_id.as_deref(), &self.extensions).map(|request| {
                            let stream = relay::relay(self.streams.clone(), request, Arc::clone(&id));
                            reading.add(Arc::clone(&id), stream);
                        })
                    }
                    Err(problem) => Err(problem),
                };
                match refused {
                    Ok(()) => Ok(()),
                    Err(problem) => {
                        self.say(&Told::Refused { id: Some(&id), problem: Why::Here(&problem) }).await
                    }
                }
            }
            Asked::Unsubscribe { id } => match reading.ends.remove(&id) {
                Some(end) => {
                    end.abort();
                    self.say(&Told::Ended { id: &id }).await
                }
                None => {
                    let problem = Problem::not_found("stream", &id);
                    self.say(&Told::Refused { id: Some(&id), problem: Why::Here(&problem) }).await
                }
            },
        }
    }

    /// The client's next message. May be dropped while it waits.
    async fn hear(&mut self) -> Result<Result<Asked, Problem>, Gone> {
        loop {
            match self.socket.recv().await {
                Some(Ok(Message::Text(text))) => return Ok(read(&text)),
                Some(Ok(Message::Binary(_))) => {
                    return Ok(Err(Problem::invalid("message", "messages are JSON, as text")));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
            }
        }
    }

    async fn say(&mut self, told: &Told<'_>) -> Result<(), Gone> {
        self.send(Message::Text(told.text().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match tokio::time::timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn bye(&mut self, why: Bye) -> Result<(), Gone> {
        self.say(&Told::Bye { reason: stream::reason(why) }).await?;
        let code = match why {
            Bye::Shutdown => close_code::AWAY,
            Bye::Token => close_code::POLICY,
        };
        self.close(code, stream::reason(why)).await
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> Result<(), Gone> {
        self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
        // What follows is the client's own close, or nothing.
        Err(Gone)
    }
}

/// What comes of a stream: a message for the client, or its end.
type Part = (Arc<str>, Option<String>);

/// The streams that a client reads, and what ends each.
#[derive(Default)]
struct Reading {
    streams: SelectAll<BoxStream<'static, Part>>,
    ends: HashMap<Arc<str>, AbortHandle>,
}

impl Reading {
    fn check(&self, id: &Arc<str>) -> Result<(), Problem> {
        if self.ends.contains_key(id) {
            return Err(Problem::invalid("id", "a stream of this id is being read; unsubscribe it first"));
        }
        if self.ends.len() >= MAX_STREAMS {
            let detail = format!("a client reads at most {MAX_STREAMS} streams at a time");
            return Err(Problem::new(axum::http::StatusCode::TOO_MANY_REQUESTS, "too_many", detail));
        }
        Ok(())
    }

    fn add(&mut self, id: Arc<str>, stream: BoxStream<'static, Part>) {
        let (stream, end) = abortable(stream);
        self.streams.push(stream.boxed());
        self.ends.insert(id, end);
    }
}
