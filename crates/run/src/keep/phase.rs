//! When a tree is told to end, and when it is made to: the rules alone, without a process or a clock.
//!
//! ```text
//! Running ──stop──▶ Stopping ──grace over──▶ Killing ─┐ every time a child ends,
//!    └────────────stop, grace 0────────────────▲  ▲───┘ and on a timer that slows down
//! ```

use std::time::Duration;

/// Between two rounds of SIGKILL: doubles from the first to the last.
const ROUNDS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Times are durations since any one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Everything got SIGTERM.
    Stopping {
        kill_at: Duration,
    },
    /// Everything gets SIGKILL until nothing is left. What cannot be killed (in an uninterruptible call, or another
    /// user's) is waited for.
    Killing {
        next: Duration,
        wait: Duration,
    },
}

/// What is to be done to the whole tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Terminate,
    Kill,
}

impl Phase {
    /// The tree is to end; of several deadlines the earliest holds.
    pub(super) fn stop(&mut self, now: Duration, grace: Duration) -> Option<Act> {
        let kill_at = now.saturating_add(grace);
        match *self {
            Self::Running => {
                *self = Self::Stopping { kill_at };
                // The tick that follows kills at once; a SIGTERM before it would only be noise.
                (grace > Duration::ZERO).then_some(Act::Terminate)
            }
            Self::Stopping { kill_at: before } => {
                *self = Self::Stopping { kill_at: kill_at.min(before) };
                None
            }
            Self::Killing { .. } => None,
        }
    }

    /// What is due, given whether a child has ended since the last tick: its own children, which perhaps it had just
    /// made, are ours now.
    pub(super) fn tick(&mut self, now: Duration, child_ended: bool) -> Option<Act> {
        match *self {
            Self::Running => None,
            Self::Stopping { kill_at } if now < kill_at => None,
            Self::Stopping { .. } => {
                *self = Self::Killing { next: now + ROUNDS.0, wait: ROUNDS.0 };
                Some(Act::Kill)
            }
            Self::Killing { next, .. } if now < next => child_ended.then_some(Act::Kill),
            Self::Killing { wait, .. } => {
                let wait = (wait * 2).min(ROUNDS.1);
                *self = Self::Killing { next: now + wait, wait };
                Some(Act::Kill)
            }
        }
    }

    /// When to tick even if nothing happens.
    pub(super) fn deadline(self) -> Option<Duration> {
        match self {
            Self::Running => None,
            Self::Stopping { kill_at: at } | Self::Killing { next: at, .. } => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_tree_that_does_not_heed_sigterm_is_killed_when_the_grace_is_over() {
        let mut phase = Phase::Running;
        assert_eq!((phase.tick(ms(1), true), phase.deadline()), (None, None));
        assert_eq!(phase.stop(ms(5), ms(100)), Some(Act::Terminate));
        assert_eq!((phase.tick(ms(104), true), phase.deadline()), (None, Some(ms(105))));
        assert_eq!((phase.tick(ms(105), false), phase.deadline()), (Some(Act::Kill), Some(ms(115))));
    }

    #[test]
    fn of_several_stops_the_earliest_deadline_holds() {
        let mut phase = Phase::Running;
        assert_eq!(phase.stop(ms(0), ms(100)), Some(Act::Terminate));
        assert_eq!((phase.stop(ms(10), ms(100)), phase.deadline()), (None, Some(ms(100))));
        assert_eq!((phase.stop(ms(20), ms(0)), phase.deadline()), (None, Some(ms(20))));
        assert_eq!(phase.tick(ms(20), false), Some(Act::Kill));
        assert_eq!((phase.stop(ms(21), ms(100)), phase.deadline()), (None, Some(ms(30))));
    }

    #[test]
    fn no_grace_means_no_sigterm() {
        let mut phase = Phase::Running;
        assert_eq!(phase.stop(ms(7), ms(0)), None);
        assert_eq!(phase.tick(ms(7), false), Some(Act::Kill));
    }

    #[test]
    fn an_endless_grace_does_not_overflow() {
        let mut phase = Phase::Running;
        assert_eq!(phase.stop(ms(7), Duration::MAX), Some(Act::Terminate));
        assert_eq!(phase.tick(ms(1 << 40), true), None);
    }

    #[test]
    fn killing_goes_on_at_each_death_and_ever_more_slowly() {
        let mut phase = Phase::Running;
        assert_eq!(phase.stop(ms(0), ms(0)), None);
        let rounds: Vec<u64> = (0..10_000).filter(|&now| phase.tick(ms(now), false).is_some()).collect();
        assert_eq!(rounds[..9], [0, 10, 30, 70, 150, 310, 630, 1270, 2270]);
        assert_eq!(phase.tick(ms(10_000), true), Some(Act::Kill));
    }
}
