//! Homes with a past: sessions made by the rules themselves and written by the store itself, without a daemon.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;
use tokio::task::JoinSet;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{LogId, Node, Seq, SessionId, TurnId};
use trunkline_core::machine::{Context, Machine};
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::session::{Command, Run, Session};
use trunkline_core::time::Time;
use trunkline_core::turn::{Outcome, Queued, StopReason, Update, WhenBusy};
use trunkline_log::frame::{Frame, Want};
use trunkline_log::{Log, Sqlite};
use uuid::Uuid;

use crate::daemon::Home;

/// When everything here happened.
const THEN: Time = Time(1_732_182_000_000);
/// Where the disk need not be waited for, on systems that have it.
const IN_MEMORY: &str = "/dev/shm";
/// How many sessions are written side by side.
const AT_ONCE: usize = 64;

/// What a session is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// How many updates its one turn has.
    pub(crate) updates: u64,
    /// How many of them share a frame. A running agent's come one or a few at a time.
    pub(crate) per_frame: u64,
}

/// A home with that many sessions, and their ids. Each has one turn, which is over.
pub(crate) async fn home(parent: &Path, sessions: usize, past: Past) -> Result<(Home, Vec<String>)> {
    let home = Home::new(parent)?;
    let scratch =
        Home::new(&if Path::new(IN_MEMORY).is_dir() { PathBuf::from(IN_MEMORY) } else { parent.to_owned() })?;
    let store: std::sync::Arc<dyn Log> = std::sync::Arc::new(Sqlite::open(scratch.database(), THEN)?);
    let (mut ids, mut writing) = (Vec::with_capacity(sessions), JoinSet::new());
    for _ in 0..sessions {
        let id = SessionId::new(Uuid::now_v7());
        ids.push(id.to_string());
        let store = std::sync::Arc::clone(&store);
        writing.spawn(async move { Writer::new(id, &*store).write(past).await });
        if writing.len() >= AT_ONCE {
            writing.join_next().await.expect("one is being written")??;
        }
    }
    writing.join_all().await.into_iter().collect::<Result<()>>()?;
    // Dropping it leaves everything in one file.
    drop(store);
    fs::copy(scratch.database(), home.database())?;
    fs::File::open(home.database())?.sync_all()?;
    Ok((home, ids))
}

/// Reads a session's log from the first event to the last as a stream does, and gives how many events it has.
pub(crate) async fn read(database: &Path, session: &str) -> Result<u64> {
    let store = Sqlite::open(database, THEN)?;
    let log = LogId::session(session.parse()?);
    let mut after = Seq::ZERO;
    loop {
        let page = store.read(&log, after, Want { bytes: 256 << 10, folded: false }).await?;
        after = page.frames.last().map_or(after, |frame| frame.last);
        if !page.more {
            return Ok(after.0);
        }
    }
}

/// Writes one session.
struct Writer<'a> {
    log: LogId,
    id: SessionId,
    store: &'a dyn Log,
    state: Session,
    head: Seq,
    node: Node,
}

impl<'a> Writer<'a> {
    fn new(id: SessionId, store: &'a dyn Log) -> Self {
        let node = Node { name: "local".to_owned(), incarnation: 1 };
        Self { log: LogId::session(id), id, store, state: Session::default(), head: Seq::ZERO, node }
    }

    async fn write(mut self, past: Past) -> Result<()> {
        let id = self.id;
        let made = json!({
            "id": id, "driver": "acp", "agent": "bench", "argv": ["bench", "--acp"], "workspace": "/srv/project/sub",
            "project": "/srv/project", "title": format!("Make the tests of {id} pass"),
        });
        let owner = Caller::new(Principal::owner(), Scope::Admin);
        self.command(&owner, Command::Create(serde_json::from_value(made)?)).await?;
        let prompt = vec![Raw::of(
            &json!({"type": "text", "text": "Find out why the test fails, and make it pass."}),
        )?];
        let queued = Queued { prompt, timeout_ms: None };
        let turn = TurnId(self.head.plus(1));
        self.command(&owner, Command::Prompt { queued, when_busy: WhenBusy::Reject }).await?;
        let runner = Caller::trunkline();
        let mut left = past.updates;
        while left > 0 {
            let count = left.min(past.per_frame);
            let facts = (0..count).map(|n| chunk(left - n)).collect::<Result<_>>()?;
            self.command(&runner, Command::Run(Run::Report { turn, attempt: 1, facts })).await?;
            left -= count;
        }
        let outcome = Outcome::of(StopReason::EndTurn);
        self.command(&runner, Command::Run(Run::End { turn, attempt: 1, outcome, checkpoint: false })).await
    }

    /// Decides, folds and appends as a cell does.
    async fn command(&mut self, caller: &Caller, command: Command) -> Result<()> {
        let next = self.head.plus(1);
        let ctx = Context { now: THEN, caller, node: &self.node, next };
        let drafts = self.state.decide(&command, &ctx).map_err(|refused| anyhow!("{refused}"))?;
        let events: Vec<Event> = (next.0..)
            .zip(drafts)
            .map(|(seq, draft)| Event {
                seq: Seq(seq),
                at: THEN,
                by: caller.principal.clone(),
                turn: draft.turn,
                key: None,
                fact: draft.fact,
            })
            .collect();
        let rows = self.state.advance(&events);
        let quiet = !events.iter().any(Session::moves);
        let frame = Frame::of(Uuid::now_v7(), &events, quiet);
        self.head = self.store.append(&self.log, self.head, frame, rows).await?.head;
        Ok(())
    }
}

/// A piece of prose, as long as what an agent says within a fiftieth of a second.
fn chunk(n: u64) -> Result<Fact> {
    let text = format!(
        "{n}: the assertion compares the two lists before the second is sorted, so it holds only by luck. "
    );
    let update = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}});
    Ok(Update::of(Raw::of(&update)?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_home_has_the_sessions_and_the_events_it_was_asked_for() {
        let parent = tempfile::tempdir().unwrap();
        let (home, ids) = home(parent.path(), 3, Past { updates: 5, per_frame: 2 }).await.unwrap();
        assert_eq!(ids.len(), 3);
        Sqlite::check(home.database()).unwrap();
        // Created, queued, claimed, started, five updates, ended.
        assert_eq!(read(&home.database(), &ids[2]).await.unwrap(), 10);
    }
}
