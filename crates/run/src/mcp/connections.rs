//! The connections of one session.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::link::{self, Link};
use super::{Defined, Mcp};
use crate::acp::shut::Shut;
use crate::custody::{Child, Custody};
use crate::driver::SessionPort;
use crate::http::Http;

/// How long a program has to end once nobody wants it any more.
const GRACE: Duration = Duration::from_millis(500);
/// How much of what a program wrote to stderr is kept once it is over, in bytes.
const STDERR: usize = 8 << 10;

/// What the programs of a session run on.
pub(crate) struct Ground {
    pub(crate) port: SessionPort,
    pub(crate) workspace: PathBuf,
    pub(crate) mcp: Mcp,
    pub(crate) custody: Custody,
    pub(crate) http: Http,
    /// What every program gets of the daemon's environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// How programs are shut in.
    pub(crate) shut: Shut,
}

/// All connections of a session. Dropped, they end, with their programs.
pub(crate) struct Connections {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    ground: Ground,
    slots: Mutex<BTreeMap<String, Slot>>,
    /// How often something has changed.
    changed: watch::Sender<u64>,
}

struct Slot {
    defined: Defined,
    phase: Phase,
    stop: CancellationToken,
}

/// Where a connection is.
#[derive(Clone)]
pub(crate) enum Phase {
    /// It is being made. `again`: it failed before.
    Connecting { again: bool },
    /// It works.
    Connected(Arc<Link>),
    /// It is over, or never was.
    Over(Over),
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) how: How,
    pub(crate) error: Option<String>,
    pub(crate) stderr: String,
}

/// How it came that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Somebody wanted it so.
    Asked,
    /// It could not be made.
    Failed,
    /// It broke.
    Broke,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phases = self.phases();
        f.debug_list().entries(phases.keys()).finish()
    }
}

impl Connections {
    /// None yet.
    pub(crate) fn new(ground: Ground) -> Arc<Self> {
        let changed = watch::Sender::default();
        let shared = Arc::new(Shared { ground, slots: Mutex::default(), changed });
        Arc::new(Self { shared, tasks: Mutex::default() })
    }

    /// Where each connection is, by server.
    pub(crate) fn phases(&self) -> BTreeMap<String, (Defined, Phase)> {
        let slots = self.shared.slots();
        slots.iter().map(|(name, slot)| (name.clone(), (slot.defined.clone(), slot.phase.clone()))).collect()
    }

    /// Why each is not there that should be, by server.
    pub(crate) fn missing(&self) -> BTreeMap<String, String> {
        let slots = self.shared.slots();
        let why = |slot: &Slot| match &slot.phase {
            Phase::Connecting { .. } => Some("is not ready yet".to_owned()),
            Phase::Over(Over { how: How::Asked, .. }) | Phase::Connected(_) => None,
            Phase::Over(Over { error, .. }) => Some(error.clone().unwrap_or_default()),
        };
        slots.iter().filter_map(|(name, slot)| Some((name.clone(), why(slot)?))).collect()
    }

    /// Those that work, by server.
    pub(crate) fn links(&self) -> Vec<(String, Arc<Link>)> {
        let slots = self.shared.slots();
        let link = |(name, slot): (&String, &Slot)| match &slot.phase {
            Phase::Connected(link) => Some((name.clone(), Arc::clone(link))),
            Phase::Connecting { .. } | Phase::Over(_) => None,
        };
        slots.iter().filter_map(link).collect()
    }

    /// Begins to connect, unless there is a connection by just this definition, or it is being made. Returns at once, but for
    /// the end of one by another definition.
    pub(crate) async fn connect(&self, defined: &Defined) {
        while !self.begin(defined) {
            self.settled(&defined.name).await;
        }
    }

    /// `false`: there is one by another definition, which ends now.
    fn begin(&self, defined: &Defined) -> bool {
        let mut slots = self.shared.slots();
        let again = match slots.get(&defined.name) {
            None => false,
            Some(Slot { phase: Phase::Over(over), .. }) => over.how == How::Failed,
            Some(slot) if slot.defined == *defined && !slot.stop.is_cancelled() => return true,
            Some(slot) => {
                slot.stop.cancel();
                return false;
            }
        };
        let stop = CancellationToken::new();
        let phase = Phase::Connecting { again };
        slots.insert(defined.name.clone(), Slot { defined: defined.clone(), phase, stop: stop.clone() });
        drop(slots);
        self.shared.tell();
        let work = run(Arc::clone(&self.shared), defined.clone(), stop);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
        true
    }

