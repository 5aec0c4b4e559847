//! What is printed.

use std::time::Duration;

use crate::drain;

pub struct Take {
    /// Tasks a second.
    pub rate: f64,
    /// The slower of the probes before and after.
    pub sync: Duration,
}

pub struct Row {
    name: &'static str,
    target: f64,
    pub limit: Vec<Take>,
    pub ours: Vec<Take>,
}

impl Row {
    pub fn new(name: &'static str, target: f64) -> Self {
        Self { name, target, limit: Vec::new(), ours: Vec::new() }
    }
}

/// Past this a sync waited for a scheduler tick: something else kept the machine busy.
const NOISY: Duration = Duration::from_millis(1);

pub fn heading() {
    println!(
        "{:<34} {:>22} {:>22} {:>7} {:>7}  fdatasync",
        "tasks/s: median (min–max)", "the limit", "the factory", "ratio", "target"
    );
}

pub fn row(row: &Row) {
    let (limit, ours) = (Summary::of(&row.limit), Summary::of(&row.ours));
    let ratio = ours.median / limit.median;
    let sync = limit.sync.max(ours.sync);
    let noisy = if sync > NOISY { "  NOISY: take it again on a quiet machine" } else { "" };
    println!(
        "{:<34} {:>22} {:>22} {:>7.2} {:>7.2}  {:.2} / {:.2} ms{noisy}",
        row.name,
        limit.text(),
        ours.text(),
        ratio,
        row.target,
        millis(limit.sync),
        millis(ours.sync),
    );
}

pub fn drain(takes: &[Take]) {
    let all = Summary::of(takes);
    println!(
        "drain of {} no-op tasks, {} workers × {} slots, tasks/s: {}  fdatasync {:.2} ms",
        drain::TASKS,
        drain::WORKERS,
        drain::SLOTS,
        all.text(),
        millis(all.sync),
    );
}

/// `sorted`, ascending.
pub fn offers(sorted: &[Duration]) {
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    println!(
        "submit → offer in a worker's hands, idle: p50 {:.2} ms, p99 {:.2} ms over {}",
        millis(at(0.5)),
        millis(at(0.99)),
        sorted.len()
    );
}

struct Summary {
    median: f64,
    min: f64,
    max: f64,
    sync: Duration,
}

impl Summary {
    fn of(takes: &[Take]) -> Self {
        let mut rates: Vec<f64> = takes.iter().map(|take| take.rate).collect();
        rates.sort_by(f64::total_cmp);
        let sync = takes.iter().map(|take| take.sync).max().unwrap_or_default();
        Self { median: rates[rates.len() / 2], min: rates[0], max: rates[rates.len() - 1], sync }
    }

    fn text(&self) -> String {
        format!("{:.0} ({:.0}–{:.0})", self.median, self.min, self.max)
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
