//! A hub over pools of scripted workers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use trunkline_core::event::{Event, Fact};
use trunkline_core::id::{Node, Seq, SessionId};
use trunkline_core::session::{Command, Created};
use trunkline_core::time::Time;
use trunkline_core::turn::{Ended, StopReason, WhenBusy, Why};
use trunkline_run::clock::Clock;
use trunkline_run::custody::{Custody, CustodyOptions};
use trunkline_run::driver::Driver;
use trunkline_run::hub::{Hub, Options};
use trunkline_run::pools::{Limits, PoolView, Pools, Settings, WORKER, WorkerDriver};

use crate::world::{Reader, created, memory, owner, prompt};

/// How long anything may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) pools: Pools,
    pub(crate) custody: Custody,
}

/// A session, and who reads it.
pub(crate) struct Talk {
    pub(crate) id: SessionId,
    reader: Reader,
}

/// A pool of this many scripted workers.
pub(crate) fn scripted(instances: usize) -> Settings {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pools/worker.py");
    Settings {
        command: "python3".to_owned(),
        args: vec![script.to_owned()],
        instances: Some(instances),
        ..Settings::default()
    }
}

impl Stage {
    /// One pool, `p`.
    pub(crate) async fn new(pool: Settings) -> Self {
        let custody = Custody::new(CustodyOptions {
            keep_program: env!("CARGO_BIN_EXE_keep-fixture").into(),
            grace: Duration::from_millis(100),
            subreaper: None,
        });
        let env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
        let pools = BTreeMap::from([("p".to_owned(), pool)]);
        let pools = Pools::start(custody.clone(), pools, &Limits::default(), env, "/".into());
        let driver: Arc<dyn Driver> = Arc::new(WorkerDriver::new(pools.clone()));
        let hub = Hub::start(Options {
            disk: memory(),
            live: memory(),
            clock: Clock::at(Time(1_000_000)),
            node: Node { name: "here".to_owned(), incarnation: 1 },
            drivers: HashMap::from([(WORKER.to_owned(), driver)]),
        });
        Self { hub: hub.await.unwrap(), pools, custody }
    }

    /// A session of the pool.
    pub(crate) async fn session(&self) -> Talk {
        let made = Created { agent: "p".to_owned(), ..created(WORKER) };
        let (id, _) = self.hub.create(&owner(), made, None).await.unwrap();
        Talk { id, reader: Reader::attach(&self.hub, id, Seq::ZERO).await }
    }

    pub(crate) async fn prompt(&self, talk: &Talk, word: &str) {
        self.hub.command(&owner(), talk.id, prompt(word, WhenBusy::Reject), None).await.unwrap();
    }

    pub(crate) async fn cancel(&self, talk: &Talk) {
        let stop = Command::Stop { turn: None, why: Why::Cancelled, grace_ms: 60_000 };
        self.hub.command(&owner(), talk.id, stop, None).await.unwrap();
    }

    /// Takes a turn.
    pub(crate) async fn turn(&self, talk: &mut Talk, word: &str) -> Vec<Event> {
        self.prompt(talk, word).await;
        talk.until("turn.ended").await
    }

    /// Takes a turn that ends well, and gives what the worker said.
    pub(crate) async fn hears(&self, talk: &mut Talk, word: &str) -> String {
        let events = self.turn(talk, word).await;
        assert_eq!(end(&events).stop_reason, StopReason::EndTurn, "{:?}", end(&events));
        said(&events)
    }

    pub(crate) async fn pool(&self) -> PoolView {
        self.pools.show("p").await.unwrap().unwrap()
    }

    /// Waits until the pool looks like this.
    pub(crate) async fn pool_is(&self, fits: impl Fn(&PoolView) -> bool) -> PoolView {
        let look = async {
            loop {
                let pool = self.pool().await;
                if fits(&pool) {
                    return pool;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the pool gets there")
    }

    /// Stops everything, and sees that no process is left.
    pub(crate) async fn finish(self) {
        self.hub.shutdown().await;
        tokio::time::timeout(PATIENCE, self.pools.close()).await.expect("the workers end");
        assert!(self.custody.scan().is_empty(), "{:?}", self.custody.scan());
    }
}

impl Talk {
    /// All events up to one of this type.
    pub(crate) async fn until(&mut self, tag: &str) -> Vec<Event> {
        tokio::time::timeout(PATIENCE, self.reader.until(tag)).await.expect("it comes")
    }
}

/// The end of the turn.
pub(crate) fn end(events: &[Event]) -> &Ended {
    let ended = events.iter().rev().find_map(|event| match &event.fact {
        Fact::TurnEnded(ended) => Some(ended),
        _ => None,
    });
    ended.expect("the turn ended")
}

/// Why the turn failed.
pub(crate) fn error(events: &[Event]) -> &str {
    let end = end(events);
    assert_eq!(end.stop_reason, StopReason::Error, "{end:?}");
    end.error.as_deref().unwrap()
}

/// What the worker said.
pub(crate) fn said(events: &[Event]) -> String {
    let text = |event: &Event| match &event.fact {
        Fact::TurnUpdate(update) => {
            let update: Value = update.update.read().unwrap();
            update["content"]["text"].as_str().map(str::to_owned)
        }
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// The codes of the notes.
pub(crate) fn notes(events: &[Event]) -> Vec<&str> {
    fn code(event: &Event) -> Option<&str> {
        match &event.fact {
            Fact::TurnNote(note) => Some(&note.code),
            _ => None,
        }
    }
    events.iter().filter_map(code).collect()
}
