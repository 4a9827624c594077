//! What a client subscribes to: readers of topics, and of what is put into namespaces, each with a cursor of its own.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::select_all;
use trunkline_core::event::Fact;
use trunkline_core::id::Seq;
use trunkline_core::topic::Pattern;
use trunkline_log::LogError;
use trunkline_log::frame::Frame;
use trunkline_run::tail::{Follow, Next, Shown};
use trunkline_run::topics::Watcher;
use trunkline_run::{CommandError, Hub};

/// How many topics a client may read at a time.
const MAX: usize = 1_000;
/// The topics on which the daemon tells what is put into a namespace.
pub(crate) const PUT: &str = "__bus__.put.";

/// Why a subscriber cannot go on.
#[derive(Debug)]
pub(crate) enum Cut {
    /// It is further behind than what is retained.
    Behind(String),
    /// The store cannot be read.
    Unreadable(LogError),
    /// A new topic cannot be read.
    Refused(CommandError),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(topic) => write!(f, "it is further behind on {topic} than what is retained"),
            Self::Unreadable(error) => error.fmt(f),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

/// All of a connection.
#[derive(Default)]
pub(crate) struct Subscriptions {
    topics: BTreeMap<Arc<str>, Reading>,
    patterns: Vec<Pattern>,
    /// Has the patterns counted, while there are any.
    watcher: Option<Arc<Watcher>>,
    /// Tells of new topics, while there are patterns.
    list: Option<Follow>,
    /// New topics of which it has told, and that are not read yet.
    met: VecDeque<Arc<str>>,
}

struct Reading {
    follow: Follow,
    source: Source,
    /// Whether it was asked for by its own name; else by a pattern alone.
    is_exact: bool,
}

/// What is read for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// What is published on it.
    Topic,
    /// What is put into the namespace that it names.
    Puts,
}

/// What has come on a topic.
pub(crate) struct Came {
    pub(crate) topic: Arc<str>,
    pub(crate) source: Source,
    pub(crate) frames: Vec<Arc<Shown>>,
}

/// What a reader has got.
enum Got {
    Topic(Arc<str>, Next),
    List(Next),
}

impl Subscriptions {
    /// Reads a topic from now on.
    pub(crate) async fn subscribe(&mut self, hub: &Hub, topic: &str) -> Result<(), CommandError> {
        if let Some(reading) = self.topics.get_mut(topic) {
            reading.is_exact = true;
            return Ok(());
        }
        self.read(hub, topic, true, Seq(u64::MAX)).await
    }

    /// Reads every topic that fits a pattern from now on, those that come included.
    pub(crate) async fn subscribe_all(&mut self, hub: &Hub, pattern: Pattern) -> Result<(), CommandError> {
        if let Some(topic) = pattern.exact() {
            return self.subscribe(hub, topic).await;
        }
        if self.patterns.contains(&pattern) {
            return Ok(());
        }
        self.check_room(self.patterns.len())?;
        let mut list = hub.topics().follow_list().await?;
        loop {
            match list.next().await.map_err(CommandError::from)? {
                Next::Frames(frames) => {
                    for topic in frames.iter().flat_map(|shown| opened(&shown.frame)) {
                        if pattern.matches(&topic) && !self.topics.contains_key(&topic) {
                            self.read(hub, &topic, false, Seq(u64::MAX)).await?;
                        }
                    }
                }
                Next::Gap(_) => {}
                Next::CaughtUp(_) | Next::Removed => break,
            }
        }
        // One reader tells all patterns of new topics; an older one may still have to tell of some that were just met.
        self.list.get_or_insert(list);
        self.patterns.push(pattern);
        self.watcher.get_or_insert_with(|| hub.topics().watch());
        self.count();
        Ok(())
    }

    pub(crate) fn unsubscribe(&mut self, topic: &str) -> bool {
        let Some(reading) = self.topics.get_mut(topic) else { return false };
        let was_exact = std::mem::take(&mut reading.is_exact);
        if !self.patterns.iter().any(|pattern| pattern.matches(topic)) {
            self.topics.remove(topic);
            self.count();
        }
        was_exact
    }

    pub(crate) fn unsubscribe_all(&mut self, pattern: &Pattern) -> bool {
        if let Some(topic) = pattern.exact() {
            return self.unsubscribe(topic);
        }
        let before = self.patterns.len();
        self.patterns.retain(|other| other != pattern);
        let patterns = &self.patterns;
        self.topics.retain(|topic, reading| {
            reading.is_exact || patterns.iter().any(|pattern| pattern.matches(topic))
        });
        if self.patterns.is_empty() {
            (self.list, self.watcher) = (None, None);
        }
        self.count();
        self.patterns.len() < before
    }

