//! Handoffs: kept, found, and the checkpoints that the daemon keeps by itself.

mod keep;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sha2::{Digest, Sha256};
use tokio_util::task::TaskTracker;
use trunkline_core::event::Fact;
use trunkline_core::handoff::{
    CheckpointCreated, CheckpointId, CheckpointView, Command, Handoff, HandoffId, HandoffView, LaneId,
    LaneOpened, LaneSaid, LaneView, Saved, Stamp, Standing, Updated, Whole, Wish,
};
use trunkline_core::id::{LogId, Node, Pos, Seq, SessionId};
use trunkline_core::principal::{Caller, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::refused::Refused;
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::Session;
use trunkline_log::frame::{Cursor, Query};
use trunkline_log::{AppendError, Log, LogError};
use uuid::Uuid;

use crate::cell::{CommandError, Done, KeyGiven};
use crate::cells::Cells;
use crate::clock::Clock;

pub(crate) use keep::forget;

/// An idempotency key, and a digest of the request it came with.
pub type Key = Option<(String, String)>;

/// All handoffs. Cheap to clone.
#[derive(Clone)]
pub struct Handoffs {
    cells: Cells<Handoff>,
    sessions: Cells<Session>,
    disk: Arc<dyn Log>,
    clock: Clock,
    last: Arc<AtomicI64>,
}

/// Which handoffs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this agent.
    pub agent: Option<String>,
    /// Only those of this repository.
    pub repo: Option<String>,
    /// Only those that stand so.
    pub status: Option<String>,
    /// Only those that came from this session.
    pub session: Option<SessionId>,
    /// Only those from which a lane leads to this agent.
    pub to: Option<String>,
}

impl Filter {
    /// As lists are filtered.
    #[must_use]
    pub fn facets(&self) -> Vec<String> {
        let named =
            [("agent", &self.agent), ("repo", &self.repo), ("status", &self.status), ("to", &self.to)];
        let mut facets: Vec<_> =
            named.into_iter().filter_map(|(name, value)| Some(facet(name, value.as_ref()?))).collect();
        facets.extend(self.session.map(|session| facet("session", session)));
        facets
    }
}

/// Rows of a list, with where to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<T> {
    /// The items.
    pub items: Vec<T>,
    /// Behind which there may be more.
    pub next: Option<Cursor>,
    /// How far the store had come.
    pub pos: Pos,
}

impl Handoffs {
    pub(crate) fn new(
        disk: &Arc<dyn Log>,
        sessions: Cells<Session>,
        clock: &Clock,
        node: &Node,
        tasks: &TaskTracker,
    ) -> Self {
        let cells = Cells::new(Arc::clone(disk), clock.clone(), node.clone(), tasks.clone());
        Self { cells, sessions, disk: Arc::clone(disk), clock: clock.clone(), last: Arc::default() }
    }

    /// Saves one. Its id and its stamps are made here; with a key, a retry finds what the first try saved.
    ///
    /// # Errors
    /// When it is refused or not kept.
    pub async fn save(
        &self,
        caller: &Caller,
        saved: Saved,
        key: Key,
    ) -> Result<(HandoffId, Pos), CommandError> {
        // A retry makes the same id, so it finds the log in which the first try left its key.
        let id = match &key {
            Some((key, _)) => HandoffId::made(number(caller, key)),
            None => HandoffId::made(random()),
        };
        let done =
            self.tell(caller, &id, Wish::Save(Box::new(Saved { id: id.clone(), ..saved })), key).await?;
        Ok((id, done.pos))
    }

