//! Logs that live in memory and are copied to the disk behind what happens: what they say is acknowledged at once, and
//! survives a restart.
//!
//! A log in the `live` store begins, in each life of the daemon, with what its copy in the `disk` store held; then every
//! frame is copied within [`BEHIND`]. When the live log is shortened, its copy is: the frame with which it begins anew
//! empties the state before it gives it again, so what stands before that in the copy is not needed any more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;
use trunkline_core::event::Event;
use trunkline_core::id::{LogId, Seq};
use trunkline_core::machine::Latest;
use trunkline_core::principal::Caller;
use trunkline_core::refused::Refused;
use trunkline_core::row::{RowKind, copied};
use trunkline_log::frame::{Frame, Page, Query, Want};
use trunkline_log::{AppendError, Log, LogError, append_settled};
use uuid::Uuid;

use crate::cell::{CommandError, Done};
use crate::cells::Cells;
use crate::persist::persist;
use crate::tail::Follow;

/// How far the disk may be behind.
pub(crate) const BEHIND: Duration = Duration::from_millis(25);
/// How many logs of one kind there may be.
const MAX_LOGS: usize = 10_000;
/// How many bytes are copied at a time.
const COPY_BYTES: usize = 4 << 20;

/// The logs of one kind. Cheap to clone.
pub(crate) struct LatestCells<M: Latest>(Arc<Shared<M>>);

impl<M: Latest> Clone for LatestCells<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<M: Latest> {
    cells: Cells<M>,
    disk: Arc<dyn Log>,
    copies: Mutex<HashMap<LogId, Arc<Copy>>>,
    behind: Mutex<HashSet<LogId>>,
    moved: Notify,
    /// The type of the fact that empties a state.
    reset: String,
}

/// How far one log is copied.
#[derive(Default)]
struct Copy {
    begun: OnceCell<()>,
    at: tokio::sync::Mutex<At>,
}

#[derive(Debug, Clone, Copy, Default)]
struct At {
    live: Seq,
    disk: Seq,
}

impl<M: Latest> LatestCells<M> {
    pub(crate) fn new(cells: Cells<M>, disk: Arc<dyn Log>) -> Self {
        let reset =
            M::default().snapshot().first().map(|draft| draft.fact.tag().to_owned()).unwrap_or_default();
        let (copies, behind, moved) = (Mutex::default(), Mutex::default(), Notify::new());
        Self(Arc::new(Shared { cells, disk, copies, behind, moved, reset }))
    }

    /// The logs that are in memory.
    pub(crate) fn known(&self) -> Vec<LogId> {
        lock(&self.0.copies).keys().cloned().collect()
    }

    /// Has commands decided in their order, each on its own. The answers stand in the same order.
    ///
    /// # Errors
    /// When the log cannot be begun: none was decided then.
    pub(crate) async fn commands(
        &self,
        id: &LogId,
        caller: &Caller,
        commands: Vec<M::Command>,
    ) -> Result<Vec<Result<Done, CommandError>>, CommandError> {
        let copy = self.copy_of(id)?;
        self.begin(id, &copy).await?;
        let answers = self.0.cells.commands(id, caller, commands).await;
        let changed =
            |answer: &Result<Done, CommandError>| answer.as_ref().is_ok_and(|done| !done.events.is_empty());
        if answers.iter().any(changed) {
            self.fall_behind(id);
        }
        Ok(answers)
    }

    /// Has a command decided.
    ///
    /// # Errors
    /// When it is refused or not kept.
    pub(crate) async fn command(
        &self,
        id: &LogId,
        caller: &Caller,
        command: M::Command,
    ) -> Result<Done, CommandError> {
        let mut answers = self.commands(id, caller, vec![command]).await?;
        answers.pop().ok_or(CommandError::Stopping)?
    }

