//! How long a turn may wait until a provider's limit is over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refused::Refused;
use crate::time::Time;

/// The longest that anything may wait: a week.
pub const LONGEST_S: u64 = 7 * 86_400;
/// Providers tell whole seconds; a request that comes in the last of them is refused once more.
const SLACK_MS: u64 = 1_000;

/// A turn that meets a provider's limit waits until that is over, and goes on by itself, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Park {
    /// How many seconds it waits at most; a limit that lasts longer ends the turn. Six hours if not said.
    pub max_s: u64,
}

impl Default for Park {
    fn default() -> Self {
        Self { max_s: 6 * 3_600 }
    }
}

impl Park {
    /// Until when to wait where the limit is over in `after_ms`; `None` where that is too long.
    #[must_use]
    pub fn until(&self, now: Time, after_ms: u64) -> Option<Time> {
        let fits = after_ms <= self.max_s.saturating_mul(1_000);
        fits.then(|| now.plus_ms(after_ms).plus_ms(SLACK_MS))
    }

    /// Checks it.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check(&self) -> Result<(), Refused> {
        if !(1..=LONGEST_S).contains(&self.max_s) {
            return Err(Refused::invalid("park.max_s", "must be from 1 second to a week"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_too_long_is_not_waited_for() {
        let park = Park { max_s: 10 };
        assert_eq!(park.until(Time(5), 10_000), Some(Time(11_005)));
        assert_eq!(park.until(Time(5), 10_001), None);
        assert_eq!(Park { max_s: u64::MAX }.until(Time(5), u64::MAX), Some(Time(i64::MAX)));
        assert!(park.check().is_ok() && Park::default().check().is_ok());
        assert!(Park { max_s: 0 }.check().is_err() && Park { max_s: LONGEST_S + 1 }.check().is_err());
    }
}
