//! How templates write times, sizes and sums. `time.js` writes times the same way.

use factory_domain::Timestamp;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, State};

pub fn add(environment: &mut Environment<'static>) {
    environment.add_filter("ago", ago);
    environment.add_filter("since", since);
    environment.add_filter("lasted", lasted);
    environment.add_filter("bytes", bytes);
    environment.add_filter("usd", usd);
    environment.add_filter("count", count);
    environment.add_filter("short", short);
}

/// A time as how long ago it is, or how far off; in full as its title.
fn ago(state: &State, time: &str) -> Result<Value, Error> {
    let seconds = now(state)? - seconds_of(time)?;
    let text = match seconds {
        -4..5 => "now".to_owned(),
        5.. => format!("{} ago", span(seconds)),
        _ => format!("in {}", span(-seconds)),
    };
    Ok(element(time, "", &text))
}

/// How long it has been since; counts up.
fn since(state: &State, time: &str) -> Result<Value, Error> {
    let seconds = (now(state)? - seconds_of(time)?).max(0);
    Ok(element(time, " data-since", &span(seconds)))
}

/// From one time to another.
fn lasted(begin: &str, end: &str) -> Result<String, Error> {
    Ok(span((seconds_of(end)? - seconds_of(begin)?).max(0)))
}

fn element(time: &str, mark: &str, text: &str) -> Value {
    let time = HtmlEscape(time);
    let text = HtmlEscape(text);
    Value::from_safe_string(format!("<time datetime=\"{time}\" title=\"{time}\"{mark}>{text}</time>"))
}

fn seconds_of(time: &str) -> Result<i64, Error> {
    let time: Result<jiff::Timestamp, _> = time.parse();
    time.map(jiff::Timestamp::as_second)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("not a time: {error}")))
}

/// When the page is rendered: all pages are given that.
fn now(state: &State) -> Result<i64, Error> {
    let now = state.lookup("now").and_then(|now| i64::try_from(now).ok());
    now.ok_or_else(|| Error::new(ErrorKind::UndefinedError, "the page was not given the time"))
}

pub fn seconds(now: Timestamp) -> i64 {
    now.as_millis() / 1000
}

fn span(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (seconds, hours) {
        (..60, _) => format!("{seconds} s"),
        (60..3600, _) => format!("{minutes} min"),
        (_, ..10) if minutes % 60 != 0 => format!("{hours} h {} min", minutes % 60),
        (_, ..48) => format!("{hours} h"),
        _ => format!("{} d", hours / 24),
    }
}

/// With two figures of meaning or more, in the units that disks are sold in.
fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(size < 9.95 && unit > 0);
    format!("{size:.digits$} {}", UNITS[unit])
}

fn usd(dollars: f64) -> String {
    match dollars {
        ..0.000_001 => "$0".to_owned(),
        ..0.1 => format!("${dollars:.3}"),
        ..1000.0 => format!("${dollars:.2}"),
        _ => format!("${}", grouped(dollars.round() as u64)),
    }
}

fn count(count: u64) -> String {
    grouped(count)
}

/// At most so many characters.
fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// In groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = match digits.len() % 3 {
        0 => 3,
        rest => rest,
    };
    let (head, tail) = digits.split_at(first.min(digits.len()));
    let mut text = head.to_owned();
    for group in tail.as_bytes().chunks(3) {
        text.push(',');
        text.extend(group.iter().map(|digit| char::from(*digit)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_short() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (5400, "1 h 30 min"),
            (36_060, "10 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn sizes_and_sums_are_short() {
        for (size, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1500.0, "1.5 kB"),
            (999_999.0, "1.0 MB"),
            (42_000_000_000.0, "42 GB"),
            (7e15, "7000 TB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (sum, text) in [
            (0.0, "$0"),
            (0.0042, "$0.004"),
            (1.5, "$1.50"),
            (12_345.6, "$12,346"),
            (1_234_567.0, "$1,234,567"),
        ] {
            assert_eq!(usd(sum), text);
        }
        for (number, text) in [(0, "0"), (100, "100"), (1000, "1,000"), (100_000, "100,000")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn a_time_is_an_element_and_what_is_no_time_is_an_error() {
        let mut environment = Environment::new();
        add(&mut environment);
        let text = |source: &str, time: &str| {
            let context = minijinja::context! { now => 1_000_000, time };
            environment.render_named_str("t.html", source, context)
        };
        let shown = text("{{ time|ago }}", "1970-01-12T13:45:40Z").expect("rendered");
        assert_eq!(
            shown,
            "<time datetime=\"1970-01-12T13:45:40Z\" title=\"1970-01-12T13:45:40Z\">1 min ago</time>"
        );
        let shown = text("{{ time|ago }}", "1970-01-12T14:46:40Z").expect("rendered");
        assert!(shown.contains(">in 1 h<"), "{shown}");
        assert!(text("{{ time|ago }}", "<b>").is_err());
    }
}
