//! Requests: what a person must decide or say. Each gets exactly one outcome, and the first answer wins.

mod check;

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::grant::{Grant, Judged};
use crate::id::{GrantId, RequestId, TurnId};
use crate::machine::{Context, Draft};
use crate::principal::Principal;
use crate::raw::Raw;
use crate::refused::Refused;
use crate::risk::{Level, Risk};
use crate::time::Time;

/// How many requests of one session may be open at a time.
pub const MAX_OPEN: usize = 1_000;
/// How many bytes the open requests of one session may have together. They stay in memory.
pub const MAX_OPEN_BYTES: usize = 32 << 20;
/// How many closed requests a session remembers without asking its rows.
pub const CLOSED_KEPT: usize = 1_000;
/// How many bytes of answers a session remembers with them; the oldest go first.
pub const CLOSED_BYTES_KEPT: usize = 16 << 20;
/// How many labels a request may have, and how many characters each.
pub const MAX_TAGS: usize = 20;
/// See [`MAX_TAGS`].
pub const MAX_TAG: usize = 100;
/// How many characters the name of a tool may have.
pub const MAX_TOOL: usize = 255;
/// How many characters a title may have.
pub const MAX_TITLE: usize = 255;
/// How many bytes a question, an answer or a context may have.
pub const MAX_TEXT_BYTES: usize = 2 << 20;
/// How many bytes the labels of a request may have together.
pub const MAX_TAG_BYTES: usize = 64 << 10;

/// What kind of answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RequestKind")]
pub enum Kind {
    /// May the agent do this? One of the options is the answer.
    Permission,
    /// A text, or one of the options if there are any.
    Question,
    /// An object that fits the schema.
    Form,
}

/// What an option means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptionKind {
    /// Allow this once.
    AllowOnce,
    /// Allow this and remember it.
    AllowAlways,
    /// Refuse this once.
    RejectOnce,
    /// Refuse this and remember it.
    RejectAlways,
    /// Neither: a choice.
    #[serde(other)]
    Choice,
}

impl OptionKind {
    /// Whether it lets the agent go on.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Self::AllowOnce | Self::AllowAlways)
    }

    /// Whether it refuses.
    #[must_use]
    pub const fn rejects(self) -> bool {
        matches!(self, Self::RejectOnce | Self::RejectAlways)
    }
}

/// One of the answers offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// What the agent calls it.
    pub id: String,
    /// What a person reads.
    pub name: String,
    /// What it means.
    pub kind: OptionKind,
}

/// How soon it wants an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When there is time.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Soon.
    High,
    /// Now.
    Urgent,
}

/// What happens when the deadline passes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// Nothing: nobody answers for you.
    #[default]
    Wait,
    /// It closes as expired, with the refusing option if there is one.
    Deny,
    /// It closes as expired with this answer.
    Default(Answer),
    /// It becomes urgent and goes on waiting.
    Escalate,
}

/// A person has to decide or say something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RequestOpened")]
pub struct Opened {
    /// The request.
    pub id: RequestId,
    /// What kind of answer it wants.
    pub kind: Kind,
    /// One line that says what it is about. At most 255 characters.
    pub title: String,
    /// The question in full.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question: String,
    /// The answers offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// The tool call a permission is about, as the agent sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call: Option<Raw>,
    /// The tool's name, by which a grant covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// JSON Schema of a form's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Raw>,
    /// Whatever helps to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Raw>,
    /// How soon.
    #[serde(default)]
    pub priority: Priority,
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// When it stops waiting; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// What happens then.
    #[serde(default, skip_serializing_if = "is_wait")]
    pub on_timeout: OnTimeout,
}

impl Opened {
    /// A question that any words answer and that waits for as long as it takes.
    #[must_use]
    pub const fn question(id: RequestId, title: String, question: String) -> Self {
        Self {
            id,
            kind: Kind::Question,
            title,
            question,
            options: Vec::new(),
            tool_call: None,
            tool: None,
            schema: None,
            context: None,
            priority: Priority::Normal,
            tags: None,
            deadline: None,
            on_timeout: OnTimeout::Wait,
        }
    }
}

