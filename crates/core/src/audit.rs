//! The audit: who allowed what, when, from where, seeing what, and which grant let what through.
//!
//! It is made of [`Record`]s of facts that other logs hold. A record comes to stand in two steps, because an append touches
//! one log only:
//!
//! 1. With the fact, in its transaction, a row of the kind [`RowKind::Unrecorded`] is written that holds the record. So there
//!    is no such fact without its record.
//! 2. The record is appended to the log of the audit, [`Chain`], and the row is removed, again in one transaction. So each
//!    record stands there once.
//!
//! There each carries the hash of the one before it: see [`chain`].

pub mod chain;
mod deed;
mod machine;
mod source;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::id::{LogId, Seq, SessionId};
use crate::principal::{Caller, Principal};
use crate::raw::Raw;
use crate::row::{Row, RowKind};
use crate::time::Time;

pub use deed::{Asked, Chosen, Decision, Deed, Ended};
pub use machine::{Chain, Command, Recorded};
pub use source::{MAX_CLIENT, Source, Transport};

/// A fact that the audit tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditRecord")]
pub struct Record {
    /// When it happened.
    pub at: Time,
    /// Who did it, or in whose place a grant did it.
    pub by: Principal,
    /// From where; absent for what the daemon did by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The log that holds the fact.
    pub log: String,
    /// The fact's number in that log.
    pub event: Seq,
    /// The session, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// What was done.
    pub deed: Deed,
}

impl Record {
    /// The record of a fact that a caller has caused.
    #[must_use]
    pub fn of(log: &LogId, event: &Event, deed: Deed, caller: &Caller) -> Self {
        Self {
            at: event.at,
            by: event.by.clone(),
            source: caller.source.as_deref().cloned(),
            log: log.as_str().to_owned(),
            event: event.seq,
            session: log.as_session(),
            deed,
        }
    }

    /// The row in which it waits to be recorded, oldest first.
    ///
    /// # Panics
    /// Never: a record has a JSON form.
    #[must_use]
    pub fn waiting(&self) -> Row {
        let body = Some(Raw::of(self).expect("a record has a JSON form"));
        let rank = (self.at.0, i64::try_from(self.event.0).unwrap_or(i64::MAX));
        Row { rank, body, ..Row::removed(RowKind::Unrecorded, self.key()) }
    }

    fn key(&self) -> String {
        key(&self.log, self.event)
    }
}

/// The key of the row in which a record waits.
fn key(log: &str, event: Seq) -> String {
    format!("{log}/{event}")
}

/// What of a record must be known to find it, whichever version wrote it.
#[derive(Debug, Deserialize)]
pub struct Brief {
    log: String,
    event: Seq,
    by: String,
    session: Option<String>,
    deed: BriefDeed,
}

#[derive(Debug, Deserialize)]
struct BriefDeed {
    kind: String,
}

impl Brief {
    /// Reads it; `None` where it is no record.
    #[must_use]
    pub fn of(record: &Raw) -> Option<Self> {
        record.read().ok()
    }

    /// The key of the row in which it waits.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.log, self.event)
    }
}
