//! Presence: who is attached to a session. Kept in memory only: after a restart everybody attaches anew.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::principal::Principal;
use crate::refused::Refused;
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

/// A wish about presence.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// List a client.
    Join(Joined),
    /// Drop it from the list.
    Leave(u64),
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
            _ => {}
        }
    }

    fn compaction(&self) -> Option<Vec<Draft>> {
        let again = self.clients.values().map(|client| Draft {
            turn: None,
            fact: Joined { client: client.client, name: client.name.clone(), since: Some(client.since) }
                .into(),
            origin: Some((client.principal.clone(), client.since)),
        });
        Some(again.collect())
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }
}