    /// What comes next. Never, while there is nothing to read. Safe to drop: nothing is lost.
    pub(crate) async fn next(&mut self, hub: &Hub) -> Result<Came, Cut> {
        loop {
            self.read_met(hub).await?;
            if self.topics.is_empty() && self.list.is_none() {
                return std::future::pending().await;
            }
            let got = self.wait().await?;
            if let Some(came) = self.take(got)? {
                return Ok(came);
            }
        }
    }

    /// What has come on a topic so far: a client is told of its own message before its reply.
    pub(crate) async fn catch_up(&mut self, hub: &Hub, topic: &str) -> Result<Vec<Came>, Cut> {
        self.meet_new(hub).await?;
        let is_behind = |reading: &&mut Reading| reading.follow.cursor() < reading.follow.head();
        let mut all = Vec::new();
        while let Some(reading) = self.topics.get_mut(topic).filter(is_behind) {
            let next = reading.follow.next().await.map_err(Cut::Unreadable)?;
            all.extend(self.take(Got::Topic(topic.into(), next))?);
        }
        Ok(all)
    }

    async fn meet_new(&mut self, hub: &Hub) -> Result<(), Cut> {
        while let Some(list) = self.list.as_mut().filter(|list| list.cursor() < list.head()) {
            let next = list.next().await.map_err(Cut::Unreadable)?;
            self.take(Got::List(next))?;
        }
        self.read_met(hub).await
    }

    /// Reads the new topics that fit, from their beginning.
    async fn read_met(&mut self, hub: &Hub) -> Result<(), Cut> {
        while let Some(topic) = self.met.front().cloned() {
            let fits = self.patterns.iter().any(|pattern| pattern.matches(&topic));
            if fits && !self.topics.contains_key(&topic) {
                self.read(hub, &topic, false, Seq::ZERO).await.map_err(Cut::Refused)?;
            }
            self.met.pop_front();
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<Got, Cut> {
        type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Got, LogError>> + Send + 'a>>;
        let topics = self.topics.iter_mut().map(|(topic, reading)| -> Waiting<'_> {
            Box::pin(async move { Ok(Got::Topic(topic.clone(), reading.follow.next().await?)) })
        });
        let list = self
            .list
            .iter_mut()
            .map(|list| -> Waiting<'_> { Box::pin(async move { Ok(Got::List(list.next().await?)) }) });
        let (got, ..) = select_all(topics.chain(list)).await;
        got.map_err(Cut::Unreadable)
    }

    fn take(&mut self, got: Got) -> Result<Option<Came>, Cut> {
        match got {
            Got::Topic(topic, Next::Frames(frames)) => {
                let source = self.topics.get(&topic).map(|reading| reading.source);
                return Ok(source.map(|source| Came { topic, source, frames }));
            }
            Got::Topic(topic, Next::Gap(_)) => return Err(Cut::Behind(topic.to_string())),
            Got::Topic(topic, Next::Removed) => {
                self.topics.remove(&topic);
                self.count();
            }
            Got::List(Next::Frames(frames)) => {
                self.met.extend(frames.iter().flat_map(|shown| opened(&shown.frame)));
            }
            Got::List(Next::Removed) => self.list = None,
            Got::Topic(_, Next::CaughtUp(_)) | Got::List(Next::CaughtUp(_) | Next::Gap(_)) => {}
        }
        Ok(None)
    }

    async fn read(&mut self, hub: &Hub, topic: &str, is_exact: bool, after: Seq) -> Result<(), CommandError> {
        self.check_room(self.topics.len())?;
        let (follow, source) = match topic.strip_prefix(PUT) {
            Some(namespace) => (hub.follow_kv(namespace, after).await?, Source::Puts),
            None => (hub.topics().follow(topic, after).await?, Source::Topic),
        };
        self.topics.insert(topic.into(), Reading { follow, source, is_exact });
        self.count();
        Ok(())
    }

    /// Says what is read, so that a topic counts this client before it is met, and once.
    fn count(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.set(self.patterns.clone(), self.topics.keys().cloned().collect());
        }
    }

    fn check_room(&self, count: usize) -> Result<(), CommandError> {
        if count >= MAX {
            let limit = trunkline_core::refused::Refused::TooMany {
                what: "topics that one client reads",
                limit: MAX,
            };
            return Err(limit.into());
        }
        Ok(())
    }
}

fn opened(frame: &Frame) -> Vec<Arc<str>> {
    let events = frame.events().unwrap_or_default();
    let topics = events.into_iter().filter_map(|event| match event.fact {
        Fact::TopicOpened(opened) => Some(opened.topic),
        _ => None,
    });
    topics.collect()
}
