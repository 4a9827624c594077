//! Turns: a prompt, the agent's work on it, and its end. One runs at a time; others wait in the queue.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Fact};
use crate::id::{Node, TurnId};
use crate::machine::{Context, Draft};
use crate::principal::Principal;
use crate::raw::Raw;
use crate::refused::Refused;
use crate::text::check_size;
use crate::time::Time;

/// The format of [`Update::update`]: `SessionUpdate` of the Agent Client Protocol, version 1.
pub const ACP: &str = "acp/1";
/// How many prompts may wait.
pub const MAX_QUEUE: usize = 100;
/// How many bytes the prompts that wait may have together. They stay in memory.
pub const MAX_QUEUE_BYTES: usize = 64 << 20;
/// How many bytes the content blocks of one prompt may have together. A prompt that starts at once is written twice into
/// one frame, as queued and as started.
pub const MAX_PROMPT_BYTES: usize = 12 << 20;
/// How long an agent has to end a turn after it was asked to stop, before its processes are killed.
pub const STOP_GRACE_MS: u64 = 5_000;
/// How long after the kill the turn is ended even if its runner says nothing.
pub const KILL_MARGIN_MS: u64 = 5_000;

/// Somebody asked for a turn. Its number is the turn's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnQueued")]
pub struct Queued {
    /// Content blocks as in the Agent Client Protocol.
    pub prompt: Vec<Raw>,
    /// How long the turn may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A queued prompt was taken back before it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnUnqueued")]
pub struct Unqueued {}

/// A node took the turn on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnClaimed")]
pub struct Claimed {
    /// Which node, in which of its lives.
    pub node: Node,
    /// The first attempt is 1. Results of earlier attempts are refused.
    pub attempt: u32,
}

/// The turn runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnStarted")]
pub struct Started {
    /// What the agent was asked, as content blocks.
    pub prompt: Vec<Raw>,
    /// When it is stopped if it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
}

/// The agent said or did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnUpdate")]
pub struct Update {
    /// The format of `update`; always `acp/1` today.
    pub v: String,
    /// One session update, as the agent sent it. Neighbouring text chunks are merged.
    pub update: Raw,
    /// Where the whole update is, when it was too large for the log: `update` has its small members then, and the start
    /// of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Blob>,
}

/// Something large that is kept beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blob {
    /// SHA-256 of its bytes in hexadecimal: the name to ask for it by.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Update {
    /// An update that is small enough for the log.
    #[must_use]
    pub fn of(update: Raw) -> Self {
        Self { v: ACP.to_owned(), update, blob: None }
    }
}

/// Something about the turn that the agent did not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnNote")]
pub struct Note {
    /// A stable code: `bad_line`, `line_too_long`, `unknown_notification` …
    pub code: String,
    /// For a person.
    pub message: String,
    /// The matter itself, where there is one: the notification, the start of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Raw>,
}

/// Why a turn was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "StopCause")]
pub enum Why {
    /// Somebody cancelled it.
    Cancelled,
    /// Its time ran out.
    Timeout,
    /// The daemon stops.
    Shutdown,
    /// The session was closed or deleted.
    SessionClosed,
}

impl Why {
    /// The stop reason of a turn that ends because of this.
    #[must_use]
    pub const fn stop_reason(self) -> StopReason {
        match self {
            Self::Cancelled | Self::SessionClosed => StopReason::Cancelled,
            Self::Timeout => StopReason::Timeout,
            Self::Shutdown => StopReason::Interrupted,
        }
    }
}

/// The turn was asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnStopping")]
pub struct Stopping {
    /// Why.
    pub why: Why,
    /// When the agent's processes are killed if it has not ended by then.
    pub until: Time,
}

/// Why a turn ended: the stop reasons of the Agent Client Protocol, and four of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The agent is done.
    EndTurn,
    /// The model's token limit.
    MaxTokens,
    /// The limit of model requests in one turn.
    MaxTurnRequests,
    /// The agent refused to go on.
    Refusal,
    /// Somebody cancelled it.
    Cancelled,
    /// Its time ran out.
    Timeout,
    /// The daemon stopped or died while it ran.
    Interrupted,
    /// It failed; `error` says how.
    Error,
}

