//! Points in time as the original writes them.

use trunkline_core::time::{Time, Utc};

/// `2026-11-21T07:39:49.459000`: UTC without a zone, and without a fraction when that is zero.
pub(crate) fn naive(time: Time) -> String {
    let Utc { year, month, date, hour, minute, second, ms, .. } = time.utc();
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}000") };
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}{fraction}")
}

/// The same from microseconds since 1970, with `+00:00`.
pub(crate) fn zoned_micros(micros: i64) -> String {
    let whole = naive(Time(micros.div_euclid(1_000_000) * 1_000));
    let fraction = match micros.rem_euclid(1_000_000) {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    format!("{whole}{fraction}+00:00")
}

/// The same with `+00:00`.
pub(crate) fn zoned(time: Time) -> String {
    format!("{}+00:00", naive(time))
}

/// `Sat, 21 Nov 2026 07:39:49 GMT`, as headers have it.
pub(crate) fn http(time: Time) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Utc { day, year, month, date, hour, minute, second, .. } = time.utc();
    let word = |words: &[&'static str], n: i64| usize::try_from(n).ok().and_then(|n| words.get(n).copied());
    let weekday = word(&DAYS, day.rem_euclid(7)).unwrap_or("Thu");
    let month = word(&MONTHS, month - 1).unwrap_or("Jan");
    format!("{weekday}, {date:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_six_digits_or_none() {
        assert_eq!(naive(Time(0)), "1970-01-01T00:00:00");
        assert_eq!(naive(Time(1_795_246_789_459)), "2026-11-21T07:39:49.459000");
        assert_eq!(zoned(Time(951_782_400_001)), "2000-02-29T00:00:00.001000+00:00");
        assert_eq!(zoned_micros(951_782_400_000_001), "2000-02-29T00:00:00.000001+00:00");
        assert_eq!(zoned_micros(951_782_400_000_000), "2000-02-29T00:00:00+00:00");
        assert_eq!(naive(Time(4_107_542_400_000)), "2100-03-01T00:00:00");
        assert_eq!(http(Time(1_795_246_789_459)), "Sat, 21 Nov 2026 07:39:49 GMT");
    }
}
