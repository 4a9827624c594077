//! All cells of one kind of log: found, started when needed, retired when idle.

use std::any::Any;
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
use crate::cell::{
    Answered, AnyCommand, Cell, CommandError, Done, Effects, Held, Kept, KeyGiven, MAX_WAITING, Message,
    Reply, Wish,
};
use crate::clock::Clock;
use crate::tail::{Follow, Tail};

/// A handle to the cells of one kind of log. Cheap to clone.
pub(crate) struct Cells<M: Machine> {
    shared: Arc<Shared>,
    effects: Arc<OnceLock<Arc<dyn Effects<M>>>>,
}

impl<M: Machine> Clone for Cells<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), effects: Arc::clone(&self.effects) }
    }
}

pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Clock,
    pub(crate) node: Node,
    pub(crate) keeper: OnceLock<Keeper>,
    tasks: TaskTracker,
    cells: Mutex<HashMap<LogId, Handle>>,
}

#[derive(Clone)]
struct Handle {
    inbox: mpsc::Sender<Message>,
    tail: Arc<Tail>,
}

/// Where the outcome of a command will be. It is dropped unused where the command is not taken.
pub(crate) type Outcome = oneshot::Receiver<Answered>;

async fn outcome(waiting: Outcome) -> Answered {
    waiting.await.unwrap_or(Err(CommandError::Stopping))
}

impl Handle {
    async fn send(&self, caller: Caller, command: AnyCommand, key: Option<KeyGiven>) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        self.wish(vec![Wish { command, caller, key, reply: Reply::Alone(reply) }]).await;
        outcome
    }

    async fn wish(&self, wishes: Vec<Wish>) {
        // Where they are not taken, the other end of the answers is dropped with them.
        let _cell_left = self.inbox.send(Message::Commands(wishes)).await;
    }

    async fn view<M: Machine, T: Send + 'static>(
        &self,
        look: impl FnOnce(&M, Pos) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let (reply, seen) = oneshot::channel();
        let view = move |state: Result<(&dyn Any, Pos), LogError>| {
            let look = |(state, pos): (&dyn Any, Pos)| {
                look(state.downcast_ref().expect("a cell shows the state of its machine"), pos)
            };
            let _receiver_left = reply.send(state.map(look));
        };
        let sent = self.inbox.send(Message::View(Box::new(view))).await;
        sent.map_err(|_| CommandError::Stopping)?;
        Ok(seen.await.map_err(|_| CommandError::Stopping)??)
    }
}

impl Shared {
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

    /// The handle of a cell. The cell is started if it is not there.
    fn handle(self: &Arc<Self>, id: &LogId, state: &dyn Fn() -> Box<dyn Held>) -> Handle {
        let mut cells = self.lock();
        if let Some(handle) = cells.get(id).filter(|handle| !handle.inbox.is_closed()) {
            return handle.clone();
        }
        let (inbox, messages) = mpsc::channel(MAX_WAITING);
        let tail = Arc::new(Tail::new(Seq::ZERO));
        let handle = Handle { inbox, tail: Arc::clone(&tail) };
        cells.insert(id.clone(), handle.clone());
        drop(cells);
        let cell = Cell::new(id.clone(), state(), Arc::clone(self), messages, tail);
        self.tasks.spawn(Box::new(cell).run());
        handle
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, Handle>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Machine> Cells<M> {
    pub(crate) fn new(log: Arc<dyn Log>, clock: Clock, node: Node, tasks: TaskTracker) -> Self {
        let (keeper, cells) = (OnceLock::new(), Mutex::default());
        let shared = Arc::new(Shared { log, clock, node, keeper, tasks, cells });
        Self { shared, effects: Arc::default() }
    }

    /// Says who keeps the audit of what is done here. Once, before the first cell.
    pub(crate) fn set_keeper(&self, keeper: Keeper) {
        assert!(self.shared.keeper.set(keeper).is_ok(), "the keeper is set once");
    }

    /// Says who makes the effects real. Once, before the first cell.
    pub(crate) fn set_effects(&self, effects: Arc<dyn Effects<M>>) {
        assert!(self.effects.set(effects).is_ok(), "effects are set once");
    }

    /// Has a command decided, and waits until its facts are kept.
    pub(crate) async fn command(
        &self,
        id: &LogId,
        caller: Caller,
        command: M::Command,
        key: Option<KeyGiven>,
    ) -> Result<Done, CommandError> {
        outcome(self.send(id, caller, command, key).await).await
    }

    /// Has a command decided after what was sent before it, and gives where its outcome will be.
    pub(crate) async fn send(
        &self,
        id: &LogId,
        caller: Caller,
        command: M::Command,
        key: Option<KeyGiven>,
    ) -> Outcome {
        self.handle(id).send(caller, Box::new(command), key).await
    }

    /// Has commands decided in their order, each on its own; the answers stand in the same order.
    pub(crate) async fn commands(
        &self,
        id: &LogId,
        caller: &Caller,
        commands: Vec<M::Command>,
    ) -> Vec<Result<Done, CommandError>> {
        let (replies, answers) = Reply::gathered(commands.len());
        let wish = |(command, reply): (M::Command, Reply)| Wish {
            command: Box::new(command),
            caller: caller.clone(),
            key: None,
            reply,
        };
        self.handle(id).wish(commands.into_iter().zip(replies).map(wish).collect()).await;
        answers.await.unwrap_or_default()
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
        handle.view(|_: &M, _| ()).await?;
        let tail = Arc::clone(&handle.tail);
        let log = Arc::clone(&self.shared.log);
        Ok(Follow::new(log, id.clone(), after, tail, Box::new(handle)))
    }

    /// Starts the cell of a log if it is not there, so that what the log owes is done.
    pub(crate) fn wake(&self, id: &LogId) {
        drop(self.handle(id));
    }

    /// The store behind.
    pub(crate) fn log(&self) -> &dyn Log {
        &*self.shared.log
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        self.shared.clock.now()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// How many cells are in memory.
    pub(crate) fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// How many readers follow a log.
    pub(crate) fn readers(&self, id: &LogId) -> usize {
        self.shared.lock().get(id).map_or(0, |handle| handle.tail.readers())
    }

    /// Tells a loaded cell that the store's tail has shown a commit of its log.
    pub(crate) async fn moved(&self, id: &LogId, head: Seq) {
        let handle = self.shared.lock().get(id).cloned();
        let Some(handle) = handle else { return };
        if head > handle.tail.head() || head == Seq::ZERO {
            let _cell_left = handle.inbox.send(Message::Moved(head)).await;
        }
    }

    fn handle(&self, id: &LogId) -> Handle {
        self.shared.handle(id, &|| Box::new(Kept::new(&self.effects)))
    }
}