/// What a turn used, as far as the agent or the provider told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// Tokens out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Tokens read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Tokens written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Tokens of thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<u64>,
    /// Cost in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// The turn is over. Every started turn gets one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnEnded")]
pub struct Ended {
    /// Why.
    pub stop_reason: StopReason,
    /// How long it ran.
    pub duration_ms: u64,
    /// What it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What went wrong, for a person, with what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether a checkpoint of it is to be kept in a handoff.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint: bool,
}

/// What to do with a prompt that comes while a turn runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenBusy {
    /// Refuse it.
    #[default]
    Reject,
    /// Let it wait for its turn.
    Queue,
}

/// How a driver says that a turn is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Why.
    pub stop_reason: StopReason,
    /// What it used.
    pub usage: Option<Usage>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Outcome {
    /// A turn that ended with no more to say.
    #[must_use]
    pub const fn of(stop_reason: StopReason) -> Self {
        Self { stop_reason, usage: None, error: None }
    }

    /// A turn that failed.
    pub fn error(message: impl Into<String>) -> Self {
        Self { stop_reason: StopReason::Error, usage: None, error: Some(message.into()) }
    }
}

/// A prompt that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The turn.
    pub turn: TurnId,
    /// Who asked.
    pub by: Principal,
    /// When.
    pub at: Time,
    /// What was asked.
    pub queued: Queued,
}

/// The turn that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// The turn.
    pub turn: TurnId,
    /// Who asked for it.
    pub by: Principal,
    /// Who runs it.
    pub node: Node,
    /// Which attempt this is.
    pub attempt: u32,
    /// When it started.
    pub at: Time,
    /// What the agent was asked.
    pub prompt: Vec<Raw>,
    /// When it is stopped if it has not ended.
    pub deadline: Option<Time>,
    /// Set once it was asked to stop.
    pub stopping: Option<Stopping>,
}

/// The turns of a session.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    /// The one that runs.
    pub running: Option<Running>,
    /// Those that wait, first come first.
    pub queue: VecDeque<Waiting>,
    /// The last one that ended.
    pub last: Option<(TurnId, Ended)>,
    /// How many have ended.
    pub count: u64,
    /// How many tokens all of them have read and written, as far as that was told.
    pub tokens: (u64, u64),
    /// The last one that ended of which a checkpoint is owed.
    pub unkept: Option<TurnId>,
    claimed: Option<(TurnId, Claimed)>,
    asked_by: Option<Principal>,
}

impl Turns {
    /// Grants a prompt: it starts at once where nothing runs, else it waits or is refused.
    pub(crate) fn prompt(
        &self,
        queued: &Queued,
        when_busy: WhenBusy,
        ctx: &Context<'_>,
    ) -> Result<Vec<Draft>, Refused> {
        check_prompt(&queued.prompt)?;
        let turn = TurnId(ctx.next);
        if let (Some(running), WhenBusy::Reject) = (&self.running, when_busy) {
            return Err(Refused::Busy { turn: running.turn });
        }
        if self.queue.len() >= MAX_QUEUE {
            return Err(Refused::TooMany { what: "queued prompts", limit: MAX_QUEUE });
        }
        let queued_bytes =
            |queued: &Queued| queued.prompt.iter().map(|block| block.get().len()).sum::<usize>();
        let waiting: usize = self.queue.iter().map(|waiting| queued_bytes(&waiting.queued)).sum();
        if waiting + queued_bytes(queued) > MAX_QUEUE_BYTES {
            return Err(Refused::TooMany { what: "MiB of queued prompts", limit: MAX_QUEUE_BYTES >> 20 });
        }
        let mut facts = vec![Draft::of(turn, queued.clone())];
        if self.running.is_none() && self.queue.is_empty() {
            facts.extend(start(turn, queued, ctx));
        }
        Ok(facts)
    }

    /// Takes a waiting prompt back.
    pub(crate) fn unqueue(&self, turn: TurnId) -> Result<Vec<Draft>, Refused> {
        if self.queue.iter().any(|waiting| waiting.turn == turn) {
            return Ok(vec![Draft::of(turn, Unqueued {})]);
        }
        match &self.running {
            Some(running) if running.turn == turn => Err(Refused::Busy { turn }),
            _ => Err(Refused::not_found("queued turn", turn)),
        }
    }

