//! The removal of a log, with what is kept beside it.

use std::time::Duration;

use tokio::time::Instant;
use trunkline_core::id::Pos;
use trunkline_log::LogError;

use super::{Cell, CommandError};

/// The pause before a removal that failed is tried again, and the longest.
const REMOVE_PAUSE: Duration = Duration::from_millis(100);
const MAX_REMOVE_PAUSE: Duration = Duration::from_secs(60);

impl Cell {
    pub(super) async fn remove(&mut self) {
        match self.removal().await {
            Ok(pos) => {
                self.pos = self.pos.max(pos);
                self.bury();
            }
            Err(error) => {
                let pause = self.removal.map_or(REMOVE_PAUSE, |(_, pause)| (pause * 2).min(MAX_REMOVE_PAUSE));
                self.removal = Some((Instant::now() + pause, pause));
                tracing::error!(log = %self.id, %error, "a deleted log could not be removed; trying again");
            }
        }
    }

    /// Has recorded what is to be, removes what is kept beside the log, then the log. A blob that was just being written is looked for again after
    /// that; one that is written later finds the log gone.
    async fn removal(&self) -> Result<Pos, LogError> {
        let log = &*self.shared.log;
        if let Some(keeper) = self.shared.keeper.get() {
            keeper.settle().await.map_err(unsettled)?;
        }
        if let Some(session) = self.id.as_session() {
            crate::blob::remove_all(log, session).await?;
            crate::handoff::forget(log, session).await?;
        }
        let pos = match log.trim(&self.id, None).await {
            Ok(commit) => commit.pos,
            Err(LogError::Gone) => self.pos,
            Err(error) => return Err(error),
        };
        if let Some(session) = self.id.as_session()
            && let Err(error) = crate::blob::remove_all(log, session).await
        {
            tracing::error!(log = %self.id, %error, "something large of a deleted log may be left");
        }
        Ok(pos)
    }

    /// The log is gone, by our hand or another's.
    pub(super) fn bury(&mut self) {
        self.gone = true;
        self.removal = None;
        self.tail.remove();
        self.state.bury(&self.id);
    }
}

/// Why what waits for the audit could not be recorded.
fn unsettled(error: CommandError) -> LogError {
    match error {
        CommandError::Read(error) => error,
        CommandError::Append(error) => LogError::Down(error.to_string()),
        CommandError::Refused(_) | CommandError::Stopping => LogError::Down(error.to_string()),
    }
}
