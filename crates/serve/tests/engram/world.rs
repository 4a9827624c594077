//! A server of the bus, and a client that is as simple as the original: it sends lines, and reads lines.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use trunkline_core::id::Node;
use trunkline_core::time::Time;
use trunkline_log::{Log, Memory};
use trunkline_run::Hub;
use trunkline_run::clock::Clock;
use trunkline_serve::{Engram, Listener, Options, Server};

use crate::plain;

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) hub: Hub,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Engram::Local).await
    }

    pub(crate) async fn with(engram: Engram) -> Self {
        let hub = Hub::start(trunkline_run::hub::Options {
            disk: Arc::new(Memory::new(Time(1_000))) as Arc<dyn Log>,
            live: Arc::new(Memory::new(Time(2_000))),
            clock: Clock::system(),
            node: Node { name: "here".into(), incarnation: 1 },
            drivers: HashMap::new(),
            checkpoints: false,
            profiles: trunkline_run::profiles::Profiles::default(),
            mcp: trunkline_run::mcp::Mcp::default(),
        })
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(Server::new(Options { engram, ..plain::options(&hub, address) }));
        #[expect(clippy::disallowed_methods, reason = "the server of a test ends with its runtime")]
        drop(tokio::spawn(async move { server.serve(Listener::Engram(listener)).await }));
        Self { address, hub }
    }

    pub(crate) async fn client(&self) -> Client {
        let (reader, writer) = TcpStream::connect(self.address).await.unwrap().into_split();
        Client { reader: BufReader::new(reader), writer }
    }
}

pub(crate) struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.writer.write_all(text.as_ref()).await.unwrap();
    }

    /// The next line; none at the end.
    pub(crate) async fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.reader.read_line(&mut line).await.unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    /// Asks, and reads the next line.
    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        self.send(format!("{request}\n")).await;
        self.line().await.unwrap()
    }

    /// Asks for what does well, and gives what it says besides.
    pub(crate) async fn ok(&mut self, request: Value) -> Value {
        let mut reply = self.ask(request.clone()).await;
        assert_eq!(reply["ok"], json!(true), "{request}: {reply}");
        reply.as_object_mut().unwrap().remove("ok");
        reply
    }

    /// Says that it sends no more.
    pub(crate) async fn finish(&mut self) {
        self.writer.shutdown().await.unwrap();
    }
}

/// A message as a subscriber is told of it.
pub(crate) fn signal(topic: &str, data: &Value, agent: Option<&str>) -> Value {
    json!({"event": "signal", "topic": topic, "data": data, "agent": agent})
}
