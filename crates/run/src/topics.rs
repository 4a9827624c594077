//! Topics: publishing, what is retained of them, and reading them from a cursor.
//!
//! Each topic is a log in the `live` store. What was published on all of them is retained together, the newest
//! [`MAX_RETAINED`] messages of [`MAX_RETAINED_BYTES`]: what goes is trimmed from its log. A subscriber is a reader of the
//! logs; one that is further behind than that is told of a gap.

mod watcher;

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trunkline_core::id::{LogId, Seq};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::time::Time;
use trunkline_core::topic::{MAX_TOPIC_BYTES, Opened, Pattern, Published, Topic, Topics as List};

use crate::cell::CommandError;
use crate::cells::Cells;
use crate::tail::Follow;
use watcher::Watchers;

pub use watcher::Watcher;

/// How many messages are retained.
pub const MAX_RETAINED: usize = 100_000;
/// How many bytes the retained messages may have together.
pub const MAX_RETAINED_BYTES: usize = 32 << 20;

/// All topics. Cheap to clone.
#[derive(Clone)]
pub struct Topics(Arc<Shared>);

struct Shared {
    topics: Cells<Topic>,
    list: Cells<List>,
    life: u64,
    last_id: AtomicU64,
    known: Mutex<HashSet<Arc<str>>>,
    watchers: Watchers,
    retained: Mutex<Retained>,
}

/// What is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// On which topic.
    pub topic: Arc<str>,
    /// What it says.
    pub data: Raw,
    /// Who says it, by its own account.
    pub agent: Option<Arc<str>>,
}

/// What publishing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the message among those of all topics.
    pub id: u64,
    /// Its number in the topic.
    pub seq: Seq,
    /// How many subscribers read the topic now.
    pub subscribers: usize,
}

/// A message that is retained.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// What was published.
    pub published: Published,
    /// Its number in the topic.
    pub seq: Seq,
    /// When.
    pub at: Time,
}

/// Which messages are looked for. All of what is given must fit.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of this topic.
    pub topic: Option<Arc<str>>,
    /// Those of topics that fit this.
    pub pattern: Option<Pattern>,
    /// Those of this agent.
    pub agent: Option<Arc<str>>,
    /// Those since then.
    pub since: Option<Time>,
    /// Those with a greater number.
    pub after: u64,
}

impl Filter {
    fn fits(&self, signal: &Signal) -> bool {
        let published = &signal.published;
        self.topic.as_ref().is_none_or(|topic| *topic == published.topic)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&published.topic))
            && self.agent.as_ref().is_none_or(|agent| published.agent.as_ref() == Some(agent))
            && self.since.is_none_or(|since| since <= signal.at)
            && self.after < published.id
    }
}

#[derive(Default)]
struct Retained {
    /// In the order of their numbers.
    signals: VecDeque<Signal>,
    bytes: usize,
}

impl Retained {
    /// Keeps a message, and gives those that make room for it.
    fn push(&mut self, signal: Signal) -> Vec<Signal> {
        self.bytes += bytes(&signal);
        // Two that are published at a time may come here in another order than that of their numbers.
        let newer =
            self.signals.iter().rev().take_while(|other| other.published.id > signal.published.id).count();
        self.signals.insert(self.signals.len() - newer, signal);
        let mut gone = Vec::new();
        while self.signals.len() > MAX_RETAINED || self.bytes > MAX_RETAINED_BYTES {
            let Some(oldest) = self.signals.pop_front() else { break };
            self.bytes -= bytes(&oldest);
            gone.push(oldest);
        }
        gone
    }
}

fn bytes(signal: &Signal) -> usize {
    signal.published.data.get().len() + signal.published.topic.len() + 128
}

impl Topics {
    pub(crate) fn new(topics: Cells<Topic>, list: Cells<List>) -> Self {
        let (known, retained) = (Mutex::default(), Mutex::default());
        let life = topics.log().pos().0;
        let (last_id, watchers) = (AtomicU64::new(0), Watchers::default());
        Self(Arc::new(Shared { topics, list, life, last_id, known, watchers, retained }))
    }

