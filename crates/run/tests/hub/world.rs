//! What the tests of the hub share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::json;
use trunkline_core::event::Event;
use trunkline_core::id::{LogId, Node, Pos, Seq, SessionId};
use trunkline_core::principal::{Caller, Principal, Scope};
use trunkline_core::raw::Raw;
use trunkline_core::row::{Row, RowKind};
use trunkline_core::session::{Command, Created};
use trunkline_core::time::Time;
use trunkline_core::turn::{Queued, WhenBusy};
use trunkline_core::view::RequestView;
use trunkline_log::frame::{Change, Commit, Found, Frame, Page, Query, Want};
use trunkline_log::{AppendError, Log, LogError, Memory};
use trunkline_run::clock::Clock;
use trunkline_run::driver::Driver;
use trunkline_run::hub::{Hub, Options};
use trunkline_run::tail::{Follow, Next};
use uuid::Uuid;

use crate::script::Script;

/// A store whose owner may die, that may be full, and that may leave an append unknown.
pub(crate) struct Mortal {
    inner: Arc<dyn Log>,
    pub(crate) dead: AtomicBool,
    pub(crate) full: AtomicBool,
    /// Every n-th append is reported as unknown; 0: none. Half of those have happened.
    pub(crate) unknown_every: AtomicU32,
    /// So many of the next appends with this in them fail, and so many of the next removals.
    pub(crate) fails: Mutex<(String, u32)>,
    pub(crate) failing_trims: AtomicU32,
    /// Nothing is told of what others commit.
    pub(crate) deaf: AtomicBool,
    /// The tail ends with an error after each change, so many times.
    pub(crate) breaking_tails: Arc<AtomicU32>,
    /// How long an append takes.
    pub(crate) slow_ms: AtomicU64,
    appends: AtomicU32,
}

impl Mortal {
    pub(crate) fn over(inner: Arc<dyn Log>) -> Arc<Self> {
        let (dead, full) = (AtomicBool::new(false), AtomicBool::new(false));
        let (unknown_every, appends) = (AtomicU32::new(0), AtomicU32::new(0));
        let (fails, failing_trims, deaf) = (Mutex::default(), AtomicU32::new(0), AtomicBool::new(false));
        let (breaking_tails, slow_ms) = (Arc::default(), AtomicU64::new(0));
        Arc::new(Self {
            inner,
            dead,
            full,
            unknown_every,
            fails,
            failing_trims,
            deaf,
            breaking_tails,
            slow_ms,
            appends,
        })
    }

    /// The next `times` appends whose frames hold `text` fail.
    pub(crate) fn fail(&self, text: &str, times: u32) {
        *self.fails.lock().unwrap() = (text.to_owned(), times);
    }

    fn fails(&self, frame: &Frame) -> bool {
        let mut fails = self.fails.lock().unwrap();
        let hit = fails.1 > 0 && frame.lines.contains(&fails.0);
        fails.1 -= u32::from(hit);
        hit
    }

