//! The checkpoints that the daemon keeps by itself, at the end of each turn of a hosted session.
//!
//! They go into the newest handoff that came from the session. Where its agent has saved none, the daemon keeps one.

use std::collections::BTreeSet;

use trunkline_core::event::Event;
use trunkline_core::handoff::{
    ACTIVE, CheckpointCreated, CheckpointId, Gathered, HandoffId, HandoffView, RATE_LIMITED, Saved, Stamp,
    TurnCheckpointed, Updated, Wish, is_rate_limit,
};
use trunkline_core::id::{LogId, Seq, SessionId, TurnId};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::row::{RowKind, facet};
use trunkline_core::session::{Command, Run, Session};
use trunkline_core::turn::Ended;
use trunkline_core::view::SessionView;
use trunkline_log::frame::{MAX_FOUND, Query, Want};
use trunkline_log::{Log, LogError};

use super::{Filter, Handoffs, random};
use crate::cell::CommandError;

/// How much of the beginning of a turn is looked at, in bytes.
const BEGINNING: usize = 256 << 10;
/// How many of its last events are looked at. Of a longer turn the middle is passed over.
const END: u64 = 4_000;
/// How much is read at a time.
const PAGE: usize = 1 << 20;
/// How many pages of the end of a turn are read at most.
const MAX_PAGES: usize = 64;
/// How many files a handoff that the daemon keeps lists.
const MAX_FILES: usize = 500;
/// Lines that tell a checkpoint something begin like one of these.
const TELLING: [&str; 3] =
    [r#"{"type":"turn.started""#, r#"{"type":"turn.update""#, r#"{"type":"file.written""#];

impl Handoffs {
    /// Keeps a checkpoint of the last turn of a session, if one is owed.
    pub(crate) async fn keep(&self, log: &LogId) -> Result<(), CommandError> {
        let owed = |session: &Session, _| {
            session.turns.unkept?;
            let (turn, ended) = session.turns.last.clone()?;
            Some((session.view()?, turn, ended))
        };
        let Some((session, turn, ended)) = self.sessions.view(log, owed).await? else { return Ok(()) };
        let kept = match self.keep_turn(log, &session, turn, &ended).await {
            Ok(id) => TurnCheckpointed { handoff: Some(id), error: None },
            // It would be refused again.
            Err(CommandError::Refused(why)) => {
                TurnCheckpointed { handoff: None, error: Some(why.to_string()) }
            }
            Err(error) => return Err(error),
        };
        let done = Command::Run(Run::Checkpointed(turn, kept));
        self.sessions.command(log, Caller::trunkline(), done, None).await.map(drop)
    }

    async fn keep_turn(
        &self,
        log: &LogId,
        session: &SessionView,
        turn: TurnId,
        ended: &Ended,
    ) -> Result<HandoffId, CommandError> {
        let daemon = Caller::trunkline();
        let told = self.gather(log, turn).await?;
        let of = Filter { session: Some(session.id), ..Filter::default() };
        let newest = self.find(&of, None, 1, self.disk.pos()).await?.items.into_iter().next();
        let id = match newest {
            Some(handoff) => {
                if handoff.automatic {
                    let news = Wish::Update(updated(session, ended, &told, &handoff));
                    self.tell(&daemon, &handoff.id, news, None).await?;
                }
                handoff.id
            }
            None => {
                let id = HandoffId::of_session(session.id);
                let saved = Wish::Save(Box::new(saved(id.clone(), session, ended, &told)));
                self.tell(&daemon, &id, saved, None).await?;
                id
            }
        };
        let made = CheckpointCreated {
            id: CheckpointId::made(random()),
            lane: None,
            agent_id: session.agent.clone(),
            snapshot: told.snapshot(session, turn, ended),
            session: Some(session.id),
            automatic: true,
            created: Stamp(0),
            replaces: Vec::new(),
        };
        self.tell(&daemon, &id, Wish::Checkpoint(made), None).await?;
        Ok(id)
    }

    /// What the log tells of a turn: its beginning, and its end.
    async fn gather(&self, log: &LogId, turn: TurnId) -> Result<Gathered, CommandError> {
        let mut told = Gathered::default();
        let mut after = Seq(turn.0.0.saturating_sub(1));
        for page in 0..MAX_PAGES {
            let bytes = if page == 0 { BEGINNING } else { PAGE };
            let read = self.disk.read(log, after, Want { bytes, folded: false }).await?;
            for frame in &read.frames {
                for (_, line) in frame.lines_after(after).filter(|(_, line)| is_telling(line)) {
                    let event = Event::from_line(line).map_err(|error| LogError::Down(error.to_string()))?;
                    if event.turn == Some(turn) {
                        told.take(&event);
                    }
                }
                after = after.max(frame.last);
            }
            if !read.more {
                break;
            }
            after = after.max(Seq(read.head.0.saturating_sub(END)));
        }
        Ok(told)
    }
}

fn is_telling(line: &str) -> bool {
    TELLING.iter().any(|start| line.starts_with(start))
}

fn status(ended: &Ended) -> String {
    if is_rate_limit(ended) { RATE_LIMITED } else { ACTIVE }.to_owned()
}

fn saved(id: HandoffId, session: &SessionView, ended: &Ended, told: &Gathered) -> Saved {
    let mut saved = Saved {
        repo: session.project.clone().or_else(|| session.workspace.clone()),
        status: status(ended),
        task_summary: session.title.clone(),
        files_touched: list(told.files()),
        session: Some(session.id),
        automatic: true,
        ..Saved::of(id, session.agent.clone())
    };
    if let Some(left) = told.left_to_do() {
        saved.todos = list(&left);
    }
    saved
}

/// What is another now in a handoff that the daemon keeps.
fn updated(session: &SessionView, ended: &Ended, told: &Gathered, before: &HandoffView) -> Updated {
    let mut files: BTreeSet<String> = before.files_touched.read().unwrap_or_default();
    files.extend(told.files().iter().take(MAX_FILES.saturating_sub(files.len())).cloned());
    Updated {
        status: Some(status(ended)),
        task_summary: Some(session.title.clone()),
        files_touched: Some(list(&files)),
        todos: told.left_to_do().map(|left| list(&left)),
        ..Updated::default()
    }
}

fn list<T: serde::Serialize + ?Sized>(items: &T) -> Raw {
    Raw::of(items).expect("texts have a JSON form")
}

/// Removes what the daemon itself has kept of a session that was deleted. What its agent or a person has saved stays.
pub(crate) async fn forget(log: &dyn Log, session: SessionId) -> Result<(), LogError> {
    let of =
        Query { facets: vec![facet("session", session)], limit: MAX_FOUND, ..Query::all(RowKind::Handoff) };
    for (of, row) in log.find(&of, log.pos()).await?.rows {
        let view = row.body.and_then(|body| body.read::<HandoffView>().ok());
        if view.is_some_and(|view| view.automatic) {
            match log.trim(&of, None).await {
                Ok(_) | Err(LogError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
