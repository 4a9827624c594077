//! What models have used today, over all sessions, and what they may use on a day before a person is asked.
//!
//! A day is one of UTC: it begins at the same moment for everybody who reads of it, and never has 23 hours. Only the newest day is
//! remembered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Reached;
use crate::event::{Event, Fact};
use crate::machine::{Context, Draft, Grown, Machine, Wanted};
use crate::refused::Refused;
use crate::time::Time;

/// How many profiles are counted apart on a day. What further ones use is counted as [`OTHERS`].
pub const MAX_COUNTED: usize = 1_000;
/// Stands for the profiles that are too many to be counted apart; no profile can have this name.
pub const OTHERS: &str = "(others)";
/// After how many facts the log is made short.
const COMPACT_AFTER: u64 = 1_000;

/// The most that may be used on a day. What is absent has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DailyBudget {
    /// Tokens read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// US dollars, by the profiles' prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// Seconds that turns have taken, those of different sessions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// What was used on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DayUsed")]
pub struct Used {
    /// Tokens read and written.
    pub tokens: u64,
    /// US dollars.
    pub cost: f64,
    /// Prompts.
    pub turns: u32,
    /// Milliseconds that turns have taken.
    pub ms: u64,
}

/// What a profile, or all of them, have used on a day so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SpendingCounted")]
pub struct Counted {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// The profile; absent for what is about all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// All that it has used on that day.
    pub used: Used,
    /// How often a person has let as much again be used on that day.
    #[serde(default)]
    pub raised: u32,
}

/// A wish about what is used. Only the daemon has any.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A profile has used this.
    Count {
        /// The profile.
        profile: String,
        /// What it has used, since it was counted last.
        used: Used,
    },
    /// A person lets as much again be used today.
    Raise {
        /// By this profile; by all of them together if absent.
        profile: Option<String>,
    },
}

/// What was used on the newest day.
#[derive(Debug, Default)]
pub struct Spending {
    day: i64,
    all: Share,
    profiles: BTreeMap<String, Share>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Share {
    used: Used,
    raised: u32,
}

/// What was used on a day, beside what may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DaySpending")]
pub struct Day {
    /// The day, such as 2026-11-28, in UTC.
    pub day: String,
    /// When the next one begins.
    pub until: Time,
    /// All profiles together.
    pub all: Account,
    /// Each profile that was used or that has a limit.
    pub profiles: BTreeMap<String, Account>,
}

/// What was used, beside what may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DayAccount")]
pub struct Account {
    /// What was used.
    #[serde(flatten)]
    pub used: Used,
    /// What may be used on a day before a person is asked; absent where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<DailyBudget>,
    /// How often a person has let as much again be used on this day.
    pub raised: u32,
}

impl DailyBudget {
    /// Checks it.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check(&self) -> Result<(), Refused> {
        let none = self.tokens == Some(0) || self.turns == Some(0) || self.seconds == Some(0);
        let cost = self.cost.is_none_or(|cost| cost.is_finite() && cost > 0.0);
        if none || !cost {
            return Err(Refused::invalid("daily_budget", "must have limits above 0"));
        }
        Ok(())
    }
}

impl Account {
    /// The first limit that is reached. A prompt that is already counted is not stopped by how many prompts there are.
    #[must_use]
    pub fn reached(&self, is_new: bool) -> Option<Reached> {
        let (budget, used, times) = (self.budget?, &self.used, u64::from(self.raised) + 1);
        let limit = |limit: Option<u64>| limit.map(|limit| limit.saturating_mul(times));
        if let Some(limit) = limit(budget.tokens).filter(|limit| used.tokens >= *limit) {
            return Some(Reached {
                what: "tokens",
                told: format!("{} of {limit} tokens are used today", used.tokens),
            });
        }
        if let Some(limit) = budget.cost.map(|limit| limit * times as f64).filter(|limit| used.cost >= *limit)
        {
            return Some(Reached {
                what: "cost",
                told: format!("{:.2} of {limit:.2} dollars are used today", used.cost),
            });
        }
        if let Some(limit) =
            limit(budget.turns.map(u64::from)).filter(|limit| is_new && u64::from(used.turns) >= *limit)
        {
            return Some(Reached { what: "turns", told: format!("{limit} prompts were taken today") });
        }
        let limit = limit(budget.seconds).filter(|limit| used.ms / 1_000 >= *limit)?;
        let told = format!("turns have taken {} s today, and {limit} s are the limit", used.ms / 1_000);
        Some(Reached { what: "seconds", told })
    }
}

