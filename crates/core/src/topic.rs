//! Topics: what is published reaches whoever subscribes, and the newest of it whoever comes later.
//!
//! A topic is a log in memory; who has published last year is nobody's concern. Its messages are numbered like the events of
//! any log, so that a subscriber is a reader of it with a cursor. How much is retained is said where it is kept.

use std::collections::HashSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::text::check_size;

/// How many bytes a message may have.
pub const MAX_DATA_BYTES: usize = 8 << 20;
/// How many bytes the name of a topic may have.
pub const MAX_TOPIC_BYTES: usize = 120;
/// How many bytes the name of a publisher may have.
pub const MAX_AGENT_BYTES: usize = 1_024;
/// The topics that are the daemon's own: nobody else publishes on them.
pub const OWN: &str = "__bus__.";

/// Something was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TopicPublished")]
pub struct Published {
    /// The topic.
    pub topic: Arc<str>,
    /// Its number among the messages of all topics in this life of the daemon: 1, 2, 3 …
    pub id: u64,
    /// What it says.
    pub data: Raw,
    /// Who says it, by its own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Arc<str>>,
}

/// A topic. There is nothing to remember of it but its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topic {
    /// How many messages were published in this life of the daemon.
    pub published: u64,
}

impl Machine for Topic {
    /// Publish this.
    type Command = Published;
    type Effect = std::convert::Infallible;

    fn decide(&self, published: &Published, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_use_bus()?;
        check_topic(&published.topic)?;
        if published.topic.starts_with(OWN) {
            return Err(Refused::invalid(
                "topic",
                "must not start with `__bus__.`: those are the daemon's own",
            ));
        }
        check_size("data", published.data.get().len(), MAX_DATA_BYTES)?;
        let agent = published.agent.as_ref().map_or(0, |agent| agent.len());
        check_size("agent", agent, MAX_AGENT_BYTES)?;
        Ok(vec![published.clone().into()])
    }

    fn apply(&mut self, event: &Event) {
        if let Fact::TopicPublished(_) = &event.fact {
            self.published += 1;
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}

/// How many topics there may be in one life of the daemon.
pub const MAX_TOPICS: usize = 50_000;

/// Something is published on a topic for the first time in this life of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TopicOpened")]
pub struct Opened {
    /// The topic.
    pub topic: Arc<str>,
}

/// The list of all topics: whoever subscribes to a pattern reads it, and follows those that fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics {
    known: HashSet<Arc<str>>,
}

impl Machine for Topics {
    /// List this topic.
    type Command = Opened;
    type Effect = std::convert::Infallible;

    fn decide(&self, opened: &Opened, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_use_bus()?;
        check_topic(&opened.topic)?;
        if self.known.contains(&opened.topic) {
            return Ok(Vec::new());
        }
        if self.known.len() >= MAX_TOPICS {
            return Err(Refused::TooMany { what: "topics", limit: MAX_TOPICS });
        }
        Ok(vec![opened.clone().into()])
    }

    fn apply(&mut self, event: &Event) {
        if let Fact::TopicOpened(opened) = &event.fact {
            self.known.insert(opened.topic.clone());
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}

fn check_topic(topic: &str) -> Result<(), Refused> {
    check_size("topic", topic.len(), MAX_TOPIC_BYTES)
}

/// Which topics somebody subscribes to.
///
/// The words of a topic are joined by `.`; in a pattern `*` stands for any one word, and `>` as the last word for one or
/// more. Everything else stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// A pattern.
    ///
    /// # Errors
    /// `Invalid` when it is too long, or `>` is not its last word.
    pub fn new(text: &str) -> Result<Self, Refused> {
        check_topic(text)?;
        let early = text.split('.').rev().skip(1).any(|word| word == ">");
        if early {
            Err(Refused::invalid("topic", "may have `>` as its last word only"))
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The one topic it stands for, if there is but one.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        let is_wild = self.0.split('.').any(|word| word == "*" || word == ">");
        (!is_wild).then_some(&*self.0)
    }

    /// Whether it stands for this topic.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let (mut pattern, mut words) = (self.0.split('.'), topic.split('.'));
        loop {
            match (pattern.next(), words.next()) {
                (None, None) | (Some(">"), Some(_)) => return true,
                (Some("*"), Some(_)) => {}
                (Some(expected), Some(word)) if expected == word => {}
                _ => return false,
            }
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Node, Seq};
    use crate::principal::Caller;
    use crate::time::Time;

    #[test]
    fn a_pattern_stands_for_topics() {
        for (pattern, yes, no) in [
            ("build", vec!["build"], vec!["build.a", "", "buil"]),
            ("build.*", vec!["build.a", "build."], vec!["build", "build.a.b", "xbuild.a"]),
            ("build.>", vec!["build.a", "build.a.b"], vec!["build", "built.a"]),
            ("*.done", vec!["a.done"], vec!["done", "a.b.done"]),
            (">", vec!["a", "a.b", ""], vec![]),
            ("a*", vec!["a*"], vec!["ab"]),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            yes.iter().for_each(|topic| assert!(pattern.matches(topic), "{pattern:?} is for {topic}"));
            no.iter().for_each(|topic| assert!(!pattern.matches(topic), "{pattern:?} is not for {topic}"));
        }
        assert_eq!(Pattern::new("a.b").unwrap().exact(), Some("a.b"));
        assert_eq!(Pattern::new("a.*").unwrap().exact(), None);
        assert!(Pattern::new("a.>.b").is_err());
        assert!(Pattern::new(&"x".repeat(MAX_TOPIC_BYTES + 1)).is_err());
    }

    #[test]
    fn nobody_speaks_for_the_daemon() {
        let caller = Caller::local();
        let node = Node { name: "n".into(), incarnation: 1 };
        let ctx = Context { now: Time(1), caller: &caller, node: &node, next: Seq(1) };
        let published = |topic: &str| Published {
            topic: topic.into(),
            id: 1,
            data: Raw::parse("null").unwrap(),
            agent: None,
        };
        assert_eq!(Topic::default().decide(&published("t"), &ctx).unwrap().len(), 1);
        assert!(Topic::default().decide(&published("__bus__.put.x"), &ctx).is_err());
    }
}
