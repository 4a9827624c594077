//! A server with a dashboard, and a client that shows no credential.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunkline_core::id::{Node, RequestId, SessionId};
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::request::{Choice, Kind, Opened, OptionKind};
use trunkline_core::session::{Command, Created};
use trunkline_core::time::Time;
use trunkline_core::turn::{Queued, WhenBusy};
use trunkline_log::Memory;
use trunkline_run::Hub;
use trunkline_run::clock::Clock;
use trunkline_serve::{Listener, Options, Server, Sessionbus};
use trunkline_wire::sse::{Decoder, Event};
use uuid::Uuid;

use crate::plain;
pub(crate) use crate::plain::OWNER;

/// A running server.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) dashboard: SocketAddr,
    pub(crate) hub: Hub,
    pub(crate) http: Client,
    server: Arc<Server>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Sessionbus::Local).await
    }

    pub(crate) async fn with(access: Sessionbus) -> Self {
        Self::serving(access, Server::new).await
    }

    pub(crate) async fn serving(access: Sessionbus, make: impl FnOnce(Options) -> Server) -> Self {
        Self::build(access, make, Clock::system(), Client::builder()).await
    }

    /// One in which time also passes as a test says, with [`pass`]. Its client keeps no connection open, because those that
    /// rest for long are closed.
    pub(crate) async fn with_time() -> Self {
        let clock = Clock::at(Time(1_700_000_000_000));
        let http = Client::builder().pool_max_idle_per_host(0);
        Self::build(Sessionbus::Local, Server::new, clock, http).await
    }

    async fn build(
        access: Sessionbus,
        make: impl FnOnce(Options) -> Server,
        clock: Clock,
        http: ClientBuilder,
    ) -> Self {
        let memory = |at| Arc::new(Memory::new(Time(at)));
        let hub = Hub::start(trunkline_run::hub::Options {
            disk: memory(1_000),
            live: memory(2_000),
            clock,
            node: Node { name: "here".into(), incarnation: 1 },
            drivers: HashMap::new(),
            checkpoints: false,
            profiles: trunkline_run::profiles::Profiles::default(),
            mcp: trunkline_run::mcp::Mcp::default(),
        })
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pages = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, dashboard) = (listener.local_addr().unwrap(), pages.local_addr().unwrap());
        let server = Arc::new(make(Options { sessionbus: access, ..plain::options(&hub, address) }));
        for listener in [Listener::Tcp(listener), Listener::Dashboard(pages)] {
            let accepting = Arc::clone(&server);
            #[expect(clippy::disallowed_methods, reason = "the server of a test ends with its runtime")]
            drop(tokio::spawn(async move { accepting.serve(listener).await }));
        }
        let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { address, dashboard, hub, http, server }
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        ok(self.ask(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        ok(self.ask(Method::POST, path).json(body)).await
    }

    /// A body as it is, with a type or without one: the status and the whole answer.
    pub(crate) async fn raw(&self, path: &str, kind: Option<&str>, body: &'static [u8]) -> (u16, String) {
        let request = self.ask(Method::POST, path).body(body);
        let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn register(&self, name: &str) -> String {
        let made = self.post("/api/sessions/register", &json!({"display_name": name})).await;
        made["session_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn question(&self, session: &str, title: &str) -> String {
        let body = json!({"title": title, "question": "Shall I?"});
        let made = self.post(&format!("/api/sessions/{session}/requests"), &body).await;
        made["request_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn respond(&self, request: &str, text: &str) -> Value {
        self.post(&format!("/api/requests/{request}/respond"), &json!({"response_text": text})).await
    }

    pub(crate) async fn dismiss(&self, request: &str) -> Value {
        ok(self.ask(Method::POST, &format!("/api/requests/{request}/dismiss"))).await
    }

    pub(crate) async fn poll(&self, session: &str, timeout: u32) -> Vec<Value> {
        let body = self.get(&format!("/api/sessions/{session}/inbox?timeout={timeout}")).await;
        body["messages"].as_array().unwrap().clone()
    }

    pub(crate) async fn ack(&self, session: &str, message: &Value) -> Value {
        let message = message["message_id"].as_str().unwrap();
        ok(self.ask(Method::POST, &format!("/api/sessions/{session}/inbox/{message}/ack"))).await
    }

    /// The session as the list has it.
    pub(crate) async fn summary(&self, session: &str) -> Value {
        let all = self.get("/api/sessions").await;
        all.as_array().unwrap().iter().find(|one| one["session_id"] == session).unwrap().clone()
    }

    /// A session whose agent the daemon runs, with a permission that waits.
    pub(crate) async fn hosted(&self) -> (String, String) {
        let owner = Caller::new(Principal::owner(), Scope::Admin);
        let id = SessionId::new(Uuid::now_v7());
        let created = Created {
            id,
            driver: "acp".into(),
            agent: "demo".into(),
            argv: vec![],
            workspace: None,
            project: None,
            title: None,
            metadata: None,
            born: None,
            setup: None,
            imported: None,
        };
        self.hub.create(&owner, created, None).await.unwrap();
        let block = Raw::parse(r#"{"type":"text","text":"go"}"#).unwrap();
        let queued = Queued { prompt: vec![block], timeout_ms: None };
        let prompt = Command::Prompt { queued, when_busy: WhenBusy::Queue };
        self.hub.command(&owner, id, prompt, None).await.unwrap();
        let choice = |id: &str, kind| Choice { id: id.into(), name: id.to_uppercase(), kind };
        let request = RequestId::new(Uuid::now_v7());
        let asked = Opened {
            kind: Kind::Permission,
            options: vec![choice("go", OptionKind::AllowOnce), choice("stop", OptionKind::RejectOnce)],
            ..Opened::question(request, "Write a file".into(), String::new())
        };
        self.hub.command(&owner, id, Command::Ask(asked), None).await.unwrap();
        (id.to_string(), request.to_string())
    }

    pub(crate) async fn close(&self) {
        self.hub.shutdown().await;
        self.server.close().await;
    }
}

/// Lets time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// Everything that works is a 200.
pub(crate) async fn ok(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

/// The status and detail of what does not.
pub(crate) async fn fails(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["detail"].clone())
}

/// An event stream.
pub(crate) struct Stream {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    decoder: Decoder,
}

impl Stream {
    pub(crate) fn of(response: Response) -> Self {
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
}
