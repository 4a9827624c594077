//! The agents as they come, change and go: as server-sent events, and over a WebSocket.
//!
//! Each client has cursors of its own in the store's tail and in the registry, and nothing is kept for one that has left. A feed
//! begins with all agents there are, so that nothing is missed between two connections.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use tokio::time::Interval;
use trunkline_core::id::{Pos, Seq};
use trunkline_core::row::RowKind;
use trunkline_core::view::SessionView;
use trunkline_log::LogError;
use trunkline_log::frame::Change;
use trunkline_run::tail::{Follow, Next};

use super::{Asked, Outcome, access, hub};
use crate::app::App;
use crate::gate::Pass;
use crate::problem::Problem;
use crate::stream::{self, Bye, Ending, Told};

/// How often it is looked whether somebody on the bus is no longer there: nobody tells that.
const LAPSES: Duration = Duration::from_secs(5);
/// How many bytes a message of a client may have.
const MAX_MESSAGE: usize = 8 << 10;
/// How long a client may take to show its token.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The agents as one client knows them.
struct Watch {
    app: Arc<App>,
    known: BTreeMap<String, Value>,
    pos: Pos,
    changes: BoxStream<'static, Result<Change, LogError>>,
    registry: Follow,
    lapses: Interval,
    /// What has not been told.
    ready: VecDeque<Value>,
}

impl Watch {
    async fn begin(app: &Arc<App>) -> Result<Self, Problem> {
        let registry = app.hub.follow_registry(Seq(u64::MAX)).await?;
        let (known, pos) = hub::all(app).await?;
        let mut watch = Self {
            app: Arc::clone(app),
            known,
            pos,
            changes: app.hub.changes(pos),
            registry,
            lapses: tokio::time::interval(LAPSES),
            ready: VecDeque::new(),
        };
        watch.ready.push_back(watch.snapshot());
        Ok(watch)
    }

    fn snapshot(&self) -> Value {
        let agents: Vec<_> = self.known.values().collect();
        json!({ "type": "hub_snapshot", "count": agents.len(), "agents": agents, "ts": self.now() })
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits")]
    fn now(&self) -> f64 {
        self.app.hub.now().0 as f64 / 1000.0
    }

    /// The next event; `None` when the store cannot be read. May be dropped while it waits.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                biased;
                change = self.changes.next() => self.take(&change?.ok()?),
                next = self.registry.next() => match next.ok()? {
                    Next::Frames(_) | Next::Gap(_) => self.look().await?,
                    Next::CaughtUp(_) => {}
                    Next::Removed => return None,
                },
                _ = self.lapses.tick() => self.look().await?,
            }
        }
    }

    fn take(&mut self, change: &Change) {
        self.pos = change.pos;
        for row in change.rows.iter().filter(|row| row.kind == RowKind::Session) {
            let view = row.body.as_ref().and_then(|body| body.read::<SessionView>().ok());
            self.set(&row.key, view.as_ref().and_then(hub::of_session));
        }
    }

    /// Looks at the whole registry, which is small.
    async fn look(&mut self) -> Option<()> {
        let agents = hub::registered(&self.app).await.ok()?;
        let there: BTreeMap<String, Value> = agents
            .into_iter()
            .map(|agent| (agent["agent_id"].as_str().unwrap_or_default().to_owned(), agent))
            .collect();
        let gone = self.known.keys().filter(|id| id.starts_with("bus:") && !there.contains_key(*id));
        for id in gone.cloned().collect::<Vec<_>>() {
            self.set(&id, None);
        }
        for (id, agent) in there {
            self.set(&id, Some(agent));
        }
        Some(())
    }

    /// An agent is like this from now on.
    fn set(&mut self, id: &str, agent: Option<Value>) {
        let ts = self.now();
        let before = match &agent {
            Some(agent) => self.known.insert(id.to_owned(), agent.clone()),
            None => self.known.remove(id),
        };
        let event = match (before, agent) {
            (None, Some(agent)) => json!({ "type": "agent_joined", "agent": agent, "ts": ts }),
            (Some(before), None) => {
                json!({ "type": "agent_left", "agent_id": id, "identity": before["identity"], "ts": ts })
            }
            (Some(before), Some(agent)) if before["state"] != agent["state"] => json!({
                "type": "agent_state_changed", "agent_id": id, "old_state": before["state"], "new_state": agent["state"],
                "current_task": agent["current_task"], "ts": ts,
            }),
            (Some(_), Some(_)) | (None, None) => return,
        };
        self.ready.push_back(event);
    }
}

