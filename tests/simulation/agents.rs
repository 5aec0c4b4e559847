//! The hosts the workers run on, as far as their agents go: simulated shims, each with its agent.
//!
//! They outlive a daemon as real shims do, write the same spool, and end their agent with the host's
//! lease, by the same rule (`factory_worker::host_lease`): the file is looked at when half of the time
//! left is over.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use factory_domain::AttemptId;
use factory_proto::v1::LogStream;
use factory_worker::agents::Launch;
use factory_worker::host_lease::{self, BootTime};
use factory_worker::shim::{Exit, Limits, ShimError};
use factory_worker::shims::{RunningShim, Shims};
use factory_worker::spool::{RecordWriter, SpoolDir, write_atomically};
use serde_json::json;
use tokio::sync::watch;

use crate::plan::{Ending, Script};
use crate::sealed::EPOCH_SECONDS;

/// How long a shim takes to start its agent.
const START: Duration = Duration::from_millis(20);
/// How long after its start an agent's usage limit is reset.
const LIMIT: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One host. Its root is the worker's.
#[derive(Debug)]
pub struct Host {
    pub name: String,
    pub root: PathBuf,
    state: Mutex<State>,
    /// Changes with every agent's end.
    ends: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    booted: Duration,
    agents: BTreeMap<AttemptId, Agent>,
}

/// An agent under its shim, dead or alive.
#[derive(Debug)]
struct Agent {
    task: String,
    script: Script,
    /// Of the task's attempts, counted from 1.
    number: u32,
    started: Duration,
    /// What it has printed, line by line.
    printed: Vec<String>,
    log: RecordWriter,
    spool: SpoolDir,
    lease: LeaseWatch,
    grace: Duration,
    /// When it ends for having been told to, and whether by itself.
    ends_at: Option<(Duration, bool)>,
    lease_expired: bool,
    end: Option<End>,
}

#[derive(Debug, Clone)]
enum End {
    Exited(Exit),
    /// The shim went with it, and left no word.
    Vanished,
}

#[derive(Debug)]
struct LeaseWatch {
    path: PathBuf,
    deadline: BootTime,
    look_at: BootTime,
}

impl LeaseWatch {
    fn begin(path: &Path, now: BootTime) -> io::Result<Self> {
        let deadline = host_lease::read(path)?;
        let mut watch = Self { path: path.to_owned(), deadline, look_at: now };
        watch.look_again(now);
        Ok(watch)
    }

    fn look_again(&mut self, now: BootTime) {
        self.look_at = now.after((self.deadline.since(now) / 2).max(LOOK_AGAIN)).min(self.deadline);
    }

    /// Whether the deadline has passed.
    fn has_expired(&mut self, now: BootTime) -> bool {
        if now < self.look_at {
            return false;
        }
        if let Ok(deadline) = host_lease::read(&self.path) {
            self.deadline = deadline;
        }
        self.look_again(now);
        self.deadline <= now
    }
}