    /// Changes some of it.
    ///
    /// # Errors
    /// `NotFound` when there is none, or when it is refused or not kept.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &HandoffId,
        updated: Updated,
        key: Key,
    ) -> Result<Done, CommandError> {
        self.tell(caller, id, Wish::Update(updated), key).await
    }

    /// Opens a lane. The id of `opened` is made here.
    ///
    /// # Errors
    /// `NotFound` when there is no such handoff, or when it is refused or not kept.
    pub async fn open_lane(
        &self,
        caller: &Caller,
        id: &HandoffId,
        from_agent: String,
        to_agent: String,
        context: Raw,
        key: Key,
    ) -> Result<(LaneId, Pos), CommandError> {
        let made = LaneId::made(random());
        let opened = LaneOpened { id: made.clone(), from_agent, to_agent, context, created: Stamp(0) };
        let done = self.tell(caller, id, Wish::Open(opened), key).await?;
        // A retry gets the lane that the first try opened.
        let opened = done.events.iter().find_map(|event| match &event.fact {
            Fact::LaneOpened(opened) => Some(opened.id.clone()),
            _ => None,
        });
        Ok((opened.unwrap_or(made), done.pos))
    }

    /// Writes in a lane, as one of its two agents.
    ///
    /// # Errors
    /// `NotFound` when there is no such lane, or when it is refused or not kept.
    pub async fn say(
        &self,
        caller: &Caller,
        id: &HandoffId,
        lane: LaneId,
        from_agent: String,
        text: String,
        key: Key,
    ) -> Result<Done, CommandError> {
        let said = LaneSaid { lane, from_agent, text, created: Stamp(0) };
        self.tell(caller, id, Wish::Say(said), key).await
    }

    /// Closes a lane.
    ///
    /// # Errors
    /// `NotFound` when there is no such lane, or when it is refused or not kept.
    pub async fn close_lane(
        &self,
        caller: &Caller,
        id: &HandoffId,
        lane: LaneId,
        key: Key,
    ) -> Result<Done, CommandError> {
        self.tell(caller, id, Wish::Close(lane), key).await
    }

    /// Keeps a checkpoint.
    ///
    /// # Errors
    /// `NotFound` when there is no such handoff or lane, or when it is refused or not kept.
    pub async fn checkpoint(
        &self,
        caller: &Caller,
        id: &HandoffId,
        lane: Option<LaneId>,
        agent_id: String,
        snapshot: Raw,
        key: Key,
    ) -> Result<(CheckpointId, Pos), CommandError> {
        let session = match caller.scope {
            Scope::Agent(own) => Some(own),
            Scope::Viewer | Scope::Operator | Scope::Admin | Scope::Local => None,
        };
        let made = CheckpointCreated {
            id: CheckpointId::made(random()),
            lane,
            agent_id,
            snapshot,
            session,
            automatic: false,
            created: Stamp(0),
            replaces: Vec::new(),
        };
        let first = made.id.clone();
        let done = self.tell(caller, id, Wish::Checkpoint(made), key).await?;
        let kept = done.events.iter().find_map(|event| match &event.fact {
            Fact::CheckpointCreated(made) => Some(made.id.clone()),
            _ => None,
        });
        Ok((kept.unwrap_or(first), done.pos))
    }

    /// Has facts that were facts elsewhere, as far as they are not here yet.
    ///
    /// # Errors
    /// `Exists` when a lane or a checkpoint of that id belongs to another handoff; when they are refused or not kept.
    pub async fn restore(
        &self,
        caller: &Caller,
        id: &HandoffId,
        facts: Vec<Fact>,
    ) -> Result<Done, CommandError> {
        let at = self.disk.pos();
        for fact in &facts {
            // Others find them by their ids alone.
            let (what, key, taken) = match fact {
                Fact::LaneOpened(opened) => {
                    let taken = self.lane(&opened.id, at).await?.map(|lane| lane.handoff);
                    ("lane", opened.id.as_str(), taken)
                }
                Fact::CheckpointCreated(made) => {
                    let kept: Option<CheckpointView> =
                        self.one(RowKind::Checkpoint, made.id.as_str(), at).await?;
                    ("checkpoint", made.id.as_str(), kept.map(|kept| kept.handoff))
                }
                _ => continue,
            };
            if taken.is_some_and(|taken| taken != *id) {
                return Err(Refused::Exists { what, id: key.to_owned() }.into());
            }
        }
        self.tell(caller, id, Wish::Restore(facts), None).await
    }

    /// A handoff as lists show it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, id: &HandoffId, at: Pos) -> Result<Option<HandoffView>, CommandError> {
        self.one(RowKind::Handoff, id.as_str(), at).await
    }

    /// A lane as lists show it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn lane(&self, id: &LaneId, at: Pos) -> Result<Option<LaneView>, CommandError> {
        self.one(RowKind::Lane, id.as_str(), at).await
    }

    /// A handoff with its lanes, their messages, and so many of its newest checkpoints.
    ///
    /// # Errors
    /// `NotFound` when there is none, or when it cannot be read.
    pub async fn whole(&self, id: &HandoffId, newest: usize) -> Result<Whole, CommandError> {
        let seen = self.cells.view(&id.log(), move |handoff, _| handoff.whole(newest)).await;
        let whole = seen.map_err(|error| name(error, id))?;
        whole.ok_or_else(|| Refused::not_found("handoff", id).into())
    }

    /// Handoffs, the one last changed first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        at: Pos,
    ) -> Result<Part<HandoffView>, CommandError> {
        self.part(RowKind::Handoff, filter.facets(), after, limit, at).await
    }

    /// Lanes, newest first; of one handoff, if one is named.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn lanes(
        &self,
        handoff: Option<&HandoffId>,
        after: Option<Cursor>,
        limit: usize,
        at: Pos,
    ) -> Result<Part<LaneView>, CommandError> {
        let facets = handoff.map(|id| facet("handoff", id)).into_iter().collect();
        self.part(RowKind::Lane, facets, after, limit, at).await
    }

    /// Checkpoints, newest first; of one handoff and one lane, if they are named.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn checkpoints(
        &self,
        handoff: Option<&HandoffId>,
        lane: Option<&LaneId>,
        after: Option<Cursor>,
        limit: usize,
        at: Pos,
    ) -> Result<Part<CheckpointView>, CommandError> {
        let of = [handoff.map(|id| facet("handoff", id)), lane.map(|id| facet("lane", id))];
        self.part(RowKind::Checkpoint, of.into_iter().flatten().collect(), after, limit, at).await
    }

    /// What is known of the agent that asks; `None` for everybody else.
    ///
    /// # Errors
    /// When its session cannot be read.
    pub async fn standing(&self, caller: &Caller) -> Result<Option<Standing>, CommandError> {
        let Scope::Agent(session) = caller.scope else { return Ok(None) };
        let known = move |state: &Session, _| {
            let (created, ..) = state.created.as_ref()?;
            let project = created.project.clone().or_else(|| created.workspace.clone());
            Some(Standing { session, agent: created.agent.clone(), project })
        };
        match self.sessions.view(&LogId::session(session), known).await {
            Err(CommandError::Read(LogError::Gone)) => Ok(None),
            known => known,
        }
    }

    /// Told what others write into the logs.
    pub(crate) async fn moved(&self, log: &LogId, head: Seq) {
        self.cells.moved(log, head).await;
    }

    async fn tell(
        &self,
        caller: &Caller,
        id: &HandoffId,
        wish: Wish,
        key: Key,
    ) -> Result<Done, CommandError> {
        let standing = self.standing(caller).await?;
        let key = key.map(|(key, digest)| KeyGiven { key, digest, row: None });
        let command = Command { wish, standing, at: self.stamp() };
        let done = self.cells.command(&id.log(), caller.clone(), command, key).await;
        done.map_err(|error| name(error, id))
    }

    /// A stamp that nothing else in this life of the daemon gets.
    fn stamp(&self) -> Stamp {
        let now = self.clock.now().0.saturating_mul(1_000);
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        Stamp(now.max(last.unwrap_or_default().saturating_add(1)))
    }

    async fn one<T: serde::de::DeserializeOwned>(
        &self,
        kind: RowKind,
        key: &str,
        at: Pos,
    ) -> Result<Option<T>, CommandError> {
        let found = self.disk.find(&Query::one(kind, key), at).await?;
        found.rows.first().and_then(|(_, row)| row.body.as_ref()).map(read).transpose()
    }

    async fn part<T: serde::de::DeserializeOwned>(
        &self,
        kind: RowKind,
        facets: Vec<String>,
        after: Option<Cursor>,
        limit: usize,
        at: Pos,
    ) -> Result<Part<T>, CommandError> {
        let found = self.disk.find(&Query { facets, after, limit, ..Query::all(kind) }, at).await?;
        let bodies = found.rows.iter().filter_map(|(_, row)| row.body.as_ref());
        Ok(Part { items: bodies.map(read).collect::<Result<_, _>>()?, next: found.next, pos: found.pos })
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &Raw) -> Result<T, CommandError> {
    body.read().map_err(|error| LogError::Down(format!("a row cannot be read: {error}")).into())
}

fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

/// The number that one principal's key stands for.
fn number(caller: &Caller, key: &str) -> u64 {
    let hash = Sha256::digest(format!("{}\n{key}", caller.principal));
    u64::from_be_bytes(hash[..8].try_into().expect("a hash has more than 8 bytes"))
}

/// Errors of a handoff's log, with the handoff they are about.
fn name(error: CommandError, id: &HandoffId) -> CommandError {
    match error {
        CommandError::Read(LogError::Gone)
        | CommandError::Append(AppendError::Gone)
        | CommandError::Refused(Refused::NotFound { what: "handoff", .. }) => {
            Refused::not_found("handoff", id).into()
        }
        CommandError::Refused(_)
        | CommandError::Append(_)
        | CommandError::Read(_)
        | CommandError::Stopping => error,
    }
}