pub(super) async fn stream(app: &Arc<App>, asked: &Asked) -> Outcome {
    asked.caller.may_list()?;
    let watch = Watch::begin(app).await?;
    let mut response = stream::answer(stream::body(watch, Ending::new(&app.hub, asked.pass.clone())));
    let kind = axum::http::HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

impl Told for Watch {
    type Item = Value;

    async fn next(&mut self) -> Option<Value> {
        Self::next(self).await
    }

    async fn take(&mut self, event: Value, ready: &mut VecDeque<Bytes>) -> ControlFlow<()> {
        ready.push_back(Bytes::from(format!("id: {}\ndata: {event}\n\n", self.pos)));
        ControlFlow::Continue(())
    }
}

/// The same over a WebSocket. A browser can send no header with one: then the client's first message is its token.
pub(super) async fn socket(app: &Arc<App>, mut parts: Parts) -> Outcome {
    access::no_agent(&parts.extensions)?;
    let shown = match parts.headers.contains_key(header::AUTHORIZATION) {
        true => Some(access::who(app, &parts.headers, &parts.extensions).await?),
        false => None,
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(|rejection| {
        let detail = format!("this path is a WebSocket: {rejection}");
        Problem::new(rejection.into_response().status(), "not_a_websocket", detail)
    })?;
    // It belongs to the upgrade.
    parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let (app, running) = (Arc::clone(app), app.tasks.token());
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let mut client = Client { app, socket, parts, _running: running };
        let pass = match shown {
            Some((_, pass)) => pass,
            None => match client.token().await {
                Some(pass) => pass,
                None => return,
            },
        };
        // Whoever is gone is told nothing more.
        let _gone = client.tell(pass).await;
    }))
}

struct Client {
    app: Arc<App>,
    socket: WebSocket,
    /// What is known of the connection.
    parts: Parts,
    _running: tokio_util::task::task_tracker::TaskTrackerToken,
}

impl Client {
    /// Waits for the token, which is the first message.
    async fn token(&mut self) -> Option<Pass> {
        let first = tokio::time::timeout(TOKEN_TIMEOUT, hear(&mut self.socket)).await.ok()??;
        let shown = first["token"].as_str().unwrap_or_default();
        let found = access::by_token(&self.app, shown, &HeaderMap::new(), &self.parts.extensions).await;
        match found {
            Ok((caller, pass)) if caller.may_list().is_ok() => Some(pass),
            Ok(_) | Err(_) => {
                let refused =
                    json!({ "type": "error", "code": "unauthenticated", "message": "Invalid token" });
                self.send(&refused).await?;
                let close = CloseFrame { code: close_code::POLICY, reason: "Invalid token".into() };
                let _gone = self.socket.send(Message::Close(Some(close))).await;
                None
            }
        }
    }

    async fn tell(mut self, pass: Pass) -> Option<()> {
        let mut watch = Watch::begin(&self.app).await.ok()?;
        let mut ending = Ending::new(&self.app.hub, pass);
        loop {
            tokio::select! {
                biased;
                why = ending.comes() => {
                    let code = match why {
                        Bye::Shutdown => close_code::AWAY,
                        Bye::Token => close_code::POLICY,
                    };
                    let close = CloseFrame { code, reason: stream::reason(why).into() };
                    let _gone = self.socket.send(Message::Close(Some(close))).await;
                    return None;
                }
                heard = hear(&mut self.socket) => match heard?["command"].as_str() {
                    Some("refresh") => self.send(&watch.snapshot()).await?,
                    Some("ping") => self.send(&json!({ "type": "pong" })).await?,
                    Some(_) | None => {
                        let unknown = json!({ "type": "error", "code": "unknown_command", "message": "there is refresh and ping" });
                        self.send(&unknown).await?;
                    }
                },
                event = watch.next() => self.send(&event?).await?,
                () = tokio::time::sleep(stream::KEEP_ALIVE) => {
                    tokio::time::timeout(SEND_TIMEOUT, self.socket.send(Message::Ping(Bytes::new()))).await.ok()?.ok()?;
                }
            }
        }
    }

    async fn send(&mut self, value: &Value) -> Option<()> {
        let sent =
            tokio::time::timeout(SEND_TIMEOUT, self.socket.send(Message::Text(value.to_string().into())));
        sent.await.ok()?.ok()
    }
}

/// The client's next message as JSON, null if it is none; `None` when the client is gone. May be dropped while it waits.
async fn hear(socket: &mut WebSocket) -> Option<Value> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap_or_default()),
            Some(Ok(Message::Binary(_))) => return Some(Value::Null),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
        }
    }
}
