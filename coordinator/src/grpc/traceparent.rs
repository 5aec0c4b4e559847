//! W3C trace context: taken from the caller where it is valid, made where it is not.

use uuid::Uuid;

/// The caller's `traceparent`, or a fresh one that is sampled.
pub fn from_header(header: Option<&str>) -> String {
    header.filter(|header| is_valid(header)).map_or_else(mint, str::to_owned)
}

/// Version 00: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, neither id all zeros.
fn is_valid(header: &str) -> bool {
    let parts: Vec<&str> = header.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { return false };
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let set = |text: &str| text.bytes().any(|b| b != b'0');
    version == "00" && hex(trace, 32) && set(trace) && hex(parent, 16) && set(parent) && hex(flags, 2)
}

fn mint() -> String {
    let trace = Uuid::new_v4().simple();
    let (parent, _) = Uuid::new_v4().as_u64_pair();
    format!("00-{trace}-{parent:016x}-01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_one_is_kept_and_any_other_replaced() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(from_header(Some(good)), good);
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for bad in
            [None, Some(""), Some("garbage"), Some(zeros), Some(&good.to_uppercase()), Some(&good[1..])]
        {
            let made = from_header(bad);
            assert!(is_valid(&made) && Some(made.as_str()) != bad, "{bad:?} became {made}");
        }
    }
}
