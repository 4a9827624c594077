//! What was said in sessions, to be found by its words: an index that follows the store.
//!
//! The index is behind the logs by a moment, and only that: it remembers how far it has looked, and goes on there in the daemon's
//! next life. It takes a tenth of a core at most, however much is said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::time::Instant;
use trunkline_core::event::Event;
use trunkline_core::id::{Pos, Seq, SessionId};
use trunkline_core::passage::{Passages, is_telling};
use trunkline_core::refused::Refused;
use trunkline_core::row::RowKind;
use trunkline_log::LogError;
use trunkline_log::frame::Change;
use trunkline_log::search::{Hit, Search, SearchError, Words};

use crate::cell::CommandError;
use crate::hub::Hub;

/// How long a start rests before it looks: whoever waits for the daemon comes first.
const AFTER_START: Duration = Duration::from_secs(1);
/// How soon after something was said it is indexed.
const SOON: Duration = Duration::from_millis(300);
/// How many times as long as it worked it rests at least.
const SHARE: u32 = 9;
/// How much of a session's log is indexed at a time, in bytes.
const PAGE: usize = 2 << 20;
/// How many sessions are indexed before it rests.
const MAX_SESSIONS: usize = 32;

/// Finds what was said.
#[derive(Debug, Clone)]
pub struct Transcripts {
    index: Arc<Search>,
}

impl Transcripts {
    /// Follows the hub's store with this index until the hub stops.
    #[must_use]
    pub fn follow(hub: &Hub, index: Search) -> Self {
        let index = Arc::new(index);
        let follower =
            Follower { hub: hub.clone(), index: Arc::clone(&index), told: BTreeSet::new(), upto: Pos(0) };
        hub.tasks().spawn(follower.run());
        Self { index }
    }

    /// Passages that have all words that were typed, the newest first: those before a number, of one session or of all.
    ///
    /// # Errors
    /// `Invalid` when no word was typed, or when the index does not work.
    pub async fn find(
        &self,
        typed: &str,
        session: Option<SessionId>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Hit>, CommandError> {
        let words = Words::parse(typed).ok_or_else(|| Refused::invalid("q", "type a word to look for"))?;
        Ok(blocking(&self.index, move |index| index.find(&words, session, before, limit)).await?)
    }
}

struct Follower {
    hub: Hub,
    index: Arc<Search>,
    /// Sessions of which something is told since they were indexed.
    told: BTreeSet<SessionId>,
    /// Up to here the tail was read.
    upto: Pos,
}

impl Follower {
    async fn run(mut self) {
        let stop = self.hub.stopping();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(&mut self) {
        tokio::time::sleep(AFTER_START).await;
        let place = blocking(&self.index, |index| index.mend().and_then(|()| index.place()));
        self.upto = match place.await {
            Ok(place) => place,
            Err(error) => return tracing::error!(%error, "nothing new will be found by its words"),
        };
        let mut changes = self.hub.changes(self.upto);
        let mut due: Option<Instant> = None;
        loop {
            let work = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = work => {
                    let began = Instant::now();
                    if let Err(error) = self.index().await {
                        tracing::error!(%error, "what was said could not be indexed; trying again");
                    }
                    let rest = SOON.max(began.elapsed() * SHARE);
                    due = (!self.told.is_empty()).then(|| Instant::now() + rest);
                }
                change = changes.next() => {
                    self.take(change, &mut changes).await;
                    if !self.told.is_empty() && due.is_none() {
                        due = Some(Instant::now() + SOON);
                    }
                }
            }
        }
    }

    async fn take(
        &mut self,
        change: Option<Result<Change, LogError>>,
        changes: &mut BoxStream<'static, Result<Change, LogError>>,
    ) {
        match change {
            Some(Ok(change)) => {
                self.upto = change.pos;
                let tells = |kind| matches!(kind, RowKind::Session | RowKind::Request);
                // What streams in while an agent speaks changes no row: it is indexed when the turn is over or asks.
                if let Some(session) = change.log.as_session()
                    && (change.head == Seq::ZERO || change.rows.iter().any(|row| tells(row.kind)))
                {
                    self.told.insert(session);
                }
            }
            Some(Err(LogError::Gap { .. })) => {}
            Some(Err(_)) | None => {
                tokio::time::sleep(AFTER_START).await;
                *changes = self.hub.changes(self.upto);
            }
        }
    }

    /// Indexes some of what was told.
    async fn index(&mut self) -> Result<(), CommandError> {
        for _ in 0..MAX_SESSIONS {
            let Some(session) = self.told.first().copied() else { break };
            // One that has more to tell than a page stands behind the others.
            self.told.remove(&session);
            if self.page(session).await? {
                self.told.insert(session);
                break;
            }
        }
        if self.told.is_empty() {
            let upto = self.upto;
            blocking(&self.index, move |index| index.reached(upto)).await?;
        }
        Ok(())
    }

    /// Indexes a page of a session, and says whether there is more.
    async fn page(&self, session: SessionId) -> Result<bool, CommandError> {
        let upto = blocking(&self.index, move |index| index.upto(session)).await?;
        let page = match self.hub.read(session, upto, PAGE).await {
            Ok(page) => page,
            Err(CommandError::Refused(Refused::Deleted { .. })) => {
                blocking(&self.index, move |index| index.forget(session)).await?;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let Some(last) = page.frames.last().map(|frame| frame.last).filter(|last| *last > upto) else {
            return Ok(false);
        };
        let more = page.more;
        blocking(&self.index, move |index| {
            let mut passages = Passages::default();
            let lines = page.frames.iter().flat_map(|frame| frame.lines_after(upto));
            for (_, line) in lines.filter(|(_, line)| is_telling(line)) {
                if let Ok(event) = Event::from_line(line) {
                    passages.take(&event);
                }
            }
            index.add(session, &passages.finish(), last)
        })
        .await?;
        Ok(more)
    }
}

async fn blocking<T: Send + 'static>(
    index: &Arc<Search>,
    work: impl FnOnce(&Search) -> Result<T, SearchError> + Send + 'static,
) -> Result<T, LogError> {
    let index = Arc::clone(index);
    let done = tokio::task::spawn_blocking(move || work(&index)).await;
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(LogError::Down(error.to_string())),
        Err(error) => Err(LogError::Down(format!("the search index: {error}"))),
    }
}
