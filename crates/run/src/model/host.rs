//! The agent of one session: it asks, carries out, and asks again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use trunkline_core::agent::{Exited, Memo, Started};
use trunkline_core::event::Fact;
use trunkline_core::profile::Prices;
use trunkline_core::raw::Raw;
use trunkline_core::setting::{Pending, Setting, Settled};
use trunkline_core::turn::{Outcome, StopReason, Usage};
use trunkline_wire::acp::{SessionUpdate, UsageUpdate};
use trunkline_wire::model::{Ask, Call, Failure, FailureKind, Message, Part, Reply, Stop, Tool, repair};

use super::budget::{Meter, Outlook, Whose};
use super::history::{Answer, Entry, History, Said, call_ids};
use super::servers::{Remote, Servers};
use super::skills::Skill;
use super::stream::{Answered, Voice};
use super::tools::Toolbox;
use super::{MODEL, Shared, budget, calls, compact, park, prompt, skills, stream, tools};
use crate::acp::files::Files;
use crate::acp::shut::Shut;
use crate::acp::terminal::Terminals;
use crate::acp::trouble::Culprit;
use crate::bundle::{self, Bundle};
use crate::catalog::{Entry as Agent, environment};
use crate::driver::{Host, SessionPort};
use crate::profiles::Ready;
use crate::turn::Turn;

/// How often a model is asked in one turn, unless its profile says.
const MAX_STEPS: u32 = 100;
/// How long a command has to end once a turn is stopped.
const GRACE: Duration = Duration::from_millis(500);
/// How often a conversation is made shorter in one turn.
const MAX_COMPACTED: u32 = 3;

/// The host of one session.
pub(super) struct ModelHost {
    port: SessionPort,
    shared: Arc<Shared>,
    life: Option<Life>,
    servers: Option<Servers>,
}

/// What is there once a turn has begun.
struct Life {
    incarnation: u64,
    history: History,
    ready: Ready,
    toolbox: Toolbox,
    offered: Vec<Tool>,
    system: String,
    /// How often the agent had been told to forget when `history` was read.
    forgotten: u64,
}

#[async_trait]
impl Host for ModelHost {
    async fn turn(&mut self, turn: &Turn) -> Outcome {
        let outcome = match self.attempt(turn).await {
            Ok(outcome) => outcome,
            Err(why) => Outcome::error(why),
        };
        if let (true, Some(life)) = (turn.is_stopping(), &mut self.life) {
            // Whoever stops a turn wants its commands stopped too.
            life.toolbox.terminals.kill_all(GRACE).await;
            life.toolbox.terminals.release_all();
        }
        outcome
    }

    async fn idle(&mut self) {
        loop {
            if self.port.settings.changed().await.is_err() {
                return std::future::pending().await;
            }
            let facts = self.choose();
            if let Err(error) = self.port.agent(facts).await {
                tracing::warn!(session = %self.port.id, %error, "a choice was not kept");
            }
            self.tell_models().await;
        }
    }

    async fn wake(&mut self) {
        if let Err(why) = self.servers() {
            tracing::warn!(session = %self.port.id, why, "its MCP servers cannot be connected");
        }
    }

    async fn end(&mut self) {
        if let Some(servers) = self.servers.take() {
            servers.close().await;
        }
        let Some(mut life) = self.life.take() else { return };
        life.toolbox.terminals.kill_all(GRACE).await;
        let exited =
            Exited { incarnation: life.incarnation, code: Some(0), signal: None, stderr: String::new() };
        self.port.insist(vec![exited.into()]).await;
    }
}

impl ModelHost {
    pub(super) fn new(port: SessionPort, shared: Arc<Shared>) -> Self {
        Self { port, shared, life: None, servers: None }
    }

    async fn attempt(&mut self, turn: &Turn) -> Result<Outcome, String> {
        let (port, shared) = (self.port.clone(), Arc::clone(&self.shared));
        if self.life.is_none() {
            self.open().await?;
        }
        for fact in self.choose() {
            turn.fact(fact).await;
        }
        self.tell_models().await;
        let only = self.life.as_ref().and_then(|life| life.toolbox.bundle.mcp_servers.clone());
        self.servers()?.meet(&port, &shared, turn, only).await;
        let (life, servers) = self.life.as_mut().zip(self.servers.as_ref()).expect("both were opened");
        life.refresh(&shared)?;
        life.forget(&self.port).await?;
        let content = prompt::content(turn.prompt());
        life.remember(turn, Entry::said(Message::User { content })).await;
        let mut spent = Usage::default();
        let outcome = life.go_on(&shared, servers, turn, &mut spent).await;
        Ok(Outcome { usage: (spent != Usage::default()).then_some(spent), ..outcome })
    }

