//! The guards: pure rules over who has written lately.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tells;
use crate::principal::Principal;
use crate::time::Time;

/// How long messages are remembered: as long as the longest window.
const HOUR_MS: u64 = 3_600_000;
/// How many are remembered. The budget is far below it, unless somebody has set it there.
const MAX_HEARD: usize = 10_000;
/// How long an agent that runs elsewhere counts as acting on a message that it got.
const OUTSIDE_MS: u64 = 600_000;

/// How much agents may write to one agent. People are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// How many messages one sender may send to one agent within the window.
    pub pair: usize,
    /// That window; at most an hour.
    pub pair_window_ms: u64,
    /// How long after a message the same sender sends none to the same agent.
    pub cooldown_ms: u64,
    /// How many messages may lead to one another.
    pub hops: u32,
    /// How many messages of agents one agent takes within an hour, from all of them together.
    pub budget: usize,
}

impl Default for Guards {
    fn default() -> Self {
        Self { pair: 10, pair_window_ms: 600_000, cooldown_ms: 1_000, hops: 8, budget: 30 }
    }
}

/// Which guard held a message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Too many messages of one sender to one agent.
    PairRate,
    /// Too soon after the last one.
    Cooldown,
    /// Too many messages that led to one another.
    Hops,
    /// Too many messages of agents for one agent within an hour.
    Budget,
}

impl Guard {
    /// The word in facts and errors.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PairRate => "pair_rate",
            Self::Cooldown => "cooldown",
            Self::Hops => "hops",
            Self::Budget => "budget",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A message that came in.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    at: Time,
    by: Principal,
    hops: u32,
}

/// The guard, until when it holds such messages back, and why.
pub(super) type Bite = (Guard, Option<Time>, String);

impl Tells {
    /// Whether another message may come in.
    pub(super) fn check(&self, guards: &Guards, by: &Principal, hops: u32, now: Time) -> Result<(), Bite> {
        if hops > guards.hops {
            let why = format!(
                "{} messages have led to this one, each written in the turn that the one before had woken; the limit is {}",
                hops - 1,
                guards.hops
            );
            return Err((Guard::Hops, None, why));
        }
        let of_pair = || self.heard.iter().filter(|heard| heard.by == *by);
        if let Some(last) = of_pair().next_back().map(|heard| heard.at.plus_ms(guards.cooldown_ms))
            && last > now
        {
            let why = format!("the last message of {by} came less than {} ms ago", guards.cooldown_ms);
            return Err((Guard::Cooldown, Some(last), why));
        }
        let full = |at: &[Time], most: usize, window_ms: u64| {
            let within: Vec<_> = at.iter().filter(|at| at.plus_ms(window_ms) > now).collect();
            let frees = within.len().checked_sub(most)?;
            Some(within.get(frees).map_or(now, |at| **at).plus_ms(window_ms))
        };
        let pair: Vec<_> = of_pair().map(|heard| heard.at).collect();
        let window_ms = guards.pair_window_ms.min(HOUR_MS);
        if let Some(until) = full(&pair, guards.pair, window_ms) {
            let why = format!("{by} has sent {} messages within {} s", guards.pair, window_ms / 1_000);
            return Err((Guard::PairRate, Some(until), why));
        }
        let all: Vec<_> = self.heard.iter().map(|heard| heard.at).collect();
        if let Some(until) = full(&all, guards.budget, HOUR_MS) {
            let why = format!("agents have sent {} messages to this one within an hour", guards.budget);
            return Err((Guard::Budget, Some(until), why));
        }
        Ok(())
    }

    /// Whether it was told already that this guard holds the sender's messages back now.
    pub(super) fn is_held(&self, by: &Principal, guard: Guard, now: Time) -> bool {
        let known = self.held.get(&(by.clone(), guard));
        known.is_some_and(|until| until.is_none_or(|until| until > now))
    }

    pub(super) fn hear(&mut self, by: &Principal, hops: u32, at: Time) {
        if by.is_person() {
            return;
        }
        while self.heard.len() >= MAX_HEARD
            || self.heard.front().is_some_and(|oldest| oldest.at.plus_ms(HOUR_MS) <= at)
        {
            self.heard.pop_front();
        }
        self.heard.push_back(Heard { at, by: by.clone(), hops });
    }

    /// What led to whatever an agent that runs elsewhere does now: the last message it got, for a while.
    pub(super) fn hops_outside(&self, now: Time) -> u32 {
        let last = self.heard.back().filter(|last| last.at.plus_ms(OUTSIDE_MS) > now);
        last.map_or(0, |last| last.hops)
    }
}
