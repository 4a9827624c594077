//! The one place where time is read.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;
use trunkline_core::time::Time;

/// How long a timer sleeps at most before it looks at the clock again. A timer of the system stands still while the machine
/// sleeps, and the clock does not.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Wall time at the start plus the time since: it never goes back, whatever is done to the system's clock, and it goes on
/// while the machine sleeps.
#[derive(Debug, Clone)]
pub struct Clock {
    wall: Time,
    began: Began,
}

/// What tells the time since the start.
#[derive(Debug, Clone)]
enum Began {
    /// The kernel's clock that counts sleep too.
    Boot(Duration),
    /// Tokio's, which tests can pause.
    Tokio(Instant),
    /// One that a test moves by hand.
    #[cfg(test)]
    Hand(std::sync::Arc<std::sync::atomic::AtomicU64>),
}

impl Clock {
    /// Starts from the system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let now = std::time::SystemTime::now();
        let since_epoch = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let wall = Time(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        Self { wall, began: Began::Boot(since_boot()) }
    }

    /// Starts from a given time and goes with tokio's clock: with that paused, time passes as a test says.
    #[must_use]
    pub fn at(wall: Time) -> Self {
        Self { wall, began: Began::Tokio(Instant::now()) }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        let elapsed = match &self.began {
            Began::Boot(began) => since_boot().saturating_sub(*began),
            Began::Tokio(began) => began.elapsed(),
            #[cfg(test)]
            Began::Hand(ms) => Duration::from_millis(ms.load(std::sync::atomic::Ordering::SeqCst)),
        };
        self.wall.plus_ms(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    /// Waits until it is `time`. A jump is noticed within a minute.
    pub async fn sleep_until(&self, time: Time) {
        loop {
            match time.ms_since(self.now()) {
                0 => return,
                left => tokio::time::sleep(Duration::from_millis(left).min(LOOK_AGAIN)).await,
            }
        }
    }
}

/// The time since the machine was started, with the time it slept.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_as_tokio_says() {
        let clock = Clock::at(Time(5_000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), Time(5_250));
        clock.sleep_until(Time(6_000)).await;
        assert_eq!(clock.now(), Time(6_000));
        clock.sleep_until(Time(1)).await;
        assert_eq!(clock.now(), Time(6_000), "what is past is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn the_systems_clock_is_not_the_one_that_timers_go_by() {
        let clock = Clock::system();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert!(clock.now().ms_since(before) < 3_600_000, "it is the kernel's, which counts sleep too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_of_the_machine_is_noticed_within_a_minute() {
        let ms = Arc::new(AtomicU64::new(0));
        let clock = Clock { wall: Time(0), began: Began::Hand(Arc::clone(&ms)) };
        let began = Instant::now();
        let wait = clock.sleep_until(Time(36_000_000));
        let suspend = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            // Ten hours pass while the timers stand still.
            ms.store(36_000_000, Ordering::SeqCst);
        };
        tokio::join!(wait, suspend);
        assert!(began.elapsed() <= LOOK_AGAIN + Duration::from_millis(1), "{:?}", began.elapsed());
    }
}
