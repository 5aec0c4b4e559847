//! How busy this host is, told with each heartbeat: by `/proc` where there is one, else nothing is told.

use std::fs;

use factory_proto::v1;

/// Read now. Neither file is on a disk, so that no heartbeat waits. `disk_total` is in bytes.
pub fn read(disk_total: u64) -> Option<v1::HostLoad> {
    let average = fs::read_to_string("/proc/loadavg").ok()?;
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Some(v1::HostLoad {
        load_1m_hundredths: average_hundredths(&average)?,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_total_bytes: bytes(&memory, "MemTotal"),
        memory_available_bytes: bytes(&memory, "MemAvailable"),
        disk_total_bytes: disk_total,
    })
}

/// The first number of `/proc/loadavg`, which has two places after the point.
fn average_hundredths(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_whitespace().next()?.split_once('.')?;
    let hundredths = match rest.len() {
        2 => rest.parse::<u32>().ok()?,
        _ => return None,
    };
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths)
}

/// A line of `/proc/meminfo`, which counts in KiB whatever it calls them; 0 where it is not there.
fn bytes(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_read_in_hundredths() {
        assert_eq!(average_hundredths("3.51 1.38 1.23 2/1234 99\n"), Some(351));
        assert_eq!(average_hundredths("0.07 0.1 0.2"), Some(7));
        assert_eq!(average_hundredths("128.00"), Some(12_800));
        for other in ["", "3", "a.bc", "1.5", "-1.00", "99999999999.00"] {
            assert_eq!(average_hundredths(other), None, "{other:?}");
        }
    }

    #[test]
    fn memory_is_read_by_the_names_of_its_lines() {
        let text =
            "MemTotal:       16384 kB\nMemFree:          12 kB\nMemAvailable:    8192 kB\nMemTotalX: 1 kB\n";
        assert_eq!((bytes(text, "MemTotal"), bytes(text, "MemAvailable")), (16 << 20, 8 << 20));
        assert_eq!(bytes("MemTotal: much\n", "MemTotal"), 0);
        assert_eq!(bytes("", "MemTotal"), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_host_tells() {
        let load = read(7).expect("Linux has /proc");
        assert!(load.cpus > 0 && load.memory_total_bytes >= load.memory_available_bytes);
        assert_eq!(load.disk_total_bytes, 7);
    }
}
