//! All cells of one kind of log: found, started when needed, retired when idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;
use trunkline_core::id::{LogId, Node, Pos, Seq};
use trunkline_core::machine::Machine;
use trunkline_core::principal::Caller;
use trunkline_core::time::Time;
use trunkline_log::{Log, LogError};

use crate::audit::Keeper;
use crate::cell::{Cell, CommandError, Done, KeyGiven, MAX_WAITING, Message, Wish};
use crate::clock::Clock;
use crate::tail::{Follow, Tail};

/// Makes the outside be as a state wants it.
pub(crate) trait Effects<M: Machine>: Send + Sync {
    /// Called after every commit and after loading, with what is owed now. Must not block.
    fn reconcile(&self, log: &LogId, state: &M, wanted: &[M::Effect]);

    /// Called when the log is found to be gone: nothing of it may run. Must not block.
    fn removed(&self, log: &LogId);
}

/// A handle to the cells of one kind of log. Cheap to clone.
pub(crate) struct Cells<M: Machine>(Arc<Shared<M>>);

impl<M: Machine> Clone for Cells<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

pub(crate) struct Shared<M: Machine> {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Clock,
    pub(crate) node: Node,
    pub(crate) effects: OnceLock<Arc<dyn Effects<M>>>,
    pub(crate) keeper: OnceLock<Keeper>,
    tasks: TaskTracker,
    cells: Mutex<HashMap<LogId, Handle<M>>>,
}

struct Handle<M: Machine> {
    inbox: mpsc::Sender<Message<M>>,
    tail: Arc<Tail>,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), tail: Arc::clone(&self.tail) }
    }
}

impl<M: Machine> Handle<M> {
    async fn view<T: Send + 'static>(
        &self,
        look: impl FnOnce(&M, Pos) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let (reply, seen) = oneshot::channel();
        let view = move |state: Result<(&M, Pos), LogError>| {
            let _receiver_left = reply.send(state.map(|(state, pos)| look(state, pos)));
        };
        let sent = self.inbox.send(Message::View(Box::new(view))).await;
        sent.map_err(|_| CommandError::Stopping)?;
        Ok(seen.await.map_err(|_| CommandError::Stopping)??)
    }
}

impl<M: Machine> Shared<M> {
    /// Drops an idle cell from the map, unless somebody has just taken a handle to it.
    pub(crate) fn retire(&self, id: &LogId) -> bool {
        let mut cells = self.lock();
        // Handles are cloned under this lock only: when ours is the only one, no message can be on its way.
        let unused = cells.get(id).is_some_and(|handle| handle.inbox.strong_count() == 1);
        if unused {
            cells.remove(id);
        }
        unused
    }

    pub(crate) fn forget(&self, id: &LogId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, Handle<M>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Machine> Cells<M> {
    pub(crate) fn new(log: Arc<dyn Log>, clock: Clock, node: Node, tasks: TaskTracker) -> Self {
        let (effects, keeper) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Shared { log, clock, node, effects, keeper, tasks, cells: Mutex::default() }))
    }

    /// Says who keeps the audit of what is done here. Once, before the first cell.
    pub(crate) fn set_keeper(&self, keeper: Keeper) {
        assert!(self.0.keeper.set(keeper).is_ok(), "the keeper is set once");
    }

    /// Says who makes the effects real. Once, before the first cell.
    pub(crate) fn set_effects(&self, effects: Arc<dyn Effects<M>>) {
        assert!(self.0.effects.set(effects).is_ok(), "effects are set once");
    }

    /// Has a command decided, and waits until its facts are kept.
    pub(crate) async fn command(
        &self,
        id: &LogId,
        caller: Caller,
        command: M::Command,
        key: Option<KeyGiven>,
    ) -> Result<Done, CommandError> {
        let (reply, outcome) = oneshot::channel();
        let wish = Wish { command, caller, key, reply };
        let sent = self.handle(id).inbox.send(Message::Command(Box::new(wish))).await;
        sent.map_err(|_| CommandError::Stopping)?;
        outcome.await.map_err(|_| CommandError::Stopping)?
    }

    /// Has commands decided in their order, each on its own; the answers stand in the same order.
    pub(crate) async fn commands(
        &self,
        id: &LogId,
        caller: &Caller,
        commands: Vec<M::Command>,
    ) -> Vec<Result<Done, CommandError>> {
        let handle = self.handle(id);
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            let (reply, outcome) = oneshot::channel();
            let wish = Wish { command, caller: caller.clone(), key: None, reply };
            // Where it is not taken, the other end of the answer is dropped with it.
            let _cell_left = handle.inbox.send(Message::Command(Box::new(wish))).await;
            outcomes.push(outcome);
        }
        let mut answers = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            answers.push(outcome.await.unwrap_or(Err(CommandError::Stopping)));
        }
        answers
    }

    /// Looks at the state of a log.
    pub(crate) async fn view<T: Send + 'static>(
        &self,
        id: &LogId,
        look: impl FnOnce(&M, Pos) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        self.handle(id).view(look).await
    }

    /// Follows a log from `after`. The cell is loaded first, so that the head is known.
    pub(crate) async fn follow(&self, id: &LogId, after: Seq) -> Result<Follow, CommandError> {
        let handle = self.handle(id);
        handle.view(|_, _| ()).await?;
        let tail = Arc::clone(&handle.tail);
        let log = Arc::clone(&self.0.log);
        Ok(Follow::new(log, id.clone(), after, tail, Box::new(handle)))
    }

    /// Starts the cell of a log if it is not there, so that what the log owes is done.
    pub(crate) fn wake(&self, id: &LogId) {
        drop(self.handle(id));
    }

    /// The store behind.
    pub(crate) fn log(&self) -> &dyn Log {
        &*self.0.log
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// How many cells are in memory.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// How many readers follow a log.
    pub(crate) fn readers(&self, id: &LogId) -> usize {
        self.0.lock().get(id).map_or(0, |handle| handle.tail.readers())
    }

    /// Tells a loaded cell that the store's tail has shown a commit of its log.
    pub(crate) async fn moved(&self, id: &LogId, head: Seq) {
        let handle = self.0.lock().get(id).cloned();
        let Some(handle) = handle else { return };
        if head > handle.tail.head() || head == Seq::ZERO {
            let _cell_left = handle.inbox.send(Message::Moved(head)).await;
        }
    }

    fn handle(&self, id: &LogId) -> Handle<M> {
        let mut cells = self.0.lock();
        if let Some(handle) = cells.get(id).filter(|handle| !handle.inbox.is_closed()) {
            return handle.clone();
        }
        let (inbox, messages) = mpsc::channel(MAX_WAITING);
        let tail = Arc::new(Tail::new(Seq::ZERO));
        let handle = Handle { inbox, tail: Arc::clone(&tail) };
        cells.insert(id.clone(), handle.clone());
        drop(cells);
        let cell = Cell::new(id.clone(), Arc::clone(&self.0), messages, tail);
        self.0.tasks.spawn(Box::new(cell).run());
        handle
    }
}
