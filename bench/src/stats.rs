//! What a pile of measurements says.

use std::time::Duration;

/// Durations, as many as were measured.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// The same where there may be millions: those beyond the first 200,000 are left out.
    pub(crate) fn push_some(&mut self, took: Duration) {
        if self.0.len() < 200_000 {
            self.0.push(took);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> f64 {
        self.0.len() as f64
    }

    /// The value that `percent` of all do not exceed, in milliseconds. 100 is the longest; 0 ms if nothing was measured.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).map_or(0.0, |took| millis(*took))
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<I: IntoIterator<Item = Duration>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

pub(crate) fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measurements_and_not_between_them() {
        let samples: Samples = (1..=200).rev().map(Duration::from_millis).collect();
        let at = [0, 1, 50, 99, 100].map(|percent| samples.percentile(percent));
        assert_eq!(at, [1.0, 2.0, 100.0, 198.0, 200.0]);
        assert_eq!(Samples::from_iter([Duration::from_micros(1500)]).percentile(99), 1.5);
        assert_eq!(Samples::default().median(), 0.0);
    }
}
