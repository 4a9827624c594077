//! Makes a session from an export, or moves one here.

use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Pos, SessionId};
use trunkline_core::import::{Importer, adopted};
use trunkline_core::machine::Draft;
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::row::RowKind;
use trunkline_core::session::Command;
use trunkline_log::frame::Query;
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

    /// Moves a session here whose agent runs elsewhere: it keeps its ids, its times and what waits. All of it is one frame,
    /// so it is here whole or not at all.
    ///
    /// # Errors
    /// `Exists` when it, or a request of its, is here already; `Deleted` when it was; or when its facts are not kept.
    pub async fn adopt(&self, caller: &Caller, events: Vec<Event>) -> Result<(SessionId, Pos), CommandError> {
        caller.may_operate()?;
        let (id, facts) = adopted(events)?;
        match self.look(id, |_| ()).await {
            Ok(_) => return Err(Refused::Exists { what: "session", id: id.to_string() }.into()),
            Err(CommandError::Refused(Refused::NotFound { .. })) => {}
            Err(error) => return Err(error),
        }
        for draft in &facts {
            let Fact::RequestOpened(asked) = &draft.fact else { continue };
            let row = Query::one(RowKind::Request, asked.id.to_string());
            if !self.find(&row, self.pos()).await?.rows.is_empty() {
                return Err(Refused::Exists { what: "request", id: asked.id.to_string() }.into());
            }
        }
        let done = self.command(caller, id, Command::Adopt(facts), None).await?;
        Ok((id, done.pos))
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
