//! The inbox of a session: what was left for an agent that fetches its messages.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::{MessageId, Seq};
use crate::machine::Draft;
use crate::raw::Raw;
use crate::refused::Refused;
use crate::tell::{Dropped, Sender};
use crate::text::{check_name, check_size};
use crate::time::Time;

/// The kind of the message that tells how a request ended.
pub const ANSWER: &str = "request.closed";
/// How many messages may wait for one agent.
pub const MAX_WAITING: usize = 10_000;
/// How many bytes may wait for it. They stay in memory.
pub const MAX_WAITING_BYTES: usize = 64 << 20;
/// How many bytes a message may have.
pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;

/// Something lies in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MessageQueued")]
pub struct Queued {
    /// The message.
    pub id: MessageId,
    /// What it is: `request.closed` for an answer, else what the sender calls it.
    pub kind: String,
    /// What it says.
    pub payload: Raw,
    /// Who wrote it, where it is for the agent's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
}

/// The agent fetched these, or a turn of an agent that runs here has started with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MessageDelivered")]
pub struct Delivered {
    /// The messages.
    pub ids: Vec<MessageId>,
}

/// The agent is done with it: it is not delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MessageAcked")]
pub struct Acked {
    /// The message.
    pub id: MessageId,
}

/// A message that was not acknowledged yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Message {
    /// The message.
    pub id: MessageId,
    /// What it is.
    pub kind: String,
    /// What it says.
    pub payload: Raw,
    /// Who wrote it, where an agent or a person wrote to the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
    /// The event that left it: the order of the inbox.
    pub seq: Seq,
    /// When it was left.
    pub at: Time,
    /// When it was first fetched.
    pub delivered_at: Option<Time>,
}

/// The inbox.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// What waits.
    pub waiting: BTreeMap<MessageId, Message>,
    bytes: usize,
}

impl Inbox {
    pub(crate) fn send(&self, queued: &Queued) -> Result<Vec<Draft>, Refused> {
        check_name("kind", &queued.kind, 100)?;
        check_size("payload", queued.payload.get().len(), MAX_PAYLOAD_BYTES)?;
        if self.waiting.contains_key(&queued.id) {
            return Err(Refused::Exists { what: "message", id: queued.id.to_string() });
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(Refused::TooMany { what: "messages in the inbox", limit: MAX_WAITING });
        }
        if !self.has_room(&queued.payload) {
            return Err(Refused::TooMany { what: "MiB in the inbox", limit: MAX_WAITING_BYTES >> 20 });
        }
        Ok(vec![queued.clone().into()])
    }

    /// Whether a message of this size may be added.
    pub(crate) fn has_room(&self, payload: &Raw) -> bool {
        self.waiting.len() < MAX_WAITING && self.bytes + payload.get().len() <= MAX_WAITING_BYTES
    }

    /// What waits, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Message> {
        let mut all: Vec<_> = self.waiting.values().cloned().collect();
        all.sort_by_key(|message| message.seq);
        all
    }

    /// Marks everything not yet fetched as fetched.
    pub(crate) fn deliver(&self) -> Vec<Draft> {
        let fresh = self.waiting.values().filter(|message| message.delivered_at.is_none());
        let ids: Vec<_> = fresh.map(|message| message.id).collect();
        if ids.is_empty() { Vec::new() } else { vec![Delivered { ids }.into()] }
    }

    /// Marks those of these that were not fetched yet as fetched.
    pub(crate) fn fetch(&self, messages: &[MessageId]) -> Vec<Draft> {
        let fresh =
            |id: &&MessageId| self.waiting.get(*id).is_some_and(|message| message.delivered_at.is_none());
        let ids: Vec<_> = messages.iter().filter(fresh).copied().collect();
        if ids.is_empty() { Vec::new() } else { vec![Delivered { ids }.into()] }
    }

    pub(crate) fn ack(&self, id: MessageId) -> Result<Vec<Draft>, Refused> {
        if self.waiting.contains_key(&id) {
            Ok(vec![Acked { id }.into()])
        } else {
            Err(Refused::not_found("message", id))
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::MessageQueued(Queued { id, kind, payload, sender }) => {
                let message = Message {
                    id: *id,
                    kind: kind.clone(),
                    payload: payload.clone(),
                    sender: sender.clone(),
                    seq: event.seq,
                    at: event.at,
                    delivered_at: None,
                };
                self.bytes += payload.get().len();
                if let Some(before) = self.waiting.insert(*id, message) {
                    self.bytes -= before.payload.get().len();
                }
            }
            Fact::MessageDelivered(Delivered { ids }) => {
                for id in ids {
                    if let Some(message) = self.waiting.get_mut(id) {
                        message.delivered_at.get_or_insert(event.at);
                    }
                }
            }
            Fact::MessageAcked(Acked { id }) | Fact::MessageDropped(Dropped { id }) => {
                if let Some(acked) = self.waiting.remove(id) {
                    self.bytes -= acked.payload.get().len();
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Principal;

    fn event(seq: u64, fact: impl Into<Fact>) -> Event {
        Event { seq: Seq(seq), at: Time(0), by: Principal::owner(), turn: None, key: None, fact: fact.into() }
    }

    #[test]
    fn an_inbox_has_a_budget_of_bytes_that_acknowledging_frees() {
        let mut inbox = Inbox::default();
        let id = |n: u64| MessageId::new(uuid::Uuid::from_u128(n.into()));
        let payload = Raw::of(&"x".repeat(MAX_PAYLOAD_BYTES - 2)).unwrap();
        let queued = |n| Queued { id: id(n), kind: "k".into(), payload: payload.clone(), sender: None };
        for n in 0..16 {
            inbox.send(&queued(n)).unwrap();
            inbox.apply(&event(n, queued(n)));
        }
        let refused = inbox.send(&queued(16)).unwrap_err();
        assert_eq!(refused.to_string(), "there are already 64 MiB in the inbox, which is the limit");
        inbox.apply(&event(17, Acked { id: id(3) }));
        assert!(inbox.send(&queued(16)).is_ok());
    }
}
