//! Amounts as people read them: time, money, bytes, counts.

use jiff::{SignedDuration, Timestamp};

use factory_proto::v1;

/// `0.4s`, `41s`, `5m12s`, `3h05m`, `2d04h`: the two largest units.
pub fn span(millis: i64) -> String {
    let millis = millis.max(0);
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{seconds}.{}s", millis % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How long ago, in one unit; empty for a time that has not come about.
pub fn age(at_ms: i64, now_ms: i64) -> String {
    if at_ms == 0 {
        return String::new();
    }
    let seconds = (now_ms - at_ms).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Date and time where the user is.
pub fn moment(at_ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(at_ms) else { return at_ms.to_string() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Time of day where the user is.
pub fn clock(at_ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(at_ms) else { return at_ms.to_string() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// RFC 3339 in UTC, for programs; absent for a time that has not come about.
pub fn rfc3339(at_ms: i64) -> Option<String> {
    (at_ms != 0).then(|| Timestamp::from_millisecond(at_ms).ok().map(|at| at.to_string())).flatten()
}

/// `$0.42`; cents are not enough for small runs, so below ten of them four digits.
pub fn money(micro_usd: u64) -> String {
    let dollars = micro_usd / 1_000_000;
    let rest = micro_usd % 1_000_000;
    if micro_usd == 0 || micro_usd >= 100_000 {
        let cents = (rest + 5_000) / 10_000;
        format!("${}.{:02}", dollars + cents / 100, cents % 100)
    } else {
        format!("$0.{:04}", (rest + 50) / 100)
    }
}

pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = count.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `1 file`, `2 files`.
pub fn count(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// `2 files +10 -3`; empty where nothing changed.
pub fn diff_stat(stat: &v1::DiffStat) -> String {
    if *stat == v1::DiffStat::default() {
        return String::new();
    }
    format!("{} +{} -{}", count(stat.files.into(), "file"), stat.insertions, stat.deletions)
}

/// `in 5s`, for a time to come.
pub fn until(at_ms: i64, now_ms: i64) -> String {
    let left = SignedDuration::from_millis(at_ms - now_ms);
    if left.is_positive() { format!("in {}", span(at_ms - now_ms)) } else { "now".to_owned() }
}

/// `14:30:00, in 2h04m`, and the date where it is more than a day away.
pub fn until_moment(at_ms: i64, now_ms: i64) -> String {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let at = if at_ms - now_ms < DAY { clock(at_ms) } else { moment(at_ms) };
    format!("{at}, {}", until(at_ms, now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        let shown: Vec<_> =
            [0, 450, 41_000, 312_000, 11_100_000, 187_200_000].into_iter().map(span).collect();
        assert_eq!(shown, ["0.0s", "0.4s", "41s", "5m12s", "3h05m", "2d04h"]);
    }

    #[test]
    fn money_keeps_the_digits_that_matter() {
        let shown: Vec<_> =
            [0, 1_234, 99_960, 100_000, 1_995_000, 12_340_000].into_iter().map(money).collect();
        assert_eq!(shown, ["$0.00", "$0.0012", "$0.1000", "$0.10", "$2.00", "$12.34"]);
    }

    #[test]
    fn bytes_are_told_in_the_unit_that_fits() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
    }
}
