//! One worker in full, for people.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use factory_proto::v1;
use factory_proto::v1::DrainState;

use crate::render::console::{BOLD, style};
use crate::render::page::field;
use crate::render::{plain, units};

/// Whether it is there and takes work, in a word or two, and the colour of that.
pub fn state(worker: &v1::Worker) -> (String, AnsiColor) {
    let drain = match worker.drain() {
        DrainState::Unspecified => None,
        DrainState::Draining => Some("draining"),
        DrainState::Drained => Some("drained"),
    };
    match (worker.connected, drain) {
        (true, None) => ("connected".to_owned(), AnsiColor::Green),
        (true, Some(drain)) => (drain.to_owned(), AnsiColor::Yellow),
        (false, None) => ("away".to_owned(), AnsiColor::Yellow),
        (false, Some(drain)) => (format!("away, {drain}"), AnsiColor::Yellow),
    }
}

/// Everything but the table of what it holds.
pub fn page(worker: &v1::Worker, now_ms: i64) -> String {
    let mut page = String::new();
    let (state, color) = state(worker);
    let color = style(color);
    let name = plain::line(&worker.name);
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{BOLD}Worker {name}{BOLD:#}  {color}{state}{color:#}");
    field(&mut page, "id", &worker.id);
    field(&mut page, "version", &worker.version);
    field(&mut page, "drain", &drain(worker, now_ms));
    field(&mut page, "hands over", &hand_over(worker, now_ms));
    field(&mut page, "slots", &format!("{} of {} taken", worker.busy, worker.slots));
    let mut labels: Vec<_> = worker.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.sort();
    field(&mut page, "labels", &labels.join(" "));
    field(&mut page, "free disk", &free_disk(worker));
    field(&mut page, "load", &worker.load.as_ref().map(load).unwrap_or_default());
    field(&mut page, "free memory", &worker.load.as_ref().map(memory).unwrap_or_default());
    field(&mut page, "registered", &moment(worker.registered_at_ms, now_ms));
    field(&mut page, "last seen", &moment(worker.last_seen_at_ms, now_ms));
    field(&mut page, "last decline", &worker.last_decline);
    for (index, agent) in worker.agents.iter().enumerate() {
        field(&mut page, if index == 0 { "agents" } else { "" }, &readiness(agent));
    }
    page
}

fn free_disk(worker: &v1::Worker) -> String {
    let free = units::bytes(worker.free_disk_bytes);
    match worker.load.map_or(0, |load| load.disk_total_bytes) {
        0 => free,
        total => format!("{free} of {}", units::bytes(total)),
    }
}

/// The average beside what the host can do at once.
pub fn load(load: &v1::HostLoad) -> String {
    let (whole, rest) = (load.load_1m_hundredths / 100, load.load_1m_hundredths % 100);
    format!("{whole}.{rest:02} of {}", load.cpus)
}

fn memory(load: &v1::HostLoad) -> String {
    let (available, total) = (load.memory_available_bytes, load.memory_total_bytes);
    if total == 0 { String::new() } else { format!("{} of {}", units::bytes(available), units::bytes(total)) }
}

/// Who wanted it, and since when.
fn drain(worker: &v1::Worker, now_ms: i64) -> String {
    match (worker.drain(), worker.draining_since_ms) {
        (DrainState::Unspecified, _) => String::new(),
        (_, 0) => "told to stop on its own host".to_owned(),
        (_, since) => {
            format!("since {}; `factoryctl workers resume {}` ends it", moment(since, now_ms), worker.name)
        }
    }
}

/// When what it still runs goes to others.
pub fn hand_over(worker: &v1::Worker, now_ms: i64) -> String {
    match (worker.hand_over_at_ms, worker.drain()) {
        (0, _) | (_, DrainState::Drained) => String::new(),
        (at, _) if at <= now_ms => "now".to_owned(),
        (at, _) => units::until_moment(at, now_ms),
    }
}

fn moment(at_ms: i64, now_ms: i64) -> String {
    format!("{} ({} ago)", units::moment(at_ms), units::age(at_ms, now_ms))
}

fn readiness(agent: &v1::AgentReadiness) -> String {
    let v1::AgentReadiness { name, version, warning, unusable_because } = agent;
    let name = format!("{name} {version}");
    let name = name.trim_end();
    if !unusable_because.is_empty() {
        format!("{name}, not offered: {unusable_because}")
    } else if !warning.is_empty() {
        format!("{name}, but: {warning}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, warning: &str, unusable_because: &str) -> v1::AgentReadiness {
        v1::AgentReadiness {
            name: name.to_owned(),
            version: "2.1".to_owned(),
            warning: warning.to_owned(),
            unusable_because: unusable_because.to_owned(),
        }
    }

    #[test]
    fn the_page_says_what_stands_against_each_agent() {
        let worker = v1::Worker {
            name: "anvil\u{1b}[2J".to_owned(),
            agents: vec![
                agent("claude", "", "it is not logged in"),
                agent("command", "no sandbox", ""),
                agent("scripted", "", ""),
            ],
            ..Default::default()
        };
        let page = page(&worker, 0);
        for said in
            ["claude 2.1, not offered: it is not logged in", "command 2.1, but: no sandbox", "scripted 2.1\n"]
        {
            assert!(page.contains(said), "{said} is missing in\n{page}");
        }
        assert!(!page.contains("[2J"), "{page}");
    }

    #[test]
    fn how_busy_a_host_is_stands_beside_what_it_has() {
        let load = v1::HostLoad {
            load_1m_hundredths: 305,
            cpus: 8,
            memory_total_bytes: 4 << 30,
            memory_available_bytes: 1 << 30,
            disk_total_bytes: 100 << 30,
        };
        let worker = v1::Worker { free_disk_bytes: 5 << 30, load: Some(load), ..Default::default() };
        let told = page(&worker, 0);
        for said in ["5.0 GiB of 100.0 GiB", "3.05 of 8", "1.0 GiB of 4.0 GiB"] {
            assert!(told.contains(said), "{said} is missing in\n{told}");
        }
        assert!(!page(&v1::Worker::default(), 0).contains("load"));
    }

    #[test]
    fn a_drain_is_told_with_who_wanted_it() {
        let mut worker = v1::Worker { connected: true, ..Default::default() };
        assert_eq!(state(&worker).0, "connected");
        worker.set_drain(DrainState::Draining);
        assert_eq!(state(&worker).0, "draining");
        assert!(!page(&worker, 0).contains("hands over"));
        worker.hand_over_at_ms = 60_000;
        assert!(page(&worker, 0).contains("hands over"));
        assert_eq!(hand_over(&worker, 60_000), "now");
        assert!(page(&worker, 0).contains("told to stop on its own host"));
        (worker.draining_since_ms, worker.connected) = (1, false);
        worker.set_drain(DrainState::Drained);
        assert_eq!(state(&worker).0, "away, drained");
        assert!(page(&worker, 60_001).contains("(1m ago); `factoryctl workers resume"));
    }
}
