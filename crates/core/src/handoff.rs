//! Handoffs: a record of work from which another agent, of any vendor, can go on.
//!
//! Each is a log of its own. It says what is being done, what was decided, what is left to do and which files were
//! touched. In its lanes agents write to each other; its checkpoints hold whatever is needed to go on from there.

mod command;
mod facts;
mod ids;
mod prompt;
mod rows;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use command::{Command, Lane, LaneStatus, Said, Standing, Wish};
pub use facts::{CheckpointCreated, LaneClosed, LaneOpened, LaneSaid, Saved, TurnCheckpointed, Updated};
pub use ids::{CheckpointId, HandoffId, LaneId};
pub use prompt::{MAX_PROMPT, prompt};
pub use rows::{CheckpointView, HandoffView, LaneView, LaneWhole, Whole};
pub use snapshot::{Gathered, RATE_LIMITED, is_rate_limit};

use crate::event::{Event, Fact};
use crate::key::Keys;
use crate::machine::{Context, Draft, Machine, Receipt, Wanted};
use crate::principal::{Caller, Principal};
use crate::refused::Refused;
use crate::row::Row;

/// How many bytes the name of an agent may have.
pub const MAX_AGENT: usize = 1_000;
/// How many bytes a status may have.
pub const MAX_STATUS: usize = 200;
/// How many bytes the path or the name of a repository may have.
pub const MAX_REPO: usize = 4_096;
/// How many bytes a summary may have.
pub const MAX_SUMMARY: usize = 256 << 10;
/// How many bytes each of decisions, files, to-dos, metadata and the context of a lane may have.
pub const MAX_FIELD: usize = 256 << 10;
/// How many bytes the snapshot of a checkpoint may have.
pub const MAX_SNAPSHOT: usize = 1 << 20;
/// How many bytes a message in a lane may have.
pub const MAX_TEXT: usize = 64 << 10;
/// How many lanes a handoff may have; another is refused.
pub const MAX_LANES: usize = 200;
/// How many messages a lane may have; another is refused.
pub const MAX_SAID: usize = 1_000;
/// How many checkpoints are kept. Beyond that the oldest automatic one goes; where there is none, another is refused.
pub const MAX_CHECKPOINTS: usize = 500;
/// How many bytes lanes and checkpoints may have together, because they are in memory while the handoff is in use. Beyond
/// that another lane, message or checkpoint is refused.
pub const MAX_BYTES: usize = 32 << 20;
/// The status of a handoff that says nothing else.
pub const ACTIVE: &str = "active";

/// Microseconds since 1970-01-01 UTC. The daemon gives each to one thing only, so "the latest" has no ties.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Stamp(pub i64);

impl Stamp {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The state of a handoff.
#[derive(Debug, Clone, Default)]
pub struct Handoff {
    /// What was saved, with every change since, and who saved it; `None` before that.
    pub saved: Option<(Saved, Principal)>,
    /// Its lanes.
    pub lanes: BTreeMap<LaneId, Lane>,
    /// Its checkpoints, in the order in which they were made.
    pub checkpoints: Vec<CheckpointCreated>,
    bytes: usize,
    keys: Keys,
}

impl Handoff {
    fn saved(&self) -> Result<&Saved, Refused> {
        match &self.saved {
            Some((saved, _)) => Ok(saved),
            None => Err(Refused::not_found("handoff", "of this name")),
        }
    }

    fn lane(&self, id: &LaneId) -> Result<&Lane, Refused> {
        self.lanes.get(id).ok_or_else(|| Refused::not_found("lane", id))
    }

    /// Whether so many bytes more have room, where so many go for them.
    fn has_room(&self, more: usize, freed: usize) -> Result<(), Refused> {
        if self.bytes - freed + more > MAX_BYTES {
            return Err(Refused::TooMany { what: "MiB in the handoff", limit: MAX_BYTES >> 20 });
        }
        Ok(())
    }
}

impl Machine for Handoff {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        self.allow(command, ctx.caller)?;
        self.grant(command)
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::HandoffSaved(saved) => self.saved = Some((saved.clone(), event.by.clone())),
            Fact::HandoffUpdated(updated) => {
                if let Some((saved, _)) = &mut self.saved {
                    updated.apply_to(saved);
                }
            }
            Fact::LaneOpened(opened) => {
                self.bytes += opened.bytes();
                self.lanes.insert(opened.id.clone(), Lane::of(opened));
            }
            Fact::LaneSaid(said) => {
                if let Some(lane) = self.lanes.get_mut(&said.lane) {
                    self.bytes += said.text.len();
                    lane.hear(said);
                }
            }
            Fact::LaneClosed(closed) => {
                if let Some(lane) = self.lanes.get_mut(&closed.id) {
                    lane.status = LaneStatus::Closed;
                    lane.updated = closed.updated;
                }
            }
            Fact::CheckpointCreated(made) => {
                let goes = |old: &CheckpointCreated| made.replaces.contains(&old.id);
                let freed: usize =
                    self.checkpoints.iter().filter(|old| goes(old)).map(|old| old.bytes()).sum();
                self.checkpoints.retain(|old| !goes(old));
                self.bytes = self.bytes + made.bytes() - freed;
                self.checkpoints.push(made.clone());
            }
            _ => {}
        }
        self.keys.apply(event);
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }

    fn advance(&mut self, events: &[Event]) -> Vec<Row> {
        events.iter().for_each(|event| self.apply(event));
        rows::of(self, events)
    }

    fn receipt(&self, caller: &Caller, key: &str) -> Option<Receipt> {
        self.keys.find(&caller.principal, key)
    }
}
