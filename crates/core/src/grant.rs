//! Grants: standing permissions, so that the same question is not asked twice.
//!
//! A grant names exactly what it covers: one tool of one session's agent, by the name the agent gives it. Whoever gave it
//! can take it back, and every request it answers names it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::GrantId;
use crate::machine::Draft;
use crate::principal::Principal;
use crate::refused::Refused;
use crate::text::check_name;
use crate::time::Time;

/// How many grants one session may have.
pub const MAX_GRANTS: usize = 1_000;

/// A standing permission was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GrantAdded")]
pub struct Added {
    /// The grant.
    pub id: GrantId,
    /// The tool it covers, by its exact name.
    pub tool: String,
    /// When it stops counting; absent: with the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// A standing permission was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GrantRevoked")]
pub struct Revoked {
    /// The grant.
    pub id: GrantId,
}

/// A grant that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Grant {
    /// The grant.
    pub id: GrantId,
    /// The tool it covers.
    pub tool: String,
    /// When it stops counting.
    pub expires: Option<Time>,
    /// Who gave it.
    pub by: Principal,
    /// When.
    pub at: Time,
}

/// The grants of a session.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// Those not revoked.
    pub all: BTreeMap<GrantId, Grant>,
}

impl Grants {
    /// The grant that covers a tool now.
    #[must_use]
    pub fn covering(&self, tool: &str, now: Time) -> Option<&Grant> {
        self.all.values().find(|grant| grant.tool == tool && grant.expires.is_none_or(|end| now < end))
    }

    pub(crate) fn add(&self, added: &Added) -> Result<Vec<Draft>, Refused> {
        check_name("tool", &added.tool, 255)?;
        if self.all.contains_key(&added.id) {
            return Err(Refused::Exists { what: "grant", id: added.id.to_string() });
        }
        if self.all.len() >= MAX_GRANTS {
            return Err(Refused::TooMany { what: "grants", limit: MAX_GRANTS });
        }
        Ok(vec![added.clone().into()])
    }

    pub(crate) fn revoke(&self, id: GrantId) -> Result<Vec<Draft>, Refused> {
        if self.all.contains_key(&id) {
            Ok(vec![Revoked { id }.into()])
        } else {
            Err(Refused::not_found("grant", id))
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::GrantAdded(Added { id, tool, expires }) => {
                let grant = Grant {
                    id: *id,
                    tool: tool.clone(),
                    expires: *expires,
                    by: event.by.clone(),
                    at: event.at,
                };
                self.all.insert(*id, grant);
            }
            Fact::GrantRevoked(Revoked { id }) => {
                self.all.remove(id);
            }
            _ => {}
        }
    }
}
