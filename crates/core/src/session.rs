//! Sessions: one agent's work, as a state and the rules over it.

mod command;
mod permit;
mod setup;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::audit::Deed;
use crate::event::{Event, Fact};
use crate::grant::Grants;
use crate::id::{Node, RequestId, SessionId, TurnId};
use crate::key::Keys;
use crate::machine::{Context, Draft, Machine, Receipt, Wanted};
use crate::message::{self, Inbox};
use crate::outside::{self, Born, Outside};
use crate::principal::{Caller, Principal};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::request::{Answer, Requests};
use crate::row::{self, Row};
use crate::setting::{self, Settings};
use crate::tell::Tells;
use crate::text::{check_name, check_size};
use crate::time::Time;
use crate::turn::{self, Turns, Why};

use command::Right;
pub use command::{Beside, Command, Effect, Run};
pub use setup::{MAX_SYSTEM_PROMPT, Setup};

/// How many bytes the metadata of a session may have.
pub const MAX_METADATA_BYTES: usize = 64 << 10;
/// How many characters a path may have.
pub const MAX_PATH: usize = 4_096;

/// A session exists from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionCreated")]
pub struct Created {
    /// Its id.
    pub id: SessionId,
    /// What moves it: `acp` for a hosted agent, `external` for one that runs elsewhere.
    pub driver: String,
    /// The agent's name, as in the catalog.
    pub agent: String,
    /// The command line of a hosted agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// The directory the agent works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The root of the repository the workspace belongs to, else the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whatever the maker wants to find again; an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
    /// How it came to be, where a client of another protocol made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<Born>,
    /// What its maker has decided for an agent of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Box<Setup>>,
    /// The session this is a copy of, from an export. Its facts follow, then `session.imported`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<SessionId>,
}

/// The driver of sessions whose agent runs elsewhere.
pub const EXTERNAL: &str = "external";

/// Title or metadata changed; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionUpdated")]
pub struct Updated {
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The new metadata, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
}

/// All facts of the export are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionImported")]
pub struct Imported {}

/// The session takes no more work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionClosed")]
pub struct Closed {}

/// The session is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionDeleted")]
pub struct Deleted {}

/// The state of a session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// How it was made, by whom and when; `None` before that.
    pub created: Option<(Created, Principal, Time)>,
    /// Its current title.
    pub title: Option<String>,
    /// Its current metadata.
    pub metadata: Option<Raw>,
    /// When it was closed.
    pub closed: Option<Time>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether facts of an export are still coming.
    pub importing: bool,
    /// The last event that moved the state.
    pub updated: Time,
    /// Its turns.
    pub turns: Turns,
    /// Its requests.
    pub requests: Requests,
    /// Its messages.
    pub inbox: Inbox,
    /// What it knows of those that agents send.
    pub tells: Tells,
    /// What is known of an agent that runs elsewhere.
    pub outside: Outside,
    /// Its standing permissions.
    pub grants: Grants,
    /// Its agent.
    pub agent: Agent,
    /// What its agent is to be set to.
    pub settings: Settings,
    keys: Keys,
}

