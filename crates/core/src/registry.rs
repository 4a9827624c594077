//! The registry: which agents take part, what they can, and when they were last there.
//!
//! An agent is in it once it has registered, or has done anything that names it. With a lease it says for how long it may
//! be counted on; a lease that is not renewed lapses, and that is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::LogId;
use crate::machine::{Context, Draft, Grown, Latest, Machine, Wanted};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::text::check_size;
use crate::time::Time;

/// How many agents the registry has. When there are more, the one that was not seen for longest is forgotten.
pub const MAX_AGENTS: usize = 5_000;
/// How many bytes the name of an agent may have.
pub const MAX_NAME_BYTES: usize = 200;
/// How many bytes its metadata may have.
pub const MAX_METADATA_BYTES: usize = 4 << 10;
/// How many capabilities it may name, and how many bytes each may have.
pub const MAX_CAPABILITIES: (usize, usize) = (32, 40);
/// The longest lease, in milliseconds: a day.
pub const MAX_LEASE_MS: u64 = 86_400_000;
/// An agent without a lease counts as there for so long after it was seen, in milliseconds.
pub const PRESENT_FOR_MS: u64 = 120_000;
/// How old what is known of an agent may be before it is written anew, in milliseconds.
pub const FRESH_MS: u64 = 20;

/// An agent says who it is and what it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentRegistered")]
pub struct Registered {
    /// Its name.
    pub agent: Arc<str>,
    /// Whatever it wants to be known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
    /// What it can, in words of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Until when it may be counted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// When it was first and last seen, where the log was shortened since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<(Time, Time)>,
}

/// An agent did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentSeen")]
pub struct Seen {
    /// Its name.
    pub agent: Arc<str>,
}

/// An agent has not renewed its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentLapsed")]
pub struct Lapsed {
    /// Its name.
    pub agent: Arc<str>,
}

/// An agent is no longer in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentForgotten")]
pub struct Forgotten {
    /// Its name.
    pub agent: Arc<str>,
}

/// What follows is all that there is: the log was shortened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AgentsReset")]
pub struct Reset {}

/// A wish about the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An agent says who it is: what was said before is replaced.
    Register {
        /// Its name.
        agent: Arc<str>,
        /// Whatever it wants to be known of it.
        metadata: Option<Raw>,
        /// What it can.
        capabilities: Vec<String>,
        /// For how long it may be counted on, in milliseconds.
        lease_ms: Option<u64>,
    },
    /// An agent did something.
    See(Arc<str>),
    /// An agent leaves.
    Forget(Arc<str>),
    /// Time has passed.
    Tick,
}

/// An agent, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub agent: Arc<str>,
    /// Whatever it wants to be known of it.
    pub metadata: Option<Raw>,
    /// What it can.
    pub capabilities: Vec<String>,
    /// When it was first seen.
    pub first_seen: Time,
    /// When it was last seen.
    pub last_seen: Time,
    /// Until when it may be counted on, if it has said so.
    pub until: Option<Time>,
}

impl Entry {
    /// Whether it may be counted on now.
    #[must_use]
    pub fn is_present(&self, now: Time) -> bool {
        now <= self.until.unwrap_or_else(|| self.last_seen.plus_ms(PRESENT_FOR_MS))
    }
}

/// The agents that take part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// In the order in which they were first seen.
    agents: BTreeMap<u64, Entry>,
    places: HashMap<Arc<str>, u64>,
    next_place: u64,
}

impl Registry {
    /// An agent.
    #[must_use]
    pub fn get(&self, agent: &str) -> Option<&Entry> {
        self.agents.get(self.places.get(agent)?)
    }

