//! What one durable append costs at this moment.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// The median time of `fdatasync` after an append of 4 KiB.
pub fn fdatasync(folder: &Path) -> Duration {
    const PROBES: usize = 50;
    let mut file = File::create(folder.join("sync-probe")).expect("a file beside the database");
    let mut times: Vec<Duration> = (0..PROBES)
        .map(|_| {
            file.write_all(&[0; 4096]).expect("room for a probe");
            let start = Instant::now();
            file.sync_data().expect("a disk that syncs");
            start.elapsed()
        })
        .collect();
    times.sort();
    times[PROBES / 2]
}
