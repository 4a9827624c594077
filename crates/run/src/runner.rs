//! Makes *running* equal *wanted*: hosts are started, told to stop and ended as their sessions owe it.

mod duties;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use trunkline_core::grant::ProjectGrants;
use trunkline_core::id::{LogId, Node, SessionId, TurnId};
use trunkline_core::session::{Effect, Run, Session};
use trunkline_core::setting::Pending;
use trunkline_core::spending::Spending;
use trunkline_core::time::Time;
use trunkline_core::turn::{Outcome, Running, StopReason, Stopping, Why};

use crate::cell::Effects;
use crate::cells::Cells;
use crate::clock::Clock;
use crate::driver::{Driver, Host, SessionPort};
use crate::handoff::Handoffs;
use crate::persist::persist;
use crate::turn::Turn;

use duties::Duty;

/// How long an agent's process is kept without a turn.
const IDLE_AGENT: Duration = Duration::from_secs(30 * 60);

/// The drivers by name.
pub type Drivers = HashMap<String, Arc<dyn Driver>>;

/// Runs what sessions owe to this node.
pub(crate) struct Runner {
    drivers: Drivers,
    clock: Clock,
    node: Node,
    tasks: TaskTracker,
    kept: OnceLock<Kept>,
    projects: Cells<ProjectGrants>,
    spending: Cells<Spending>,
    hosts: Mutex<HashMap<SessionId, HostHandle>>,
    duties: Mutex<HashSet<(SessionId, Duty)>>,
    stopping: AtomicBool,
}

/// Where what happens is kept.
struct Kept {
    sessions: Cells<Session>,
    handoffs: Handoffs,
    checkpoints: bool,
}

struct HostHandle {
    orders: mpsc::UnboundedSender<Order>,
    settings: watch::Sender<Vec<Pending>>,
    turn: Option<(TurnId, u32)>,
    stop: watch::Sender<Option<Stopping>>,
}

enum Order {
    Run(Box<Running>, watch::Receiver<Option<Stopping>>),
    Wake(oneshot::Sender<()>),
    End,
}

