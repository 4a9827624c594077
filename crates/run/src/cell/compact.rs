//! Keeps logs short that need no history.

use trunkline_core::event::Event;
use trunkline_core::machine::Grown;
use trunkline_core::principal::Caller;

use super::{Batch, Cell};

impl Cell {
    /// Appends what lives again, then trims what was before. Where nothing lives nothing is kept, at once.
    pub(super) async fn compact(&mut self) {
        if self.head == self.compacted {
            return;
        }
        let grown = Grown { events: self.head.0 - self.compacted.0, bytes: self.bytes };
        let Some(drafts) = self.state.compaction(grown) else { return };
        let before = self.head;
        let at = self.at;
        let events = drafts.into_iter().enumerate().map(|(i, draft)| {
            let by = draft.origin.map_or_else(|| Caller::trunkline().principal, |(by, _)| by);
            Event { seq: before.plus(1 + i as u64), at, by, turn: draft.turn, key: None, fact: draft.fact }
        });
        let mut batch = Batch::new();
        for event in events {
            let moves = self.state.moves(&event);
            batch.push(event, moves);
        }
        // Losing the race, or a full store, only means that it is tried again after more commits.
        (self.compacted, self.bytes) = (before, 0);
        if self.append(&mut batch).await.is_ok() {
            self.head = batch.events.last().map_or(before, |event| event.seq);
            (self.compacted, self.bytes) = (self.head, 0);
            if let Err(error) = self.shared.log.trim(&self.id, Some(before)).await {
                tracing::warn!(log = %self.id, %error, "a log could not be shortened");
            }
        }
    }
}