    /// What the agent is, where it is a folder.
    async fn bundle(&self, workspace: &Path) -> Result<Bundle, String> {
        let name = self.port.created.agent.clone();
        if name == MODEL {
            return Ok(Bundle::default());
        }
        let (home, workspace) = (self.shared.custody.sandbox().home.clone(), workspace.to_owned());
        let asked = name.clone();
        let found = tokio::task::spawn_blocking(move || bundle::find(&home, Some(&workspace), &asked)).await;
        let found = found.map_err(|error| error.to_string())??;
        found.ok_or_else(|| {
            format!(
                "the agent {name} is gone: its folder is neither in the daemon's home nor in the workspace"
            )
        })
    }

    /// Its MCP servers, which need no model.
    fn servers(&mut self) -> Result<&mut Servers, String> {
        if self.servers.is_none() {
            self.servers = Some(Servers::open(&self.port, &self.shared)?);
        }
        Ok(self.servers.as_mut().expect("it was opened"))
    }

    /// Finds out where the session stands, and tells that it is at work.
    async fn open(&mut self) -> Result<(), String> {
        let (shared, created) = (Arc::clone(&self.shared), Arc::clone(&self.port.created));
        let store = |error: &dyn std::fmt::Display| format!("the session's log cannot be used: {error}");
        let Some(workspace) = created.workspace.as_deref().map(PathBuf::from) else {
            return Err("this session has no workspace; an agent needs a directory to work in".to_owned());
        };
        let files = Files::open(&workspace)
            .map_err(|error| format!("the workspace {} cannot be used: {error}", workspace.display()))?;
        let look = self
            .port
            .look(|session| (session.agent.incarnation, session.agent.forgotten, session.offered().model));
        let (before, forgotten, model) = look.await.map_err(|error| store(&error))?;
        let chosen = model.and_then(|model| model.chosen.or(model.current));
        let bundle = self.bundle(&workspace).await?;
        let chosen = chosen.or_else(|| bundle.profile.clone());
        let ready = shared.profiles.ready(chosen.as_deref()).map_err(|error| error.to_string())?;
        let history =
            History::load(self.port.cells.log(), self.port.id).await.map_err(|error| store(&error))?;
        let incarnation = before + 1;
        let agent = shared.catalog.resolve(Some(&created.agent), None);
        let agent = agent.unwrap_or_else(|_| Agent::plain(MODEL, Vec::new()));
        let env = environment(&shared.env, &agent);
        let scratch = format!("{}-{incarnation}", self.port.id);
        let shut = Shut::new(shared.custody.sandbox(), &scratch, &agent, &env, &workspace);
        let shut = shut.map_err(|trouble| {
            trouble.tell(&Culprit { name: MODEL, argv: &created.argv, workspace: &workspace }, None)
        })?;
        let started = Started {
            node: self.port.node.clone(),
            incarnation,
            pid: std::process::id(),
            start_time: None,
            boot_id: None,
            argv: vec![MODEL.to_owned()],
            confined: Some(shut.confined),
        };
        self.port.agent(vec![started.into()]).await.map_err(|error| store(&error))?;
        let custody = Arc::new(shared.custody.clone());
        let terminals = Terminals::new(custody, self.port.clone(), env, workspace.clone(), incarnation, shut);
        let home = shared.custody.sandbox().home.clone();
        let own = created.setup.as_ref().and_then(|setup| setup.system_prompt.clone());
        let (system, skills) = system(home, &workspace, &bundle, own).await;
        let mut offered = tools::offered();
        offered.retain(|tool| bundle.offers(&tool.name));
        if !skills.is_empty() {
            offered.push(tools::skill());
        }
        let (files, remote, port, skills) = (Arc::new(files), Vec::new(), self.port.clone(), skills.into());
        let toolbox = Toolbox { files, workspace, terminals, remote, port, bundle, skills };
        self.life = Some(Life { incarnation, history, ready, toolbox, offered, system, forgotten });
        Ok(())
    }

