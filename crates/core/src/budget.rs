//! What a session may use before a person is asked whether it may go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refused::Refused;

/// The most that a session may use. What is absent has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Tokens read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// US dollars, by the profile's prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// Seconds that one turn takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_s: Option<u64>,
}

/// What a session has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Tokens read and written.
    pub tokens: u64,
    /// US dollars.
    pub cost: f64,
    /// Prompts, that of the running turn included.
    pub turns: u32,
    /// Seconds that the running turn has taken.
    pub turn_s: u64,
}

/// A limit that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Which: `tokens`, `cost`, `turns` or `turn_s`.
    pub what: &'static str,
    /// The limit and what was used, for a person.
    pub told: String,
}

impl Budget {
    /// The first limit that is reached, where a person has let it be used so many times more.
    #[must_use]
    pub fn reached(&self, spent: &Spent, more: u32) -> Option<Reached> {
        let times = u64::from(more) + 1;
        let tokens =
            self.tokens.map(|limit| limit.saturating_mul(times)).filter(|limit| spent.tokens >= *limit);
        if let Some(limit) = tokens {
            return Some(Reached::new("tokens", format!("{} of {limit} tokens are used", spent.tokens)));
        }
        let cost = self.cost.map(|limit| limit * times as f64).filter(|limit| spent.cost >= *limit);
        if let Some(limit) = cost {
            return Some(Reached::new("cost", format!("{:.2} of {limit:.2} dollars are used", spent.cost)));
        }
        // The prompt that runs is within the limit; one more is not.
        let turns =
            self.turns.map(|limit| u64::from(limit) * times).filter(|limit| u64::from(spent.turns) > *limit);
        if let Some(limit) = turns {
            return Some(Reached::new("turns", format!("{limit} prompts were taken")));
        }
        let turn_s =
            self.turn_s.map(|limit| limit.saturating_mul(times)).filter(|limit| spent.turn_s >= *limit);
        turn_s.map(|limit| {
            Reached::new(
                "turn_s",
                format!("this turn has taken {} s, and {limit} s are the limit", spent.turn_s),
            )
        })
    }

    /// Checks it.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check(&self) -> Result<(), Refused> {
        let none = self.tokens == Some(0) || self.turns == Some(0) || self.turn_s == Some(0);
        let cost = self.cost.is_none_or(|cost| cost.is_finite() && cost > 0.0);
        if none || !cost {
            return Err(Refused::invalid("budget", "must have limits above 0"));
        }
        Ok(())
    }
}

impl Reached {
    const fn new(what: &'static str, told: String) -> Self {
        Self { what, told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn what(budget: Budget, spent: Spent, more: u32) -> Option<&'static str> {
        budget.reached(&spent, more).map(|reached| reached.what)
    }

    #[test]
    fn each_limit_stops_what_would_go_past_it_and_as_much_again_can_be_given() {
        let tokens = Budget { tokens: Some(100), ..Budget::default() };
        let used = |tokens| Spent { tokens, ..Spent::default() };
        assert_eq!(what(tokens, used(99), 0), None);
        assert_eq!(what(tokens, used(100), 0), Some("tokens"));
        assert_eq!(what(tokens, used(199), 1), None);
        let cost = Budget { cost: Some(0.5), ..Budget::default() };
        assert_eq!(what(cost, Spent { cost: 0.5, ..Spent::default() }, 0), Some("cost"));
        let turns = Budget { turns: Some(2), ..Budget::default() };
        assert_eq!(what(turns, Spent { turns: 2, ..Spent::default() }, 0), None);
        assert_eq!(what(turns, Spent { turns: 3, ..Spent::default() }, 0), Some("turns"));
        let time = Budget { turn_s: Some(60), ..Budget::default() };
        assert_eq!(what(time, Spent { turn_s: 60, ..Spent::default() }, 0), Some("turn_s"));
        assert_eq!(
            what(Budget::default(), Spent { tokens: u64::MAX, cost: 1e9, turns: 9, turn_s: 9 }, 0),
            None
        );
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        assert!(Budget { tokens: Some(0), ..Budget::default() }.check().is_err());
        assert!(Budget { cost: Some(f64::NAN), ..Budget::default() }.check().is_err());
        assert!(Budget { cost: Some(0.01), turns: Some(1), ..Budget::default() }.check().is_ok());
    }

    proptest! {
        #[test]
        fn who_gives_enough_is_never_stopped(limit in 1_u64..1_000_000, tokens in 0_u64..1_000_000) {
            let budget = Budget { tokens: Some(limit), ..Budget::default() };
            let more = u32::try_from(tokens / limit).unwrap();
            prop_assert_eq!(what(budget, Spent { tokens, ..Spent::default() }, more), None);
            prop_assert_eq!(what(budget, Spent { tokens, ..Spent::default() }, 0).is_some(), tokens >= limit);
        }
    }
}