    /// Ends the connection to a server, and waits until its program is gone.
    pub(crate) async fn disconnect(&self, name: &str) {
        match self.shared.slots().get(name) {
            Some(slot) => slot.stop.cancel(),
            None => return,
        }
        self.settled(name).await;
        if let Some(Slot { phase: Phase::Over(over), .. }) = self.shared.slots().get_mut(name) {
            *over = Over { how: How::Asked, error: None, stderr: String::new() };
        }
    }

    /// Forgets a server that is no more, once it is disconnected.
    pub(crate) async fn forget(&self, name: &str) {
        self.disconnect(name).await;
        self.shared.slots().remove(name);
    }

    /// Waits until the connection to this server is no longer being made.
    pub(crate) async fn made(&self, name: &str) {
        let over = |slots: &BTreeMap<String, Slot>| {
            !matches!(slots.get(name), Some(Slot { phase: Phase::Connecting { .. }, .. }))
        };
        self.wait(over).await;
    }

    /// Waits until nothing is being made for the first time. What failed before may fail again: nobody waits for it.
    pub(crate) async fn ready(&self) {
        let first = |slot: &Slot| matches!(slot.phase, Phase::Connecting { again: false });
        self.wait(|slots| !slots.values().any(first)).await;
    }

    /// Ends all of them.
    pub(crate) async fn close(&self) {
        let mut tasks = {
            let slots = self.shared.slots();
            slots.values().for_each(|slot| slot.stop.cancel());
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
        };
        while tasks.join_next().await.is_some() {}
    }

    /// Waits until the connection to this server is over.
    async fn settled(&self, name: &str) {
        let over = |slots: &BTreeMap<String, Slot>| {
            slots.get(name).is_none_or(|slot| matches!(slot.phase, Phase::Over(_)))
        };
        self.wait(over).await;
    }

    async fn wait(&self, enough: impl Fn(&BTreeMap<String, Slot>) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let _the_sender_lives_here = changed.wait_for(|_| enough(&self.shared.slots())).await;
    }
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, name: &str, phase: Phase) {
        if let Some(slot) = self.slots().get_mut(name) {
            slot.phase = phase;
        }
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|times| *times += 1);
    }
}

/// One connection, until it is to end or does. What it has started is gone when it is said to be over.
async fn run(shared: Arc<Shared>, defined: Defined, stop: CancellationToken) {
    let mut over = Over { how: How::Failed, error: None, stderr: String::new() };
    match link::launch(&shared.ground, &defined).await {
        Err(why) => over.error = Some(defined.hide(&why)),
        Ok(mut child) => {
            (over.how, over.error) = tokio::select! {
                biased;
                () = stop.cancelled() => (How::Asked, None),
                how = connect(&shared, &defined, child.as_mut()) => how,
            };
            if let Some(child) = child {
                let stopped = child.stop(GRACE).await;
                if let Err(stuck) = stopped {
                    let session = shared.ground.port.id;
                    tracing::warn!(%session, server = defined.name, %stuck, "an MCP server lives on");
                }
                over.stderr = defined.hide(&end(&child.stderr_tail()));
            }
        }
    }
    shared.put(&defined.name, Phase::Over(over));
}

async fn connect(shared: &Shared, defined: &Defined, mut child: Option<&mut Child>) -> (How, Option<String>) {
    match link::begin(&shared.ground, defined, child.as_deref_mut()).await {
        Err(why) => (How::Failed, Some(why)),
        Ok(begun) => {
            shared.put(&defined.name, Phase::Connected(Arc::clone(&begun.link)));
            (How::Broke, Some(begun.hold(child.as_deref(), || shared.tell()).await))
        }
    }
}

/// The end of a text.
fn end(text: &str) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(STDERR));
    text[from..].to_owned()
}
