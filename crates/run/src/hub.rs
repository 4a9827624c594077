//! The hub: the one handle through which everything outside commands, reads, finds and follows.

mod dialect;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trunkline_core::access::{self, Access, Token};
use trunkline_core::grant::ProjectGrants;
use trunkline_core::id::{LogId, Node, Pos, Seq, SessionId, TurnId};
use trunkline_core::mcp::Book as McpBook;
use trunkline_core::name::{Claimed, Name, creation_key};
use trunkline_core::operator::{self, Operator};
use trunkline_core::presence::{self, Presence};
use trunkline_core::principal::Caller;
use trunkline_core::profile::Book;
use trunkline_core::refused::Refused;
use trunkline_core::request::Answer;
use trunkline_core::row::{RowKind, key_of};
use trunkline_core::session::{Command, Created, Session};
use trunkline_core::spending::Spending;
use trunkline_core::time::Time;
use trunkline_core::turn::Why;
use trunkline_core::view::RequestView;
use trunkline_log::frame::{Change, Found, Page, Query, Want};
use trunkline_log::{Log, LogError};

use crate::audit::Keeper;
use crate::bus::Bus;
use crate::cell::{CommandError, Done, KeyGiven};
use crate::cells::Cells;
use crate::clock::Clock;
use crate::handoff::Handoffs;
use crate::latest::LatestCells;
use crate::mcp::{KeepMade as KeepMcp, Mcp};
use crate::profiles::{KeepMade, Profiles};
use crate::runner::{Drivers, Reconcile, Runner};
use crate::tail::Follow;
use crate::topics::Topics;

/// How long to rest when it cannot be read whether a token still counts.
const UNREADABLE_REST: Duration = Duration::from_secs(1);
/// How many sessions are loaded at a time when all that owe something are recovered or stopped.
const AT_ONCE: usize = 64;
/// How long an agent has to end its turn when the daemon stops.
const SHUTDOWN_GRACE_MS: u64 = 1_000;
/// How long an agent may take until it is awake.
const WAKING: Duration = Duration::from_secs(15);
/// How long a shutdown waits for agents and appends in all.
const SHUTDOWN: Duration = Duration::from_millis(1_400);

/// What a hub is made of.
pub struct Options {
    /// Where logs are kept.
    pub disk: Arc<dyn Log>,
    /// Where what need not outlive the daemon is kept.
    pub live: Arc<dyn Log>,
    /// Time.
    pub clock: Clock,
    /// This daemon, in this life.
    pub node: Node,
    /// What moves hosted sessions.
    pub drivers: Drivers,
    /// Whether a checkpoint is kept of each turn that ends.
    pub checkpoints: bool,
    /// Where models are. Those that are made are added to them.
    pub profiles: Profiles,
    /// Where the built-in agent gets more tools. Those that are made are added to them.
    pub mcp: Mcp,
}

