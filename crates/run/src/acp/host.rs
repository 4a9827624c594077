//! The agent of one session, over as many processes and turns as it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::Instant;
use trunkline_core::agent::Started;
use trunkline_core::turn::{Outcome, StopReason, Usage};
use trunkline_wire::acp::{self, PromptRequest, PromptResponse, method};
use trunkline_wire::claude::{self, Adapter};
use trunkline_wire::raw::Members;
use uuid::Uuid;

use super::agent::{Agent, Patience};
use super::conversation::{Scope, Wait};
use super::files::Files;
use super::link::Link;
use super::open::{Memory, read};
use super::shut::Shut;
use super::terminal::Terminals;
use super::trouble::{Culprit, Remains, Trouble};
use super::{Mcp, Shared};
use crate::catalog::{CLAUDE, environment};
use crate::custody::{Child, Custody, Spawn, SpawnError, boot_id};
use crate::driver::{Host, SessionPort};
use crate::turn::Turn;

/// How long an earlier process of the session may take to be gone before the next is refused.
const LAST_ONE: Duration = Duration::from_secs(5);
/// How often that is looked after.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The host of one session's agent.
pub(super) struct AcpHost {
    port: SessionPort,
    shared: Arc<Shared>,
    agent: Option<Agent>,
    /// The process must not take another prompt.
    spent: bool,
}

#[async_trait]
impl Host for AcpHost {
    async fn turn(&mut self, turn: &Turn) -> Outcome {
        let mut scope = Scope::new(turn);
        let outcome = match self.attempt(&mut scope).await {
            Ok(outcome) => outcome,
            Err(trouble) => self.fail(&trouble).await,
        };
        if let Some(agent) = &mut self.agent {
            agent.withdraw();
            if scope.cancelled {
                // Whoever stops a turn wants its commands stopped too, if the agent has not seen to it.
                agent.terminals.kill_all(Patience::GENTLE.term).await;
                self.spent = agent.entry.restart_after_cancel;
            }
        }
        scope.finish().await;
        outcome
    }