    /// All agents, in the order in which they were first seen.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.agents.values()
    }

    fn enter(&mut self, agent: &Arc<str>, at: Time) -> &mut Entry {
        let place = *self.places.entry(agent.clone()).or_insert_with(|| {
            self.next_place += 1;
            self.next_place
        });
        self.agents.entry(place).or_insert_with(|| Entry {
            agent: agent.clone(),
            metadata: None,
            capabilities: Vec::new(),
            first_seen: at,
            last_seen: at,
            until: None,
        })
    }

    /// Makes room for one more, if this is one more.
    fn room(&self, agent: &str) -> Option<Draft> {
        if self.places.contains_key(agent) || self.places.len() < MAX_AGENTS {
            return None;
        }
        let silent = self.agents.values().min_by_key(|entry| entry.last_seen)?;
        Some(Forgotten { agent: silent.agent.clone() }.into())
    }

    fn lapsed(&self, now: Time) -> impl Iterator<Item = &Entry> {
        self.agents.values().filter(move |entry| entry.until.is_some_and(|until| until < now))
    }
}

impl Machine for Registry {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        if matches!(command, Command::Tick) {
            return Ok(self
                .lapsed(ctx.now)
                .map(|entry| Lapsed { agent: entry.agent.clone() }.into())
                .collect());
        }
        ctx.caller.may_use_bus()?;
        match command {
            Command::Register { agent, metadata, capabilities, lease_ms } => {
                check_size("agent", agent.len(), MAX_NAME_BYTES)?;
                let bytes = metadata.as_ref().map_or(0, |metadata| metadata.get().len());
                check_size("metadata", bytes, MAX_METADATA_BYTES)?;
                let (many, long) = MAX_CAPABILITIES;
                if capabilities.len() > many {
                    return Err(Refused::TooMany { what: "capabilities", limit: many });
                }
                capabilities.iter().try_for_each(|word| check_size("capabilities", word.len(), long))?;
                let until = lease_ms.map(|ms| ctx.now.plus_ms(ms.min(MAX_LEASE_MS)));
                let (metadata, capabilities) = (metadata.clone(), capabilities.clone());
                let registered =
                    Registered { agent: agent.clone(), metadata, capabilities, until, seen: None };
                Ok(self.room(agent).into_iter().chain([registered.into()]).collect())
            }
            Command::See(agent) => {
                check_size("agent", agent.len(), MAX_NAME_BYTES)?;
                let is_fresh = |entry: &Entry| ctx.now.ms_since(entry.last_seen) < FRESH_MS;
                if self.get(agent).is_some_and(is_fresh) {
                    return Ok(Vec::new());
                }
                Ok(self.room(agent).into_iter().chain([Seen { agent: agent.clone() }.into()]).collect())
            }
            Command::Forget(agent) => match self.get(agent) {
                Some(entry) => Ok(vec![Forgotten { agent: entry.agent.clone() }.into()]),
                None => Err(Refused::not_found("agent", agent)),
            },
            Command::Tick => Ok(Vec::new()),
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::AgentRegistered(registered) => {
                let (first, last) = registered.seen.unwrap_or((event.at, event.at));
                let entry = self.enter(&registered.agent, first);
                entry.metadata = registered.metadata.clone();
                entry.capabilities = registered.capabilities.clone();
                entry.until = registered.until;
                entry.last_seen = last;
            }
            Fact::AgentSeen(Seen { agent }) => self.enter(agent, event.at).last_seen = event.at,
            Fact::AgentLapsed(Lapsed { agent }) => {
                let entry = self.places.get(agent).and_then(|place| self.agents.get_mut(place));
                // It stays in the list, as one that was last there when its lease ended.
                entry.into_iter().for_each(|entry| entry.until = None);
            }
            Fact::AgentForgotten(Forgotten { agent }) => {
                if let Some(place) = self.places.remove(agent) {
                    self.agents.remove(&place);
                }
            }
            Fact::AgentsReset(_) => *self = Self { next_place: 0, ..Self::default() },
            _ => {}
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        let next = self.agents.values().filter_map(|entry| entry.until).min();
        Wanted { effects: Vec::new(), next: next.map(|until| until.plus_ms(1)) }
    }

    fn tick() -> Option<Command> {
        Some(Command::Tick)
    }

    fn stays(&self) -> bool {
        self.wanted().next.is_some()
    }

    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>> {
        let many = grown.events >= 256 + 2 * self.agents.len() as u64;
        if self.agents.is_empty() { Some(Vec::new()) } else { many.then(|| self.snapshot()) }
    }
}