/// The hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Log>,
    live: Arc<dyn Log>,
    clock: Clock,
    sessions: Cells<Session>,
    access: Cells<Access>,
    projects: Cells<ProjectGrants>,
    names: Cells<Name>,
    presence: Cells<Presence>,
    operator: Cells<Operator>,
    books: Cells<Book>,
    profiles: Profiles,
    spending: Cells<Spending>,
    mcp_books: Cells<McpBook>,
    mcp: Mcp,
    handoffs: Handoffs,
    bus: Bus,
    keeper: Keeper,
    runner: Arc<Runner>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Hub {
    /// Starts a hub: takes up what is owed, ends what an earlier life of this node left running.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(options: Options) -> Result<Self, CommandError> {
        let Options { disk, live, clock, node, drivers, checkpoints, profiles, mcp } = options;
        let tasks = TaskTracker::new();
        let projects = cells(&disk, &clock, &node, &tasks);
        let sessions = cells(&disk, &clock, &node, &tasks);
        let handoffs = Handoffs::new(&disk, sessions.clone(), &clock, &node, &tasks);
        let spending = cells(&disk, &clock, &node, &tasks);
        let runner = Runner::new(
            drivers,
            projects.clone(),
            spending.clone(),
            clock.clone(),
            node.clone(),
            tasks.clone(),
        );
        let runner = Arc::new(runner);
        runner.set_cells(sessions.clone(), handoffs.clone(), checkpoints);
        sessions.set_effects(Arc::new(Reconcile(Arc::downgrade(&runner))));
        let bus = Bus {
            kv: LatestCells::new(cells(&live, &clock, &node, &tasks), Arc::clone(&disk)),
            registry: LatestCells::new(cells(&live, &clock, &node, &tasks), Arc::clone(&disk)),
            topics: Topics::new(cells(&live, &clock, &node, &tasks), cells(&live, &clock, &node, &tasks)),
            groups: cells(&live, &clock, &node, &tasks),
        };
        let access = cells(&disk, &clock, &node, &tasks);
        let keeper = Keeper::new(cells(&disk, &clock, &node, &tasks));
        sessions.set_keeper(keeper.clone());
        projects.set_keeper(keeper.clone());
        access.set_keeper(keeper.clone());
        let books = cells(&disk, &clock, &node, &tasks);
        books.set_keeper(keeper.clone());
        let mcp_books = cells(&disk, &clock, &node, &tasks);
        mcp_books.set_keeper(keeper.clone());
        let hub = Self(Arc::new(Inner {
            access,
            keeper,
            projects,
            names: cells(&disk, &clock, &node, &tasks),
            presence: cells(&live, &clock, &node, &tasks),
            operator: cells(&disk, &clock, &node, &tasks),
            books,
            profiles,
            spending,
            mcp_books,
            mcp,
            handoffs,
            bus,
            sessions,
            runner,
            tasks,
            clock,
            disk,
            live,
            stop: CancellationToken::new(),
        }));
        hub.watch_store();
        hub.0.bus.keep(&hub.0.tasks, &hub.0.stop);
        hub.0.keeper.settle().await?;
        hub.0.tasks.spawn(hub.0.keeper.clone().keep(hub.stopping()));
        // Before any turn begins: it may be with one that was made.
        hub.0.books.set_effects(Arc::new(KeepMade(hub.0.profiles.clone())));
        hub.0.books.view(&LogId::profiles(), |_, _| ()).await?;
        hub.0.mcp_books.set_effects(Arc::new(KeepMcp(hub.0.mcp.clone())));
        hub.0.mcp_books.view(&LogId::mcp(), |_, _| ()).await?;
        hub.recover().await?;
        hub.operate(&Caller::trunkline(), operator::Command::Recover).await?;
        hub.sweep().await?;
        hub.keep_sweeping();
        hub.0.tasks.spawn(hub.clone().keep_missing());
        Ok(hub)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// Makes a session. With a key, a retry finds the session that the first try made.
    ///
    /// # Errors
    /// When it is refused or not kept.
    pub async fn create(
        &self,
        caller: &Caller,
        mut created: Created,
        key: Option<(String, String)>,
    ) -> Result<(SessionId, Pos), CommandError> {
        let mut again = false;
        if let Some((key, digest)) = key {
            caller.may_operate()?;
            let log = creation_key(&caller.principal, &key)?;
            let claim = Claimed { session: created.id, digest };
            self.0.names.command(&log, caller.clone(), claim.clone(), None).await?;
            let winner = self.0.names.view(&log, |name, _| name.claimed.clone()).await?;
            let winner = winner.unwrap_or_else(|| claim.clone());
            if winner.digest != claim.digest {
                return Err(Refused::KeyReused.into());
            }
            again = winner.session != created.id;
            created.id = winner.session;
        }
        let id = created.id;
        match self.command(caller, id, Command::Create(created), None).await {
            Ok(done) => Ok((id, done.pos)),
            // The key was claimed and the session made: this is the retry.
            Err(CommandError::Refused(Refused::Exists { .. })) if again => Ok((id, self.0.disk.pos())),
            Err(error) => Err(error),
        }
    }

    /// Has a command on a session decided, and waits until its facts are kept.
    ///
    /// # Errors
    /// When it is refused or not kept.
    pub async fn command(
        &self,
        caller: &Caller,
        id: SessionId,
        command: Command,
        key: Option<(String, String)>,
    ) -> Result<Done, CommandError> {
        let key = key.map(|(key, digest)| KeyGiven {
            row: Some(Query::one(RowKind::Key, key_of(id, &caller.principal, &key))),
            key,
            digest,
        });
        if self.0.stop.is_cancelled() && matches!(command, Command::Prompt { .. } | Command::Tell(..)) {
            return Err(CommandError::Stopping);
        }
        let log = LogId::session(id);
        let done = self.0.sessions.command(&log, caller.clone(), command, key).await;
        done.map_err(|error| name(error, id))
    }

    /// Answers a request, wherever it is.
    ///
    /// # Errors
    /// When it is refused, for example because somebody else was first, or not kept.
    pub async fn answer(
        &self,
        caller: &Caller,
        request: &RequestView,
        answer: Answer,
        key: Option<(String, String)>,
    ) -> Result<Done, CommandError> {
        let command = Command::Answer(request.id, answer);
        match (self.command(caller, request.session, command, key).await, &request.closed) {
            // The fold remembers the newest outcomes only; the row has all of them.
            (Err(CommandError::Refused(Refused::NotFound { what: "request", .. })), Some(closed)) => {
                Err(Refused::RequestClosed { closed: Box::new(closed.clone()) }.into())
            }
            (outcome, _) => outcome,
        }
    }

    /// Has a session's agent make ready what can be used without a turn.
    ///
    /// # Errors
    /// When there is no such session, it is closed, or its agent is busy with something else for too long.
    pub(crate) async fn wake(&self, id: SessionId) -> Result<(), CommandError> {
        let (tell, told) = oneshot::channel();
        let (runner, log) = (Arc::clone(&self.0.runner), LogId::session(id));
        self.look(id, move |session| runner.wake(id, &log, session, tell)).await?;
        match tokio::time::timeout(WAKING, told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Refused::SessionClosed.into()),
            Err(_) => Err(CommandError::Stopping),
        }
    }

    /// Looks at the state of a session.
    ///
    /// # Errors
    /// `NotFound` when there is none, or when it cannot be read.
    pub async fn look<T: Send + 'static>(
        &self,
        id: SessionId,
        look: impl FnOnce(&Session) -> T + Send + 'static,
    ) -> Result<(T, Pos), CommandError> {
        let log = LogId::session(id);
        let seen = self.0.sessions.view(&log, move |session, pos| {
            if session.deleted {
                Err(Refused::Deleted { id })
            } else if session.created.is_none() {
                Err(Refused::not_found("session", id))
            } else {
                Ok((look(session), pos))
            }
        });
        Ok(seen.await.map_err(|error| name(error, id))??)
    }

    /// Reads a page of a session's log.
    ///
    /// # Errors
    /// `Deleted` when it was removed, or when it cannot be read.
    pub async fn read(&self, id: SessionId, after: Seq, bytes: usize) -> Result<Page, CommandError> {
        let want = Want { bytes, folded: false };
        let page = self.0.disk.read(&LogId::session(id), after, want).await;
        page.map_err(|error| name(error.into(), id))
    }

    /// Reads something large that is kept beside a session's log.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name, or when it cannot be read.
    pub async fn blob(&self, id: SessionId, sha256: &str) -> Result<String, CommandError> {
        match crate::blob::load(&*self.0.disk, id, sha256).await {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(Refused::not_found("blob", sha256).into()),
            Err(error) => Err(name(error.into(), id)),
        }
    }

    /// Follows a session's log from `after`: everything that is kept, then what comes.
    ///
    /// # Errors
    /// `NotFound` when there is no such session, or when it cannot be read.
    pub async fn follow(&self, id: SessionId, after: Seq) -> Result<Follow, CommandError> {
        self.look(id, |_| ()).await?;
        let follow = self.0.sessions.follow(&LogId::session(id), after).await;
        follow.map_err(|error| name(error, id))
    }

    /// Finds rows, from a view that has reached `at`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(&self, query: &Query, at: Pos) -> Result<Found, CommandError> {
        Ok(self.0.disk.find(query, at).await?)
    }

    /// Every commit after `after`, past and live.
    #[must_use]
    pub fn changes(&self, after: Pos) -> BoxStream<'static, Result<Change, LogError>> {
        self.0.disk.changes(after)
    }

    /// The place of the newest commit.
    #[must_use]
    pub fn pos(&self) -> Pos {
        self.0.disk.pos()
    }

    /// Resolves when a token, by its hash, opens nothing any more: it was revoked, or its time is over.
    pub async fn token_over(&self, sha256: String) {
        loop {
            match self.token_over_or_unreadable(sha256.clone()).await {
                Ok(()) => return,
                Err(error) => tracing::error!(%error, "whether a token still counts cannot be read"),
            }
            tokio::time::sleep(UNREADABLE_REST).await;
        }
    }

    async fn token_over_or_unreadable(&self, sha256: String) -> Result<(), CommandError> {
        let mut changes = self.0.access.follow(&LogId::access(), Seq(u64::MAX)).await?;
        loop {
            let Some(token) = self.token(sha256.clone()).await? else { return Ok(()) };
            let expired = async {
                match token.expires {
                    Some(at) => self.0.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.next() => drop(changed?),
                () = expired => {}
            }
        }
    }

    /// The tokens in force.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn tokens(&self) -> Result<Vec<Token>, CommandError> {
        let now = self.now();
        let in_force = move |access: &Access, _| {
            access.tokens.values().filter(|token| token.is_in_force(now)).cloned().collect()
        };
        self.0.access.view(&LogId::access(), in_force).await
    }

    /// A token in force, by its hash.
    ///
    /// # Errors
    /// When the tokens cannot be read.
    pub async fn token(&self, sha256: String) -> Result<Option<Token>, CommandError> {
        let now = self.now();
        self.0.access.view(&LogId::access(), move |access, _| access.token(&sha256, now).cloned()).await
    }

    /// Makes or revokes a token.
    ///
    /// # Errors
    /// When it is refused or not kept.
    pub async fn access(&self, caller: &Caller, command: access::Command) -> Result<Done, CommandError> {
        self.0.access.command(&LogId::access(), caller.clone(), command, None).await
    }

    /// Lists a client as attached until the guard is dropped.
    ///
    /// # Errors
    /// When its name has control characters or is too long.
    pub async fn join(
        &self,
        caller: &Caller,
        id: SessionId,
        joined: presence::Joined,
    ) -> Result<Attached, CommandError> {
        let (client, log) = (joined.client, LogId::presence(id));
        // The guard is there first: whoever gives up waiting may be listed already.
        let attached = Attached { hub: self.clone(), caller: caller.clone(), log, client };
        let join = presence::Command::Join(joined);
        self.0.presence.command(&attached.log, caller.clone(), join, None).await?;
        Ok(attached)
    }

    /// The clients attached to a session.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn present(&self, id: SessionId) -> Result<Vec<presence::Client>, CommandError> {
        let log = LogId::presence(id);
        self.0.presence.view(&log, |state, _| state.clients.values().cloned().collect()).await
    }

    /// The sessions whose agents are kept running, with the turn each is in.
    #[must_use]
    pub fn hosted(&self) -> Vec<(SessionId, Option<TurnId>)> {
        self.0.runner.hosted()
    }

    /// How many sessions are in memory.
    #[must_use]
    pub fn loaded(&self) -> usize {
        self.0.sessions.len()
    }

    /// Resolves when the hub stops: every long stream ends then.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// The handoffs.
    #[must_use]
    pub fn handoffs(&self) -> &Handoffs {
        &self.0.handoffs
    }

    pub(crate) fn live(&self) -> &dyn Log {
        &*self.0.live
    }

    pub(crate) async fn presence(
        &self,
        id: SessionId,
        command: presence::Command,
    ) -> Result<Done, CommandError> {
        self.0.presence.command(&LogId::presence(id), Caller::trunkline(), command, None).await
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.0.keeper
    }

    pub(crate) fn projects(&self) -> &Cells<ProjectGrants> {
        &self.0.projects
    }

    pub(crate) fn operators(&self) -> &Cells<Operator> {
        &self.0.operator
    }

    pub(crate) fn books(&self) -> &Cells<Book> {
        &self.0.books
    }

    pub(crate) fn mcp_books(&self) -> &Cells<McpBook> {
        &self.0.mcp_books
    }

    pub(crate) fn spendings(&self) -> &Cells<Spending> {
        &self.0.spending
    }

    pub(crate) fn mcp_kept(&self) -> &Mcp {
        &self.0.mcp
    }

    pub(crate) fn profiles_kept(&self) -> &Profiles {
        &self.0.profiles
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.0.bus
    }

    pub(crate) fn disk(&self) -> &dyn Log {
        &*self.0.disk
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Stops: every running turn gets its end, every agent is ended, within a second and a half.
    pub async fn shutdown(&self) {
        self.0.runner.drain();
        self.0.stop.cancel();
        let deadline = tokio::time::sleep(SHUTDOWN);
        let drained = async {
            let busy = self.0.runner.hosted().into_iter().filter(|(_, turn)| turn.is_some());
            let stop = async |id| {
                let stop = Command::Stop { turn: None, why: Why::Shutdown, grace_ms: SHUTDOWN_GRACE_MS };
                if let Err(error) = self.command(&Caller::trunkline(), id, stop, None).await {
                    tracing::debug!(session = %id, %error, "nothing to stop");
                }
            };
            stream::iter(busy).for_each_concurrent(AT_ONCE, |(id, _)| stop(id)).await;
            self.0.runner.end_all();
            while !self.0.runner.hosted().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            biased;
            () = drained => {}
            () = deadline => tracing::warn!("some agents had to be killed"),
        }
    }
}

