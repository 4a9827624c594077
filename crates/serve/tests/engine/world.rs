//! A server whose sessions are asked of a scripted model, and the client that the original is.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use trunkline_core::id::Node;
use trunkline_core::profile::{Profile, Provider};
use trunkline_core::time::Time;
use trunkline_log::{Log, Memory};
pub(crate) use trunkline_model_server::call;
use trunkline_model_server::{ModelServer, Script};
use trunkline_run::Hub;
use trunkline_run::catalog::Catalog;
use trunkline_run::clock::Clock;
use trunkline_run::custody::{Custody, CustodyOptions};
use trunkline_run::driver::Driver;
use trunkline_run::mcp::Mcp;
use trunkline_run::model::{MODEL, ModelDriver};
use trunkline_run::profiles::{OfFile, Profiles};
use trunkline_run::secrets::Secrets;
use trunkline_serve::auth::sha256;
use trunkline_serve::{Allowed, EngineSettings, Listener, Options, Server};
use trunkline_wire::model::Secret;
use trunkline_wire::sse::{Decoder, Event};

use crate::plain;
pub(crate) use crate::plain::OWNER;

/// What original clients read from their file.
pub(crate) const TOKEN: &str = "the-engine's-token";
/// What no answer may have.
pub(crate) const CANARY: &str = "canary-of-the-key";
/// A page that may call.
pub(crate) const WEBUI: &str = "http://127.0.0.1:8080";

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) origin: SocketAddr,
    pub(crate) hub: Hub,
    pub(crate) http: Client,
    pub(crate) dir: TempDir,
    pub(crate) model: ModelServer,
    disk: Arc<dyn Log>,
    server: Arc<Server>,
}

/// A script that answers in this order, each once.
pub(crate) fn answers(answers: &[Value]) -> Script {
    Script::in_order(answers).unwrap()
}

impl World {
    pub(crate) async fn new(said: &[Value]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home/agents/reviewer", "work"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let model = ModelServer::start(answers(said)).await.unwrap();
        let disk: Arc<dyn Log> = Arc::new(Memory::new(Time(1_000)));
        Self::over(disk, dir, model, 1).await
    }

    async fn over(disk: Arc<dyn Log>, dir: TempDir, model: ModelServer, life: u64) -> Self {
        let base_url = Some(format!("{}/v1", model.url()));
        let profile = Profile { base_url, ..Profile::new(Provider::Openai, "a-model") };
        let of_file = OfFile { profile, api_key: Some(Secret::new(CANARY)), headers: Vec::new() };
        let file = BTreeMap::from([("mine".to_owned(), of_file)]);
        let secrets = Secrets::open(&dir.path().join("home")).unwrap();
        let profiles = Profiles::new(file, &[], secrets.clone());
        let mcp = Mcp::new(BTreeMap::new(), Vec::new(), secrets);
        let custody = Custody::new(CustodyOptions {
            keep_program: "/nowhere".into(),
            grace: Duration::ZERO,
            subreaper: None,
        });
        let catalog = Arc::new(Catalog::new(Default::default(), "").unwrap().with_profiles(profiles.clone()));
        let driver =
            ModelDriver::new(custody, Arc::clone(&catalog), profiles.clone(), mcp.clone(), Vec::new());
        let hub = Hub::start(trunkline_run::hub::Options {
            disk: Arc::clone(&disk),
            live: Arc::new(Memory::new(Time(2_000))),
            clock: Clock::system(),
            node: Node { name: "here".into(), incarnation: life },
            drivers: HashMap::from([(MODEL.to_owned(), Arc::new(driver) as Arc<dyn Driver>)]),
            checkpoints: false,
            profiles,
            mcp,
        })
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let browsers = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, origin) = (listener.local_addr().unwrap(), browsers.local_addr().unwrap());
        let server = Arc::new(Server::new(Options {
            catalog,
            allowed: Allowed { origins: vec![WEBUI.to_owned()], ..Allowed::default() },
            engine: EngineSettings {
                token_sha256: Some(sha256(TOKEN)),
                sessions_dir: dir.path().join("sessions"),
                user_home: Some(dir.path().to_owned()),
                agents_home: Some(dir.path().join("home")),
                ask_ms: None,
                client: Some(dir.path().join("app.js")),
            },
            ..plain::options(&hub, address)
        }));
        for listener in [Listener::Tcp(listener), Listener::Engine(browsers)] {
            let accepting = Arc::clone(&server);
            #[expect(clippy::disallowed_methods, reason = "the server of a test ends with its runtime")]
            drop(tokio::spawn(async move { accepting.serve(listener).await }));
        }
        Self { address, origin, hub, http: Client::new(), dir, model, disk, server }
    }

    /// The daemon stops in good order, and starts again.
    pub(crate) async fn restart(self) -> Self {
        self.close().await;
        Self::over(self.disk, self.dir, self.model, 2).await
    }

    pub(crate) async fn close(&self) {
        self.hub.shutdown().await;
        self.server.close().await;
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address)).bearer_auth(TOKEN)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.ask(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.ask(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.ask(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        read(self.ask(Method::DELETE, path)).await
    }

    pub(crate) fn work(&self) -> String {
        self.dir.path().join("work").canonicalize().unwrap().to_str().unwrap().to_owned()
    }

    /// A session in the workspace, with more in its body.
    pub(crate) async fn session(&self, more: Value) -> String {
        let mut body = json!({ "workspace": self.work() });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, made) = self.post("/sessions", body).await;
        assert_eq!(status, 200, "{made}");
        made["session_id"].as_str().unwrap().to_owned()
    }

    /// A turn's stream.
    pub(crate) async fn message(&self, session: &str, text: &str) -> Stream {
        let request =
            self.ask(Method::POST, &format!("/sessions/{session}/message")).json(&json!({ "content": text }));
        Stream::of(request.send().await.unwrap())
    }

    /// The events of a whole turn.
    pub(crate) async fn turn(&self, session: &str, text: &str) -> Vec<Value> {
        self.message(session, text).await.rest().await
    }

    pub(crate) async fn attach(&self, session: &str, last: Option<u64>) -> Stream {
        let request = self.ask(Method::GET, &format!("/sessions/{session}/events"));
        let request = last.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        Stream::of(request.send().await.unwrap())
    }
}

/// The status and the body.
pub(crate) async fn read(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The types of events.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// What was said in words.
pub(crate) fn words(events: &[Value]) -> String {
    events
        .iter()
        .filter(|event| event["type"] == "token")
        .filter_map(|event| event["text"].as_str())
        .collect()
}

/// An event stream.
pub(crate) struct Stream {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    decoder: Decoder,
}

impl Stream {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!([&headers["x-accel-buffering"], &headers["cache-control"]], ["no", "no-store"]);
        Self::open(response)
    }

    pub(crate) fn open(response: Response) -> Self {
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

    /// The next event with its id in it.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        let event = self.next().await?;
        let mut value: Value = serde_json::from_str(&event.data).unwrap();
        value["id"] = event.id.parse::<u64>().map_or(Value::Null, Value::from);
        Some(value)
    }

    /// Events up to one of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await.expect("the stream goes on");
            let found = event["type"] == kind;
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// Everything up to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}
