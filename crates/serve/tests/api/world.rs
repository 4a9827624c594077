//! A server on a free port, and a client that says what it means.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunkline_core::id::Node;
use trunkline_core::time::Time;
use trunkline_log::{Log, Memory};
use trunkline_run::Hub;
use trunkline_run::catalog::{ACP, Catalog};
use trunkline_run::clock::Clock;
use trunkline_run::custody::{Custody, CustodyOptions};
use trunkline_run::driver::Driver;
use trunkline_run::mcp::Mcp;
use trunkline_run::model::{MODEL, ModelDriver};
use trunkline_run::operator::Actions;
use trunkline_run::pools::{Limits, Pools, Settings};
use trunkline_run::profiles::Profiles;
use trunkline_serve::{Allowed, Listener, Options, Server};
use trunkline_wire::sse::{Decoder, Event};

use crate::plain;
pub(crate) use crate::plain::OWNER;
use crate::quiet::Quiet;

/// A running server.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) hub: Hub,
    pub(crate) http: reqwest::Client,
    pub(crate) links: Arc<trunkline_run::notify::link::Links>,
    server: Arc<Server>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::at([127, 0, 0, 1].into()).await
    }

    /// One that listens on this address.
    pub(crate) async fn at(ip: IpAddr) -> Self {
        Self::over(Arc::new(Memory::new(Time(1_000))), ip).await
    }

    /// One over this store.
    pub(crate) async fn over(disk: Arc<dyn Log>, ip: IpAddr) -> Self {
        Self::having(disk, ip, Profiles::default(), Mcp::default()).await
    }

    /// One that knows these models.
    pub(crate) async fn having(disk: Arc<dyn Log>, ip: IpAddr, profiles: Profiles, mcp: Mcp) -> Self {
        let clock = Clock::system();
        let hub = Hub::start(trunkline_run::hub::Options {
            disk,
            live: Arc::new(Memory::new(Time(2_000))),
            clock,
            node: Node { name: "here".into(), incarnation: 1 },
            drivers: HashMap::from([
                (ACP.to_owned(), Arc::new(Quiet) as Arc<dyn Driver>),
                (MODEL.to_owned(), model(&profiles, &mcp)),
            ]),
            checkpoints: false,
            profiles,
            mcp,
        })
        .await
        .unwrap();
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let pool = Settings { command: "worker".to_owned(), ..Settings::default() };
        let pools = [("p".to_owned(), pool)].into();
        let look = serde_json::from_value(json!({ "argv": ["true"] })).unwrap();
        let plain = plain::options(&hub, address);
        let (custody, links) = (plain.custody.clone(), Arc::clone(&plain.links));
        let server = Arc::new(Server::new(Options {
            allowed: Allowed { origins: vec!["https://editor.example".into()], ..Allowed::default() },
            actions: Actions::new(
                [("look".to_owned(), look)].into(),
                custody.clone(),
                Vec::new(),
                "/".into(),
            )
            .unwrap(),
            pools: Pools::start(custody, pools, &Limits::default(), Vec::new(), "/".into()),
            ..plain
        }));
        let accepting = Arc::clone(&server);
        #[expect(clippy::disallowed_methods, reason = "the server of a test ends with its runtime")]
        let task = tokio::spawn(async move { accepting.serve(Listener::Tcp(listener)).await });
        drop(task);
        Self { address, hub, http: reqwest::Client::new(), links, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request of the owner.
    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(OWNER)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.ask(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        read(self.ask(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> StatusCode {
        self.ask(Method::DELETE, path).send().await.unwrap().status()
    }

    /// An external session.
    pub(crate) async fn session(&self) -> String {
        let (status, body) = self.post("/v1/sessions", &json!({"driver": "external", "agent": "bot"})).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// A question of an external session.
    pub(crate) async fn question(&self, session: &str) -> String {
        let ask = json!({"kind": "question", "title": "Go on?", "options": [
            {"id": "yes", "name": "Yes", "kind": "choice"}, {"id": "no", "name": "No", "kind": "choice"},
        ]});
        let (status, body) = self.post(&format!("/v1/sessions/{session}/requests"), &ask).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn stream(&self, path: &str) -> Stream {
        self.stream_as(OWNER, path).await
    }

    pub(crate) async fn stream_as(&self, token: &str, path: &str) -> Stream {
        let request = self.http.get(self.url(path)).bearer_auth(token).header("accept", "text/event-stream");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { body: response.bytes_stream().boxed(), decoder: Decoder::default() }
    }

    pub(crate) async fn close(&self) {
        self.hub.shutdown().await;
        self.server.close().await;
    }
}

pub(crate) async fn read(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A client's event stream.
pub(crate) struct Stream {
    body: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    decoder: Decoder,
}

impl Stream {
    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event.unwrap());
            }
            self.decoder.push(&self.body.next().await?.unwrap());
        }
    }

    /// Events up to one with this name.
    pub(crate) async fn until(&mut self, name: &str) -> Vec<Event> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let found = event.event == name;
            seen.push(event);
            if found {
                return seen;
            }
        }
    }
}

/// The built-in agent, which can start nothing here.
fn model(profiles: &Profiles, mcp: &Mcp) -> Arc<dyn Driver> {
    let options = CustodyOptions { keep_program: "/no/keep".into(), grace: Duration::ZERO, subreaper: None };
    let catalog = Arc::new(Catalog::new(BTreeMap::new(), "/usr/bin").unwrap());
    let driver = ModelDriver::new(Custody::new(options), catalog, profiles.clone(), mcp.clone(), Vec::new());
    Arc::new(driver)
}