    /// Publishes. It is retained, and every subscriber can read it, when this returns.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn publish(&self, caller: &Caller, publish: Publish) -> Result<Receipt, CommandError> {
        let mut receipts = self.publish_all(caller, vec![publish]).await;
        receipts.pop().unwrap_or(Err(CommandError::Stopping))
    }

    /// Publishes in this order, all on one topic. The receipts stand in the same order.
    pub async fn publish_all(
        &self,
        caller: &Caller,
        messages: Vec<Publish>,
    ) -> Vec<Result<Receipt, CommandError>> {
        let Some(topic) = messages.first().map(|first| first.topic.clone()) else { return Vec::new() };
        debug_assert!(messages.iter().all(|message| message.topic == topic), "they are of one topic");
        let log = match self.open(caller, &topic).await {
            Ok(log) => log,
            Err(error) => return messages.iter().map(|_| Err(error.clone())).collect(),
        };
        let number = |Publish { topic, data, agent }| {
            let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
            Published { topic, id, data, agent }
        };
        let messages: Vec<_> = messages.into_iter().map(number).collect();
        let answers = self.0.topics.commands(&log, caller, messages.clone()).await;
        let subscribers = self.subscribers(&topic);
        let mut receipts = Vec::with_capacity(answers.len());
        let mut gone = Vec::new();
        for (published, answer) in messages.into_iter().zip(answers) {
            receipts.push(answer.and_then(|done| {
                let event = done.events.first().ok_or(CommandError::Stopping)?;
                let (id, seq, at) = (published.id, event.seq, event.at);
                gone.extend(self.retained().push(Signal { published, seq, at }));
                Ok(Receipt { id, seq, subscribers })
            }));
        }
        self.trim(gone).await;
        receipts
    }

    /// The newest `limit` messages that fit, the oldest of them first.
    #[must_use]
    pub fn signals(&self, filter: &Filter, limit: usize) -> Vec<Signal> {
        let retained = self.retained();
        let fitting = retained.signals.iter().rev().filter(|signal| filter.fits(signal));
        let mut found: Vec<_> = fitting.take(limit).cloned().collect();
        found.reverse();
        found
    }

    /// Which life of the store the numbers belong to.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.0.life
    }

    /// The number of the newest message.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.retained().signals.back().map_or(0, |signal| signal.published.id)
    }

    /// The number from which on all messages are retained.
    #[must_use]
    pub fn first_id(&self) -> u64 {
        self.retained().signals.front().map_or(1, |signal| signal.published.id)
    }

    /// The topics of which something is retained, with how many messages are retained and when
    /// the newest came, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Summary> {
        let mut topics: std::collections::BTreeMap<Arc<str>, Summary> = std::collections::BTreeMap::new();
        for signal in &self.retained().signals {
            let topic = &signal.published.topic;
            let summary = topics.entry(topic.clone()).or_insert_with(|| Summary::of(topic.clone()));
            summary.retained += 1;
            summary.last = Some((signal.seq, signal.at));
        }
        let mut list: Vec<_> = topics.into_values().collect();
        for summary in &mut list {
            summary.subscribers = self.subscribers(&summary.topic);
        }
        list
    }

    /// Follows one topic from `after`; beyond its end is its end.
    ///
    /// # Errors
    /// When the name is too long.
    pub async fn follow(&self, topic: &str, after: Seq) -> Result<Follow, CommandError> {
        self.0.topics.follow(&log_of(topic)?, after).await
    }

    /// Follows the list of topics, each of which is told once.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn follow_list(&self) -> Result<Follow, CommandError> {
        self.0.list.follow(&LogId::topics(), Seq::ZERO).await
    }

    /// Counts a client that reads by patterns, until what is returned is dropped.
    #[must_use]
    pub fn watch(&self) -> Arc<Watcher> {
        self.0.watchers.add()
    }

    fn subscribers(&self, topic: &str) -> usize {
        LogId::topic(topic).map_or(0, |log| self.0.topics.readers(&log)) + self.0.watchers.count(topic)
    }

    async fn open(&self, caller: &Caller, topic: &Arc<str>) -> Result<LogId, CommandError> {
        let log = log_of(topic)?;
        if !self.known().contains(topic) {
            let opened = Opened { topic: topic.clone() };
            self.0.list.command(&LogId::topics(), caller.clone(), opened, None).await?;
            self.known().insert(topic.clone());
        }
        Ok(log)
    }

    async fn trim(&self, gone: Vec<Signal>) {
        let mut upto = std::collections::HashMap::new();
        for signal in gone {
            upto.insert(signal.published.topic, signal.seq);
        }
        for (topic, seq) in upto {
            let Ok(log) = LogId::topic(&topic) else { continue };
            if let Err(error) = self.0.topics.log().trim(&log, Some(seq)).await {
                tracing::warn!(%log, %error, "a topic could not be shortened");
            }
        }
    }

    fn retained(&self) -> MutexGuard<'_, Retained> {
        self.0.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A topic, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The topic.
    pub topic: Arc<str>,
    /// How many of its messages are retained.
    pub retained: usize,
    /// The number of the newest, and when it came.
    pub last: Option<(Seq, Time)>,
    /// How many subscribers read it.
    pub subscribers: usize,
}

impl Summary {
    const fn of(topic: Arc<str>) -> Self {
        Self { topic, retained: 0, last: None, subscribers: 0 }
    }
}

fn log_of(topic: &str) -> Result<LogId, Refused> {
    LogId::topic(topic)
        .map_err(|_| Refused::invalid("topic", format!("must be at most {MAX_TOPIC_BYTES} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(id: u64, bytes: usize) -> Signal {
        let data = Raw::of(&"x".repeat(bytes)).unwrap();
        let published = Published { topic: "t".into(), id, data, agent: None };
        Signal { published, seq: Seq(id), at: Time(0) }
    }

    #[test]
    fn what_is_retained_has_bounds_and_the_order_of_its_numbers() {
        let mut retained = Retained::default();
        for id in [1, 3, 2, 5, 4] {
            assert_eq!(retained.push(signal(id, 10)), []);
        }
        let ids: Vec<_> = retained.signals.iter().map(|signal| signal.published.id).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
        let gone: Vec<_> = (6..14).flat_map(|id| retained.push(signal(id, 6 << 20))).collect();
        let gone: Vec<_> = gone.iter().map(|signal| signal.published.id).collect();
        assert_eq!(gone, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(retained.bytes <= MAX_RETAINED_BYTES);
    }
}
