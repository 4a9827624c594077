//! What dialects of other projects' clients ask of the hub: sessions by the clients' own names, and what a model remembers.

use trunkline_core::id::SessionId;
use trunkline_core::name::{Claimed, alias};
use trunkline_core::principal::Caller;

use super::Hub;
use crate::cell::CommandError;
use crate::model::history::History;

impl Hub {
    /// Claims a session's name in a dialect. Gives whose it is: the name is another session's if that was first.
    ///
    /// # Errors
    /// When it can be no name, or is not kept.
    pub async fn claim(
        &self,
        caller: &Caller,
        dialect: &str,
        name: &str,
        session: SessionId,
    ) -> Result<SessionId, CommandError> {
        let log = alias(dialect, name)?;
        let claim = Claimed { session, digest: String::new() };
        self.0.names.command(&log, caller.clone(), claim, None).await?;
        Ok(self.named(dialect, name).await?.unwrap_or(session))
    }

    /// The session of this name in a dialect.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn named(&self, dialect: &str, name: &str) -> Result<Option<SessionId>, CommandError> {
        let Ok(log) = alias(dialect, name) else { return Ok(None) };
        self.0.names.view(&log, |name, _| name.claimed.as_ref().map(|claimed| claimed.session)).await
    }

    /// What an agent of our own remembers of a session.
    ///
    /// # Errors
    /// When there is no such session, or it cannot be read.
    pub async fn conversation(&self, id: SessionId) -> Result<History, CommandError> {
        self.look(id, |_| ()).await?;
        Ok(History::load(self.disk(), id).await?)
    }
}