    /// Starts the next waiting prompt, if nothing runs.
    pub(crate) fn claim(&self, ctx: &Context<'_>) -> Vec<Draft> {
        if self.running.is_some() { Vec::new() } else { self.next(ctx) }
    }

    /// Starts the next waiting prompt in the frame that ends the running one.
    pub(crate) fn next(&self, ctx: &Context<'_>) -> Vec<Draft> {
        self.queue.front().map_or_else(Vec::new, |waiting| start(waiting.turn, &waiting.queued, ctx))
    }

    /// Asks the running turn to stop. Asking again changes nothing.
    pub(crate) fn stop(
        &self,
        turn: Option<TurnId>,
        why: Why,
        grace_ms: u64,
        ctx: &Context<'_>,
    ) -> Result<Vec<Draft>, Refused> {
        let running = self.running.as_ref().ok_or(Refused::NotRunning)?;
        if turn.is_some_and(|turn| turn != running.turn) {
            return Err(Refused::NotRunning);
        }
        if running.stopping.is_some() {
            return Ok(Vec::new());
        }
        Ok(vec![Draft::of(running.turn, Stopping { why, until: ctx.now.plus_ms(grace_ms) })])
    }

    /// The turn that `attempt` runs.
    pub(crate) fn current(&self, turn: TurnId, attempt: u32) -> Result<&Running, Refused> {
        self.running
            .as_ref()
            .filter(|running| running.turn == turn && running.attempt == attempt)
            .ok_or(Refused::Stale { turn })
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        let Some(turn) = event.turn else { return };
        match &event.fact {
            Fact::TurnQueued(queued) => {
                let waiting = Waiting { turn, by: event.by.clone(), at: event.at, queued: queued.clone() };
                self.queue.push_back(waiting);
            }
            Fact::TurnUnqueued(_) => self.queue.retain(|waiting| waiting.turn != turn),
            Fact::TurnClaimed(claimed) => {
                self.asked_by = self.queue.iter().find(|w| w.turn == turn).map(|w| w.by.clone());
                self.queue.retain(|waiting| waiting.turn != turn);
                self.claimed = Some((turn, claimed.clone()));
            }
            Fact::TurnStarted(started) => self.start(turn, started, event),
            Fact::TurnStopping(stopping) => {
                if let Some(running) = self.running.as_mut().filter(|running| running.turn == turn) {
                    running.stopping = Some(stopping.clone());
                }
            }
            Fact::TurnEnded(ended) => {
                self.running = None;
                self.count += 1;
                if let Some(usage) = &ended.usage {
                    self.tokens.0 = self.tokens.0.saturating_add(usage.input.unwrap_or(0));
                    self.tokens.1 = self.tokens.1.saturating_add(usage.output.unwrap_or(0));
                }
                self.last = Some((turn, ended.clone()));
                if ended.checkpoint {
                    self.unkept = Some(turn);
                }
            }
            // One that was kept late does not stand for those after it.
            Fact::TurnCheckpointed(_) => self.unkept = self.unkept.filter(|unkept| *unkept > turn),
            _ => {}
        }
    }

    fn start(&mut self, turn: TurnId, started: &Started, event: &Event) {
        let Some((_, claimed)) = self.claimed.take().filter(|(claimed, _)| *claimed == turn) else { return };
        self.running = Some(Running {
            turn,
            by: self.asked_by.take().unwrap_or_else(|| event.by.clone()),
            node: claimed.node,
            attempt: claimed.attempt,
            at: event.at,
            prompt: started.prompt.clone(),
            deadline: started.deadline,
            stopping: None,
        });
    }
}

impl Running {
    /// The fact that ends this turn. What stopped it outweighs what the agent calls it, unless the agent was simply done.
    pub(crate) fn end(&self, outcome: Outcome, checkpoint: bool, now: Time) -> Draft {
        let stop_reason = match (&self.stopping, outcome.stop_reason) {
            (Some(stopping), StopReason::Cancelled | StopReason::Error) => stopping.why.stop_reason(),
            (_, reason) => reason,
        };
        let failed = stop_reason == StopReason::Error;
        let Outcome { usage, error, .. } = outcome;
        let duration_ms = now.ms_since(self.at);
        let error = error.filter(|_| failed);
        Draft::of(self.turn, Ended { stop_reason, duration_ms, usage, error, checkpoint })
    }
}