    /// Takes what somebody has chosen, and gives what to tell the log of it.
    fn choose(&mut self) -> Vec<Fact> {
        let owed = self.port.settings.borrow_and_update().clone();
        let settled = |Pending { chosen, setting }: Pending| {
            let error = match setting {
                Setting::Model(name) => self.shared.profiles.ready(Some(&name)).map_or_else(
                    |error| Some(error.to_string()),
                    |ready| {
                        if let Some(life) = &mut self.life {
                            life.ready = ready;
                        }
                        None
                    },
                ),
                Setting::Mode(_) | Setting::Option { .. } => {
                    Some("this agent can be set to another model, and to nothing else".to_owned())
                }
            };
            Settled { chosen, error }.into()
        };
        owed.into_iter().map(settled).collect()
    }

    /// Tells which models there are: a profile is one.
    async fn tell_models(&self) {
        let Some(life) = &self.life else { return };
        let model = |listed: crate::profiles::Listed| {
            let about = format!("{} at {}", listed.profile.model, listed.profile.provider.name());
            json!({ "modelId": listed.name, "name": listed.name, "description": about })
        };
        let available: Vec<_> = self.shared.profiles.list().into_iter().map(model).collect();
        let gauge = json!({ "availableModels": available, "currentModelId": life.ready.name });
        let gauge = Raw::of(&gauge).expect("it has string keys only");
        if let Err(error) = self.port.status("models", gauge).await {
            tracing::warn!(session = %self.port.id, %error, "the models were not told");
        }
    }
}

impl Life {
    /// A profile may have changed since the last turn.
    fn refresh(&mut self, shared: &Shared) -> Result<(), String> {
        self.ready = shared.profiles.ready(Some(&self.ready.name)).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Somebody may have had it forget between two turns.
    async fn forget(&mut self, port: &SessionPort) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| format!("the session's log cannot be used: {error}");
        let forgotten = port.look(|session| session.agent.forgotten).await.map_err(|error| told(&error))?;
        if forgotten != self.forgotten {
            self.history = History::load(port.cells.log(), port.id).await.map_err(|error| told(&error))?;
            self.forgotten = forgotten;
        }
        Ok(())
    }

    async fn remember(&mut self, turn: &Turn, entry: Entry) {
        self.history.apply(&entry);
        turn.fact(Memo { raw: entry.to_raw() }).await;
    }

    /// Asks and carries out until there is no more to do.
    async fn go_on(&mut self, shared: &Shared, servers: &Servers, turn: &Turn, spent: &mut Usage) -> Outcome {
        let steps = self.ready.profile.max_steps.unwrap_or(MAX_STEPS);
        let mut compacted = 0;
        let mut step = 0;
        let mut parked = false;
        let mut meter = Meter::new(self.toolbox.port.cells.now());
        while step < steps {
            let full = compact::is_due(self.history.tokens, &self.history.messages, self.ready.context());
            if full && compacted < MAX_COMPACTED && self.history.messages.len() > 2 {
                compacted += 1;
                match self.compact(shared, turn).await {
                    Ok(true) => {}
                    Ok(false) => return Outcome::of(StopReason::Cancelled),
                    // It may fit all the same: the provider says so if it does not.
                    Err(failure) if failure.kind == FailureKind::ContextTooLong => {}
                    Err(failure) => match self.failed(turn, &failure, &mut parked, &mut meter).await {
                        Some(outcome) => return outcome,
                        None => continue,
                    },
                }
            }
            if let Some(outcome) = self.within_budget(shared, turn, &mut meter).await {
                return outcome;
            }
            step += 1;
            self.toolbox.remote = servers.tools(&self.toolbox.bundle);
            let reply = match self.ask(shared, turn, step).await {
                Answered::Whole(reply) => reply,
                Answered::Stopped(reply) => {
                    self.count(&mut meter, spent, &reply).await;
                    self.keep(turn, reply).await;
                    return Outcome::of(StopReason::Cancelled);
                }
                Answered::Failed(failure)
                    if failure.kind == FailureKind::ContextTooLong && compacted < MAX_COMPACTED =>
                {
                    compacted += 1;
                    match self.compact(shared, turn).await {
                        Ok(true) => continue,
                        Ok(false) => return Outcome::of(StopReason::Cancelled),
                        Err(_) => return self.fail(turn, &failure).await,
                    }
                }
                Answered::Failed(failure) => {
                    match self.failed(turn, &failure, &mut parked, &mut meter).await {
                        Some(outcome) => return outcome,
                        None => continue,
                    }
                }
            };
            self.count(&mut meter, spent, &reply).await;
            self.gauge(turn, &reply, spent.cost).await;
            let (stop, calls) = (reply.stop, self.keep(turn, reply).await);
            match stop {
                Some(Stop::Refusal) => return Outcome::of(StopReason::Refusal),
                Some(Stop::Paused) if calls.is_empty() => continue,
                Some(Stop::MaxTokens | Stop::ContextFull) if calls.is_empty() => {
                    return Outcome::of(StopReason::MaxTokens);
                }
                _ if calls.is_empty() => return Outcome::of(StopReason::EndTurn),
                _ => {}
            }
            let (results, all) = calls::carry_out(&mut self.toolbox, turn, &calls).await;
            self.remember(turn, Entry::said(Message::Tool { results })).await;
            if !all {
                return Outcome::of(StopReason::Cancelled);
            }
        }
        let message = format!(
            "The model was asked {steps} times in this turn, which is the limit; another prompt lets it go on."
        );
        turn.note("max_steps_reached", message, None).await;
        Outcome::of(StopReason::MaxTurnRequests)
    }

