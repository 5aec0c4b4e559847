//! Which processes are alive, and whose they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// A live process, as a failed assertion shows it.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: i32,
    pub command: String,
}

/// The agent's processes of an attempt, found by the variable each inherits. The shim carries it
/// too; it owns the agent and is none of its processes.
pub fn of_attempt(attempt: &str) -> Vec<Process> {
    let marker = format!("FACTORY_ATTEMPT_ID={attempt}");
    let carries = |environ: &[u8]| environ.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes());
    all()
        .filter(|(process, environ)| carries(environ) && !is_shim(process))
        .map(|(process, _)| process)
        .collect()
}

fn is_shim(process: &Process) -> bool {
    process.command.split(' ').nth(1) == Some("shim")
}

/// Whatever runs with `folder` in its environment: a test's host, and all that was started there.
pub fn of_folder(folder: &Path) -> Vec<Process> {
    let needle = folder.as_os_str().as_bytes();
    let within = |environ: &[u8]| environ.windows(needle.len()).any(|window| window == needle);
    all().filter(|(_, environ)| within(environ)).map(|(process, _)| process).collect()
}

/// What runs for attempts there: their shims, and their agents' processes.
pub fn of_attempts_in(folder: &Path) -> (Vec<Process>, Vec<Process>) {
    let needle = folder.as_os_str().as_bytes();
    let within = |environ: &[u8]| environ.windows(needle.len()).any(|window| window == needle);
    let marked = |environ: &[u8]| {
        environ.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"FACTORY_ATTEMPT_ID="))
    };
    all()
        .filter(|(_, environ)| marked(environ) && within(environ))
        .map(|(process, _)| process)
        .partition(is_shim)
}

/// Tasks, each with those of its attempts whose agents have a process there, zombies and shims
/// excepted. What the worker itself runs for an attempt carries no task.
pub fn of_agents_in(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let needle = folder.as_os_str().as_bytes();
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for (process, environ) in all() {
        let value = |name: &str| {
            let entry =
                environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(name.as_bytes()));
            entry.map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let within = environ.windows(needle.len()).any(|window| window == needle);
        if let (true, false, Some(task), Some(attempt)) =
            (within, is_shim(&process), value("FACTORY_TASK_ID="), value("FACTORY_ATTEMPT_ID="))
        {
            found.entry(task).or_default().insert(attempt);
        }
    }
    found
}

pub(super) fn kill_all_of(folder: &Path) {
    for pid in of_folder(folder).iter().filter_map(|process| Pid::from_raw(process.pid)) {
        // It may have ended since: that is what is wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Every other process that can be read, zombies excepted: they have no environment left.
fn all() -> impl Iterator<Item = (Process, Vec<u8>)> {
    let own = std::process::id();
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(move |entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        if u32::try_from(pid) == Ok(own) {
            return None;
        }
        let environ = fs::read(entry.path().join("environ")).ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
        Some((Process { pid, command }, environ))
    })
}
