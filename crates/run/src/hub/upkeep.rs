//! What the hub does by itself: it takes up what an earlier life left, meets deadlines, and follows its stores.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use trunkline_core::id::{LogId, Pos};
use trunkline_core::row::RowKind;
use trunkline_log::LogError;
use trunkline_log::frame::Query;

use super::{AT_ONCE, Hub};
use crate::cell::CommandError;

/// Deadlines this near are held in memory.
const HORIZON_MS: u64 = 60_000;
/// How often those of the next minute are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// How long after its end the tail of a store is read on.
const WATCH_AGAIN: Duration = Duration::from_millis(100);

impl Hub {
    /// Ends what an earlier life of this node left running, and takes up what is owed.
    pub(super) async fn recover(&self) -> Result<(), CommandError> {
        let mut query = Query::all(RowKind::Owed);
        loop {
            let found = self.find(&query, self.pos()).await?;
            let recover = async |log: &LogId| {
                if let Some(id) = log.as_session() {
                    self.0.runner.recover(id, log).await;
                }
            };
            stream::iter(&found.rows).for_each_concurrent(AT_ONCE, |(log, _)| recover(log)).await;
            match found.next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Loads the sessions that have a deadline soon, so that it is met.
    pub(super) async fn sweep(&self) -> Result<(), CommandError> {
        let due_before = Some(self.now().plus_ms(HORIZON_MS));
        let mut query = Query { due_before, ..Query::all(RowKind::Session) };
        loop {
            let found = self.find(&query, self.pos()).await?;
            found.rows.iter().for_each(|(log, _)| self.0.sessions.wake(log));
            match found.next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn keep_sweeping(&self) {
        let hub = self.clone();
        self.0.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = hub.0.stop.cancelled() => return,
                    () = tokio::time::sleep(SWEEP) => {}
                }
                if let Err(error) = hub.sweep().await {
                    tracing::error!(%error, "deadlines could not be read");
                }
            }
        });
    }

    /// Tells loaded cells what others write into their logs: nothing here assumes to be the only writer of a store on a disk.
    /// The one in memory has no other.
    pub(super) fn watch_store(&self) {
        let (hub, after) = (self.clone(), self.0.disk.pos());
        self.0.tasks.spawn(async move { hub.watch(after).await });
    }

    async fn watch(&self, mut after: Pos) {
        let mut changes = self.0.disk.changes(after);
        loop {
            let change = tokio::select! {
                () = self.0.stop.cancelled() => return,
                change = changes.next() => change,
            };
            match change {
                Some(Ok(change)) => {
                    after = change.pos;
                    if change.log.as_session().is_some_and(|id| self.0.runner.hosts(id)) {
                        // Its agent is here, though its cell may have left: somebody may have closed it.
                        self.0.sessions.wake(&change.log);
                    }
                    self.0.sessions.moved(&change.log, change.head).await;
                    self.0.access.moved(&change.log, change.head).await;
                    self.0.projects.moved(&change.log, change.head).await;
                    self.0.keeper.chain.moved(&change.log, change.head).await;
                    self.0.names.moved(&change.log, change.head).await;
                    self.0.handoffs.moved(&change.log, change.head).await;
                }
                // The stream goes on behind a gap. A cell that has missed something learns it when it next writes.
                Some(Err(error @ LogError::Gap { .. })) => {
                    tracing::warn!(%error, "the store's tail has a gap");
                }
                Some(Err(LogError::Gone | LogError::Full | LogError::Down(_))) | None => {
                    tracing::error!("the store's tail cannot be read; trying again");
                    tokio::time::sleep(WATCH_AGAIN).await;
                    changes = self.0.disk.changes(after);
                }
            }
        }
    }
}