impl Used {
    fn plus(self, more: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(more.tokens),
            cost: self.cost + more.cost,
            turns: self.turns.saturating_add(more.turns),
            ms: self.ms.saturating_add(more.ms),
        }
    }
}

impl Spending {
    /// What was used on the day of `now`: nothing, where the newest day is another.
    #[must_use]
    pub fn on(
        &self,
        now: Time,
        all: Option<DailyBudget>,
        budgets: impl IntoIterator<Item = (String, Option<DailyBudget>)>,
    ) -> Day {
        let utc = now.utc();
        let today = self.day == utc.day;
        let account = |share: Option<&Share>, budget| {
            let Share { used, raised } = share.filter(|_| today).copied().unwrap_or_default();
            Account { used, budget, raised }
        };
        let mut profiles: BTreeMap<String, Account> = BTreeMap::new();
        if today {
            let used = self.profiles.iter().map(|(name, share)| (name.clone(), account(Some(share), None)));
            profiles.extend(used);
        }
        for (name, budget) in budgets {
            if budget.is_some() {
                let share = account(self.profiles.get(&name), budget);
                profiles.insert(name, share);
            }
        }
        let mut whole = account(Some(&self.all), all);
        if today {
            whole.used = self.profiles.values().fold(Used::default(), |sum, share| sum.plus(share.used));
        }
        Day {
            day: format!("{:04}-{:02}-{:02}", utc.year, utc.month, utc.date),
            until: Time(utc.day.saturating_add(1).saturating_mul(86_400_000)),
            all: whole,
            profiles,
        }
    }

    fn share(&self, day: i64, profile: &str) -> Share {
        self.profiles.get(profile).filter(|_| self.day == day).copied().unwrap_or_default()
    }

    /// The name under which a profile is counted.
    fn counted_as(&self, day: i64, profile: &str) -> String {
        let full = self.day == day && self.profiles.len() >= MAX_COUNTED;
        if full && !self.profiles.contains_key(profile) { OTHERS.to_owned() } else { profile.to_owned() }
    }
}

impl Machine for Spending {
    type Command = Command;
    type Effect = std::convert::Infallible;

    fn decide(&self, command: &Command, ctx: &Context<'_>) -> Result<Vec<Draft>, Refused> {
        // A clock that was set back counts on the newest day: nothing is counted twice, and nothing is free.
        let day = ctx.now.utc().day.max(self.day);
        let counted = match command {
            Command::Count { profile, used } => {
                let profile = self.counted_as(day, profile);
                let Share { used: before, raised } = self.share(day, &profile);
                Counted { day, profile: Some(profile), used: before.plus(*used), raised }
            }
            Command::Raise { profile: Some(profile) } => {
                let profile = self.counted_as(day, profile);
                let Share { used, raised } = self.share(day, &profile);
                Counted { day, profile: Some(profile), used, raised: raised.saturating_add(1) }
            }
            Command::Raise { profile: None } => {
                let raised = if self.day == day { self.all.raised } else { 0 };
                Counted { day, profile: None, used: Used::default(), raised: raised.saturating_add(1) }
            }
        };
        Ok(vec![counted.into()])
    }

    fn apply(&mut self, event: &Event) {
        let Fact::SpendingCounted(Counted { day, profile, used, raised }) = &event.fact else { return };
        if *day > self.day {
            *self = Self { day: *day, ..Self::default() };
        }
        if *day < self.day {
            return;
        }
        let share = Share { used: *used, raised: *raised };
        match profile {
            Some(profile) => {
                self.profiles.insert(profile.clone(), share);
            }
            None => self.all = share,
        }
    }

    fn wanted(&self) -> Wanted<Self::Effect> {
        Wanted::nothing()
    }

    fn compaction(&self, grown: Grown) -> Option<Vec<Draft>> {
        let facts = self.profiles.len() as u64 + 1;
        if grown.events < COMPACT_AFTER + 2 * facts {
            return None;
        }
        let of = |profile, share: &Share| {
            Counted { day: self.day, profile, used: share.used, raised: share.raised }.into()
        };
        let profiles = self.profiles.iter().map(|(name, share)| of(Some(name.clone()), share));
        Some(std::iter::once(of(None, &self.all)).chain(profiles).collect())
    }

    /// Every call of a model looks at it.
    fn stays(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
