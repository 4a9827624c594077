//! What agents share: keys with values, topics, and the registry of who takes part.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trunkline_core::group::Group;
use trunkline_core::id::{LogId, Seq};
use trunkline_core::kv::{self, Namespace};
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::registry::{self, Registry};
use trunkline_core::row::RowKind;
use trunkline_core::time::Time;
use trunkline_log::frame::Query;

use crate::cell::{CommandError, Done};
use crate::cells::Cells;
use crate::hub::Hub;
use crate::latest::LatestCells;
use crate::tail::Follow;
use crate::topics::Topics;

/// The bus. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bus {
    pub(crate) kv: LatestCells<Namespace>,
    pub(crate) registry: LatestCells<Registry>,
    pub(crate) topics: Topics,
    pub(crate) groups: Cells<Group>,
}

impl Bus {
    /// Takes up what is on the disk, and copies what comes.
    pub(crate) fn keep(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        tasks.spawn(self.kv.clone().keep(stop.clone()));
        tasks.spawn(self.registry.clone().keep(stop.clone()));
    }
}

impl Hub {
    /// Has commands on a namespace decided in their order, each on its own; the answers stand in the same order. What is
    /// granted is on the disk within 50 ms.
    ///
    /// # Errors
    /// When the namespace cannot be read: nothing was decided then.
    pub async fn kv(
        &self,
        caller: &Caller,
        namespace: &str,
        commands: Vec<kv::Command>,
    ) -> Result<Vec<Result<Done, CommandError>>, CommandError> {
        self.bus().kv.commands(&kv_log(namespace)?, caller, commands).await
    }

    /// Waits until the disk has what a namespace holds now.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn settle_kv(&self, namespace: &str) -> Result<(), CommandError> {
        self.bus().kv.settle(&kv_log(namespace)?).await
    }

    /// Looks at a namespace, at a time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn look_kv<T: Send + 'static>(
        &self,
        namespace: &str,
        look: impl FnOnce(&Namespace, Time) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let now = self.now();
        self.bus().kv.view(&kv_log(namespace)?, move |state| look(state, now)).await
    }

    /// Follows what happens in a namespace from `after`; beyond its end is its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn follow_kv(&self, namespace: &str, after: Seq) -> Result<Follow, CommandError> {
        self.bus().kv.follow(&kv_log(namespace)?, after).await
    }

    /// The names of the namespaces, those that are empty by now included.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn namespaces(&self) -> Result<Vec<String>, CommandError> {
        let mut names: std::collections::BTreeSet<_> =
            self.bus().kv.known().iter().filter_map(LogId::as_kv).collect();
        let mut query = Query { limit: 1_000, ..Query::all(RowKind::Copied) };
        loop {
            let found = self.find(&query, self.pos()).await?;
            names.extend(found.rows.iter().filter_map(|(log, _)| log.as_kv()));
            match found.next {
                Some(next) => query.after = Some(next),
                None => return Ok(names.into_iter().collect()),
            }
        }
    }

    /// The topics.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.bus().topics
    }

    /// Changes the registry of agents.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn registry(&self, caller: &Caller, command: registry::Command) -> Result<Done, CommandError> {
        self.bus().registry.command(&LogId::registry(), caller, command).await
    }

    /// Looks at the registry, at a time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn look_registry<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Registry, Time) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let now = self.now();
        self.bus().registry.view(&LogId::registry(), move |state| look(state, now)).await
    }

    /// Has it kept that an agent was there, without waiting for that: whoever looks at the registry afterwards sees it. A name
    /// that is refused leaves nothing.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn see_agent(&self, caller: &Caller, agent: &Arc<str>) -> Result<(), CommandError> {
        let command = registry::Command::See(agent.clone());
        self.bus().registry.send(&LogId::registry(), caller, command).await
    }

    /// Follows the registry from `after`; beyond its end is its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn follow_registry(&self, after: Seq) -> Result<Follow, CommandError> {
        self.bus().registry.follow(&LogId::registry(), after).await
    }
}

fn kv_log(namespace: &str) -> Result<LogId, Refused> {
    LogId::kv(namespace).map_err(|_| Refused::invalid("namespace", "must be at most 120 bytes"))
}
