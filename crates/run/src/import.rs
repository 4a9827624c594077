//! Makes a session from an export.

use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Pos, SessionId};
use trunkline_core::import::Importer;
use trunkline_core::machine::Draft;
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::session::Command;
use uuid::Uuid;

use crate::cell::CommandError;
use crate::hub::Hub;

/// About how many bytes of facts one frame takes.
const FRAME_BYTES: usize = 1 << 20;

impl Hub {
    /// Makes a session from the events of an export. On failure the half-made session is deleted again. It comes to its
    /// end though nobody waits for it any more.
    ///
    /// # Errors
    /// When the export does not begin with `session.created`, or its facts are not kept.
    pub async fn import(
        &self,
        caller: &Caller,
        events: Vec<Event>,
    ) -> Result<(SessionId, Pos), CommandError> {
        caller.may_operate()?;
        let (hub, caller) = (self.clone(), caller.clone());
        let import = self.tasks().spawn(async move { hub.import_all(&caller, events).await });
        import.await.map_err(|_| CommandError::Stopping)?
    }

    async fn import_all(
        &self,
        caller: &Caller,
        events: Vec<Event>,
    ) -> Result<(SessionId, Pos), CommandError> {
        let id = SessionId::new(Uuid::now_v7());
        let mut events = events.into_iter();
        let first =
            events.next().ok_or_else(|| Refused::invalid("line 2", "must be the event session.created"))?;
        let (importer, created) = Importer::begin(&first, id)?;
        self.create(caller, created, None).await?;
        match self.copy(caller, id, importer, events).await {
            Ok(pos) => Ok((id, pos)),
            Err(error) => {
                if let Err(left) = self.command(caller, id, Command::Delete, None).await {
                    tracing::error!(session = %id, error = %left, "half an import is left; it can be deleted");
                }
                Err(error)
            }
        }
    }

    async fn copy(
        &self,
        caller: &Caller,
        id: SessionId,
        mut importer: Importer,
        events: impl Iterator<Item = Event>,
    ) -> Result<Pos, CommandError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for event in events {
            let Some(mut draft) = importer.next(event, Uuid::now_v7) else { continue };
            bytes += self.shrink(id, &mut draft).await?;
            batch.push(draft);
            if bytes >= FRAME_BYTES {
                self.command(caller, id, Command::Import(std::mem::take(&mut batch)), None).await?;
                bytes = 0;
            }
        }
        self.command(caller, id, Command::Import(batch), None).await?;
        Ok(self.command(caller, id, Command::EndImport, None).await?.pos)
    }

    /// Keeps a large update beside the log, as when it first came. Gives the size that is left, roughly.
    async fn shrink(&self, id: SessionId, draft: &mut Draft) -> Result<usize, CommandError> {
        let Fact::TurnUpdate(update) = &mut draft.fact else { return Ok(256) };
        *update = crate::blob::spill(self.disk(), id, update.update.clone(), self.now()).await?;
        Ok(update.update.get().len() + 256)
    }
}