fn start(turn: TurnId, queued: &Queued, ctx: &Context<'_>) -> Vec<Draft> {
    let deadline = queued.timeout_ms.map(|ms| ctx.now.plus_ms(ms));
    vec![
        Draft::of(turn, Claimed { node: ctx.node.clone(), attempt: 1 }),
        Draft::of(turn, Started { prompt: queued.prompt.clone(), deadline }),
    ]
}

fn check_prompt(prompt: &[Raw]) -> Result<(), Refused> {
    #[derive(Deserialize)]
    struct Block {
        r#type: String,
        text: Option<String>,
    }
    if prompt.is_empty() {
        return Err(Refused::invalid("prompt", "must have at least one content block"));
    }
    check_size("prompt", prompt.iter().map(|block| block.get().len()).sum(), MAX_PROMPT_BYTES)?;
    for (i, raw) in prompt.iter().enumerate() {
        let block: Block = raw
            .read()
            .map_err(|_| Refused::invalid(format!("prompt[{i}]"), "must be an object with a text `type`"))?;
        let empty = block.text.as_deref().is_none_or(str::is_empty);
        if block.r#type == "text" && empty {
            return Err(Refused::invalid(format!("prompt[{i}].text"), "must be a text that is not empty"));
        }
    }
    Ok(())
}

/// The first line of the first text block, for titles and lists.
#[must_use]
pub fn headline(prompt: &[Raw]) -> Option<String> {
    #[derive(Deserialize)]
    struct Block {
        text: Option<String>,
    }
    let text = prompt.iter().find_map(|raw| raw.read::<Block>().ok()?.text)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let clean: String = line.chars().filter(|c| !c.is_control()).take(100).collect();
    (!clean.is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw {
        Raw::parse(text).unwrap()
    }

    #[test]
    fn prompts_are_checked_block_by_block() {
        assert!(check_prompt(&[raw(r#"{"type":"text","text":"hi"}"#)]).is_ok());
        assert!(check_prompt(&[raw(r#"{"type":"hologram","x":1}"#)]).is_ok());
        let refused = |blocks: &[Raw]| check_prompt(blocks).unwrap_err().to_string();
        assert_eq!(refused(&[]), "prompt must have at least one content block");
        assert_eq!(refused(&[raw("3")]), "prompt[0] must be an object with a text `type`");
        assert_eq!(
            refused(&[raw(r#"{"type":"text","text":""}"#)]),
            "prompt[0].text must be a text that is not empty"
        );
        let big = raw(&format!(r#"{{"type":"text","text":"{}"}}"#, "x".repeat(MAX_PROMPT_BYTES)));
        assert!(refused(&[big]).contains("the limit is"));
    }

    #[test]
    fn prompts_that_wait_have_a_budget_of_bytes() {
        use crate::principal::Caller;
        let block = raw(&format!(r#"{{"type":"text","text":"{}"}}"#, "x".repeat(10 << 20)));
        let queued = Queued { prompt: vec![block], timeout_ms: None };
        let (caller, node) = (Caller::trunkline(), Node { name: "here".into(), incarnation: 1 });
        let ctx = Context { now: Time(0), caller: &caller, node: &node, next: crate::id::Seq(9) };
        let waiting = |n| Waiting {
            turn: TurnId(crate::id::Seq(n)),
            by: Principal::owner(),
            at: Time(0),
            queued: queued.clone(),
        };
        let turns = |n| Turns { queue: (1..=n).map(waiting).collect(), ..Turns::default() };
        assert!(turns(5).prompt(&queued, WhenBusy::Queue, &ctx).is_ok());
        let refused = turns(6).prompt(&queued, WhenBusy::Queue, &ctx).unwrap_err();
        assert_eq!(refused.to_string(), "there are already 64 MiB of queued prompts, which is the limit");
    }

    #[test]
    fn a_headline_is_the_first_line_with_words() {
        let headline = |t: &str| headline(&[raw(&format!(r#"{{"type":"text","text":"{t}"}}"#))]);
        assert_eq!(headline(r"\n  fix it \nplease").as_deref(), Some("fix it"));
        assert_eq!(headline(" "), None);
    }
}
