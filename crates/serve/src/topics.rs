//! Topics: what is published, what is retained of it, and streams of it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use axum::Json as Body;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trunkline_core::event::Fact;
use trunkline_core::id::Seq;
use trunkline_core::raw::Raw;
use trunkline_core::registry;
use trunkline_core::time::Time;
use trunkline_core::topic::Pattern;
use trunkline_run::Hub;
use trunkline_run::topics::{Filter, Publish, Signal};

use crate::app::{Shared, limit};
use crate::extract::{Id, Ids, Json, Query, Who};
use crate::gate::Pass;
use crate::problem::{Answer, Problem};
use crate::stream::{self, Bye, Ending, Told};
use crate::subscriptions::{Came, Cut, Source, Subscriptions};

/// The topics of which something is retained.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Topics {
    items: Vec<TopicView>,
}

/// A topic.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Topic")]
struct TopicView {
    /// Its name.
    topic: String,
    /// How many of its messages are retained.
    retained: usize,
    /// When the newest came.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Time>,
    /// How many subscribers read it.
    subscribers: usize,
}

/// A message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "TopicMessage")]
pub(crate) struct MessageView {
    /// Its number among the messages of all topics in this life of the daemon.
    id: u64,
    /// Its topic.
    topic: String,
    /// Its number in the topic.
    seq: Seq,
    /// What it says.
    data: Raw,
    /// Who says it, by its own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// When.
    at: Time,
}

/// Messages, the oldest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TopicMessages")]
pub(crate) struct Messages {
    items: Vec<MessageView>,
}

/// What to publish.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Publish")]
pub(crate) struct New {
    /// Any JSON.
    data: Raw,
    /// Who says it.
    agent: Option<String>,
}

/// What publishing did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Published {
    /// The number of the message among those of all topics.
    id: u64,
    /// Its number in the topic.
    seq: Seq,
    /// How many subscribers read the topic.
    subscribers: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    agent: Option<String>,
    since: Option<i64>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    after: Option<String>,
}

impl MessageView {
    fn of(signal: Signal) -> Self {
        let Signal { published, seq, at } = signal;
        let agent = published.agent.map(|agent| agent.to_string());
        Self { id: published.id, topic: published.topic.to_string(), seq, data: published.data, agent, at }
    }
}

/// What a member of a group wants.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TakeMessages")]
pub(crate) struct Take {
    /// Who takes: a name of its own.
    member: String,
    /// How many messages at most: 1 to 100, 1 if not said.
    max: Option<usize>,
    /// For how long it has them, in milliseconds: what is not acknowledged by then goes to another. 30 seconds, if not said.
    lease_ms: Option<u64>,
    /// How long to wait while there is nothing to take, in milliseconds: at most 60 seconds, and not at all if not said.
    wait_ms: Option<u64>,
    /// Whether a new group begins with what is retained; else it begins with what comes.
    #[serde(default)]
    from_start: bool,
}

/// A message that was taken.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TakenMessage")]
struct TakenView {
    #[serde(flatten)]
    message: MessageView,
    /// How often it was taken, this time included.
    tries: u32,
}

/// What was taken.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TakenMessages")]
pub(crate) struct TakenList {
    items: Vec<TakenView>,
    /// How many messages were passed over, because they are no longer retained.
    lost: usize,
}

/// Messages that are done with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AckMessages")]
pub(crate) struct Ack {
    /// Their numbers in the topic.
    seqs: Vec<Seq>,
}

/// How many.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AckedMessages")]
pub(crate) struct AckedCount {
    /// How many were out, and are done with now.
    acked: usize,
}

pub(crate) async fn take(
    app: Shared,
    Who(caller): Who,
    Ids(topic, group): Ids<String, String>,
    Json { body, .. }: Json<Take>,
) -> Answer<Body<TakenList>> {
    let take = trunkline_run::groups::Take {
        member: body.member.into(),
        max: body.max.unwrap_or(1),
        lease_ms: body.lease_ms.unwrap_or(30_000),
        wait: std::time::Duration::from_millis(body.wait_ms.unwrap_or(0).min(60_000)),
        from_start: body.from_start,
    };
    let batch = app.hub.take(&caller, &topic, &group, take).await?;
    let view = |taken: trunkline_run::groups::Taken| TakenView {
        message: MessageView::of(taken.signal),
        tries: taken.tries,
    };
    Ok(Body(TakenList { items: batch.items.into_iter().map(view).collect(), lost: batch.lost }))
}

pub(crate) async fn ack(
    app: Shared,
    Who(caller): Who,
    Ids(topic, group): Ids<String, String>,
    Json { body: Ack { seqs }, .. }: Json<Ack>,
) -> Answer<Body<AckedCount>> {
    let acked = app.hub.ack_taken(&caller, &topic, &group, seqs).await?;
    Ok(Body(AckedCount { acked }))
}

pub(crate) async fn list(app: Shared, _: Who) -> Answer<Body<Topics>> {
    let view = |summary: trunkline_run::topics::Summary| TopicView {
        topic: summary.topic.to_string(),
        retained: summary.retained,
        last_at: summary.last.map(|(_, at)| at),
        subscribers: summary.subscribers,
    };
    Ok(Body(Topics { items: app.hub.topics().list().into_iter().map(view).collect() }))
}

