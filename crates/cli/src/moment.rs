//! Times and spans of time, as people write and read them.

use std::time::Duration;

use trunkline_core::time::Time;

/// Reads `90s`, `10m`, `1h30m`, `2d`, `250ms`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time span; write it as 90s, 10m, 1h30m or 2d");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let ms = match &unit[..end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(ms).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &unit[end..];
    }
    Ok(total)
}

/// A span in its two largest units: `1h 30m`, `4s`, `250ms`.
pub(crate) fn show_duration(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let Some(at) = UNITS.iter().position(|(unit, _)| ms >= *unit) else { return format!("{ms}ms") };
    let (unit, name) = UNITS[at];
    let whole = format!("{}{name}", ms / unit);
    match UNITS.get(at + 1) {
        Some((next, name)) if ms % unit >= *next => format!("{whole} {}{name}", ms % unit / next),
        _ => whole,
    }
}

/// How long ago something was: `now`, `5m ago`.
pub(crate) fn ago(now: Time, then: Time) -> String {
    match now.ms_since(then) {
        0..1_000 => "now".to_owned(),
        ms => format!("{} ago", coarse(ms)),
    }
}

/// When something will be: `in 5m`, or `over`.
pub(crate) fn until(now: Time, then: Time) -> String {
    match then.ms_since(now) {
        0 => "over".to_owned(),
        ms => format!("in {}", coarse(ms)),
    }
}

fn coarse(ms: u64) -> String {
    let text = show_duration(ms);
    text.split(' ').next().map(str::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown() {
        for (text, ms, shown) in [
            ("90s", 90_000, "1m 30s"),
            ("1h30m", 5_400_000, "1h 30m"),
            ("2d", 172_800_000, "2d"),
            ("250ms", 250, "250ms"),
            ("1h5s", 3_605_000, "1h"),
            ("0s", 0, "0ms"),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(show_duration(ms), shown);
        }
        for bad in ["", "5", "m", "5 m", "-5m", "5x", "99999999999999999999d", "18446744073709551615d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_told_from_now() {
        let at = |ms: i64| Time(1_000_000 + ms);
        assert_eq!(ago(at(500), at(0)), "now");
        assert_eq!(ago(at(61_500), at(0)), "1m ago");
        assert_eq!(ago(at(0), at(61_500)), "now", "clocks may differ");
        assert_eq!(until(at(0), at(7_200_000)), "in 2h");
        assert_eq!(until(at(1), at(0)), "over");
    }
}
