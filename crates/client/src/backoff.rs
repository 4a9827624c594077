//! How long to wait before connecting again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first wait, unless the server names another.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits that double from 200 ms, or from what the server asked for, to 10 s; each is shortened by up to a half at
/// random, so that many clients do not come back in step.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(crate) fn next(&mut self, hint: Option<Duration>) -> Duration {
        let wait = delay(self.failures, hint, random());
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It worked: the next wait is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

fn delay(failures: u32, hint: Option<Duration>, random: u64) -> Duration {
    let first = hint.unwrap_or(FIRST).min(LONGEST);
    let whole = first.saturating_mul(1 << failures.min(16)).min(LONGEST);
    let half = whole / 2;
    let part = u32::try_from(random % 1_000).unwrap_or_default();
    half + half * part / 1_000
}

/// A number nobody can foresee; the standard library draws the keys of each hasher anew.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_bounds_and_start_over() {
        for failures in 0..40 {
            let whole = FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST);
            for random in [0, 1, 499, 999, u64::MAX] {
                let wait = delay(failures, None, random);
                assert!(wait >= whole / 2 && wait <= whole, "{failures} {random} {wait:?}");
            }
        }
        let mut backoff = Backoff::default();
        let hint = Some(Duration::from_millis(500));
        assert!(backoff.next(hint) >= Duration::from_millis(250));
        assert!(backoff.next(hint) >= Duration::from_millis(500));
        backoff.reset();
        assert!(backoff.next(hint) <= Duration::from_millis(500));
    }

    #[test]
    fn clients_do_not_come_back_in_step() {
        let waits: std::collections::BTreeSet<_> = (0..32).map(|_| Backoff::default().next(None)).collect();
        assert!(waits.len() > 8, "{waits:?}");
    }
}
