//! A running turn, as its driver sees it.

mod tools;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use trunkline_core::event::Fact;
use trunkline_core::id::{RequestId, Seq, TurnId};
use trunkline_core::principal::Principal;
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::request::{Closed, Opened};
use trunkline_core::session::{Beside, Run};
use trunkline_core::turn::{Note, Running, Stopping};
use trunkline_wire::acp::UpdateView;
use trunkline_wire::acp::merge::{Merger, Pushed};

use crate::cell::CommandError;
use crate::driver::SessionPort;
use crate::permits::{Memory, standing};
use crate::persist::persist;

use tools::Tools;

/// Updates within this time share a frame while somebody is attached. After this much silence they are written anyhow.
const WINDOW: Duration = Duration::from_millis(20);
/// The same while nobody is attached and the agent goes on talking.
const UNSEEN_WINDOW: Duration = Duration::from_millis(250);
/// Updates are written once they have this many bytes.
const WINDOW_BYTES: usize = 4 << 10;
/// How many things a driver may be ahead of the disk.
const AHEAD: usize = 256;

/// A turn that runs. Updates are merged and written in order; a driver that is far ahead of the disk waits.
pub struct Turn {
    port: SessionPort,
    running: Running,
    stop: watch::Receiver<Option<Stopping>>,
    pump: mpsc::Sender<Item>,
    /// How many questions wait for their outcome. Each follows the log, and is nobody who reads it.
    asking: Arc<AtomicUsize>,
}

enum Item {
    Update(Raw),
    Fact(Box<Fact>),
    Ask(Box<Opened>, oneshot::Sender<Result<(), CommandError>>),
    Flush(oneshot::Sender<()>),
}

impl Turn {
    pub(crate) fn new(
        port: SessionPort,
        running: Running,
        stop: watch::Receiver<Option<Stopping>>,
        tasks: &TaskTracker,
    ) -> Self {
        let (pump, items) = mpsc::channel(AHEAD);
        let (turn, attempt) = (running.turn, running.attempt);
        let asking = Arc::<AtomicUsize>::default();
        tasks.spawn(Pump::new(port.clone(), turn, attempt, items, Arc::clone(&asking)).run());
        Self { port, running, stop, pump, asking }
    }

    /// The number of the turn.
    #[must_use]
    pub const fn id(&self) -> TurnId {
        self.running.turn
    }

    /// Which attempt at it this is.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.running.attempt
    }

    /// Who asked for it.
    #[must_use]
    pub const fn by(&self) -> &Principal {
        &self.running.by
    }

    /// What the agent is asked.
    #[must_use]
    pub fn prompt(&self) -> &[Raw] {
        &self.running.prompt
    }

    /// The agent said or did something.
    pub async fn update(&self, update: Raw) {
        let _turn_is_over = self.pump.send(Item::Update(update)).await;
    }

    /// Something else happened in the turn.
    pub async fn fact(&self, fact: impl Into<Fact>) {
        let _turn_is_over = self.pump.send(Item::Fact(Box::new(fact.into()))).await;
    }

    /// Something about the turn that the agent did not say.
    pub async fn note(&self, code: &str, message: impl Into<String>, data: Option<Raw>) {
        self.fact(Note { code: code.to_owned(), message: message.into(), data }).await;
    }

    /// Resolves when the turn is asked to stop.
    pub async fn stopping(&self) -> Stopping {
        let mut stop = self.stop.clone();
        let asked = stop.wait_for(Option::is_some).await.ok().and_then(|stopping| stopping.clone());
        match asked {
            Some(stopping) => stopping,
            None => std::future::pending().await,
        }
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Asks a person, and waits for the outcome, however long it takes.
    ///
    /// # Errors
    /// When the request was refused, or the store does not take it.
    pub async fn ask(&self, asked: Opened) -> Result<Closed, CommandError> {
        let id = asked.id;
        let (reply, opened) = oneshot::channel();
        let sent = self.pump.send(Item::Ask(Box::new(asked), reply)).await;
        sent.map_err(|_| CommandError::Stopping)?;
        opened.await.map_err(|_| CommandError::Stopping)??;
        self.outcome(id).await
    }

    async fn outcome(&self, id: RequestId) -> Result<Closed, CommandError> {
        let _asking = Asking::new(&self.asking);
        let mut tail = self.port.cells.follow(&self.port.log, Seq(u64::MAX)).await?;
        loop {
            let closed = self.port.look(move |session| session.requests.closed.get(&id).cloned()).await?;
            if let Some(closed) = closed {
                return Ok(closed);
            }
            if matches!(tail.next().await?, crate::tail::Next::Removed) {
                return Err(Refused::Deleted { id: self.port.id }.into());
            }
        }
    }

    /// Waits until everything said so far is written.
    pub(crate) async fn finish(&self) {
        let (done, flushed) = oneshot::channel();
        if self.pump.send(Item::Flush(done)).await.is_ok() {
            let _pump_left = flushed.await;
        }
    }
}

/// A question that waits, until this is dropped.
struct Asking(Arc<AtomicUsize>);