impl Latest for Registry {
    fn owns(log: &LogId) -> bool {
        *log == LogId::registry()
    }

    fn snapshot(&self) -> Vec<Draft> {
        let again = |entry: &Entry| {
            let Entry { agent, metadata, capabilities, first_seen, last_seen, until } = entry.clone();
            Draft::from(Registered {
                agent,
                metadata,
                capabilities,
                until,
                seen: Some((first_seen, last_seen)),
            })
        };
        [Reset {}.into()].into_iter().chain(self.agents.values().map(again)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Node, Seq};
    use crate::principal::Caller;

    fn step(registry: &mut Registry, command: &Command, now: i64) -> Vec<Fact> {
        let caller = Caller::local();
        let node = Node { name: "n".into(), incarnation: 1 };
        let ctx = Context { now: Time(now), caller: &caller, node: &node, next: Seq(1) };
        let facts: Vec<_> =
            registry.decide(command, &ctx).unwrap().into_iter().map(|draft| draft.fact).collect();
        keep(registry, &facts, now);
        facts
    }

    fn keep(registry: &mut Registry, facts: &[Fact], now: i64) {
        for fact in facts.iter().cloned() {
            let by = Caller::local().principal;
            registry.apply(&Event { seq: Seq(1), at: Time(now), by, turn: None, key: None, fact });
        }
    }

    fn register(agent: &str, lease_ms: Option<u64>) -> Command {
        let metadata = Raw::parse(r#"{"model":"m"}"#).ok();
        Command::Register { agent: agent.into(), metadata, capabilities: vec!["review".into()], lease_ms }
    }

    #[test]
    fn whoever_does_something_is_in_it() {
        let mut registry = Registry::default();
        step(&mut registry, &Command::See("b".into()), 100);
        step(&mut registry, &register("a", None), 200);
        step(&mut registry, &Command::See("b".into()), 300);
        let names: Vec<_> = registry.all().map(|e| (&*e.agent, e.first_seen.0, e.last_seen.0)).collect();
        assert_eq!(names, [("b", 100, 300), ("a", 200, 200)]);
        assert_eq!(step(&mut registry, &Command::See("b".into()), 310), [], "it was seen just now");
        assert_ne!(step(&mut registry, &Command::See("b".into()), 320), []);
    }

    #[test]
    fn a_lease_that_is_not_renewed_lapses_once() {
        let mut registry = Registry::default();
        step(&mut registry, &register("a", Some(50)), 100);
        assert_eq!(registry.wanted().next, Some(Time(151)));
        assert!(registry.get("a").unwrap().is_present(Time(150)));
        assert_eq!(step(&mut registry, &Command::Tick, 150), []);
        assert_eq!(step(&mut registry, &Command::Tick, 151), [Lapsed { agent: "a".into() }.into()]);
        assert_eq!(registry.wanted().next, None);
        assert!(registry.get("a").is_some());
        step(&mut registry, &Command::Forget("a".into()), 152);
        assert!(registry.get("a").is_none());
    }

    #[test]
    fn the_one_not_seen_for_longest_makes_room() {
        let mut registry = Registry::default();
        for n in 0..=MAX_AGENTS {
            step(&mut registry, &Command::See(n.to_string().into()), n as i64);
        }
        assert_eq!(registry.all().count(), MAX_AGENTS);
        assert!(registry.get("0").is_none() && registry.get("1").is_some());
    }

    #[test]
    fn a_snapshot_gives_the_registry_again() {
        let mut registry = Registry::default();
        step(&mut registry, &register("a", Some(50)), 100);
        step(&mut registry, &Command::See("b".into()), 120);
        step(&mut registry, &Command::See("a".into()), 130);
        let facts: Vec<_> = registry.snapshot().into_iter().map(|draft| draft.fact).collect();
        let mut anew = Registry::default();
        step(&mut anew, &Command::See("stranger".into()), 1);
        keep(&mut anew, &facts, 900);
        assert_eq!(anew, registry);
    }
}