/// A client that is listed as attached, until this is dropped.
pub struct Attached {
    hub: Hub,
    caller: Caller,
    log: LogId,
    client: u64,
}

impl Drop for Attached {
    fn drop(&mut self) {
        let (hub, caller, log) = (self.hub.clone(), self.caller.clone(), self.log.clone());
        let leave = presence::Command::Leave(self.client);
        self.hub.0.tasks.spawn(async move {
            let left = hub.0.presence.command(&log, caller, leave, None).await;
            if let Err(error) = left {
                tracing::debug!(%log, %error, "a client is listed longer than it is there");
            }
        });
    }
}

fn cells<M: trunkline_core::machine::Machine>(
    log: &Arc<dyn Log>,
    clock: &Clock,
    node: &Node,
    tasks: &TaskTracker,
) -> Cells<M> {
    Cells::new(Arc::clone(log), clock.clone(), node.clone(), tasks.clone())
}

/// Errors of a session's log, with the session they are about.
fn name(error: CommandError, id: SessionId) -> CommandError {
    match error {
        CommandError::Read(LogError::Gone) | CommandError::Append(trunkline_log::AppendError::Gone) => {
            Refused::Deleted { id }.into()
        }
        CommandError::Refused(Refused::NotFound { what: "session", .. }) => {
            Refused::not_found("session", id).into()
        }
        CommandError::Refused(_)
        | CommandError::Append(_)
        | CommandError::Read(_)
        | CommandError::Stopping => error,
    }
}
