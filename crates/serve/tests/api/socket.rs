//! One WebSocket with many streams.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::world::{OWNER, World};

struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// Connects with these headers.
    async fn with(world: &World, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = format!("ws://{}/v1/ws", world.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(world.address).await.unwrap();
        Ok(Self(client_async(request, stream).await?.0))
    }

    /// The owner's, who may subscribe.
    async fn owner(world: &World) -> Self {
        let mut client = Self::with(world, &[("authorization", &format!("Bearer {OWNER}"))]).await.unwrap();
        assert_eq!(client.hear().await, json!({"type": "ready"}));
        client
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message.
    async fn hear(&mut self) -> Value {
        let message = self.0.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Subscribes, and waits for the stream to be live.
    async fn reads(&mut self, id: &str, path: &str) {
        self.say(json!({"type": "subscribe", "id": id, "path": path})).await;
        let live = self.hear().await;
        assert_eq!((&live["id"], &live["event"]), (&json!(id), &json!("caught-up")), "{live}");
    }

    async fn closed(&mut self) -> CloseCode {
        match self.0.next().await {
            Some(Ok(Message::Close(Some(close)))) => close.code,
            other => panic!("no close, but {other:?}"),
        }
    }
}

async fn publish(world: &World, topic: &str, data: Value) {
    let (status, body) = world.post(&format!("/v1/topics/{topic}/messages"), &json!({"data": data})).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn many_streams_come_over_one_connection() {
    let world = World::new().await;
    let session = world.session().await;
    let mut client = Client::owner(&world).await;
    client.reads("builds", "/v1/topics/build.*/events").await;
    client.reads("keys", "/v1/kv/ns/events").await;
    client
        .say(json!({"type": "subscribe", "id": "log", "path": format!("/v1/sessions/{session}/events")}))
        .await;
    let first = client.hear().await;
    assert_eq!(
        (&first["id"], &first["data"]["type"], &first["last_event_id"]),
        (&json!("log"), &json!("session.created"), &json!("1"))
    );
    while client.hear().await["event"] != "caught-up" {}
    publish(&world, "build.done", json!({"ok": true})).await;
    let told = client.hear().await;
    assert_eq!((&told["id"], &told["data"]["data"]), (&json!("builds"), &json!({"ok": true})), "{told}");
    world.question(&session).await;
    let told = client.hear().await;
    assert_eq!((&told["id"], &told["data"]["type"]), (&json!("log"), &json!("request.opened")), "{told}");

    client.say(json!({"type": "unsubscribe", "id": "builds"})).await;
    assert_eq!(client.hear().await, json!({"type": "ended", "id": "builds"}));
    publish(&world, "build.done", json!(2)).await;
    client.reads("builds", "/v1/topics/build.*/events").await;
    publish(&world, "build.done", json!(3)).await;
    assert_eq!(client.hear().await["data"]["data"], 3);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was() {
    let world = World::new().await;
    let mut client = Client::owner(&world).await;
    client.reads("b", "/v1/topics/build/events").await;
    publish(&world, "build", json!(1)).await;
    let place = client.hear().await["last_event_id"].clone();
    drop(client);
    publish(&world, "build", json!(2)).await;
    let mut client = Client::owner(&world).await;
    client
        .say(json!({"type": "subscribe", "id": "b", "path": "/v1/topics/build/events", "last_event_id": place}))
        .await;
    assert_eq!(client.hear().await["data"]["data"], 2);
}

#[tokio::test]
async fn a_browser_shows_its_token_first() {
    let world = World::new().await;
    let own = format!("http://{}", world.address);
    let mut page = Client::with(&world, &[("origin", &own)]).await.unwrap();
    page.say(json!({"type": "token", "token": OWNER})).await;
    assert_eq!(page.hear().await, json!({"type": "ready"}));
    page.say(json!({"type": "token", "token": OWNER})).await;
    assert_eq!(page.hear().await["problem"]["code"], "invalid");

    for first in [
        json!({"type": "token", "token": "x"}),
        json!({"type": "token", "token": "\n"}),
        json!({"type": "subscribe", "id": "a", "path": "/v1/feed"}),
        json!(7),
    ] {
        let mut stranger = Client::with(&world, &[]).await.unwrap();
        stranger.say(first.clone()).await;
        let refused = stranger.hear().await;
        assert_eq!(refused["type"], "refused", "{first}: {refused}");
        assert_eq!(stranger.closed().await, CloseCode::Policy, "{first}");
    }
    for (headers, status) in
        [([("origin", "https://evil.example")], 403), ([("authorization", "Bearer x")], 401)]
    {
        match Client::with(&world, &headers).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), status),
            other => panic!("{headers:?} opened it: {:?}", other.map(|_| ())),
        }
    }
    Client::with(&world, &[("origin", "https://editor.example")]).await.unwrap();
    let (status, problem) = world.get("/v1/ws").await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("not_a_websocket")), "{problem}");
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused_and_the_others_go_on() {
    let world = World::new().await;
    let mut client = Client::owner(&world).await;
    client.reads("a", "/v1/topics/t/events").await;
    for (asked, code) in [
        (json!({"type": "subscribe", "id": "b", "path": "/v1/me"}), "not_found"),
        (json!({"type": "subscribe", "id": "b", "path": "/health"}), "invalid"),
        (json!({"type": "subscribe", "id": "b", "path": "http://x/v1/feed"}), "invalid"),
        (json!({"type": "subscribe", "id": "b", "path": "/v1/topics/t/events?nonsense=1"}), "bad_query"),
        (json!({"type": "subscribe", "id": "a", "path": "/v1/topics/t/events"}), "invalid"),
        (json!({"type": "unsubscribe", "id": "c"}), "not_found"),
        (json!({"type": "publish"}), "invalid"),
        (json!("x"), "invalid"),
    ] {
        client.say(asked.clone()).await;
        let refused = client.hear().await;
        assert_eq!(
            (&refused["type"], &refused["problem"]["code"]),
            (&json!("refused"), &json!(code)),
            "{asked}: {refused}"
        );
        if refused["id"] == "b" && code != "invalid" {
            assert_eq!(client.hear().await, json!({"type": "ended", "id": "b"}));
        }
    }
    for n in 0..99 {
        client.reads(&n.to_string(), "/v1/topics/t/events").await;
    }
    client.say(json!({"type": "subscribe", "id": "one", "path": "/v1/topics/t/events"})).await;
    assert_eq!(client.hear().await["problem"]["code"], "too_many");
    publish(&world, "t", json!(1)).await;
    for _ in 0..100 {
        assert_eq!(client.hear().await["data"]["data"], 1);
    }
}

#[tokio::test]
async fn a_revoked_token_and_a_stop_end_it_with_a_word() {
    let world = World::new().await;
    let (_, made) = world.post("/v1/tokens", &json!({"name": "n", "scope": "viewer"})).await;
    let mut viewer = Client::with(&world, &[]).await.unwrap();
    viewer.say(json!({"type": "token", "token": made["token"]})).await;
    assert_eq!(viewer.hear().await["type"], "ready");
    viewer.reads("t", "/v1/topics/t/events").await;
    assert_eq!(world.delete(&format!("/v1/tokens/{}", made["id"].as_str().unwrap())).await, 204);
    let mut last = viewer.hear().await;
    while last["type"] != "bye" {
        last = viewer.hear().await;
    }
    assert_eq!(last, json!({"type": "bye", "reason": "token"}));
    assert_eq!(viewer.closed().await, CloseCode::Policy);

    let mut owner = Client::owner(&world).await;
    world.close().await;
    assert_eq!(owner.hear().await, json!({"type": "bye", "reason": "shutdown"}));
    assert_eq!(owner.closed().await, CloseCode::Away);
}
