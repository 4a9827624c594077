//! A store that can be made to fail, and what streams do then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, once};
use trunkline_core::id::{LogId, Pos, Seq};
use trunkline_core::row::Row;
use trunkline_core::time::Time;
use trunkline_log::frame::{Change, Commit, Found, Frame, Page, Query, Want};
use trunkline_log::{AppendError, Log, LogError, Memory};

use crate::world::World;

/// Writes always work; logs and the tail can be made unreadable.
struct Flaky {
    memory: Memory,
    logs_fail: AtomicBool,
    tail_fails: AtomicBool,
}

impl Flaky {
    fn new() -> Arc<Self> {
        let memory = Memory::new(Time(1_000));
        Arc::new(Self { memory, logs_fail: AtomicBool::default(), tail_fails: AtomicBool::default() })
    }
}

#[async_trait]
impl Log for Flaky {
    async fn append(
        &self,
        log: &LogId,
        after: Seq,
        frame: Frame,
        rows: Vec<Row>,
    ) -> Result<Commit, AppendError> {
        self.memory.append(log, after, frame, rows).await
    }

    async fn read(&self, log: &LogId, after: Seq, want: Want) -> Result<Page, LogError> {
        if self.logs_fail.load(Ordering::SeqCst) {
            return Err(LogError::Down("on purpose".into()));
        }
        self.memory.read(log, after, want).await
    }

    async fn find(&self, query: &Query, at: Pos) -> Result<Found, LogError> {
        self.memory.find(query, at).await
    }

    async fn trim(&self, log: &LogId, upto: Option<Seq>) -> Result<Commit, LogError> {
        self.memory.trim(log, upto).await
    }

    fn changes(&self, after: Pos) -> BoxStream<'static, Result<Change, LogError>> {
        if self.tail_fails.load(Ordering::SeqCst) {
            return once(async { Err(LogError::Down("on purpose".into())) }).boxed();
        }
        self.memory.changes(after)
    }

    fn pos(&self) -> Pos {
        self.memory.pos()
    }
}

#[tokio::test]
async fn a_feed_ends_when_a_part_of_it_cannot_be_read() {
    let store = Flaky::new();
    let world = World::over(store.clone(), [127, 0, 0, 1].into()).await;
    let (session, quiet) = (world.session().await, world.session().await);
    for (broken, path) in [
        (&store.logs_fail, format!("/v1/feed?sessions={session}:0,{quiet}:1")),
        (&store.tail_fails, format!("/v1/feed?after=0&sessions={quiet}:1")),
    ] {
        broken.store(true, Ordering::SeqCst);
        let mut feed = world.stream(&path).await;
        while let Some(event) = feed.next().await {
            assert_ne!(event.event, "bye", "the client comes back with its cursors");
        }
        broken.store(false, Ordering::SeqCst);
        let mut feed = world.stream(&path).await;
        feed.until("caught-up").await;
    }
}
