//! When a provider's limit is over, where its answer tells that by a point in time or by how much is left.
//!
//! Points in time are the provider's own, so they are measured from the answer's `date`, by the same clock.

use std::time::Duration;

/// What is limited, each by what is left of it and when it is full again.
const LIMITS: [(&str, &str); 6] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// How long it is until whatever is used up is there again; `None` where the headers do not tell.
pub fn reset<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    let date = header("date").and_then(http_date);
    let after = |text: &str| {
        let text = text.trim();
        let until = || {
            let at = rfc3339(text).or_else(|| http_date(text))?;
            Some(Duration::from_secs(u64::try_from(at - date?).unwrap_or(0)))
        };
        span(text).or_else(until)
    };
    if let Some(after) = header("retry-after").and_then(after) {
        return Some(after);
    }
    let used_up = LIMITS.iter().filter(|(left, _)| header(left).is_some_and(|left| left.trim() == "0"));
    used_up.filter_map(|(_, reset)| after(header(reset)?)).max()
}

/// `6m0s`, `1.5s`, `20ms`, or a number of seconds.
fn span(text: &str) -> Option<Duration> {
    let mut all = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end = rest[end..].find(|c: char| !c.is_ascii_lowercase()).map_or(rest.len(), |at| end + at);
        let seconds = match &rest[end..unit_end] {
            "ms" => number / 1_000.0,
            "s" => number,
            "" if all.is_zero() && unit_end == rest.len() => number,
            "m" => number * 60.0,
            "h" => number * 3_600.0,
            "d" => number * 86_400.0,
            _ => return None,
        };
        all = all.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(all)
}

/// `2026-11-28T12:49:26Z`, in seconds since 1970. A part of a second is passed over.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    seconds((year, month, day), time.split('.').next()?)
}

/// `Sat, 28 Nov 2026 12:49:26 GMT`, in seconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.trim().strip_suffix(" GMT")?.split_once(", ")?.1.split(' ');
    let day = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let year = parts.next()?.parse().ok()?;
    seconds((year, i64::try_from(month).ok()? + 1, day), parts.next()?)
}

fn seconds((year, month, day): (i64, i64, i64), time: &str) -> Option<i64> {
    let mut time = time.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let fits = (1970..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    // Counted from a first of March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    fits.then_some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(headers: &[(&str, &'static str)]) -> Option<Duration> {
        reset(|name| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value))
    }

    const DATE: (&str, &str) = ("date", "Sat, 28 Nov 2026 12:49:26 GMT");

    #[test]
    fn a_limit_that_is_used_up_tells_when_it_is_over() {
        let s = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(after(&[("retry-after", " 7 ")]), s(7));
        assert_eq!(after(&[DATE, ("retry-after", "Sat, 28 Nov 2026 12:50:26 GMT")]), s(60));
        assert_eq!(after(&[("retry-after", "Sat, 28 Nov 2026 12:50:26 GMT")]), None, "by whose clock?");
        assert_eq!(after(&[DATE, ("retry-after", "Sat, 28 Nov 2026 12:00:00 GMT")]), s(0), "it is over");
        let tokens = ("x-ratelimit-reset-tokens", "6m0s");
        let requests = ("x-ratelimit-reset-requests", "1.5s");
        assert_eq!(after(&[tokens, requests, ("x-ratelimit-remaining-tokens", "0")]), s(360));
        assert_eq!(
            after(&[tokens, requests, ("x-ratelimit-remaining-requests", "0")]),
            Some(Duration::from_millis(1_500))
        );
        assert_eq!(after(&[tokens, requests]), None, "neither is known to be used up");
        let anthropic = ("anthropic-ratelimit-input-tokens-reset", "2026-11-28T17:49:26.5Z");
        assert_eq!(
            after(&[DATE, anthropic, ("anthropic-ratelimit-input-tokens-remaining", "0")]),
            s(5 * 3_600)
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "soon", "-1", "6x", "1.2.3s", "2026-13-01T00:00:00Z", "Sat, 28 Foo 2026 12:49:26 GMT", "é"]
        {
            assert_eq!(after(&[DATE, ("retry-after", text)]), None, "{text}");
        }
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339("2000-03-01T00:00:00Z"), Some(951_868_800));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    }
}