pub(crate) async fn messages(
    app: Shared,
    _: Who,
    Id(topic): Id<String>,
    Query(which): Query<Which>,
) -> Answer<Body<Messages>> {
    let pattern = Some(Pattern::new(&topic)?);
    let (agent, since) = (which.agent.map(Into::into), which.since.map(Time));
    let filter = Filter { pattern, agent, since, ..Filter::default() };
    let signals = app.hub.topics().signals(&filter, limit(which.limit)?);
    Ok(Body(Messages { items: signals.into_iter().map(MessageView::of).collect() }))
}

pub(crate) async fn publish(
    app: Shared,
    Who(caller): Who,
    Id(topic): Id<String>,
    Json { body: New { data, agent }, .. }: Json<New>,
) -> Answer<Body<Published>> {
    let agent: Option<std::sync::Arc<str>> = agent.map(Into::into);
    if let Some(agent) = &agent {
        app.hub.registry(&caller, registry::Command::See(agent.clone())).await?;
    }
    let publish = Publish { topic: topic.into(), data, agent };
    let receipt = app.hub.topics().publish(&caller, publish).await?;
    Ok(Body(Published { id: receipt.id, seq: receipt.seq, subscribers: receipt.subscribers }))
}

/// A stream of what is published on a topic, or on all that fit a pattern. Its ids are places among the messages of all
/// topics: `<life of the daemon>.<number>`.
pub(crate) async fn events(
    app: Shared,
    _: Who,
    pass: Pass,
    headers: HeaderMap,
    Id(topic): Id<String>,
    Query(from): Query<From>,
) -> Answer<Response> {
    let hub = app.hub.clone();
    let last = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?").to_owned());
    let after = last.or(from.after).map(|text| place(&text)).transpose()?;
    let pattern = Pattern::new(&topic)?;
    let mut subscriptions = Subscriptions::default();
    subscriptions.subscribe_all(&hub, pattern.clone()).await?;
    // The readers stand already: what comes now is told by them, and what is retained of before is told first.
    let life = hub.topics().life();
    let (told, mut first) = (hub.topics().last_id(), Vec::new());
    if let Some((of_life, id)) = after {
        let id = if of_life == life { id } else { 0 };
        let filter = Filter { pattern: Some(pattern), after: id, ..Filter::default() };
        let retained = hub.topics().signals(&filter, usize::MAX);
        if of_life != life || hub.topics().first_id() > id + 1 {
            first.push(stream::named("gap", None, "{}"));
        }
        let old = retained.into_iter().filter(|signal| signal.published.id <= told);
        first.extend(old.map(|signal| encode(life, &MessageView::of(signal))));
    }
    let caught_up = Some(format!("{life}.{told}"));
    first.push(stream::named("caught-up", caught_up.as_deref(), "{}"));
    let ending = Ending::new(&app.hub, pass);
    Ok(stream::answer(stream::body(Topical { hub, subscriptions, told, life, first: Some(first) }, ending)))
}

fn place(text: &str) -> Answer<(u64, u64)> {
    let parts = text.trim().split_once('.');
    let place = parts.and_then(|(life, id)| Some((life.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(|| Problem::invalid("after", "after and Last-Event-ID must be a value the daemon gave"))
}

fn encode(life: u64, message: &MessageView) -> Bytes {
    let data = serde_json::to_string(message).unwrap_or_default();
    stream::named("message", Some(&format!("{life}.{}", message.id)), &data)
}

/// What is published, for one client: what was before its readers began, then what they read.
struct Topical {
    hub: Hub,
    subscriptions: Subscriptions,
    /// Up to here it was published before.
    told: u64,
    life: u64,
    first: Option<Vec<Bytes>>,
}

enum Item {
    Before(Vec<Bytes>),
    Came(Came),
}

impl Told for Topical {
    type Item = Item;

    async fn next(&mut self) -> Option<Item> {
        if let Some(first) = self.first.take() {
            return Some(Item::Before(first));
        }
        match self.subscriptions.next(&self.hub).await {
            Ok(came) => Some(Item::Came(came)),
            // The client comes back with its place, and is told of the gap then.
            Err(Cut::Behind(_)) => None,
            Err(error) => {
                tracing::error!(%error, "a stream of topics ends");
                None
            }
        }
    }

    async fn take(&mut self, item: Item, ready: &mut VecDeque<Bytes>) -> ControlFlow<()> {
        match item {
            Item::Before(first) => ready.extend(first),
            Item::Came(came) if came.source == Source::Topic => {
                let events = came.frames.iter().flat_map(|shown| shown.frame.events().unwrap_or_default());
                for event in events {
                    if let Fact::TopicPublished(published) = event.fact
                        && published.id > self.told
                    {
                        let signal = Signal { published, seq: event.seq, at: event.at };
                        ready.push_back(encode(self.life, &MessageView::of(signal)));
                    }
                }
            }
            Item::Came(_) => {}
        }
        ControlFlow::Continue(())
    }

    fn bye(why: Bye) -> Option<Bytes> {
        Some(stream::bye(why))
    }
}