impl Session {
    /// Whether the agent runs elsewhere.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.created.as_ref().is_some_and(|(created, ..)| created.driver == EXTERNAL)
    }

    /// What its agent can be set to, and is.
    #[must_use]
    pub fn offered(&self) -> setting::View {
        self.settings.view(&self.agent)
    }

    fn id(&self) -> Result<SessionId, Refused> {
        match &self.created {
            Some((created, ..)) if self.deleted => Err(Refused::Deleted { id: created.id }),
            Some((created, ..)) => Ok(created.id),
            None => Err(Refused::not_found("session", "of this name")),
        }
    }

    fn open(&self) -> Result<SessionId, Refused> {
        let id = self.id()?;
        if self.closed.is_some() || self.importing { Err(Refused::SessionClosed) } else { Ok(id) }
    }

    fn create(&self, created: &Created) -> Result<Vec<Draft>, Refused> {
        if self.deleted {
            return Err(Refused::Deleted { id: created.id });
        }
        if self.created.is_some() {
            return Err(Refused::Exists { what: "session", id: created.id.to_string() });
        }
        check_name("driver", &created.driver, 40)?;
        check_name("agent", &created.agent, 255)?;
        created.born.as_ref().map_or(Ok(()), Born::check)?;
        for (field, path) in [("workspace", &created.workspace), ("project", &created.project)] {
            if let Some(path) = path {
                check_name(field, path, MAX_PATH)?;
            }
        }
        check_labels(created.title.as_deref(), created.metadata.as_ref())?;
        created.setup.as_ref().map_or(Ok(()), |setup| setup.check())?;
        Ok(vec![created.clone().into()])
    }

    fn adopt(&self, facts: &[Draft]) -> Result<Vec<Draft>, Refused> {
        match facts {
            [Draft { fact: Fact::SessionCreated(created), .. }, ..] => {
                self.create(created).map(|_| facts.to_vec())
            }
            _ => Err(Refused::invalid("line 2", "must be the event session.created")),
        }
    }

    fn close(&self, ctx: &Context<'_>) -> Vec<Draft> {
        if self.closed.is_some() {
            return Vec::new();
        }
        let mut facts = vec![Closed {}.into()];
        facts.extend(self.stop_all(ctx));
        facts
    }

    /// Stops the turn, and takes back what waits.
    fn stop_all(&self, ctx: &Context<'_>) -> Vec<Draft> {
        let mut facts = Vec::new();
        if self.turns.running.is_some() {
            facts.extend(
                self.turns.stop(None, Why::SessionClosed, turn::STOP_GRACE_MS, ctx).unwrap_or_default(),
            );
        }
        facts.extend(self.turns.queue.iter().map(|waiting| Draft::of(waiting.turn, turn::Unqueued {})));
        facts.extend(self.requests.cancel_all());
        facts
    }

    fn delete(&self, ctx: &Context<'_>) -> Vec<Draft> {
        // An export that is still coming may hold more than was there when the session was closed.
        let mut facts = if self.closed.is_none() { self.close(ctx) } else { self.stop_all(ctx) };
        if let Some(running) = &self.turns.running {
            let outcome = turn::Outcome::of(turn::StopReason::Cancelled);
            facts.push(running.end(outcome, false, ctx.now));
        }
        facts.push(Deleted {}.into());
        facts
    }

    /// Has the agent forget what was said. Not while a turn goes on with it.
    fn forget(&self) -> Result<Vec<Draft>, Refused> {
        match &self.turns.running {
            Some(running) => Err(Refused::Busy { turn: running.turn }),
            None if self.agent.remembered == 0 => Ok(Vec::new()),
            None => Ok(vec![crate::agent::Memo::cleared().into()]),
        }
    }

    fn stop(
        &self,
        turn: Option<TurnId>,
        why: Why,
        grace_ms: u64,
        ctx: &Context<'_>,
    ) -> Result<Vec<Draft>, Refused> {
        let mut facts = self.turns.stop(turn, why, grace_ms, ctx)?;
        if let (false, Some(running)) = (facts.is_empty(), &self.turns.running) {
            facts.extend(self.requests.cancel_of_turn(running.turn));
        }
        Ok(facts)
    }

    fn run(&self, run: &Run, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        match run {
            Run::Claim => Ok(self.turns.claim(ctx)),
            Run::Agent(facts) => Ok(facts.iter().cloned().map(Draft::from).collect()),
            Run::Report { turn, attempt, facts } => {
                self.turns.current(*turn, *attempt)?;
                Ok(facts.iter().map(|fact| Draft::of(*turn, fact.clone())).collect())
            }
            Run::Ask { turn, attempt, asked, beside } => {
                let running = self.turns.current(*turn, *attempt)?;
                if running.stopping.is_some() {
                    return Err(Refused::Stale { turn: *turn });
                }
                let mut facts = self.requests.ask(asked, Some(*turn), true)?;
                facts.extend(self.judged(running, asked, beside, ctx));
                Ok(facts)
            }
            Run::Release(standing) => Ok(self.release(&self.grants, standing, ctx.now)),
            Run::End { turn, attempt, outcome, checkpoint } => {
                let running = self.turns.current(*turn, *attempt)?;
                Ok(self.end(running, outcome.clone(), *checkpoint, ctx))
            }
            Run::Checkpointed(turn, kept) => {
                let owed = self.turns.unkept.is_some_and(|unkept| unkept <= *turn);
                Ok(owed.then(|| Draft::of(*turn, kept.clone())).into_iter().collect())
            }
            Run::Recover { checkpoint } => Ok(self.recover(*checkpoint, ctx)),
        }
    }

    /// Ends the turn, closes what it asked, and starts the next.
    fn end(
        &self,
        running: &turn::Running,
        outcome: turn::Outcome,
        checkpoint: bool,
        ctx: &Context<'_>,
    ) -> Vec<Draft> {
        let mut facts = self.requests.cancel_of_turn(running.turn);
        facts.push(running.end(outcome, checkpoint, ctx.now));
        let shutting_down = running.stopping.as_ref().is_some_and(|stopping| stopping.why == Why::Shutdown);
        if self.closed.is_none() && !shutting_down {
            facts.extend(self.turns.next(ctx));
        }
        facts
    }

    /// Ends what an export left open: nothing of it runs here.
    fn end_import(&self, ctx: &Context<'_>) -> Vec<Draft> {
        if !self.importing {
            return Vec::new();
        }
        let mut facts = Vec::new();
        if let Some(running) = &self.turns.running {
            facts.push(running.end(turn::Outcome::of(turn::StopReason::Interrupted), false, ctx.now));
        }
        facts.extend(self.turns.queue.iter().map(|waiting| Draft::of(waiting.turn, turn::Unqueued {})));
        facts.extend(self.requests.cancel_all());
        facts.push(Imported {}.into());
        facts
    }

    /// Whether an earlier life of this node has left something here that [`Run::Recover`] ends.
    #[must_use]
    pub fn is_left_by(&self, node: &Node) -> bool {
        let running = self.turns.running.as_ref().map(|running| &running.node);
        let process = self.agent.process.as_ref().map(|process| &process.node);
        running.into_iter().chain(process).any(|on| on.is_other_life_of(node))
    }

    fn recover(&self, checkpoint: bool, ctx: &Context<'_>) -> Vec<Draft> {
        if self.importing {
            return self.end_import(ctx);
        }
        let died = |node: &Node| node.is_other_life_of(ctx.node);
        let mut facts = Vec::new();
        if let Some(process) = self.agent.process.as_ref().filter(|process| died(&process.node)) {
            let incarnation = process.incarnation;
            facts.push(
                crate::agent::Exited { incarnation, code: None, signal: None, stderr: String::new() }.into(),
            );
        }
        match &self.turns.running {
            Some(running) if died(&running.node) => {
                let outcome = turn::Outcome::of(turn::StopReason::Interrupted);
                facts.extend(self.end(running, outcome, checkpoint, ctx));
            }
            Some(_) => {}
            None if self.closed.is_none() => facts.extend(self.turns.claim(ctx)),
            None => {}
        }
        facts
    }

    fn tick(&self, ctx: &Context<'_>) -> Vec<Draft> {
        let mut facts = self.requests.tick(ctx);
        let told: Vec<_> = facts.iter().filter_map(|draft| self.tell_agent(&draft.fact)).collect();
        facts.extend(told);
        let Some(running) = &self.turns.running else { return facts };
        match (&running.stopping, running.deadline) {
            (None, Some(deadline)) if deadline <= ctx.now => {
                let stop = self.stop(None, Why::Timeout, turn::STOP_GRACE_MS, ctx).unwrap_or_default();
                facts.retain(|draft| draft.turn != Some(running.turn));
                facts.extend(stop);
            }
            (Some(stopping), _) if stopping.until.plus_ms(turn::KILL_MARGIN_MS) <= ctx.now => {
                facts.retain(|draft| draft.turn != Some(running.turn));
                let outcome = turn::Outcome::of(turn::StopReason::Cancelled);
                facts.extend(self.end(running, outcome, false, ctx));
            }
            (None | Some(_), _) => {}
        }
        facts
    }

    fn answer(&self, id: RequestId, answer: &Answer) -> Result<Vec<Draft>, Refused> {
        let mut facts = self.requests.answer(id, answer)?;
        facts.extend(facts.first().and_then(|draft| self.tell_agent(&draft.fact)));
        Ok(facts)
    }

    /// The message by which an agent outside learns how its request ended, in the same frame as the outcome.
    fn tell_agent(&self, fact: &Fact) -> Option<Draft> {
        let Fact::RequestClosed(closed) = fact else { return None };
        let asked_outside = self.requests.open.get(&closed.id).is_some_and(|open| open.turn.is_none());
        let payload = Raw::of(closed).expect("an outcome has a JSON form");
        // What a person says of a message is not for the agent.
        if !asked_outside || self.is_knock(closed.id) || !self.inbox.has_room(&payload) {
            return None;
        }
        let (id, kind, sender) = (closed.id.into(), message::ANSWER.to_owned(), None);
        Some(message::Queued { id, kind, payload, sender }.into())
    }
}