fn is_wait(on_timeout: &OnTimeout) -> bool {
    *on_timeout == OnTimeout::Wait
}

/// Its deadline passed and it became urgent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RequestEscalated")]
pub struct Escalated {
    /// The request.
    pub id: RequestId,
}

/// Nobody is asked any more, but it can still be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RequestDismissed")]
pub struct Dismissed {
    /// The request.
    pub id: RequestId,
}

/// An answer: an option, a text, or an object, as the kind of the request wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The id of the option chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// What the person says. With an option: a word to the agent about the choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The filled form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Raw>,
    /// That high risk was seen and is meant. Without it nothing of high risk goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
    /// What the person is called, if the client says so. It proves nothing: who answered is in the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responder: Option<Box<str>>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OutcomeKind")]
pub enum Outcome {
    /// A person answered.
    Answered,
    /// Its time ran out.
    Expired,
    /// The agent, or whoever stopped it, took it back.
    Cancelled,
    /// The agent asked again in another form.
    Superseded,
}

impl Outcome {
    /// The word that fits "was already … by".
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

/// The request has its one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RequestClosed")]
pub struct ClosedFact {
    /// The request.
    pub id: RequestId,
    /// How it ended.
    pub outcome: Outcome,
    /// What the agent is told. There for `answered`, and for `expired` where the request named a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The standing permission that answered in its giver's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// Further ones that were needed: each covers a part of what was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<GrantId>,
}

/// The outcome of a request, with who gave it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RequestOutcome")]
pub struct Closed {
    /// How it ended.
    pub outcome: Outcome,
    /// What the agent was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Who.
    pub by: Principal,
    /// When.
    pub at: Time,
}

/// A request that can be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// What was asked.
    pub asked: Opened,
    /// The turn that asked.
    pub turn: Option<TurnId>,
    /// Who asked.
    pub by: Principal,
    /// When.
    pub at: Time,
    /// What the rules say of it.
    pub judged: Option<Judged>,
    /// When it was dismissed, and by whom.
    pub dismissed: Option<(Time, Principal)>,
}

/// The requests of a session.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// Those that can be answered, dismissed ones included.
    pub open: BTreeMap<RequestId, Open>,
    /// Outcomes of the most recent closed ones.
    pub closed: BTreeMap<RequestId, Closed>,
    order: VecDeque<RequestId>,
    closed_bytes: usize,
}

impl Requests {
    /// Requests that somebody is asked to answer.
    pub fn pending(&self) -> impl Iterator<Item = &Open> {
        self.open.values().filter(|open| open.dismissed.is_none())
    }

    /// Grants a new request.
    pub(crate) fn ask(
        &self,
        asked: &Opened,
        turn: Option<TurnId>,
        strict: bool,
    ) -> Result<Vec<Draft>, Refused> {
        if self.open.contains_key(&asked.id) || self.closed.contains_key(&asked.id) {
            return Err(Refused::Exists { what: "request", id: asked.id.to_string() });
        }
        if self.open.len() >= MAX_OPEN {
            return Err(Refused::TooMany { what: "open requests", limit: MAX_OPEN });
        }
        // Original clients may call a request as they like; whoever shows it cleans it.
        if strict {
            asked.check()?;
        } else {
            asked.check_sizes()?;
        }
        let open: usize = self.open.values().map(|open| open.asked.bytes()).sum();
        if open + asked.bytes() > MAX_OPEN_BYTES {
            return Err(Refused::TooMany { what: "MiB of open requests", limit: MAX_OPEN_BYTES >> 20 });
        }
        Ok(vec![Draft::maybe_of(turn, asked.clone())])
    }

    /// Grants an answer; whoever comes second is told who was first.
    pub(crate) fn answer(&self, id: RequestId, answer: &Answer) -> Result<Vec<Draft>, Refused> {
        let open = self.find(id)?;
        let answer = open.asked.accept(answer)?;
        open.check_confirmed(&answer)?;
        Ok(vec![close(open, Outcome::Answered, Some(answer))])
    }

