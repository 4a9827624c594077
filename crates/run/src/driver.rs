//! What moves a hosted session: the contract between the runner and the drivers.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use trunkline_core::agent::{Memo, Status};
use trunkline_core::event::Fact;
use trunkline_core::grant::ProjectGrants;
use trunkline_core::id::{LogId, Node, SessionId};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::session::{Command, Created, Run, Session};
use trunkline_core::setting::Pending;
use trunkline_core::spending::Spending;
use trunkline_core::turn::{Outcome, Update};

use crate::cell::CommandError;
use crate::cells::Cells;
use crate::persist::{is_final, persist};
use crate::turn::Turn;

/// Makes hosts for the sessions of one kind of agent.
pub trait Driver: Send + Sync + 'static {
    /// Makes the host of a session. Nothing is started before its first turn.
    fn host(&self, port: SessionPort) -> Box<dyn Host>;
}

/// The agent of one session, as long as it is kept running.
///
/// Dropping a host ends its processes at once.
#[async_trait]
pub trait Host: Send {
    /// Runs a turn to its end. Once [`Turn::stopping`] resolves it should end soon; at the time told there the runner drops
    /// this future and calls [`Host::kill`].
    async fn turn(&mut self, turn: &Turn) -> Outcome;

    /// Runs between turns. Returns when the agent is gone. Dropped when a turn comes.
    async fn idle(&mut self) {
        std::future::pending::<()>().await;
    }

    /// Makes ready what can be used without a turn, such as connections. Returns soon.
    async fn wake(&mut self) {}

    /// Ends the agent's processes within their grace.
    async fn end(&mut self);

    /// Ends the agent's processes now.
    async fn kill(&mut self) {
        self.end().await;
    }
}

/// What a driver sees of its session between turns.
#[derive(Clone)]
pub struct SessionPort {
    pub(crate) cells: Cells<Session>,
    pub(crate) tasks: TaskTracker,
    pub(crate) projects: Cells<ProjectGrants>,
    pub(crate) spending: Cells<Spending>,
    pub(crate) log: LogId,
    /// The session.
    pub id: SessionId,
    /// How it was made.
    pub created: Arc<Created>,
    /// The node it runs on.
    pub node: Node,
    /// What the agent, which runs, is to be set to. It changes when somebody chooses, and when an answer is kept.
    pub settings: watch::Receiver<Vec<Pending>>,
}

impl SessionPort {
    /// Appends facts about the agent itself: its process, its gauges, its memory.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn agent(&self, facts: Vec<Fact>) -> Result<(), CommandError> {
        self.run(Run::Agent(facts)).await
    }

    /// Appends facts about the agent that must not be lost, such as its end. If the store does not take them now, it is
    /// tried on after this has returned.
    pub async fn insist(&self, facts: Vec<Fact>) {
        match self.agent(facts.clone()).await {
            Err(error) if !is_final(&error) => {
                let port = self.clone();
                self.tasks.spawn(async move {
                    let _nobody_wants_it = persist("the end of an agent", || port.agent(facts.clone())).await;
                });
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Keeps a gauge, if its bytes changed.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn status(&self, kind: &str, update: Raw) -> Result<(), CommandError> {
        let (name, new) = (kind.to_owned(), update.clone());
        let same = move |session: &Session| session.agent.status.get(&name) == Some(&new);
        if self.look(same).await? {
            return Ok(());
        }
        self.agent(vec![Status { kind: kind.to_owned(), update }.into()]).await
    }

    /// Keeps what the driver needs to go on later.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn remember(&self, raw: Raw) -> Result<(), CommandError> {
        self.agent(vec![Memo { raw }.into()]).await
    }

    /// Looks at the session.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Session) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        self.cells.view(&self.log, |session, _| look(session)).await
    }

    /// An update as the log takes it.
    pub(crate) async fn spill(&self, update: Raw) -> Result<Update, CommandError> {
        crate::blob::spill(self.cells.log(), self.id, update, self.cells.now()).await
    }

    pub(crate) async fn run(&self, run: Run) -> Result<(), CommandError> {
        let caller = Caller::agent(self.id);
        self.cells.command(&self.log, caller, Command::Run(run), None).await.map(drop)
    }
}