    /// Has a command decided before whatever is asked after this returns, and does not wait for its outcome.
    ///
    /// # Errors
    /// When the log cannot be begun.
    pub(crate) async fn send(
        &self,
        id: &LogId,
        caller: &Caller,
        command: M::Command,
    ) -> Result<(), CommandError> {
        let copy = self.copy_of(id)?;
        self.begin(id, &copy).await?;
        drop(self.0.cells.send(id, caller.clone(), command, None).await);
        // It may have changed nothing, which the copying finds.
        self.fall_behind(id);
        Ok(())
    }

    /// Looks at the state of a log. One that was never written is not begun by that.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn view<T: Send + 'static>(
        &self,
        id: &LogId,
        look: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        if self.lookup(id).is_none() && self.is_new(id).await? {
            return Ok(look(&M::default()));
        }
        let copy = self.copy_of(id)?;
        self.begin(id, &copy).await?;
        self.0.cells.view(id, |state, _| look(state)).await
    }

    /// Follows a log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn follow(&self, id: &LogId, after: Seq) -> Result<Follow, CommandError> {
        let copy = self.copy_of(id)?;
        self.begin(id, &copy).await?;
        self.0.cells.follow(id, after).await
    }

    /// Waits until the disk has all that a log says now.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) async fn settle(&self, id: &LogId) -> Result<(), CommandError> {
        let copy = self.copy_of(id)?;
        self.begin(id, &copy).await?;
        self.catch_up(id, &copy).await
    }

    /// Takes up every log that is on the disk, so that its deadlines are met; then copies what comes, until the daemon
    /// stops.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        if let Err(error) = self.take_up().await {
            tracing::error!(%error, "what agents share could not all be read; the rest is when it is asked for");
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.0.moved.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(BEHIND) => self.copy_all().await,
            }
        }
        self.copy_all().await;
    }

    /// Copies whatever is behind.
    async fn copy_all(&self) {
        let behind = std::mem::take(&mut *lock(&self.0.behind));
        for id in behind {
            let Some(copy) = self.lookup(&id) else { continue };
            let copied = persist("copy what agents share", || self.catch_up(&id, &copy)).await;
            if let Err(error) = copied {
                tracing::error!(log = %id, %error, "what agents share cannot be copied to the disk");
            }
        }
    }

    async fn take_up(&self) -> Result<(), CommandError> {
        let mut query = Query::all(RowKind::Copied);
        loop {
            let found = self.0.disk.find(&query, self.0.disk.pos()).await?;
            for (log, _) in found.rows.iter().filter(|(log, _)| M::owns(log)) {
                if let Err(error) = self.view(log, |_| ()).await {
                    tracing::error!(%log, %error, "what agents share cannot be read");
                }
            }
            match found.next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn lookup(&self, id: &LogId) -> Option<Arc<Copy>> {
        lock(&self.0.copies).get(id).cloned()
    }

    async fn is_new(&self, id: &LogId) -> Result<bool, CommandError> {
        let want = Want { bytes: 1, folded: false };
        Ok(self.0.disk.read(id, Seq(u64::MAX), want).await?.head == Seq::ZERO)
    }

    fn copy_of(&self, id: &LogId) -> Result<Arc<Copy>, CommandError> {
        let mut copies = lock(&self.0.copies);
        if let Some(copy) = copies.get(id) {
            return Ok(Arc::clone(copy));
        }
        if copies.len() >= MAX_LOGS {
            return Err(Refused::TooMany { what: "namespaces", limit: MAX_LOGS }.into());
        }
        Ok(Arc::clone(copies.entry(id.clone()).or_default()))
    }

    fn fall_behind(&self, id: &LogId) {
        if lock(&self.0.behind).insert(id.clone()) {
            self.0.moved.notify_one();
        }
    }

    /// Begins the log in memory with what its copy holds, once in a life.
    async fn begin(&self, id: &LogId, copy: &Copy) -> Result<(), CommandError> {
        copy.begun.get_or_try_init(|| self.restore(id, copy)).await.copied()
    }

    async fn restore(&self, id: &LogId, copy: &Copy) -> Result<(), CommandError> {
        let mut at = copy.at.lock().await;
        let (mut state, want) = (M::default(), Want { bytes: COPY_BYTES, folded: false });
        loop {
            let page = self.0.disk.read(id, at.disk, want).await?;
            for frame in &page.frames {
                let events = frame.events().map_err(|error| LogError::Down(error.to_string()))?;
                events.iter().for_each(|event| state.apply(event));
                at.disk = frame.last;
            }
            if !page.more {
                at.disk = page.head;
                break;
            }
        }
        if at.disk == Seq::ZERO {
            return Ok(());
        }
        let (now, by) = (self.0.cells.now(), Caller::trunkline().principal);
        let event = |(n, draft): (usize, trunkline_core::machine::Draft)| Event {
            seq: Seq(1 + n as u64),
            at: now,
            by: by.clone(),
            turn: None,
            key: None,
            fact: draft.fact,
        };
        let events: Vec<_> = state.snapshot().into_iter().enumerate().map(event).collect();
        let frame = Frame::of(Uuid::now_v7(), &events, false);
        let commit = append_settled(self.0.cells.log(), id, Seq::ZERO, frame, Vec::new()).await?;
        at.live = commit.head;
        Ok(())
    }

    /// Copies what the disk does not have yet.
    async fn catch_up(&self, id: &LogId, copy: &Copy) -> Result<(), CommandError> {
        let mut at = copy.at.lock().await;
        loop {
            let want = Want { bytes: COPY_BYTES, folded: false };
            let page = self.0.cells.log().read(id, at.live, want).await?;
            let more = page.more;
            self.take(id, &mut at, page).await?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn take(&self, id: &LogId, at: &mut At, page: Page) -> Result<(), CommandError> {
        let is_cut = page.first > at.live.plus(1);
        if is_cut && !page.frames.first().is_some_and(|frame| frame.begins_with(&self.0.reset)) {
            // Nothing was left of it in between.
            let fact = M::default().snapshot().remove(0).fact;
            let (now, by) = (self.0.cells.now(), Caller::trunkline().principal);
            let empty = Event { seq: Seq(1), at: now, by, turn: None, key: None, fact };
            self.append(id, at, &[Frame::of(Uuid::now_v7(), &[empty], false)]).await?;
        }
        let mut rest = &page.frames[..];
        while !rest.is_empty() {
            let (frames, after) = rest.split_at(self.together(rest));
            self.append(id, at, frames).await?;
            at.live = frames.last().map_or(at.live, |frame| frame.last);
            rest = after;
        }
        at.live = at.live.max(Seq(page.first.0.saturating_sub(1)));
        Ok(())
    }

    /// How many of the first frames are copied in one: many small ones cost the disk as much as one. A frame that empties the
    /// state begins one of the copy too.
    fn together(&self, frames: &[Frame]) -> usize {
        let mut bytes = 0;
        let fits = |frame: &&Frame| {
            bytes += frame.lines.len();
            bytes < COPY_BYTES && !frame.begins_with(&self.0.reset)
        };
        1 + frames.iter().skip(1).take_while(fits).count()
    }

    async fn append(&self, id: &LogId, at: &mut At, frames: &[Frame]) -> Result<(), CommandError> {
        let before = at.disk;
        let copy = Frame::copied(Uuid::now_v7(), frames, before.plus(1));
        match append_settled(&*self.0.disk, id, before, copy, vec![copied(id)]).await {
            Ok(commit) => at.disk = commit.head,
            Err(error) => {
                if let AppendError::Moved { head } = error {
                    at.disk = head;
                }
                return Err(error.into());
            }
        }
        if frames[0].begins_with(&self.0.reset) && before > Seq::ZERO {
            self.0.disk.trim(id, Some(before)).await?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