    /// Asks a person where a budget is used up; gives how the turn ends, if it does.
    async fn within_budget(&mut self, shared: &Shared, turn: &Turn, meter: &mut Meter) -> Option<Outcome> {
        loop {
            let (port, ready, profiles) = (&self.toolbox.port, &self.ready, &shared.profiles);
            let over = match budget::over(port, profiles, ready, &self.history, meter).await {
                Ok(over) => over?,
                Err(why) => return Some(Outcome::error(why)),
            };
            let settled = tokio::select! {
                biased;
                _ = turn.stopping() => return Some(Outcome::of(StopReason::Cancelled)),
                settled = budget::settle(port, profiles, ready, meter, turn, &over) => settled,
            };
            meter.skip(port.cells.now());
            match settled {
                Outlook::Raised if over.whose == Whose::Session => {
                    self.remember(turn, Entry::Raised {}).await;
                }
                Outlook::Raised | Outlook::Freed => {}
                Outlook::Stop => {
                    let message = format!("The budget is used up: {}.", over.reached.told);
                    turn.note("budget_reached", message, None).await;
                    return Some(Outcome::of(StopReason::MaxTurnRequests));
                }
            }
        }
    }

    async fn ask(&self, shared: &Shared, turn: &Turn, step: u32) -> Answered {
        let repaired = repair(&self.history.messages);
        let (profile, session) = (&self.ready.profile, self.toolbox.port.id.to_string());
        let remote = self.toolbox.remote.iter().map(Remote::about);
        let offered: Vec<Tool> = self.offered.iter().cloned().chain(remote).collect();
        let ask = Ask {
            model: &profile.model,
            system: &self.system,
            messages: &repaired.0,
            tools: if profile.tools == Some(false) { &[] } else { &offered },
            max_tokens: profile.max_tokens,
            temperature: profile.temperature,
            top_p: profile.top_p,
            effort: self.ready.effort(),
            cache_key: Some(&session),
        };
        stream::answer(shared.profiles.http(), &self.ready, &ask, turn, Voice::Aloud(step)).await
    }

    /// `false`: the turn is to stop.
    async fn compact(&mut self, shared: &Shared, turn: &Turn) -> Result<bool, Failure> {
        let Some(entry) =
            compact::compact(shared.profiles.http(), &self.ready, &self.history.messages, turn).await?
        else {
            return Ok(false);
        };
        self.remember(turn, entry).await;
        Ok(true)
    }

    /// Keeps an answer, and gives its calls. No id comes twice in a conversation, whatever the provider thinks of.
    async fn keep(&mut self, turn: &Turn, mut reply: Reply) -> Vec<Call> {
        if reply.parts.is_empty() {
            return Vec::new();
        }
        let mut taken = call_ids(&self.history.messages);
        let mut calls = Vec::new();
        for part in &mut reply.parts {
            let Part::Call(call) = part else { continue };
            if !taken.insert(call.id.clone()) {
                let other = (2..).map(|n| format!("{}-{n}", call.id)).find(|id| !taken.contains(id));
                call.id = other.expect("there are numbers enough");
                taken.insert(call.id.clone());
            }
            calls.push(call.clone());
        }
        let answer = Answer {
            profile: self.ready.name.clone(),
            model: self.ready.profile.model.clone(),
            stop: reply.stop_word,
            usage: usage(&reply.usage, self.ready.profile.prices),
        };
        let message = Message::Assistant { parts: reply.parts };
        self.remember(turn, Entry::Said(Box::new(Said { message, answer: Some(answer) }))).await;
        calls
    }