impl Runner {
    pub(crate) fn new(
        drivers: Drivers,
        projects: Cells<ProjectGrants>,
        spending: Cells<Spending>,
        clock: Clock,
        node: Node,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            drivers,
            clock,
            node,
            tasks,
            kept: OnceLock::new(),
            projects,
            spending,
            hosts: Mutex::default(),
            duties: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Says where facts go, and whether a checkpoint is kept of each turn that ends. Once, before the first cell.
    pub(crate) fn set_cells(&self, sessions: Cells<Session>, handoffs: Handoffs, checkpoints: bool) {
        let kept = Kept { sessions, handoffs, checkpoints };
        assert!(self.kept.set(kept).is_ok(), "cells are set once");
    }

    /// From now on nothing new is started.
    pub(crate) fn drain(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The sessions whose agents are kept running, with the turn each is in.
    pub(crate) fn hosted(&self) -> Vec<(SessionId, Option<TurnId>)> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().map(|(id, host)| (*id, host.turn.map(|(turn, _)| turn))).collect()
    }

    /// Whether the agent of a session is kept running here.
    pub(crate) fn hosts(&self, id: SessionId) -> bool {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    /// Ends every agent.
    pub(crate) fn end_all(&self) {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        for host in hosts.values() {
            let _host_left = host.orders.send(Order::End);
        }
    }

    fn kept(&self) -> &Kept {
        self.kept.get().expect("cells are set before anything runs")
    }

    fn cells(&self) -> &Cells<Session> {
        &self.kept().sessions
    }
}

/// The runner as cells see it. The runner holds the cells, so this must not hold the runner: they would never end.
pub(crate) struct Reconcile(pub(crate) Weak<Runner>);

impl Effects<Session> for Reconcile {
    fn reconcile(&self, log: &LogId, state: &Session, wanted: &[Effect]) {
        let (Some(id), Some(runner)) = (log.as_session(), self.0.upgrade()) else { return };
        for effect in wanted {
            match effect {
                Effect::Turn(running) if running.node == runner.node => runner.turn(id, log, state, running),
                Effect::Turn(_) | Effect::EndImport | Effect::Set(_) => {}
                Effect::Claim(_) => runner.owe(id, log, Duty::Claim),
                Effect::Checkpoint(_) => runner.owe(id, log, Duty::Checkpoint),
                Effect::EndAgent(_) | Effect::Remove => runner.end(id),
            }
        }
        if state.turns.running.as_ref().is_none_or(|running| running.node != runner.node) {
            runner.free(id);
            if state.closed.is_some() {
                // Also an agent that is kept here although the last turns ran elsewhere.
                runner.end(id);
            }
        }
        runner.set(id, wanted);
        if state.is_left_by(&runner.node) {
            runner.owe(id, log, Duty::Recover);
        }
    }

    fn removed(&self, log: &LogId) {
        let (Some(id), Some(runner)) = (log.as_session(), self.0.upgrade()) else { return };
        runner.free(id);
        runner.end(id);
    }
}

impl Runner {
    fn turn(self: &Arc<Self>, id: SessionId, log: &LogId, state: &Session, running: &Running) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let this = Some((running.turn, running.attempt));
        let is_new = hosts.get(&id).is_none_or(|host| host.turn != this);
        if is_new && self.stopping.load(Ordering::Acquire) {
            // It was granted just as this life ends. The next ends it, and goes on with the queue.
            return;
        }
        if is_new {
            let host = hosts.entry(id).or_insert_with(|| self.host(id, log, state));
            host.abandon(self.clock.now());
            host.turn = this;
            host.stop = watch::Sender::new(None);
            let order = Order::Run(Box::new(running.clone()), host.stop.subscribe());
            if let Err(mpsc::error::SendError(order)) = host.orders.send(order) {
                // The host has just left: make another.
                let mut anew = self.host(id, log, state);
                anew.turn = this;
                anew.stop = host.stop.clone();
                let _just_made = anew.orders.send(order);
                *host = anew;
            }
        }
        if let (Some(host), Some(stopping)) = (hosts.get(&id), &running.stopping) {
            host.stop.send_if_modified(|stop| stop.replace(stopping.clone()).is_none());
        }
    }

    /// Has the host of an open session make ready what can be used without a turn; without a word if it cannot.
    pub(crate) fn wake(
        self: &Arc<Self>,
        id: SessionId,
        log: &LogId,
        state: &Session,
        awake: oneshot::Sender<()>,
    ) {
        if state.closed.is_some() || state.deleted || self.stopping.load(Ordering::Acquire) {
            return;
        }
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(id).or_insert_with(|| self.host(id, log, state));
        if let Err(mpsc::error::SendError(order)) = host.orders.send(Order::Wake(awake)) {
            // The host has just left: make another.
            let anew = self.host(id, log, state);
            let _just_made = anew.orders.send(order);
            *host = anew;
        }
    }

    fn host(self: &Arc<Self>, id: SessionId, log: &LogId, state: &Session) -> HostHandle {
        let (orders, inbox) = mpsc::unbounded_channel();
        let settings = watch::Sender::default();
        let owed = settings.subscribe();
        let handle = HostHandle { orders, settings, turn: None, stop: watch::Sender::new(None) };
        let Some((created, ..)) = &state.created else { return handle };
        let port = SessionPort {
            cells: self.cells().clone(),
            tasks: self.tasks.clone(),
            projects: self.projects.clone(),
            spending: self.spending.clone(),
            log: log.clone(),
            id,
            created: Arc::new(created.clone()),
            node: self.node.clone(),
            settings: owed,
        };
        let host = self.drivers.get(&created.driver).map(|driver| driver.host(port.clone()));
        self.tasks.spawn(HostTask { runner: Arc::clone(self), port, host, inbox }.run());
        handle
    }

    /// Tells a host what its agent is to be set to.
    fn set(&self, id: SessionId, wanted: &[Effect]) {
        let owed = wanted.iter().filter_map(|effect| match effect {
            Effect::Set(pending) => Some(pending.clone()),
            Effect::Turn(_)
            | Effect::Claim(_)
            | Effect::Checkpoint(_)
            | Effect::EndAgent(_)
            | Effect::Remove
            | Effect::EndImport => None,
        });
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&id) {
            let owed: Vec<_> = owed.collect();
            host.settings.send_if_modified(|told| {
                let changes = *told != owed;
                *told = owed;
                changes
            });
        }
    }