impl Session {
    /// What a command alone asks for, without what follows from that for messages.
    fn decide_alone(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        if let Command::Create(created) = command {
            allow(command, ctx.caller, created.id, created.born.as_ref())?;
            return self.create(created);
        }
        if let Command::Adopt(facts) = command {
            ctx.caller.may_operate()?;
            return self.adopt(facts);
        }
        let id = self.id()?;
        allow(command, ctx.caller, id, self.born())?;
        match command {
            Command::Create(created) => self.create(created),
            Command::Adopt(facts) => self.adopt(facts),
            Command::Update(updated) => {
                check_labels(updated.title.as_deref(), updated.metadata.as_ref())?;
                Ok(vec![updated.clone().into()])
            }
            Command::Import(facts) if self.importing => Ok(facts.clone()),
            Command::Import(_) => Err(Refused::SessionClosed),
            Command::EndImport => Ok(self.end_import(ctx)),
            Command::Close => Ok(self.close(ctx)),
            Command::Delete => Ok(self.delete(ctx)),
            Command::Prompt { .. } if self.is_external() => Err(Refused::External),
            Command::Prompt { queued, when_busy } => {
                self.open().and_then(|_| self.turns.prompt(queued, *when_busy, ctx))
            }
            Command::Unqueue(turn) => self.turns.unqueue(*turn),
            Command::Stop { turn, why, grace_ms } => self.stop(*turn, *why, *grace_ms, ctx),
            Command::Ask(asked) => {
                let strict = self.born().is_none_or(|born| born.dialect == outside::MCP);
                self.open().and_then(|_| self.requests.ask(asked, None, strict))
            }
            Command::Answer(request, answer) => self.answer(*request, answer),
            Command::Dismiss(request) => self.requests.dismiss(*request),
            Command::Withdraw(request, outcome) => self.requests.withdraw(*request, *outcome),
            Command::Send(queued) => self.open().and_then(|_| self.inbox.send(queued)),
            Command::Tell(told, guards) => self.open().and_then(|_| self.tell(told, guards, ctx)),
            Command::Deliver => Ok(self.inbox.deliver()),
            Command::Fetch(messages) => Ok(self.inbox.fetch(messages)),
            Command::Ack(message) => self.inbox.ack(*message),
            Command::Report(report) => {
                check_labels(None, report.metadata.as_ref())?;
                self.report(report)
            }
            Command::Missed(seen) => Ok(self.miss(*seen)),
            Command::Grant(added) => self.open().and_then(|_| self.grant(added, ctx)),
            Command::Revoke(grant) => self.grants.revoke(*grant),
            Command::Forget => self.open().and_then(|_| self.forget()),
            Command::Set(_) if self.is_external() => Err(Refused::External),
            Command::Set(setting) => self.open().and_then(|_| self.settings.choose(&self.agent, setting)),
            Command::Run(run) => self.run(run, ctx),
            Command::Tick => Ok(self.tick(ctx)),
        }
    }
}