    /// Sets a request aside.
    pub(crate) fn dismiss(&self, id: RequestId) -> Result<Vec<Draft>, Refused> {
        let open = self.find(id)?;
        if open.dismissed.is_some() {
            return Ok(Vec::new());
        }
        Ok(vec![Draft::maybe_of(open.turn, Dismissed { id })])
    }

    /// Closes a request on behalf of the one who asked.
    pub(crate) fn withdraw(&self, id: RequestId, outcome: Outcome) -> Result<Vec<Draft>, Refused> {
        Ok(vec![close(self.find(id)?, outcome, None)])
    }

    /// Closes what a turn asked, because the turn no longer waits for it.
    pub(crate) fn cancel_of_turn(&self, turn: TurnId) -> Vec<Draft> {
        let of_turn = self.open.values().filter(|open| open.turn == Some(turn));
        of_turn.map(|open| close(open, Outcome::Cancelled, None)).collect()
    }

    /// Closes everything, because the session takes no more work.
    pub(crate) fn cancel_all(&self) -> Vec<Draft> {
        self.open.values().map(|open| close(open, Outcome::Cancelled, None)).collect()
    }

    /// What time alone does: deadlines that have passed.
    pub(crate) fn tick(&self, ctx: &Context<'_>) -> Vec<Draft> {
        let due = self.open.values().filter(|open| open.due().is_some_and(|due| due <= ctx.now));
        due.filter_map(|open| {
            let id = open.asked.id;
            match &open.asked.on_timeout {
                OnTimeout::Wait => None,
                OnTimeout::Deny => Some(close(open, Outcome::Expired, open.asked.refusal())),
                OnTimeout::Default(answer) => Some(close(open, Outcome::Expired, Some(answer.clone()))),
                OnTimeout::Escalate => Some(Draft::maybe_of(open.turn, Escalated { id })),
            }
        })
        .collect()
    }

    /// When the next deadline passes.
    pub(crate) fn next(&self) -> Option<Time> {
        self.open.values().filter_map(Open::due).min()
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::RequestOpened(asked) => {
                let open = Open {
                    asked: asked.clone(),
                    turn: event.turn,
                    by: event.by.clone(),
                    at: event.at,
                    judged: None,
                    dismissed: None,
                };
                self.open.insert(asked.id, open);
            }
            Fact::RequestJudged(judged) => {
                if let Some(open) = self.open.get_mut(&judged.id) {
                    open.judged = Some(judged.clone());
                }
            }
            Fact::RequestEscalated(Escalated { id }) => {
                if let Some(open) = self.open.get_mut(id) {
                    open.asked.priority = Priority::Urgent;
                    open.asked.on_timeout = OnTimeout::Wait;
                    open.dismissed = None;
                }
            }
            Fact::RequestDismissed(Dismissed { id }) => {
                if let Some(open) = self.open.get_mut(id) {
                    open.dismissed = Some((event.at, event.by.clone()));
                }
            }
            Fact::RequestClosed(fact) => self.close(fact, event),
            _ => {}
        }
    }

    fn close(&mut self, fact: &ClosedFact, event: &Event) {
        self.open.remove(&fact.id);
        let closed =
            Closed { outcome: fact.outcome, answer: fact.answer.clone(), by: event.by.clone(), at: event.at };
        self.closed_bytes += closed.bytes();
        match self.closed.insert(fact.id, closed) {
            Some(before) => self.closed_bytes -= before.bytes(),
            None => self.order.push_back(fact.id),
        }
        while self.order.len() > CLOSED_KEPT || self.closed_bytes > CLOSED_BYTES_KEPT && self.order.len() > 1
        {
            let Some(oldest) = self.order.pop_front() else { return };
            self.closed_bytes -= self.closed.remove(&oldest).map_or(0, |closed| closed.bytes());
        }
    }

    fn find(&self, id: RequestId) -> Result<&Open, Refused> {
        match (self.open.get(&id), self.closed.get(&id)) {
            (Some(open), _) => Ok(open),
            (None, Some(closed)) => Err(Refused::RequestClosed { closed: Box::new(closed.clone()) }),
            (None, None) => Err(Refused::not_found("request", id)),
        }
    }
}