    /// From here on the dead do nothing, and learn nothing.
    async fn alive(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Log for Mortal {
    async fn append(
        &self,
        log: &LogId,
        after: Seq,
        frame: Frame,
        rows: Vec<Row>,
    ) -> Result<Commit, AppendError> {
        self.alive().await;
        if self.full.load(Ordering::SeqCst) {
            return Err(AppendError::Full);
        }
        if self.fails(&frame) {
            return Err(AppendError::Down("it was told to fail".into()));
        }
        if let ms @ 1.. = self.slow_ms.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let every = self.unknown_every.load(Ordering::SeqCst);
        let n = self.appends.fetch_add(1, Ordering::SeqCst) + 1;
        let unknown = every > 0 && n.is_multiple_of(every);
        if unknown && n.is_multiple_of(every * 2) {
            return Err(AppendError::Unknown);
        }
        let outcome = self.inner.append(log, after, frame, rows).await;
        self.alive().await;
        if unknown { Err(AppendError::Unknown) } else { outcome }
    }

    async fn read(&self, log: &LogId, after: Seq, want: Want) -> Result<Page, LogError> {
        self.alive().await;
        self.inner.read(log, after, want).await
    }

    async fn find(&self, query: &Query, at: Pos) -> Result<Found, LogError> {
        self.alive().await;
        self.inner.find(query, at).await
    }

    async fn trim(&self, log: &LogId, upto: Option<Seq>) -> Result<Commit, LogError> {
        self.alive().await;
        let fewer = |n: u32| n.checked_sub(1);
        if self.failing_trims.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok() {
            return Err(LogError::Down("it was told to fail".into()));
        }
        self.inner.trim(log, upto).await
    }

    fn changes(&self, after: Pos) -> BoxStream<'static, Result<Change, LogError>> {
        if self.deaf.load(Ordering::SeqCst) {
            return futures_util::stream::pending().boxed();
        }
        let (breaking, fewer) = (Arc::clone(&self.breaking_tails), |n: u32| n.checked_sub(1));
        let whole = self.inner.changes(after);
        // The change after which it breaks is told, the next is not.
        let until_broken = whole.scan(false, move |broken, change| {
            let breaks = breaking.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok();
            let ends = std::mem::replace(broken, breaks);
            std::future::ready((!ends).then_some(change))
        });
        until_broken.boxed()
    }

    fn pos(&self) -> Pos {
        self.inner.pos()
    }
}

pub(crate) fn memory() -> Arc<dyn Log> {
    Arc::new(Memory::new(Time(1_000)))
}

pub(crate) async fn hub(disk: Arc<dyn Log>, name: &str, incarnation: u64) -> Hub {
    hub_with(disk, memory(), name, incarnation).await
}

pub(crate) async fn hub_with(disk: Arc<dyn Log>, live: Arc<dyn Log>, name: &str, incarnation: u64) -> Hub {
    start(disk, live, name, incarnation, false).await
}

/// One that keeps a checkpoint of each turn.
pub(crate) async fn keeping(disk: Arc<dyn Log>, incarnation: u64) -> Hub {
    start(disk, memory(), "here", incarnation, true).await
}

async fn start(
    disk: Arc<dyn Log>,
    live: Arc<dyn Log>,
    name: &str,
    incarnation: u64,
    checkpoints: bool,
) -> Hub {
    let mut drivers = HashMap::new();
    drivers.insert("script".to_owned(), Arc::new(Script) as Arc<dyn Driver>);
    let node = Node { name: name.into(), incarnation };
    let clock = Clock::at(Time(1_000_000));
    Hub::start(Options {
        disk,
        live,
        clock,
        node,
        drivers,
        checkpoints,
        profiles: trunkline_run::profiles::Profiles::default(),
        mcp: trunkline_run::mcp::Mcp::default(),
    })
    .await
    .unwrap()
}

pub(crate) fn owner() -> Caller {
    Caller::new(Principal::owner(), Scope::Admin)
}

pub(crate) fn created(driver: &str) -> Created {
    Created {
        id: SessionId::new(Uuid::now_v7()),
        driver: driver.into(),
        agent: "actor".into(),
        argv: vec![],
        workspace: Some("/work".into()),
        project: None,
        title: None,
        metadata: None,
        born: None,
        setup: None,
        imported: None,
    }
}

pub(crate) async fn session(hub: &Hub) -> SessionId {
    hub.create(&owner(), created("script"), None).await.unwrap().0
}

pub(crate) fn prompt(text: &str, when_busy: WhenBusy) -> Command {
    let block = Raw::of(&json!({"type": "text", "text": text})).unwrap();
    Command::Prompt { queued: Queued { prompt: vec![block], timeout_ms: None }, when_busy }
}

/// A client that reads one event after the other.
pub(crate) struct Reader {
    follow: Follow,
    ready: VecDeque<Event>,
}

impl Reader {
    pub(crate) async fn attach(hub: &Hub, id: SessionId, after: Seq) -> Self {
        Self { follow: hub.follow(id, after).await.unwrap(), ready: VecDeque::new() }
    }

    /// The next event, or `None` when the session was removed.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() {
            let before = self.follow.cursor();
            match self.follow.next().await.unwrap() {
                Next::Frames(frames) => {
                    for shown in frames {
                        let events = shown.frame.events().unwrap();
                        self.ready.extend(events.into_iter().filter(|event| event.seq > before));
                    }
                }
                Next::CaughtUp(_) => {}
                Next::Removed => return None,
                gap @ Next::Gap(_) => panic!("{gap:?}"),
            }
        }
        self.ready.pop_front()
    }

    /// All events up to one of this type.
    pub(crate) async fn until(&mut self, tag: &str) -> Vec<Event> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await.expect("the session is there");
            let found = event.fact.tag() == tag;
            seen.push(event);
            if found {
                return seen;
            }
        }
    }
}

pub(crate) fn tags(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.fact.tag()).collect()
}

/// The requests that wait for a person.
pub(crate) async fn inbox(hub: &Hub) -> Vec<RequestView> {
    let found = hub.find(&Query::all(RowKind::Inbox), hub.pos()).await.unwrap();
    found.rows.iter().map(|(_, row)| row.body.as_ref().unwrap().read().unwrap()).collect()
}

/// The whole log of a session.
pub(crate) async fn log(disk: &dyn Log, id: SessionId) -> Vec<Event> {
    let want = Want { bytes: usize::MAX, folded: false };
    let page = disk.read(&LogId::session(id), Seq::ZERO, want).await.unwrap();
    page.frames.iter().flat_map(|frame| frame.events().unwrap()).collect()
}