impl Machine for Session {
    type Command = Command;
    type Effect = Effect;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        self.decide_alone(command, ctx).map(|facts| self.follow_up(facts, ctx))
    }

    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::SessionCreated(created) => {
                self.title.clone_from(&created.title);
                self.metadata.clone_from(&created.metadata);
                self.importing = created.imported.is_some();
                self.created = Some((created.clone(), event.by.clone(), event.at));
            }
            Fact::SessionImported(_) => self.importing = false,
            Fact::SessionUpdated(updated) => {
                if updated.title.is_some() {
                    self.title.clone_from(&updated.title);
                }
                if updated.metadata.is_some() {
                    self.metadata.clone_from(&updated.metadata);
                }
            }
            Fact::SessionClosed(_) => self.closed = Some(event.at),
            Fact::SessionDeleted(_) => self.deleted = true,
            Fact::TurnQueued(queued) if self.title.is_none() => self.title = turn::headline(&queued.prompt),
            _ => {}
        }
        self.turns.apply(event);
        self.requests.apply(event);
        self.inbox.apply(event);
        self.tells.apply(event);
        self.apply_outside(event);
        self.grants.apply(event);
        self.agent.apply(event);
        self.settings.apply(event);
        self.keys.apply(event);
        if moves(&event.fact) && !matches!(event.fact, Fact::SessionUnseen(_)) {
            self.updated = event.at;
        }
    }

    fn wanted(&self) -> Wanted<Effect> {
        let mut effects = Vec::new();
        if self.importing && !self.deleted {
            return Wanted { effects: vec![Effect::EndImport], next: None };
        }
        let over = self.closed.is_some() || self.deleted;
        if self.deleted {
            effects.push(Effect::Remove);
        }
        if let Some(running) = &self.turns.running {
            effects.push(Effect::Turn(running.clone()));
        } else if let (false, Some(waiting)) = (over, self.turns.queue.front()) {
            effects.push(Effect::Claim(waiting.turn));
        }
        if let (true, None, Some(process)) = (over, &self.turns.running, &self.agent.process) {
            effects.push(Effect::EndAgent(process.incarnation));
        }
        if let (false, Some(turn)) = (self.deleted, self.turns.unkept) {
            effects.push(Effect::Checkpoint(turn));
        }
        if !over && self.agent.process.is_some() && !self.settings.is_empty() {
            effects.extend(self.settings.owed(&self.agent).into_iter().map(Effect::Set));
        }
        let turn = self.turns.running.as_ref().and_then(|running| match &running.stopping {
            Some(stopping) => Some(stopping.until.plus_ms(turn::KILL_MARGIN_MS)),
            None => running.deadline,
        });
        let next = [turn, self.requests.next()].into_iter().flatten().min();
        Wanted { effects, next }
    }

    fn advance(&mut self, events: &[Event]) -> Vec<Row> {
        row::advance(self, events)
    }

    fn moves(event: &Event) -> bool {
        moves(&event.fact) || event.key.is_some()
    }

    fn deed(&self, event: &Event, before: &[Event]) -> Option<Deed> {
        Deed::in_session(self, event, before)
    }

    fn is_removed(&self) -> bool {
        self.deleted
    }

    fn receipt(&self, caller: &Caller, key: &str) -> Option<Receipt> {
        self.keys.find(&caller.principal, key)
    }

    fn tick() -> Option<Command> {
        Some(Command::Tick)
    }
}

