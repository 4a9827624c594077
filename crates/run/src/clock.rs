//! The one place where time is read.

use tokio::time::Instant;
use trunkline_core::time::Time;

/// Wall time at boot plus the monotonic time since: it never goes back, whatever is done to the system's clock.
#[derive(Debug, Clone)]
pub struct Clock {
    wall: Time,
    boot: Instant,
}

impl Clock {
    /// Starts from the system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let now = std::time::SystemTime::now();
        let since_epoch = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::at(Time(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Starts from a given time; with tokio's paused clock, time then passes as a test says.
    #[must_use]
    pub fn at(wall: Time) -> Self {
        Self { wall, boot: Instant::now() }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        let elapsed = self.boot.elapsed().as_millis();
        self.wall.plus_ms(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// The instant at which it will be `time`, for timers.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        let ms = time.ms_since(self.wall);
        // A deadline beyond what an instant can hold is as good as none: a century away.
        let far = std::time::Duration::from_secs(100 * 365 * 24 * 3_600);
        self.boot + std::time::Duration::from_millis(ms).min(far)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_as_tokio_says() {
        let clock = Clock::at(Time(5_000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), Time(5_250));
        tokio::time::sleep_until(clock.instant(Time(6_000))).await;
        assert_eq!(clock.now(), Time(6_000));
    }
}
