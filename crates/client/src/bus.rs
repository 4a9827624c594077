//! What agents share: keys with values, topics, and the registry.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_core::id::Seq;
use trunkline_core::kv::Revision;
use trunkline_core::raw::Raw;
use trunkline_core::time::Time;

use crate::call::{Call, Params, encoded};
use crate::client::Client;
use crate::error::Error;
use crate::http::Http;
use crate::sse::{Signal, Sse};
use crate::types::Items;

/// How long a member of a group waits for a message.
const WAIT: Duration = Duration::from_secs(30);
/// How much later the answer may come.
const MARGIN: Duration = Duration::from_secs(10);

/// A namespace of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub namespace: String,
    /// How many keys it has.
    pub keys: u64,
}

/// A key and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Raw,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it goes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Its revision.
    pub revision: Revision,
}

/// Some keys of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPage {
    /// The keys.
    pub items: Vec<KeyEntry>,
    /// The cursor of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PutKey {
    /// The value.
    pub value: Raw,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How long it lasts, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Write only if the key has this revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<u64>,
    /// Write only if the key is not there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub if_absent: bool,
    /// Answer only once it is on the disk.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub durable: bool,
}

/// The receipt of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTransfer {
    /// Whose the keys were.
    pub from: String,
    /// Whose they are.
    pub to: String,
    /// Which.
    pub keys: Vec<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub topic: String,
    /// How many of its messages are retained.
    pub retained: u64,
    /// When the newest came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Time>,
    /// How many subscribers read it.
    pub subscribers: u64,
}

/// A message on a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicMessage {
    /// Its number among the messages of all topics.
    pub id: u64,
    /// Its topic.
    pub topic: String,
    /// Its number in the topic.
    pub seq: Seq,
    /// What it says.
    pub data: Raw,
    /// Who says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When.
    pub at: Time,
}

/// A message that a member of a group has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenMessage {
    /// The message.
    #[serde(flatten)]
    pub message: TopicMessage,
    /// How often it was taken, this time included.
    pub tries: u32,
}

/// What a member of a group has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenMessages {
    /// The messages.
    pub items: Vec<TakenMessage>,
    /// How many were passed over, because they are no longer retained.
    pub lost: u64,
}

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The number of the message.
    pub id: u64,
    /// Its number in the topic.
    pub seq: Seq,
    /// How many subscribers read the topic.
    pub subscribers: u64,
}

/// An agent of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredAgent {
    /// Its name.
    pub agent: String,
    /// What it wants to be known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
    /// What it can.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// When it was first seen.
    pub first_seen: Time,
    /// When it was last seen.
    pub last_seen: Time,
    /// Until when its lease runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Whether it may be counted on.
    pub present: bool,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

impl Client {
    /// The namespaces that have keys.
    pub async fn namespaces(&self) -> Result<Items<Namespace>, Error> {
        self.get("/v1/kv").await
    }

