//! What is owed and done by a command alone: tried until the store takes it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use trunkline_core::id::{LogId, SessionId};
use trunkline_core::principal::Caller;
use trunkline_core::session::{Command, Run};

use super::Runner;
use crate::cell::CommandError;
use crate::persist::{is_final, persist};

/// A command that a session owes. Each is under way once in a session at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Duty {
    /// The first waiting prompt is to be claimed.
    Claim,
    /// What an earlier life of this node left is to be ended.
    Recover,
    /// A checkpoint of the last turn is to be kept.
    Checkpoint,
}

impl Runner {
    /// Ends what an earlier life of this node left in a session. Returns after the first try; what the store does not take
    /// now is tried on.
    pub(crate) async fn recover(self: &Arc<Self>, id: SessionId, log: &LogId) {
        if !self.begin(id, Duty::Recover) {
            return;
        }
        match self.fulfil(log, Duty::Recover).await {
            Err(error) if !is_final(&error) => {
                tracing::error!(%log, %error, "a session could not be recovered; trying again");
                self.insist(id, log, Duty::Recover);
            }
            Ok(()) | Err(_) => self.done(id, Duty::Recover),
        }
    }

    /// Sees to it that a duty is done, unless that is under way.
    pub(super) fn owe(self: &Arc<Self>, id: SessionId, log: &LogId, duty: Duty) {
        let draining = self.stopping.load(Ordering::Acquire);
        if !(draining && duty == Duty::Claim) && self.begin(id, duty) {
            self.insist(id, log, duty);
        }
    }

    fn insist(self: &Arc<Self>, id: SessionId, log: &LogId, duty: Duty) {
        let (runner, log) = (Arc::clone(self), log.clone());
        self.tasks.spawn(async move {
            loop {
                let fulfilled = persist(duty.name(), || runner.fulfil(&log, duty)).await;
                runner.done(id, duty);
                if let Err(error) = fulfilled {
                    tracing::debug!(%log, %error, "{} is not wanted any more", duty.name());
                    return;
                }
                // Another turn may have ended while it was under way.
                if duty != Duty::Checkpoint || !runner.is_unkept(&log).await || !runner.begin(id, duty) {
                    return;
                }
            }
        });
    }

    async fn fulfil(&self, log: &LogId, duty: Duty) -> Result<(), CommandError> {
        let run = match duty {
            Duty::Checkpoint => return self.kept().handoffs.keep(log).await,
            Duty::Claim if self.stopping.load(Ordering::Acquire) => return Err(CommandError::Stopping),
            Duty::Claim => Run::Claim,
            Duty::Recover => Run::Recover { checkpoint: self.kept().checkpoints },
        };
        self.cells().command(log, Caller::trunkline(), Command::Run(run), None).await.map(drop)
    }

    async fn is_unkept(&self, log: &LogId) -> bool {
        let unkept = self.cells().view(log, |session, _| session.turns.unkept.is_some()).await;
        unkept.unwrap_or(false)
    }

    /// Whether nobody else does it.
    fn begin(&self, id: SessionId, duty: Duty) -> bool {
        self.duties.lock().unwrap_or_else(PoisonError::into_inner).insert((id, duty))
    }

    fn done(&self, id: SessionId, duty: Duty) {
        self.duties.lock().unwrap_or_else(PoisonError::into_inner).remove(&(id, duty));
    }
}

impl Duty {
    const fn name(self) -> &'static str {
        match self {
            Self::Claim => "the start of a queued prompt",
            Self::Recover => "the end of what was left running",
            Self::Checkpoint => "the checkpoint of a turn",
        }
    }
}