impl Asking {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Merges what a driver says, and writes it in order.
struct Pump {
    port: SessionPort,
    turn: TurnId,
    attempt: u32,
    items: mpsc::Receiver<Item>,
    tools: Tools,
    merger: Merger,
    memory: Memory,
    facts: Vec<Fact>,
    flushed: Instant,
    heard: Instant,
    asking: Arc<AtomicUsize>,
}

impl Pump {
    fn new(
        port: SessionPort,
        turn: TurnId,
        attempt: u32,
        items: mpsc::Receiver<Item>,
        asking: Arc<AtomicUsize>,
    ) -> Self {
        // The first words of a turn go out at once.
        let now = Instant::now();
        let flushed = now.checked_sub(UNSEEN_WINDOW).unwrap_or(now);
        let (tools, merger, memory, facts) =
            (Tools::default(), Merger::default(), Memory::default(), Vec::new());
        Self { port, turn, attempt, items, tools, merger, memory, facts, flushed, heard: now, asking }
    }

    async fn run(mut self) {
        loop {
            let item = if let Some(due) = self.due() {
                tokio::select! {
                    biased;
                    item = self.items.recv() => item,
                    () = tokio::time::sleep_until(due) => {
                        let shown = self.tools.take_due(Instant::now());
                        self.merge(shown).await;
                        self.flush().await;
                        continue;
                    }
                }
            } else {
                self.items.recv().await
            };
            self.heard = Instant::now();
            match item {
                Some(item) => self.take(item).await,
                None => return self.flush_all().await,
            }
        }
    }

    /// When something is to be written, if nothing comes before that.
    fn due(&self) -> Option<Instant> {
        let said = self.waits().then(|| (self.flushed + self.window()).min(self.heard + WINDOW));
        said.into_iter().chain(self.tools.due()).min()
    }

    fn window(&self) -> Duration {
        let readers = self.port.cells.readers(&self.port.log);
        if readers > self.asking.load(Ordering::Relaxed) { WINDOW } else { UNSEEN_WINDOW }
    }

    fn waits(&self) -> bool {
        !self.merger.is_empty() || !self.facts.is_empty()
    }

    async fn take(&mut self, item: Item) {
        match item {
            Item::Update(update) => self.update(update).await,
            Item::Fact(fact) => {
                self.settle().await;
                self.facts.push(*fact);
            }
            Item::Ask(asked, reply) => {
                self.flush_all().await;
                let _driver_left = reply.send(self.ask(*asked).await);
            }
            Item::Flush(done) => {
                self.flush_all().await;
                let _driver_left = done.send(());
            }
        }
    }

    async fn ask(&self, mut asked: Opened) -> Result<(), CommandError> {
        self.memory.complete(&mut asked);
        let standing = standing(&self.port.projects, self.port.created.project.as_deref()).await?;
        let beside = Beside { said: self.memory.said(), standing };
        self.port.run(Run::Ask { turn: self.turn, attempt: self.attempt, asked, beside }).await
    }

    async fn update(&mut self, update: Raw) {
        self.memory.take(&update);
        let shown = self.tools.push(update, Instant::now());
        if self.merge(shown).await {
            self.flush().await;
        }
    }

    /// Merges updates into what waits. Whether that is to be written now.
    async fn merge(&mut self, updates: Vec<Raw>) -> bool {
        let mut ready = false;
        for update in updates {
            ready |= match self.merger.push(update.as_raw()) {
                Pushed::Gauge { raw, .. } => {
                    let kind = UpdateView::of(raw).kind().into_owned();
                    self.gauge(&kind, update).await;
                    false
                }
                Pushed::Dropped => false,
                Pushed::Held => self.merger.pending_bytes() >= WINDOW_BYTES,
                Pushed::Ready => true,
            };
        }
        ready
    }

    async fn gauge(&mut self, kind: &str, update: Raw) {
        if let Err(error) = self.port.status(kind, update).await {
            tracing::warn!(session = %self.port.id, %error, "a gauge was not kept");
        }
    }

    /// Moves what was merged behind the facts before it; what is too large goes beside the log.
    async fn settle(&mut self) {
        for raw in self.merger.flush() {
            let update = Raw::from(raw);
            let spilled = insist(|| self.port.spill(update.clone())).await;
            self.facts.extend(spilled.map(Fact::from));
        }
    }

    /// Writes everything, also what running tools have shown since it was last written.
    async fn flush_all(&mut self) {
        let shown = self.tools.take_all();
        self.merge(shown).await;
        self.flush().await;
    }

    async fn flush(&mut self) {
        self.settle().await;
        let facts = std::mem::take(&mut self.facts);
        if facts.is_empty() {
            return;
        }
        self.write(facts).await;
        let now = Instant::now();
        self.flushed = now;
    }

    async fn write(&self, facts: Vec<Fact>) {
        insist(|| {
            let report = Run::Report { turn: self.turn, attempt: self.attempt, facts: facts.clone() };
            self.port.run(report)
        })
        .await;
    }
}

/// Writes, however long the store refuses: the driver waits meanwhile, and nothing is lost. `None` when nobody wants it
/// any more: the turn is over, or the session is gone.
async fn insist<T, F: Future<Output = Result<T, CommandError>>>(write: impl Fn() -> F) -> Option<T> {
    let written = persist("what an agent says", write).await;
    if let Err(CommandError::Append(error)) = &written {
        tracing::error!(%error, "what an agent said cannot be kept");
    }
    written.ok()
}