impl Host {
    pub fn new(name: String, root: PathBuf) -> Arc<Self> {
        Arc::new(Self { name, root, state: Mutex::default(), ends: watch::Sender::new(0) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the host's agents live up to `now`.
    pub fn advance(&self, now: Duration) {
        let mut state = self.state();
        state.now = now;
        let boot_time = boot_time(now, state.booted);
        let mut ended = false;
        for agent in state.agents.values_mut().filter(|agent| agent.end.is_none()) {
            agent.live(now, boot_time);
            ended |= agent.end.is_some();
        }
        drop(state);
        if ended {
            self.ends.send_modify(|ends| *ends += 1);
        }
    }

    /// The host goes down with all that runs on it, and begins to come up.
    pub fn crash(&self) {
        let mut state = self.state();
        state.booted = state.now;
        for agent in state.agents.values_mut() {
            agent.end.get_or_insert(End::Vanished);
        }
        drop(state);
        self.ends.send_modify(|ends| *ends += 1);
    }

    /// Tasks and attempts of agents alive now.
    pub fn alive(&self) -> Vec<(String, AttemptId)> {
        let state = self.state();
        let alive = state.agents.iter().filter(|(_, agent)| agent.end.is_none());
        alive.map(|(attempt, agent)| (agent.task.clone(), *attempt)).collect()
    }

    /// Every line that each agent printed, by attempt.
    pub fn printed(&self) -> BTreeMap<AttemptId, Vec<String>> {
        self.state().agents.iter().map(|(attempt, agent)| (*attempt, agent.printed.clone())).collect()
    }

    fn stop(&self, attempt: AttemptId) {
        let mut state = self.state();
        let now = state.now;
        if let Some(agent) = state.agents.get_mut(&attempt) {
            agent.stop(now);
        }
    }
}

fn boot_time(now: Duration, booted: Duration) -> BootTime {
    BootTime::from_millis(0).after(now.saturating_sub(booted))
}

impl Agent {
    fn live(&mut self, now: Duration, boot_time: BootTime) {
        if !self.lease_expired && self.lease.has_expired(boot_time) {
            self.lease_expired = true;
            self.stop(now);
        }
        if let Some((at, by_itself)) = self.ends_at
            && at <= now
        {
            let code = by_itself.then_some(143);
            let signal = (!by_itself).then_some(9);
            return self.exit(Exit { code, signal, ..Exit::default() });
        }
        if self.ends_at.is_some() {
            return;
        }
        let lines = u32::try_from(self.printed.len()).unwrap_or(u32::MAX);
        let due = self.started + self.script.pause * (lines + 1);
        if due > now {
            return;
        }
        if lines < self.script.lines {
            self.print(now, json!({ "type": "text", "text": format!("line {lines}") }));
        } else {
            self.finish(now);
        }
    }

    fn print(&mut self, now: Duration, block: serde_json::Value) {
        let message = json!({ "role": "assistant", "model": "simulated", "content": [block] });
        self.event(now, &json!({ "type": "assistant", "message": message }));
    }

    fn event(&mut self, now: Duration, event: &serde_json::Value) {
        let line = event.to_string();
        let at_ms = wall_millis(now);
        let written = self.log.line(at_ms, LogStream::Stdout, Bytes::from(line.clone().into_bytes()));
        written.expect("the simulated host's disk is a real one with room");
        self.printed.push(line);
    }

    fn finish(&mut self, now: Duration) {
        let first = self.number == 1;
        match self.script.ending {
            Ending::Hangs => {}
            Ending::VanishesOnce if first => self.end = Some(End::Vanished),
            Ending::Fails => self.result(now, Some(("failed", "it did not work"))),
            Ending::FailsOnce if first => self.result(now, Some(("failed", "not this time"))),
            Ending::LimitedOnce if first => {
                let resets_at = (wall_millis(now) + 999) / 1000 + i64::try_from(LIMIT.as_secs()).unwrap_or(0);
                let info =
                    json!({ "status": "rejected", "resetsAt": resets_at, "rateLimitType": "five_hour" });
                self.event(now, &json!({ "type": "rate_limit_event", "rate_limit_info": info }));
                self.result(now, Some(("api_error", "You've hit your session limit")));
            }
            _ => self.result(now, None),
        }
    }

    fn result(&mut self, now: Duration, failed: Option<(&str, &str)>) {
        let (reason, text) = failed.unwrap_or(("completed", "done"));
        let subtype = if failed.is_some() { "error_during_execution" } else { "success" };
        let result = json!({
            "type": "result", "subtype": subtype, "is_error": failed.is_some(),
            "terminal_reason": reason, "result": text, "num_turns": 1, "total_cost_usd": 0.0,
        });
        self.event(now, &result);
        self.exit(Exit { code: Some(i32::from(failed.is_some())), ..Exit::default() });
    }

    /// Told twice, it is killed at once.
    fn stop(&mut self, now: Duration) {
        let by_itself = self.script.stubborn < self.grace;
        self.ends_at = match self.ends_at {
            None => Some((now + self.script.stubborn.min(self.grace), by_itself)),
            Some(_) if self.lease_expired => self.ends_at,
            Some(_) => Some((now, false)),
        };
    }

    fn exit(&mut self, exit: Exit) {
        let exit = Exit { stopped: self.ends_at.is_some(), lease_expired: self.lease_expired, ..exit };
        let text = serde_json::to_vec(&exit).expect("an exit is plain data");
        write_atomically(&self.spool.exit_path(), &text)
            .expect("the simulated host's disk is a real one with room");
        self.end = Some(End::Exited(exit));
    }
}

/// By the host's wall clock, which agrees with the coordinator's.
fn wall_millis(now: Duration) -> i64 {
    i64::try_from((Duration::from_secs(EPOCH_SECONDS) + now).as_millis()).unwrap_or(i64::MAX)
}

/// The prompt's line with the script; a resumed agent is told more.
fn script(prompt: &[u8]) -> Option<Script> {
    prompt.split(|byte| *byte == b'\n').find_map(|line| serde_json::from_slice(line).ok())
}

/// A host's shims, as its worker's daemon has them.
#[derive(Debug, Clone)]
pub struct SimulatedShims(pub Arc<Host>);

#[async_trait]
impl Shims for SimulatedShims {
    async fn start(
        &self,
        spool: &SpoolDir,
        _workspace: &Path,
        launch: &Launch,
        lease: &Path,
        limits: Limits,
    ) -> Result<Box<dyn RunningShim>, ShimError> {
        let script = script(&launch.stdin).expect("the prompt has a script");
        let variable = |name: &str| {
            let value = launch.env.get(std::ffi::OsStr::new(name));
            value.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
        };
        if limits.start_by <= self.now() {
            let why = "the lease it was to be started under has run out".to_owned();
            return Err(ShimError::NotStarted { program: PathBuf::new(), why });
        }
        let in_spool = |path: PathBuf| move |source| ShimError::Spool { path, source };
        let records = spool.records_path();
        let log = RecordWriter::open(&records).map_err(in_spool(records))?;
        let lease = LeaseWatch::begin(lease, self.now()).map_err(in_spool(lease.to_owned()))?;
        {
            let mut state = self.0.state();
            let agent = Agent {
                task: variable("FACTORY_TASK_ID"),
                script,
                number: variable("FACTORY_ATTEMPT_NUMBER").parse().unwrap_or(1),
                started: state.now,
                printed: Vec::new(),
                log,
                spool: spool.clone(),
                lease,
                grace: limits.grace,
                ends_at: None,
                lease_expired: false,
                end: None,
            };
            let before = state.agents.insert(spool.attempt(), agent);
            assert!(before.is_none(), "attempt {} started a second agent", spool.attempt());
        }
        fs::write(spool.shim_path(), "{}").map_err(in_spool(spool.shim_path()))?;
        tokio::time::sleep(START).await;
        Ok(Box::new(SimulatedShim { host: Arc::clone(&self.0), attempt: spool.attempt() }))
    }

    fn adopt(&self, spool: &SpoolDir) -> Result<Option<Box<dyn RunningShim>>, ShimError> {
        let known = self.0.state().agents.contains_key(&spool.attempt());
        let shim = SimulatedShim { host: Arc::clone(&self.0), attempt: spool.attempt() };
        Ok(known.then(|| Box::new(shim) as Box<dyn RunningShim>))
    }

    async fn sweep(&self, attempt: AttemptId) -> io::Result<()> {
        if let Some(agent) = self.0.state().agents.get_mut(&attempt) {
            agent.end.get_or_insert(End::Vanished);
        }
        Ok(())
    }

    fn now(&self) -> BootTime {
        let state = self.0.state();
        boot_time(state.now, state.booted)
    }
}

#[derive(Debug)]
struct SimulatedShim {
    host: Arc<Host>,
    attempt: AttemptId,
}

#[async_trait]
impl RunningShim for SimulatedShim {
    fn pid(&self) -> i32 {
        // Nobody has this one.
        0
    }

    async fn wait(&mut self) -> Result<Exit, ShimError> {
        let mut ends = self.host.ends.subscribe();
        loop {
            let end = self.host.state().agents.get(&self.attempt).and_then(|agent| agent.end.clone());
            match end {
                Some(End::Exited(exit)) => return Ok(exit),
                Some(End::Vanished) => return Err(ShimError::Died),
                None => ends.changed().await.expect("the host outlives its shims"),
            }
        }
    }

    fn stop(&self) -> io::Result<()> {
        self.host.stop(self.attempt);
        Ok(())
    }
}