    /// Counts what an answer used: for the turn, and for the day.
    async fn count(&self, meter: &mut Meter, spent: &mut Usage, reply: &Reply) {
        let more = usage(&reply.usage, self.ready.profile.prices);
        add(spent, &more);
        meter.count(&self.toolbox.port, &self.ready.name, &more).await;
    }

    async fn gauge(&self, turn: &Turn, reply: &Reply, cost: Option<f64>) {
        let (Some(input), Some(output)) = (reply.usage.input, reply.usage.output) else { return };
        let cost = cost.map(|amount| json!({ "amount": amount, "currency": "USD" }));
        let cost = cost.and_then(|cost| serde_json::value::to_raw_value(&cost).ok());
        let update = UsageUpdate { used: input + output, size: self.ready.context(), cost };
        turn.update(SessionUpdate::UsageUpdate(update).to_raw().into()).await;
    }

    /// Waits for the end of a provider's limit, once, where the profile says so; else gives how the turn ends.
    async fn failed(
        &self,
        turn: &Turn,
        failure: &Failure,
        parked: &mut bool,
        meter: &mut Meter,
    ) -> Option<Outcome> {
        let port = &self.toolbox.port;
        let until = park::until(port, &self.ready, failure).filter(|_| !std::mem::replace(parked, true));
        let Some(until) = until else { return Some(self.fail(turn, failure).await) };
        if !park::wait(port, &self.ready, turn, failure, until).await {
            return Some(Outcome::of(StopReason::Cancelled));
        }
        meter.skip(port.cells.now());
        None
    }

    /// Ends a turn that came to nothing, in words for a person and for a program.
    async fn fail(&self, turn: &Turn, failure: &Failure) -> Outcome {
        let data = json!({
            "code": failure.kind.code(),
            "retryable": failure.kind.is_passing(),
            "retry_after_ms": failure.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            "profile": self.ready.name,
        });
        turn.note("model_failed", failure.message.clone(), Raw::of(&data).ok()).await;
        Outcome::error(format!("{} (profile {}, {})", failure.message, self.ready.name, failure.kind.code()))
    }
}

/// What stands over the conversation, and the skills that it tells of. The session's own prompt counts before its agent's.
async fn system(
    home: PathBuf,
    workspace: &Path,
    bundle: &Bundle,
    own: Option<String>,
) -> (String, Vec<Skill>) {
    let (path, bundle) = (workspace.to_owned(), bundle.clone());
    let read = move || {
        let skills = skills::found(&home, &path, bundle.skills.as_deref());
        let mut system = prompt::system(&path, own.as_deref().or(bundle.prompt.as_deref()));
        if !skills.is_empty() {
            system.push_str(&skills::told(&skills));
        }
        (system, skills)
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

fn usage(used: &trunkline_wire::model::Usage, prices: Option<Prices>) -> Usage {
    let cost = prices.map(|prices| {
        let number = |tokens: Option<u64>| tokens.unwrap_or(0) as f64;
        let cached = number(used.cache_read) + number(used.cache_write);
        let sum = (number(used.input) - cached).max(0.0) * prices.input
            + number(used.output) * prices.output
            + number(used.cache_read) * prices.cache_read
            + number(used.cache_write) * prices.cache_write;
        sum / 1_000_000.0
    });
    Usage {
        input: used.input,
        output: used.output,
        cache_read: used.cache_read,
        cache_write: used.cache_write,
        thought: used.thought,
        cost,
    }
}

/// Adds what an answer used.
fn add(spent: &mut Usage, more: &Usage) {
    let sum = |a: Option<u64>, b: Option<u64>| a.map_or(b, |a| Some(a + b.unwrap_or(0)));
    *spent = Usage {
        input: sum(spent.input, more.input),
        output: sum(spent.output, more.output),
        cache_read: sum(spent.cache_read, more.cache_read),
        cache_write: sum(spent.cache_write, more.cache_write),
        thought: sum(spent.thought, more.thought),
        cost: spent.cost.map_or(more.cost, |cost| Some(cost + more.cost.unwrap_or(0.0))),
    };
}
