//! `[delivery]`: how much agents may write to each other.

use serde::Deserialize;
use trunkline_core::tell::Guards;

use super::FILE;
use crate::error::{CliError, Result};
use crate::moment::parse_duration;

/// The table of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    pair: Option<usize>,
    pair_window: Option<String>,
    cooldown: Option<String>,
    hops: Option<u32>,
    budget: Option<usize>,
}

impl Table {
    pub(super) fn guards(&self) -> Result<Guards> {
        let plain = Guards::default();
        let span = |key: &str, text: Option<&String>, default| {
            let Some(text) = text else { return Ok(default) };
            let bad = |why: String| CliError::usage(format!("delivery.{key}: {why} (from {FILE})"));
            let time = parse_duration(text).map_err(bad)?;
            let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            // Longer than that nothing is remembered.
            if ms <= 3_600_000 { Ok(ms) } else { Err(bad("must be at most 1h".to_owned())) }
        };
        Ok(Guards {
            pair: self.pair.unwrap_or(plain.pair),
            pair_window_ms: span("pair_window", self.pair_window.as_ref(), plain.pair_window_ms)?,
            cooldown_ms: span("cooldown", self.cooldown.as_ref(), plain.cooldown_ms)?,
            hops: self.hops.unwrap_or(plain.hops),
            budget: self.budget.unwrap_or(plain.budget),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_counts_and_is_checked() {
        let of = |toml: &str| toml::from_str::<Table>(toml).unwrap().guards();
        assert_eq!(of("").unwrap(), Guards::default());
        let guards = of("pair = 2\npair_window = \"30m\"\ncooldown = \"90s\"\nhops = 0\nbudget = 5").unwrap();
        let expected = Guards { pair: 2, pair_window_ms: 1_800_000, cooldown_ms: 90_000, hops: 0, budget: 5 };
        assert_eq!(guards, expected);
        assert!(of("pair_window = \"2h\"").is_err() && of("cooldown = \"soon\"").is_err());
    }
}
