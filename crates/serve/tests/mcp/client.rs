//! A client that says exactly what it is told to say.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use trunkline_wire::sse::Decoder;

use crate::world::{OWNER, World};

/// What a request of the newest revision says of itself.
const NEWEST: &str = "2026-07-28";

/// A session of the older protocol.
pub(crate) struct Session<'a> {
    world: &'a World,
    token: Option<String>,
    pub(crate) id: String,
    /// What the server said to `initialize`.
    pub(crate) told: Value,
}

/// Messages as they come.
pub(crate) struct Messages {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    decoder: Decoder,
}

/// Sends one message.
pub(crate) fn post(world: &World, token: Option<&str>, message: &Value) -> RequestBuilder {
    let request = world.ask(Method::POST, "/mcp").header("accept", "application/json, text/event-stream");
    let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
    request.json(message)
}

/// A request of the newest revision, which stands alone.
pub(crate) fn alone(world: &World, token: Option<&str>, method: &str, mut params: Value) -> RequestBuilder {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientInfo": {"name": "tester", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params.get("name").and_then(Value::as_str).map(str::to_owned);
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let request =
        post(world, token, &message).header("mcp-protocol-version", NEWEST).header("mcp-method", method);
    name.into_iter().fold(request, |request, name| request.header("mcp-name", name))
}

impl<'a> Session<'a> {
    /// A client without a credential.
    pub(crate) async fn local(world: &'a World) -> Self {
        Self::open(world, None, "2025-11-25", json!({})).await
    }

    /// The owner's client.
    pub(crate) async fn owner(world: &'a World) -> Self {
        Self::open(world, Some(OWNER), "2025-11-25", json!({})).await
    }

    pub(crate) async fn open(world: &'a World, token: Option<&str>, version: &str, can: Value) -> Self {
        let params = json!({"protocolVersion": version, "capabilities": can, "clientInfo": {"name": "tester", "version": "1"}});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = post(world, token, &hello).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let told = Messages::of(response).until_id(0).await["result"].clone();
        let session = Self { world, token: token.map(str::to_owned), id, told };
        session.notify(json!({"method": "notifications/initialized"})).await;
        session
    }

    pub(crate) fn post(&self, message: &Value) -> RequestBuilder {
        post(self.world, self.token.as_deref(), message).header("mcp-session-id", &self.id)
    }

    /// Sends what has no answer.
    pub(crate) async fn notify(&self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        assert_eq!(self.post(&message).send().await.unwrap().status(), 202);
    }

    /// Begins a request.
    pub(crate) async fn begin(&self, id: u64, method: &str, params: Value) -> Messages {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        Messages::of(self.post(&message).send().await.unwrap())
    }

    /// A whole answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.begin(7, method, params).await.until_id(7).await
    }

    /// The result of a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await["result"].clone()
    }

    /// What a tool gives that works.
    pub(crate) async fn gives(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// What a tool says that fails.
    pub(crate) async fn fails(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// What the server says unasked.
    pub(crate) async fn listen(&self) -> Messages {
        let request = self.world.ask(Method::GET, "/mcp").header("accept", "text/event-stream");
        let request = self.token.iter().fold(request, RequestBuilder::bearer_auth);
        Messages::of(request.header("mcp-session-id", &self.id).send().await.unwrap())
    }

    pub(crate) async fn close(&self) {
        let request = self.world.ask(Method::DELETE, "/mcp").header("mcp-session-id", &self.id);
        let request = self.token.iter().fold(request, RequestBuilder::bearer_auth);
        assert!(request.send().await.unwrap().status().is_success());
    }
}

impl Messages {
    pub(crate) fn of(response: Response) -> Self {
        assert!(response.status().is_success(), "{}", response.status());
        Self { body: response.bytes_stream().boxed(), decoder: Decoder::default() }
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            for event in self.decoder.by_ref() {
                if let Ok(message) = serde_json::from_str(&event.unwrap().data) {
                    return Some(message);
                }
            }
            self.decoder.push(&self.body.next().await?.ok()?);
        }
    }

    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await.expect("the stream goes on");
            if wanted(&message) {
                return message;
            }
        }
    }

    /// The answer to a request.
    pub(crate) async fn until_id(&mut self, id: u64) -> Value {
        self.until(|message| message["id"] == id && message.get("method").is_none()).await
    }
}