    fn end(&self, id: SessionId) {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&id) {
            let _host_left = host.orders.send(Order::End);
        }
    }

    /// No turn is wanted here. One that its host still runs was ended without it, by a deletion or by a deadline that the
    /// driver did not meet.
    fn free(&self, id: SessionId) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get_mut(&id) {
            host.abandon(self.clock.now());
        }
    }
}

impl HostHandle {
    /// Has the turn that runs stop, with no grace: nobody waits for it. A host that is through with it does not listen.
    fn abandon(&mut self, now: Time) {
        if self.turn.take().is_some() {
            let stopping = Stopping { why: Why::SessionClosed, until: now };
            self.stop.send_modify(|stop| *stop = Some(stopping));
        }
    }
}

/// The task that owns the host of one session.
struct HostTask {
    runner: Arc<Runner>,
    port: SessionPort,
    host: Option<Box<dyn Host>>,
    inbox: mpsc::UnboundedReceiver<Order>,
}

impl HostTask {
    async fn run(mut self) {
        loop {
            let order = tokio::select! {
                biased;
                order = self.inbox.recv() => order,
                () = idle(self.host.as_mut()) => None,
                () = tokio::time::sleep(IDLE_AGENT) => None,
            };
            match order {
                Some(Order::Run(running, stop)) => self.turn(*running, stop).await,
                Some(Order::Wake(awake)) => {
                    if let Some(host) = &mut self.host {
                        host.wake().await;
                    }
                    let _nobody_waits_any_more = awake.send(());
                }
                Some(Order::End) | None => {
                    if let Some(host) = &mut self.host {
                        host.end().await;
                    }
                    if self.leave() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes this host off the list, unless an order came in the meantime.
    fn leave(&mut self) -> bool {
        let mut hosts = self.runner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // Orders are sent under this lock, so an empty inbox stays empty.
        let free = self.inbox.is_empty();
        if free {
            hosts.remove(&self.port.id);
            self.inbox.close();
        }
        free
    }

    async fn turn(&mut self, running: Running, stop: watch::Receiver<Option<Stopping>>) {
        let (number, attempt) = (running.turn, running.attempt);
        let turn = Turn::new(self.port.clone(), running, stop.clone(), &self.runner.tasks);
        let outcome = match &mut self.host {
            None => Outcome::error(format!(
                "this daemon has no driver called {}; it was made by a newer version",
                self.port.created.driver
            )),
            Some(host) => {
                let clock = self.runner.clock.clone();
                let work = AssertUnwindSafe(host.turn(&turn)).catch_unwind();
                tokio::select! {
                    biased;
                    outcome = work => outcome.unwrap_or_else(|_| {
                        Outcome::error("the driver failed inside; the daemon's log says where")
                    }),
                    () = overdue(stop, &clock) => {
                        host.kill().await;
                        Outcome::of(StopReason::Cancelled)
                    }
                }
            }
        };
        turn.finish().await;
        let checkpoint = self.runner.kept().checkpoints;
        ended(&self.port, number, attempt, outcome, checkpoint).await;
    }
}

/// Writes the end of the turn, however long the store refuses: nothing else may end it.
async fn ended(port: &SessionPort, turn: TurnId, attempt: u32, outcome: Outcome, checkpoint: bool) {
    let end = || port.run(Run::End { turn, attempt, outcome: outcome.clone(), checkpoint });
    if let Err(error) = persist("the end of a turn", end).await {
        tracing::debug!(session = %port.id, %error, "a turn was ended without its driver");
    }
}

async fn idle(host: Option<&mut Box<dyn Host>>) {
    match host {
        Some(host) => host.idle().await,
        None => std::future::pending().await,
    }
}

/// Resolves when a turn that was asked to stop has used up its grace.
async fn overdue(mut stop: watch::Receiver<Option<Stopping>>, clock: &Clock) {
    loop {
        let until = stop.borrow_and_update().as_ref().map(|stopping| stopping.until);
        let over = async {
            match until {
                Some(until) => clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => return,
            // The time may be brought forward.
            Ok(()) = stop.changed() => {}
            else => std::future::pending().await,
        }
    }
}