    /// Keys of a namespace, in the order in which they first came.
    pub async fn keys(
        &self,
        namespace: &str,
        prefix: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<KeyPage, Error> {
        let params = Params::default().add("limit", "200").maybe("prefix", prefix).maybe("cursor", cursor);
        self.get(params.of(&format!("/v1/kv/{}", encoded(namespace)))).await
    }

    /// A key and what it holds.
    pub async fn key(&self, namespace: &str, key: &str) -> Result<KeyEntry, Error> {
        self.get(key_path(namespace, key)).await
    }

    /// Writes a key.
    pub async fn put_key(&self, namespace: &str, key: &str, put: &PutKey) -> Result<KeyEntry, Error> {
        self.http.json(&Call::put(key_path(namespace, key), put)).await
    }

    /// Deletes a key.
    pub async fn delete_key(&self, namespace: &str, key: &str, revision: Option<u64>) -> Result<(), Error> {
        let revision = revision.map(|revision| revision.to_string());
        let path = Params::default().maybe("revision", revision.as_deref()).of(&key_path(namespace, key));
        self.http.done(&Call::delete(path)).await
    }

    /// Gives keys of one owner to another: these, or all of them.
    pub async fn transfer_keys(
        &self,
        namespace: &str,
        from: &str,
        to: &str,
        keys: Option<&[String]>,
    ) -> Result<KeyTransfer, Error> {
        let body = json!({ "from": from, "to": to, "keys": keys });
        self.http.json(&Call::post(format!("/v1/kv/{}/transfers", encoded(namespace)), &body)).await
    }

    /// The newest transfers of a namespace, the newest of them first.
    pub async fn transfers(&self, namespace: &str) -> Result<Items<KeyTransfer>, Error> {
        self.get(format!("/v1/kv/{}/transfers", encoded(namespace))).await
    }

    /// Writes many keys, all or none, and says how many.
    pub async fn restore_keys(&self, namespace: &str, values: &BTreeMap<String, Raw>) -> Result<u64, Error> {
        let path = format!("/v1/kv/{}/restore", encoded(namespace));
        let Count { count } = self.http.json(&Call::post(path, &json!({ "values": values }))).await?;
        Ok(count)
    }

    /// Deletes all keys of a namespace, and says how many.
    pub async fn clear_keys(&self, namespace: &str) -> Result<u64, Error> {
        let Count { count } = self.http.json(&Call::delete(format!("/v1/kv/{}", encoded(namespace)))).await?;
        Ok(count)
    }

    /// What happens to the keys of a namespace from now on, as it comes.
    #[must_use]
    pub fn watch_keys(&self, namespace: &str) -> BusStream {
        BusStream::new(Arc::clone(&self.http), format!("/v1/kv/{}/events", encoded(namespace)))
    }

    /// The topics of which something is retained.
    pub async fn topics(&self) -> Result<Items<Topic>, Error> {
        self.get("/v1/topics").await
    }

    /// The newest messages of a topic, or of all that fit a pattern; the oldest of them first.
    pub async fn messages(&self, pattern: &str, limit: usize) -> Result<Items<TopicMessage>, Error> {
        let path = format!("/v1/topics/{}/messages", encoded(pattern));
        self.get(Params::default().add("limit", &limit.to_string()).of(&path)).await
    }

    /// Publishes on a topic.
    pub async fn publish(&self, topic: &str, data: &Raw, agent: Option<&str>) -> Result<Published, Error> {
        let body = json!({ "data": data, "agent": agent });
        self.http.json(&Call::post(format!("/v1/topics/{}/messages", encoded(topic)), &body)).await
    }

    /// What is published on a topic, or on all that fit a pattern, from now on, as it comes.
    #[must_use]
    pub fn subscribe(&self, pattern: &str) -> BusStream {
        BusStream::new(Arc::clone(&self.http), format!("/v1/topics/{}/events", encoded(pattern)))
    }

    /// Takes one message for a member of a group, and waits for one up to 30 s.
    pub async fn take(
        &self,
        topic: &str,
        group: &str,
        member: &str,
        lease_ms: u64,
    ) -> Result<TakenMessages, Error> {
        let body = json!({ "member": member, "lease_ms": lease_ms, "wait_ms": WAIT.as_millis() as u64 });
        let path = format!("/v1/topics/{}/groups/{}/take", encoded(topic), encoded(group));
        self.http.json(&Call::post(path, &body).within(WAIT + MARGIN)).await
    }

    /// Says that a message of a group is done with.
    pub async fn ack_taken(&self, topic: &str, group: &str, seq: Seq) -> Result<(), Error> {
        let path = format!("/v1/topics/{}/groups/{}/ack", encoded(topic), encoded(group));
        self.http.json::<serde_json::Value>(&Call::post(path, &json!({ "seqs": [seq] }))).await.map(drop)
    }

    /// The agents that take part on the bus.
    pub async fn registered(&self) -> Result<Vec<RegisteredAgent>, Error> {
        #[derive(Deserialize)]
        struct Agents {
            registered: Vec<RegisteredAgent>,
        }
        let Agents { registered } = self.get("/v1/agents").await?;
        Ok(registered)
    }

    /// An agent of the registry.
    pub async fn registered_agent(&self, agent: &str) -> Result<RegisteredAgent, Error> {
        self.get(format!("/v1/agents/{}", encoded(agent))).await
    }

    /// Says who an agent is, what it can, and for how long it may be counted on.
    pub async fn register(
        &self,
        agent: &str,
        metadata: Option<&Raw>,
        capabilities: &[String],
        lease_ms: Option<u64>,
    ) -> Result<RegisteredAgent, Error> {
        let body = json!({ "metadata": metadata, "capabilities": capabilities, "lease_ms": lease_ms });
        self.http.json(&Call::put(format!("/v1/agents/{}", encoded(agent)), &body)).await
    }

    /// Takes an agent out of the registry.
    pub async fn forget(&self, agent: &str) -> Result<(), Error> {
        self.http.done(&Call::delete(format!("/v1/agents/{}", encoded(agent)))).await
    }
}

fn key_path(namespace: &str, key: &str) -> String {
    format!("/v1/kv/{}/keys/{}", encoded(namespace), encoded(key))
}

/// What a stream of the bus gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum BusItem {
    /// What happened, as JSON: a message of a topic, or a fact about a key.
    Told(Raw),
    /// Something is missing before what comes next: it is no longer retained.
    Gap,
    /// The daemon answers, for the first time or again.
    Open,
    /// The connection is lost; the stream goes on by itself once the daemon is back.
    Lost(Error),
}

/// A stream of the bus, which goes on over broken connections.
pub struct BusStream {
    sse: Sse,
}

impl BusStream {
    fn new(http: Arc<Http>, path: String) -> Self {
        Self { sse: Sse::new(http, Call::stream(path)) }
    }

    /// The next item. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<BusItem, Error>> {
        StreamExt::next(self).await
    }
}

impl Stream for BusStream {
    type Item = Result<BusItem, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let item = match ready!(self.sse.poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => Err(error),
                Some(Ok(Signal::Open)) => Ok(BusItem::Open),
                Some(Ok(Signal::Lost(error))) => Ok(BusItem::Lost(error)),
                Some(Ok(Signal::Event(event))) => {
                    self.sse.thrives();
                    if !event.id.is_empty() {
                        self.sse.call.last_event_id = Some(event.id);
                    }
                    match (&*event.event, Raw::parse(&event.data)) {
                        ("message", Ok(data)) => Ok(BusItem::Told(data)),
                        ("gap", _) => Ok(BusItem::Gap),
                        _ => continue,
                    }
                }
            };
            return Poll::Ready(Some(item));
        }
    }
}
