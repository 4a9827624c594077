//! A server with an origin for a browser, and the client that the original is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use trunkline_core::id::Node;
use trunkline_core::time::Time;
use trunkline_log::{Log, Memory};
use trunkline_run::Hub;
use trunkline_run::catalog::{ACP, Catalog, Custom};
use trunkline_run::clock::Clock;
use trunkline_run::driver::Driver;
use trunkline_serve::{AttachSettings, Listener, Options, Server};
use trunkline_wire::sse::{Decoder, Event};

use crate::actor::Actor;
use crate::plain;
pub(crate) use crate::plain::OWNER;

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) origin: SocketAddr,
    pub(crate) hub: Hub,
    pub(crate) http: Client,
    pub(crate) dir: TempDir,
    disk: Arc<dyn Log>,
    server: Arc<Server>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(AttachSettings::default()).await
    }

    pub(crate) async fn with(settings: AttachSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("client")).unwrap();
        std::fs::write(dir.path().join("client/index.html"), "<p>A client</p>").unwrap();
        let disk: Arc<dyn Log> = Arc::new(Memory::new(Time(1_000)));
        Self::over(disk, dir, settings, 1).await
    }

    async fn over(disk: Arc<dyn Log>, dir: TempDir, settings: AttachSettings, life: u64) -> Self {
        let hub = Hub::start(trunkline_run::hub::Options {
            disk: Arc::clone(&disk),
            live: Arc::new(Memory::new(Time(2_000))),
            clock: Clock::system(),
            node: Node { name: "here".into(), incarnation: life },
            drivers: HashMap::from([(ACP.to_owned(), Arc::new(Actor) as Arc<dyn Driver>)]),
            checkpoints: false,
            profiles: trunkline_run::profiles::Profiles::default(),
            mcp: trunkline_run::mcp::Mcp::default(),
        })
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let browsers = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, origin) = (listener.local_addr().unwrap(), browsers.local_addr().unwrap());
        let custom = Custom { argv: Some(vec!["actor".to_owned()]), ..Custom::default() };
        let server = Arc::new(Server::new(Options {
            catalog: Arc::new(Catalog::new([("actor".to_owned(), custom)].into(), "").unwrap()),
            attach: AttachSettings {
                agent: "actor".to_owned(),
                sessions_dir: dir.path().join("sessions"),
                proxy_header: "x-authentik-username".to_owned(),
                files: vec![("/".to_owned(), dir.path().join("client"))],
                ..settings
            },
            ..plain::options(&hub, address)
        }));
        for listener in [Listener::Tcp(listener), Listener::Attach(browsers)] {
            let accepting = Arc::clone(&server);
            #[expect(clippy::disallowed_methods, reason = "the server of a test ends with its runtime")]
            drop(tokio::spawn(async move { accepting.serve(listener).await }));
        }
        Self { address, origin, hub, http: Client::new(), dir, disk, server }
    }

    /// The daemon stops in good order, and starts again.
    pub(crate) async fn restart(self) -> Self {
        self.close().await;
        Self::over(self.disk, self.dir, AttachSettings::default(), 2).await
    }

    pub(crate) async fn close(&self) {
        self.hub.shutdown().await;
        self.server.close().await;
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address)).bearer_auth(OWNER)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.ask(Method::POST, path).json(body)).await
    }

    pub(crate) async fn session(&self) -> String {
        let (status, body) = read(self.ask(Method::POST, "/api/session")).await;
        assert_eq!(status, 200, "{body}");
        body["session_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn prompt(&self, session: &str, text: &str) -> (u16, Value) {
        self.post(&format!("/api/session/{session}/prompt"), &json!({ "prompt": text })).await
    }

    pub(crate) async fn cancel(&self, session: &str) -> Value {
        read(self.ask(Method::POST, &format!("/api/session/{session}/cancel"))).await.1
    }

    pub(crate) async fn attach(&self, session: &str, last: Option<&str>) -> Stream {
        let request = self.ask(Method::GET, &format!("/api/session/{session}/stream"));
        let response = last.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        Stream::of(response.send().await.unwrap())
    }

    /// A whole turn, as a client that was there has seen it.
    pub(crate) async fn turn(&self, session: &str, text: &str) -> Vec<Value> {
        let mut stream = self.attach(session, None).await;
        stream.backlog().await;
        let (status, body) = self.prompt(session, text).await;
        assert_eq!((status, body), (200, json!({ "status": "started" })));
        stream.until("turn_end").await
    }
}

/// The status and the body.
pub(crate) async fn read(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The kinds of frames.
pub(crate) fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["kind"].as_str().unwrap()).collect()
}

pub(crate) fn ids(frames: &[Value]) -> Vec<u64> {
    frames.iter().map(|frame| frame["id"].as_u64().unwrap()).collect()
}

/// An event stream.
pub(crate) struct Stream {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    decoder: Decoder,
}

impl Stream {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { body: response.bytes_stream().boxed(), decoder: Decoder::default() }
    }

    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event.unwrap());
            }
            self.decoder.push(&self.body.next().await?.unwrap());
        }
    }

    /// Frames up to one of this kind; the mark that all has been told is passed over.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.event != "message" {
                continue;
            }
            let frame: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(frame["id"].to_string(), event.id);
            let found = frame["kind"] == kind;
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }

    /// What there is before the mark.
    pub(crate) async fn backlog(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.event == "caught-up" {
                assert_eq!(event.data, "{}");
                return frames;
            }
            frames.push(serde_json::from_str(&event.data).unwrap());
        }
    }
}