impl Closed {
    fn bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, Answer::bytes)
    }
}

impl Answer {
    fn bytes(&self) -> usize {
        let texts = [&self.option, &self.text].into_iter().flatten().map(String::len);
        texts.sum::<usize>() + raw_bytes(self.fields.as_ref())
    }
}

/// Whether choosing this takes a second step: whatever is no refusal, where the risk is high.
#[must_use]
pub fn wants_second_step(risk: Option<&Risk>, choice: &Choice) -> bool {
    risk.is_some_and(|risk| risk.level == Level::High) && !choice.kind.rejects()
}

fn raw_bytes(raw: Option<&Raw>) -> usize {
    raw.map_or(0, |raw| raw.get().len())
}

impl Open {
    /// High risk takes a second step, whichever client was used.
    fn check_confirmed(&self, answer: &Answer) -> Result<(), Refused> {
        let risk = self.judged.as_ref().map(|judged| &judged.risk);
        let chosen = self.asked.options.iter().find(|choice| Some(&choice.id) == answer.option.as_ref());
        match (risk, chosen) {
            (Some(risk), Some(chosen)) if wants_second_step(Some(risk), chosen) && !answer.confirm => {
                Err(Refused::Unconfirmed { reason: risk.reason.clone() })
            }
            (_, Some(_) | None) => Ok(()),
        }
    }

    fn due(&self) -> Option<Time> {
        self.asked.deadline.filter(|_| self.asked.on_timeout != OnTimeout::Wait)
    }
}

impl Opened {
    /// The answer that allows this once, where an option does.
    #[must_use]
    pub fn allowance(&self) -> Option<Answer> {
        let choice = self.options.iter().find(|choice| choice.kind == OptionKind::AllowOnce)?;
        Some(Answer { option: Some(choice.id.clone()), ..Answer::default() })
    }

    /// The outcome by grants that cover it all: it names them, and is said in the place of who gave the first.
    #[must_use]
    pub fn granted(&self, uses: &[Grant], turn: TurnId, now: Time) -> Option<Draft> {
        let (first, others) = uses.split_first()?;
        let also = others.iter().map(|grant| grant.added.id).collect();
        let (id, answer) = (self.id, Some(self.allowance()?));
        let closed = ClosedFact { id, outcome: Outcome::Answered, answer, grant: Some(first.added.id), also };
        Some(Draft { turn: Some(turn), fact: closed.into(), origin: Some((first.by.clone(), now)) })
    }

    /// The answer that refuses, where an option does.
    #[must_use]
    pub fn refusal(&self) -> Option<Answer> {
        let rejects = |kind| self.options.iter().find(move |choice| choice.kind == kind);
        let choice = rejects(OptionKind::RejectOnce).or_else(|| rejects(OptionKind::RejectAlways))?;
        Some(Answer { option: Some(choice.id.clone()), ..Answer::default() })
    }

    /// How many bytes it holds, roughly.
    fn bytes(&self) -> usize {
        let options = self.options.iter().map(|choice| choice.id.len() + choice.name.len());
        let tags = self.tags.iter().flatten().map(String::len);
        let raws = [&self.tool_call, &self.schema, &self.context].map(|raw| raw_bytes(raw.as_ref()));
        let default = match &self.on_timeout {
            OnTimeout::Default(answer) => answer.bytes(),
            OnTimeout::Wait | OnTimeout::Deny | OnTimeout::Escalate => 0,
        };
        let texts = self.title.len() + self.question.len() + self.tool.as_ref().map_or(0, String::len);
        texts + options.chain(tags).chain(raws).sum::<usize>() + default
    }
}

fn close(open: &Open, outcome: Outcome, answer: Option<Answer>) -> Draft {
    Draft::maybe_of(
        open.turn,
        ClosedFact { id: open.asked.id, outcome, answer, grant: None, also: Vec::new() },
    )
}

#[cfg(test)]
mod tests;
