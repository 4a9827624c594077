//! When the agents of sessions that run elsewhere were last there.
//!
//! A heartbeat that changes nothing leaves no fact: it is kept in the `live` store alone, so it costs no write to the
//! disk. After two minutes of silence one fact in the session's log tells it, and when that was.

use std::time::Duration;

use trunkline_core::id::SessionId;
use trunkline_core::outside::Report;
use trunkline_core::presence;
use trunkline_core::principal::Caller;
use trunkline_core::row::RowKind;
use trunkline_core::session::Command;
use trunkline_core::time::Time;
use trunkline_log::frame::{MAX_FOUND, Query};

use crate::cell::{CommandError, Done};
use crate::hub::Hub;

/// How often it is looked who has fallen silent.
const SWEEP: Duration = Duration::from_secs(5);

impl Hub {
    /// Takes what an agent that runs elsewhere says of itself, if anything, and keeps that it is there.
    ///
    /// # Errors
    /// When it is refused or not kept.
    pub async fn report(&self, caller: &Caller, id: SessionId, report: Report) -> Result<Done, CommandError> {
        let done = self.command(caller, id, Command::Report(report), None).await?;
        self.presence(id, presence::Command::See(id)).await?;
        Ok(done)
    }

    /// When an agent was last there, if it was in this life of the daemon.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn seen(&self, id: SessionId) -> Result<Option<Time>, CommandError> {
        let found = self.live().find(&Query::one(RowKind::Seen, id.to_string()), self.live().pos()).await?;
        Ok(found.rows.iter().find_map(|(_, row)| row.body.as_ref()?.read().ok()))
    }

    /// Tells the logs of those that have fallen silent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn miss_silent(&self) -> Result<(), CommandError> {
        let due_before = Some(self.now());
        let query = Query { due_before, limit: MAX_FOUND, ..Query::all(RowKind::Seen) };
        let found = self.live().find(&query, self.live().pos()).await?;
        for (_, row) in found.rows {
            let seen = row.body.as_ref().and_then(|body| body.read().ok());
            let (Ok(id), Some(seen)) = (row.key.parse::<SessionId>(), seen) else { continue };
            match self.command(&Caller::trunkline(), id, Command::Missed(seen), None).await {
                // A deleted session is missed by nobody.
                Ok(_) | Err(CommandError::Refused(_)) => {}
                Err(error) => {
                    tracing::warn!(session = %id, %error, "that an agent is gone could not be kept yet");
                    continue;
                }
            }
            self.presence(id, presence::Command::Miss(seen)).await?;
        }
        Ok(())
    }

    pub(crate) async fn keep_missing(self) {
        let stop = self.stopping();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
            if let Err(error) = self.miss_silent().await {
                tracing::error!(%error, "it cannot be told which agents are gone");
            }
        }
    }
}
