//! The inbox of a session: what was left for an agent that fetches its messages.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::{MessageId, Seq};
use crate::machine::Draft;
use crate::raw::Raw;
use crate::refused::Refused;
use crate::text::{check_name, check_size};
use crate::time::Time;

/// How many messages may wait for one agent.
pub const MAX_WAITING: usize = 10_000;
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
}

/// The agent fetched these.
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
        Ok(vec![queued.clone().into()])
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

    pub(crate) fn ack(&self, id: MessageId) -> Result<Vec<Draft>, Refused> {
        if self.waiting.contains_key(&id) {
            Ok(vec![Acked { id }.into()])
        } else {
            Err(Refused::not_found("message", id))
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::MessageQueued(Queued { id, kind, payload }) => {
                let message = Message {
                    id: *id,
                    kind: kind.clone(),
                    payload: payload.clone(),
                    seq: event.seq,
                    at: event.at,
                    delivered_at: None,
                };
                self.waiting.insert(*id, message);
            }
            Fact::MessageDelivered(Delivered { ids }) => {
                for id in ids {
                    if let Some(message) = self.waiting.get_mut(id) {
                        message.delivered_at.get_or_insert(event.at);
                    }
                }
            }
            Fact::MessageAcked(Acked { id }) => {
                self.waiting.remove(id);
            }
            _ => {}
        }
    }
}
