//! Points in time as the original writes them.

use trunkline_core::time::Time;

/// `2026-11-21T07:39:49.459000`: UTC without a zone, and without a fraction when that is zero.
pub(crate) fn naive(time: Time) -> String {
    let (day, rest) = (time.0.div_euclid(86_400_000), time.0.rem_euclid(86_400_000));
    let (year, month, date) = civil(day);
    let (seconds, ms) = (rest / 1_000, rest % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}000") };
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}{fraction}")
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
    let day = time.0.div_euclid(86_400_000);
    let (year, month, date) = civil(day);
    let word = |words: &[&'static str], n: i64| usize::try_from(n).ok().and_then(|n| words.get(n).copied());
    let weekday = word(&DAYS, day.rem_euclid(7)).unwrap_or("Thu");
    let month = word(&MONTHS, month - 1).unwrap_or("Jan");
    format!("{weekday}, {date:02} {month} {year:04} {} GMT", &naive(time)[11..19])
}

/// The date of a day since 1970-01-01, by the rules of the Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that a leap day is the last of its year, in eras of 400 years.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_six_digits_or_none() {
        assert_eq!(naive(Time(0)), "1970-01-01T00:00:00");
        assert_eq!(naive(Time(1_795_246_789_459)), "2026-11-21T07:39:49.459000");
        assert_eq!(zoned(Time(951_782_400_001)), "2000-02-29T00:00:00.001000+00:00");
        assert_eq!(naive(Time(4_107_542_400_000)), "2100-03-01T00:00:00");
        assert_eq!(http(Time(1_795_246_789_459)), "Sat, 21 Nov 2026 07:39:49 GMT");
    }
}
