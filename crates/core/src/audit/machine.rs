//! The log of the audit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::{Head, Link};
use super::{Brief, Record};
use crate::event::{Event, Fact};
use crate::id::Seq;
use crate::machine::{Context, Draft, Machine, Wanted};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::row::{Row, RowKind, facet};

/// A record has its place in the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditRecorded")]
pub struct Recorded {
    /// The hash of the record before it.
    pub prev: String,
    /// Its own hash.
    pub hash: String,
    /// The record. The hash is of its bytes as they stand here.
    #[schemars(with = "Record")]
    pub record: Raw,
}

impl Recorded {
    /// As a link of the chain; a record's number is that of its event.
    #[must_use]
    pub fn link(&self, n: Seq) -> Link<'_> {
        Link { n, prev: &self.prev, hash: &self.hash, record: self.record.get() }
    }
}

/// A wish about the audit.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Record what waited when the chain ended here. If it has moved on since, somebody else may have recorded it: then
    /// nothing is done, and one looks again.
    Record {
        /// The head.
        after: Seq,
        /// The records, oldest first.
        records: Vec<Raw>,
    },
}

/// The state of the audit: all that the next record needs.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// The newest record.
    pub head: Head,
}

impl Machine for Chain {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        ctx.caller.may_administer()?;
        let Command::Record { after, records } = command;
        if *after != self.head.n {
            return Ok(Vec::new());
        }
        let mut head = self.head.clone();
        let recorded = records.iter().map(|record| {
            let next = head.then(record.get());
            let prev = std::mem::replace(&mut head, next.clone()).hash;
            Recorded { prev, hash: next.hash, record: record.clone() }.into()
        });
        Ok(recorded.collect())
    }

    fn apply(&mut self, event: &Event) {
        if let Fact::AuditRecorded(recorded) = &event.fact {
            self.head = Head { n: event.seq, hash: recorded.hash.clone() };
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }

    fn advance(&mut self, events: &[Event]) -> Vec<Row> {
        events.iter().for_each(|event| self.apply(event));
        events.iter().flat_map(rows).collect()
    }

    fn newest_is_all() -> bool {
        true
    }
}

/// The row by which a record is found, and the removal of the one in which it waited.
///
/// What is found says only where the record stands: whoever shows one reads it from the chain, so that none is shown which
/// the chain does not cover.
fn rows(event: &Event) -> Vec<Row> {
    let Fact::AuditRecorded(Recorded { record, .. }) = &event.fact else { return Vec::new() };
    let Some(brief) = Brief::of(record) else { return Vec::new() };
    let mut facets = vec![facet("kind", &brief.deed.kind), facet("principal", &brief.by)];
    facets.extend(brief.session.as_ref().map(|session| facet("session", session)));
    let rank = (-i64::try_from(event.seq.0).unwrap_or(i64::MAX), 0);
    let null = Raw::parse("null").expect("null is JSON");
    let found = Row::removed(RowKind::Audit, event.seq.to_string());
    vec![Row { rank, facets, body: Some(null), ..found }, Row::removed(RowKind::Unrecorded, brief.key())]
}
