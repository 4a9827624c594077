//! A hub over pools of scripted workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use trunkline_core::event::Event;
use trunkline_core::id::{Seq, SessionId};
use trunkline_core::session::{Command, Created};
use trunkline_core::turn::{WhenBusy, Why};
use trunkline_run::custody::Custody;
use trunkline_run::driver::Driver;
use trunkline_run::hub::Hub;
use trunkline_run::pools::{Limits, PoolView, Pools, Settings, WORKER, WorkerDriver};

use crate::world::{Reader, created, memory, owner, prompt};

#[path = "../fixtures/played.rs"]
pub(crate) mod played;

use played::PATIENCE;

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
        let custody = Custody::new(played::custody());
        let env = vec![("PATH".into(), played::PATH.into())];
        let pools = BTreeMap::from([("p".to_owned(), pool)]);
        let pools = Pools::start(custody.clone(), pools, &Limits::default(), env, "/".into());
        let driver: Arc<dyn Driver> = Arc::new(WorkerDriver::new(pools.clone()));
        let disk = memory();
        Self { hub: played::hub(&disk, WORKER, &driver, 1).await, pools, custody }
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
        played::said_well(&self.turn(talk, word).await)
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
        played::until(&mut self.reader, tag).await
    }
}

/// Kills a process.
pub(crate) fn kill(pid: &str) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}