/// Whether a fact moves the fold of a session. Frames of those that do not are passed over when a session is loaded.
#[must_use]
pub const fn moves(fact: &Fact) -> bool {
    !matches!(
        fact,
        Fact::TurnUpdate(_)
            | Fact::TurnNote(_)
            | Fact::TerminalStarted(_)
            | Fact::TerminalOutput(_)
            | Fact::TerminalExited(_)
            | Fact::FileRead(_)
            | Fact::FileWritten(_)
            | Fact::Unknown { .. }
    )
}

/// Who may wish what. The agent of a session acts for it; it never answers and never steers.
fn allow(command: &Command, caller: &Caller, id: SessionId, born: Option<&Born>) -> Result<(), Refused> {
    if let Command::Tell(told, _) = command {
        return told.allow(caller);
    }
    if outside::is_local(caller.scope) {
        return outside::allow_local(command, born);
    }
    match command.needs().of {
        Right::Operator => caller.may_operate(),
        Right::Agent => caller.may_act_for(id),
        Right::Hub => Ok(()),
    }
}

fn check_labels(title: Option<&str>, metadata: Option<&Raw>) -> Result<(), Refused> {
    if let Some(title) = title {
        check_name("title", title, 255)?;
    }
    if let Some(metadata) = metadata {
        check_size("metadata", metadata.get().len(), MAX_METADATA_BYTES)?;
        if !metadata.is_object() {
            return Err(Refused::invalid("metadata", "must be an object"));
        }
    }
    Ok(())
}
