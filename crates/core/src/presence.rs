//! Presence: who is attached to a session. Kept in memory only: after a restart everybody attaches anew.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::SessionId;
use crate::machine::{Context, Draft, Grown, Machine, Wanted};
use crate::outside::UNSEEN_AFTER_MS;
use crate::principal::Principal;
use crate::raw::Raw;
use crate::refused::Refused;
use crate::row::{Row, RowKind};
use crate::text::check_name;
use crate::time::Time;

/// How many clients of one session are listed; more may attach, unlisted.
pub const MAX_LISTED: usize = 1_000;

/// A client attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PresenceJoined")]
pub struct Joined {
    /// The connection, by a number that the daemon gives.
    pub client: u64,
    /// What it calls itself: `terminal`, `browser`, `ana's phone`.
    pub name: String,
    /// Since when, where the log was shortened since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// It left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PresenceLeft")]
pub struct Left {
    /// The connection.
    pub client: u64,
}

/// The agent of a session that runs elsewhere was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PresenceSeen")]
pub struct Seen {
    /// The session.
    pub session: SessionId,
    /// When, where the log was shortened since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Whether the session's log tells meanwhile that it is gone.
    #[serde(default)]
    pub missed: bool,
}

/// A wish about presence.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// List a client.
    Join(Joined),
    /// Drop it from the list.
    Leave(u64),
    /// Keep that the session's agent is there now.
    See(SessionId),
    /// The session's log tells that it is gone since then.
    Miss(Time),
}

/// An attached client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Client {
    /// The connection.
    pub client: u64,
    /// Who.
    pub principal: Principal,
    /// What it calls itself.
    pub name: String,
    /// Since when.
    pub since: Time,
}

/// The clients attached to a session.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    /// By connection.
    pub clients: BTreeMap<u64, Client>,
    /// The session whose agent runs elsewhere, and when it was last there.
    pub seen: Option<Seen>,
}

impl Machine for Presence {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, _: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        match command {
            Command::Join(_) if self.clients.len() >= MAX_LISTED => Ok(Vec::new()),
            Command::Join(joined) => {
                check_name("client", &joined.name, 64)?;
                Ok(vec![joined.clone().into()])
            }
            Command::Leave(client) if self.clients.contains_key(client) => {
                Ok(vec![Left { client: *client }.into()])
            }
            Command::Leave(_) => Ok(Vec::new()),
            Command::See(session) => Ok(vec![Seen { session: *session, at: None, missed: false }.into()]),
            Command::Miss(at) => match &self.seen {
                Some(seen) if seen.at == Some(*at) && !seen.missed => {
                    Ok(vec![Seen { missed: true, ..seen.clone() }.into()])
                }
                Some(_) | None => Ok(Vec::new()),
            },
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::PresenceJoined(Joined { client, name, since }) => {
                let entry = Client {
                    client: *client,
                    principal: event.by.clone(),
                    name: name.clone(),
                    since: since.unwrap_or(event.at),
                };
                self.clients.insert(*client, entry);
            }
            Fact::PresenceLeft(Left { client }) => {
                self.clients.remove(client);
            }
            Fact::PresenceSeen(seen) => {
                self.seen = Some(Seen { at: seen.at.or(Some(event.at)), ..seen.clone() });
            }
            _ => {}
        }
    }

    fn advance(&mut self, events: &[Event]) -> Vec<Row> {
        events.iter().for_each(|event| self.apply(event));
        let saw = events.iter().any(|event| matches!(event.fact, Fact::PresenceSeen(_)));
        self.seen.as_ref().filter(|_| saw).and_then(seen_row).into_iter().collect()
    }

    /// It is read again from memory, in no time, and there is one for each agent that sends heartbeats.
    fn linger_ms() -> u64 {
        1_000
    }

    /// Heartbeats are many, and each makes the one before it worthless.
    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>> {
        let lives = !self.clients.is_empty() || self.seen.is_some();
        if lives && grown.events < 16 {
            return None;
        }
        let again = self.clients.values().map(|client| Draft {
            turn: None,
            fact: Joined { client: client.client, name: client.name.clone(), since: Some(client.since) }
                .into(),
            origin: Some((client.principal.clone(), client.since)),
        });
        let seen = self.seen.iter().cloned().map(Draft::from);
        Some(again.chain(seen).collect())
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}

fn seen_row(seen: &Seen) -> Option<Row> {
    let at = seen.at?;
    let due = (!seen.missed).then(|| at.plus_ms(UNSEEN_AFTER_MS + 1));
    let row = Row::removed(RowKind::Seen, seen.session.to_string());
    Some(Row { rank: (-at.0, 0), due, body: Raw::of(&at).ok(), ..row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Node, Seq};
    use crate::principal::Caller;

    fn step(presence: &mut Presence, command: &Command, now: i64) -> Vec<Row> {
        let node = Node { name: "n".into(), incarnation: 1 };
        let caller = Caller::trunkline();
        let ctx = Context { now: Time(now), caller: &caller, node: &node, next: Seq(1) };
        let drafts = presence.decide(command, &ctx).unwrap();
        let event = |fact| Event {
            seq: Seq(1),
            at: Time(now),
            by: caller.principal.clone(),
            turn: None,
            key: None,
            fact,
        };
        let events: Vec<_> = drafts.into_iter().map(|draft| event(draft.fact)).collect();
        presence.advance(&events)
    }

    #[test]
    fn the_row_of_an_agent_says_when_it_was_there_and_when_it_is_missed() {
        let session: SessionId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let mut presence = Presence::default();
        let rows = step(&mut presence, &Command::See(session), 1_000);
        assert_eq!((rows[0].rank, rows[0].due), ((-1_000, 0), Some(Time(121_001))));
        step(&mut presence, &Command::See(session), 2_000);
        assert_eq!(step(&mut presence, &Command::Miss(Time(1_000)), 130_000), [], "it was there since");
        let rows = step(&mut presence, &Command::Miss(Time(2_000)), 130_000);
        assert_eq!((rows[0].rank, rows[0].due), ((-2_000, 0), None));
        assert_eq!(step(&mut presence, &Command::Miss(Time(2_000)), 131_000), [], "once");
        assert_eq!(presence.compaction(Grown { events: 16, bytes: 0 }).unwrap().len(), 1);
    }
}
