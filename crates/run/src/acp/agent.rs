//! A running agent: its process, what it may use, and its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::value::RawValue;
use tokio::time::Instant;
use trunkline_core::agent::Exited;
use trunkline_core::setting::Pending;
use trunkline_wire::acp::{AuthMethod, PromptCapabilities};
use trunkline_wire::jsonrpc::{Id, Incoming};

use super::Mcp;
use super::between::Between;
use super::client::{Owed, Work};
use super::files::Files;
use super::link::Link;
use super::terminal::Terminals;
use super::trouble::{Remains, last};
use crate::catalog::Entry;
use crate::custody::{Child, Exit, Stuck};
use crate::driver::SessionPort;

/// How many of its requests may be unanswered at a time.
const MAX_OWED: usize = 256;
/// After its end, how long what it asked for is waited for.
const LAST_WORK: Duration = Duration::from_secs(1);

/// An agent's process and the conversation with it.
pub(super) struct Agent {
    pub(super) port: SessionPort,
    pub(super) entry: Entry,
    pub(super) workspace: PathBuf,
    pub(super) files: Arc<Files>,
    pub(super) terminals: Terminals,
    pub(super) link: Link,
    /// Its id of the session, once it has told.
    pub(super) session: Option<String>,
    /// How one can log in to it.
    pub(super) login: Vec<AuthMethod>,
    /// What a prompt may hold.
    pub(super) takes: PromptCapabilities,
    /// The daemon's own MCP server, if it is given that.
    pub(super) mcp: Option<Mcp>,
    /// The MCP servers it is given.
    pub(super) servers: Vec<Box<RawValue>>,
    /// When it last said something that is a message.
    pub(super) heard: Instant,
    /// Its requests that have no answer yet.
    pub(super) owed: Incoming<Owed>,
    /// What is being done for it.
    pub(super) jobs: FuturesUnordered<BoxFuture<'static, (Id, Work)>>,
    /// What was heard while no turn ran.
    pub(super) between: Between,
    /// The first line that is no message.
    pub(super) garbage: Option<String>,
    /// What it was told to be set to and has not answered.
    pub(super) settings: Vec<(Id, Pending)>,
    pub(super) incarnation: u64,
    child: Child,
}

/// How much time an agent has to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// After its stdin was closed.
    pub(super) eof: Duration,
    /// After SIGTERM.
    pub(super) term: Duration,
}

impl Patience {
    /// At the end of its time.
    pub(super) const GENTLE: Self =
        Self { eof: Duration::from_millis(250), term: Duration::from_millis(500) };
    /// Once its grace is used up.
    pub(super) const NONE: Self = Self { eof: Duration::ZERO, term: Duration::ZERO };
}

impl Agent {
    pub(super) fn new(
        (port, entry, incarnation): (SessionPort, Entry, u64),
        (workspace, files): (PathBuf, Files),
        terminals: Terminals,
        (child, link): (Child, Link),
    ) -> Self {
        Self {
            port,
            entry,
            workspace,
            files: Arc::new(files),
            terminals,
            link,
            session: None,
            login: Vec::new(),
            takes: PromptCapabilities::default(),
            mcp: None,
            servers: Vec::new(),
            heard: Instant::now(),
            owed: Incoming::new(MAX_OWED),
            jobs: FuturesUnordered::new(),
            between: Between::default(),
            garbage: None,
            settings: Vec::new(),
            incarnation,
            child,
        }
    }

    /// Ends it and all that it started, and tells the log. May be called again if it was dropped.
    ///
    /// # Errors
    /// `Stuck` when something of it cannot be killed; it is not told as gone then.
    pub(super) async fn end(&mut self, patience: Patience) -> Result<Remains, Stuck> {
        self.link.hang_up();
        let own = tokio::time::timeout(patience.eof, self.child.exited()).await.ok();
        let (stopped, ()) =
            tokio::join!(self.child.stop(patience.term), self.terminals.kill_all(patience.term));
        let exit = stopped.inspect_err(|stuck| {
            tracing::error!(session = %self.port.id, %stuck, "an agent could not be ended");
        })?;
        self.finish_work().await;
        let stderr = self.child.stderr_tail();
        let mut facts = self.between.take(&self.port).await;
        facts.push(self.exited(exit, &stderr).into());
        self.port.insist(facts).await;
        Ok(Remains { exit: own, stderr, garbage: self.garbage.take() })
    }

    fn exited(&self, exit: Exit, stderr: &str) -> Exited {
        let (code, signal) = match exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
            Exit::Lost => (None, None),
        };
        Exited { incarnation: self.incarnation, code, signal, stderr: last(stderr).to_owned() }
    }

    /// A file that is just being written is written all the same, so it is told.
    async fn finish_work(&mut self) {
        let finish = async {
            while let Some((id, work)) = self.jobs.next().await {
                self.settle_late(&id, work);
            }
        };
        let _unfinished = tokio::time::timeout(LAST_WORK, finish).await;
    }
}