    async fn idle(&mut self) {
        match &mut self.agent {
            Some(agent) if !self.spent => agent.idle().await,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    async fn end(&mut self) {
        self.over(Patience::GENTLE).await;
    }

    async fn kill(&mut self) {
        self.over(Patience::NONE).await;
    }
}

impl AcpHost {
    pub(super) fn new(port: SessionPort, shared: Arc<Shared>) -> Self {
        Self { port, shared, agent: None, spent: false }
    }

    async fn attempt(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, Trouble> {
        if self.spent {
            self.over(Patience::GENTLE).await;
        }
        if self.agent.is_none() {
            let memory =
                self.port.look(|session| session.agent.memo.clone()).await.map_err(Trouble::Store)?;
            // A memory that cannot be read is none: another driver's, or a newer version's.
            self.begin(scope, memory.and_then(|memory| memory.read().ok())).await?;
        }
        let agent = self.agent.as_mut().expect("it was launched");
        if scope.turn.is_stopping() {
            return Ok(Outcome::of(StopReason::Cancelled));
        }
        if let more @ 1.. = agent.write_all_late().await {
            let message = format!("{more} more updates came while no turn was running, and are not kept");
            scope.note("updates_between_turns", message, None).await;
        }
        if !agent.settle_settings(scope, self.shared.start).await? {
            return Ok(Outcome::of(StopReason::Cancelled));
        }
        agent.prompt(scope).await
    }

    /// Starts the agent and opens the session, the one remembered if that can be.
    async fn begin(&mut self, scope: &mut Scope<'_>, memory: Option<Memory>) -> Result<(), Trouble> {
        let (patience, remembers) = (self.shared.start, memory.is_some());
        self.launch(memory.as_ref()).await?;
        let agent = self.agent.as_mut().expect("it was launched");
        let Err(trouble) = agent.open(scope, memory, patience).await else { return Ok(()) };
        // A process of Claude Code is started for one conversation, and refuses to be one for another.
        match trouble {
            Trouble::Refused { method: method::INITIALIZE, error, .. }
                if remembers && error.code == claude::NO_CONVERSATION =>
            {
                self.over(Patience::GENTLE).await;
                let message = format!("the agent does not remember what was said before: {}", error.message);
                scope.note("history_lost", message, None).await;
                self.launch(None).await?;
                let agent = self.agent.as_mut().expect("it was launched");
                agent.open(scope, None, patience).await
            }
            trouble => Err(trouble),
        }
    }

    /// Starts the agent's process.
    async fn launch(&mut self, memory: Option<&Memory>) -> Result<(), Trouble> {
        let created = &self.port.created;
        let entry = self.shared.catalog.resolve(Some(&created.agent), Some(&created.argv));
        let mut entry = entry.map_err(Trouble::Unrunnable)?;
        let adapter = (entry.driver == CLAUDE).then(|| {
            let session = self.port.id.to_string();
            let how = if memory.is_some() { claude::RESUME } else { claude::SESSION_ID };
            entry.argv.extend(claude::ARGUMENTS.map(str::to_owned));
            entry.argv.extend(self.shared.mcp.iter().filter(|_| entry.mcp).flat_map(Mcp::for_claude));
            entry.argv.extend([how, &session].map(str::to_owned));
            Adapter::new(session)
        });
        let (workspace, files) = workspace(created.workspace.as_deref())?;
        let incarnation =
            self.port.look(|session| session.agent.incarnation).await.map_err(Trouble::Store)? + 1;
        let env = environment(&self.shared.env, &entry);
        let shut_in = Shut::new(
            self.shared.custody.sandbox(),
            &format!("{}-{incarnation}", self.port.id),
            &entry,
            &env,
            &workspace,
        )?;
        let spawn = Spawn {
            resource: format!("agent/{}", self.port.id),
            incarnation: Uuid::from_u128(u128::from(incarnation)),
            env: env.clone(),
            confine: shut_in.confinement(&entry.argv),
            limits: shut_in.limits,
            ..Spawn::new(&entry.argv, &workspace)
        };
        let started = start(&self.shared.custody, spawn).await;
        let mut child = started.map_err(|error| Trouble::NotStarted { error, hint: entry.hint.clone() })?;
        let link = Link::of(&mut child, adapter).expect("a new child has both pipes");
        let (process, argv, confined) = (child.process(), entry.argv.clone(), Some(shut_in.confined));
        let terminals = Terminals::new(
            Arc::clone(&self.shared.custody),
            self.port.clone(),
            env,
            workspace.clone(),
            incarnation,
            shut_in,
        );
        let mcp = self.shared.mcp.clone().filter(|_| entry.mcp);
        let about = (self.port.clone(), entry, incarnation);
        // From here on it is ours to end, also if the log does not take that it has started.
        let mut agent = Agent::new(about, (workspace, files), terminals, (child, link));
        agent.mcp = mcp;
        self.agent = Some(agent);
        self.spent = false;
        let started = Started {
            node: self.port.node.clone(),
            incarnation,
            pid: process.pid,
            start_time: Some(process.start_time),
            boot_id: boot_id().ok(),
            argv,
            confined,
        };
        self.port.agent(vec![started.into()]).await.map_err(Trouble::Store)
    }

    /// Ends the turn that failed, and the agent if it is of no use any more.
    async fn fail(&mut self, trouble: &Trouble) -> Outcome {
        if let Trouble::Stopped = trouble {
            self.over(Patience::GENTLE).await;
            return Outcome::of(StopReason::Cancelled);
        }
        let entry = self.agent.as_ref().map(|agent| agent.entry.clone());
        let remains = if trouble.is_harmless() { None } else { self.over(Patience::GENTLE).await };
        let created = &self.port.created;
        let culprit = Culprit {
            name: entry.as_ref().map_or(&created.agent, |entry| &entry.name),
            argv: entry.as_ref().map_or(&created.argv, |entry| &entry.argv),
            workspace: Path::new(created.workspace.as_deref().unwrap_or_default()),
        };
        Outcome::error(trouble.tell(&culprit, remains.as_ref()))
    }

    /// Ends the process, if there is one.
    async fn over(&mut self, patience: Patience) -> Option<Remains> {
        let agent = self.agent.as_mut()?;
        let ended = agent.end(patience).await;
        self.agent = None;
        self.spent = false;
        ended.ok()
    }
}

impl Agent {
    async fn prompt(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, Trouble> {
        self.check(scope.turn)?;
        let params = PromptRequest {
            session_id: self.session.clone().expect("the session was opened"),
            prompt: scope.turn.prompt().iter().map(|block| block.as_raw().to_owned()).collect(),
            meta: None,
        };
        let answer = self.call(scope, method::SESSION_PROMPT, &params, Wait::Prompt).await;
        let answer = answer.map_err(|none| self.trouble(method::SESSION_PROMPT, none, Duration::ZERO))?;
        Ok(outcome(&self.entry.name, read(method::SESSION_PROMPT, &answer)?))
    }

    /// Refuses what the agent has not said that it takes: some fail on it, others pass over it in silence.
    fn check(&self, turn: &Turn) -> Result<(), Trouble> {
        for (place, block) in turn.prompt().iter().enumerate() {
            let kind = Members::of(block.as_raw()).and_then(|members| members.get_str("type"));
            let taken = match kind.as_deref() {
                Some("image") => self.takes.image,
                Some("audio") => self.takes.audio,
                Some("resource") => self.takes.embedded_context,
                Some(_) | None => true,
            };
            if !taken {
                let kind = kind.unwrap_or_default().into_owned();
                return Err(Trouble::Content { kind, place });
            }
        }
        Ok(())
    }
}

/// Starts a process. One of an earlier turn may still be ending: a turn that is over does not wait for that.
async fn start(custody: &Custody, spawn: Spawn) -> Result<Child, SpawnError> {
    let until = Instant::now() + LAST_ONE;
    loop {
        match custody.spawn(spawn.clone()).await {
            Err(SpawnError::Running { .. }) if Instant::now() < until => tokio::time::sleep(LOOK_AGAIN).await,
            started => return started,
        }
    }
}

fn workspace(path: Option<&str>) -> Result<(PathBuf, Files), Trouble> {
    let Some(path) = path else {
        return Err(Trouble::Workspace(
            "this session has no workspace; an agent needs a directory to work in".to_owned(),
        ));
    };
    let failed = |error| Trouble::Workspace(format!("the workspace {path} cannot be used: {error}"));
    Ok((PathBuf::from(path), Files::open(Path::new(path)).map_err(failed)?))
}

/// How a turn of the agent of this name ended, from its answer.
pub(crate) fn outcome(name: &str, answer: PromptResponse) -> Outcome {
    let usage = usage(&answer);
    let stop_reason = match answer.stop_reason {
        acp::StopReason::EndTurn => StopReason::EndTurn,
        acp::StopReason::MaxTokens => StopReason::MaxTokens,
        acp::StopReason::MaxTurnRequests => StopReason::MaxTurnRequests,
        acp::StopReason::Refusal => StopReason::Refusal,
        acp::StopReason::Cancelled => StopReason::Cancelled,
        acp::StopReason::Unknown(reason) => {
            let error = format!("{name} ended the turn for a reason that is not known here: {reason}");
            return Outcome { usage, ..Outcome::error(error) };
        }
    };
    Outcome { usage, ..Outcome::of(stop_reason) }
}

/// What the turn used, as the protocol has it, or as Gemini tells it.
fn usage(answer: &PromptResponse) -> Option<Usage> {
    if let Some(usage) = &answer.usage {
        return Some(Usage {
            input: Some(usage.input_tokens),
            output: Some(usage.output_tokens),
            cache_read: usage.cached_read_tokens,
            cache_write: usage.cached_write_tokens,
            thought: usage.thought_tokens,
            cost: None,
        });
    }
    #[derive(Deserialize)]
    struct Meta {
        quota: Quota,
    }
    #[derive(Deserialize)]
    struct Quota {
        token_count: Tokens,
    }
    #[derive(Deserialize)]
    struct Tokens {
        input_tokens: u64,
        output_tokens: u64,
    }
    let Meta { quota } = serde_json::from_str(answer.meta.as_deref()?.get()).ok()?;
    let Tokens { input_tokens, output_tokens } = quota.token_count;
    Some(Usage { input: Some(input_tokens), output: Some(output_tokens), ..Usage::default() })
}
