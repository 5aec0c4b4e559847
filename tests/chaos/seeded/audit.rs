//! After a storm: everything is let run out, and what was promised is looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_domain::{Backoff, RetryPolicy};
use factory_proto::client::Client;
use factory_proto::v1::{
    DeliveryKind, Event, GetResponse, Submitted, TaskState, WatchRequest, WatchResponse,
};
use factory_tests::harness::host::Host;
use factory_tests::harness::{processes, soon, task};
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::fleet::{Endured, Fleet};
use super::notes::{Note, overlaps};
use super::observer::Observer;
use super::replay::replay;
use super::workload::{Job, Workload, numbers, to_print};

/// How long it may take, once the faults have stopped, until another task ends.
const RUN_OUT: Duration = Duration::from_secs(120);

/// What was found. Every kind of harm lists its instances, a sentence each.
#[derive(Default)]
pub struct Found {
    submitted: usize,
    succeeded: usize,
    failed: usize,
    cancelled: usize,
    attempts: usize,
    lost_attempts: usize,
    log_lines: usize,
    /// Workspaces of ended attempts.
    kept: usize,
    /// At all processes.
    looks: u64,
    /// That agents wrote about themselves.
    notes: usize,
    /// From the last fault to the last task's end.
    run_out: Duration,
    harm: BTreeMap<Harm, Vec<String>>,
    story: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    TaskLost,
    EndedOtherwise,
    TwiceAtOnce,
    LiveTwice,
    ResultTwice,
    LogLine,
    WorkLost,
    RanOn,
    Process,
    Leftover,
    Feed,
}

impl Harm {
    const ALL: [Self; 11] = [
        Self::TaskLost,
        Self::EndedOtherwise,
        Self::TwiceAtOnce,
        Self::LiveTwice,
        Self::ResultTwice,
        Self::LogLine,
        Self::WorkLost,
        Self::RanOn,
        Self::Process,
        Self::Leftover,
        Self::Feed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::TaskLost => "tasks lost",
            Self::EndedOtherwise => "tasks ended otherwise",
            Self::TwiceAtOnce => "run twice at once, as seen",
            Self::LiveTwice => "run twice at once, by the feed",
            Self::ResultTwice => "results accepted twice",
            Self::LogLine => "logs with lines lost or doubled",
            Self::WorkLost => "commits or steps lost, or doubled",
            Self::RanOn => "agents alive after their end",
            Self::Process => "processes left",
            Self::Leftover => "worktrees and spools left",
            Self::Feed => "events out of place",
        }
    }
}

impl Found {
    pub fn is_clean(&self) -> bool {
        self.harm.values().all(Vec::is_empty)
    }

    pub fn happened(&self) -> [(&'static str, usize); 11] {
        let small = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        [
            ("submitted", self.submitted),
            ("succeeded", self.succeeded),
            ("failed, as they were made to", self.failed),
            ("cancelled", self.cancelled),
            ("attempts", self.attempts),
            ("attempts given up for lost", self.lost_attempts),
            ("log lines read back", self.log_lines),
            ("workspaces kept, as the policy says", self.kept),
            ("looks at all processes", small(self.looks)),
            ("notes of agents about themselves", self.notes),
            ("seconds after the last fault", small(self.run_out.as_secs())),
        ]
    }

    pub fn harm(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        Harm::ALL.into_iter().map(|kind| (kind.name(), self.harm.get(&kind).map_or(&[][..], Vec::as_slice)))
    }

    /// Every instance of harm, and the events of the tasks named.
    pub fn details(&self) -> String {
        let kinds = self.harm().filter(|(_, instances)| !instances.is_empty());
        kinds.fold(self.story.clone(), |text, (name, instances)| {
            format!("{text}\n{name}:\n  {}", instances.join("\n  "))
        })
    }

    fn add(&mut self, kind: Harm, instances: impl IntoIterator<Item = String>) {
        self.harm.entry(kind).or_default().extend(instances);
    }
}

pub async fn look(
    host: &Host,
    fleet: &mut Fleet,
    observer: Observer,
    workload: &Workload,
    endured: &Endured,
) -> Found {
    let client = fleet.coordinator.client().await;
    let mut found = Found { submitted: endured.submitted.len(), ..Found::default() };
    let begun = Instant::now();
    let events = run_out(&client, &endured.submitted, &mut found).await;
    found.run_out = begun.elapsed();
    // A worker that drains ends once all it held is told and cleared away.
    for member in &fleet.workers {
        member.worker.signal_drain();
    }
    for member in &mut fleet.workers {
        member.worker.ended().await;
    }
    let seen = observer.end().await;
    found.looks = seen.looks;
    found.add(Harm::TwiceAtOnce, seen.twice);
    look_at_feed(&events, endured, workload, &mut found);
    for (submitted, job) in endured.submitted.iter().zip(&workload.jobs) {
        look_at_task(&client, submitted, job, workload, &mut found).await;
    }
    let notes = workload.notes.read();
    found.notes = notes.len();
    found.add(Harm::TwiceAtOnce, overlaps(&notes));
    found.add(Harm::RanOn, ran_on(&events, &notes));
    let coordinator = fleet.coordinator.terminate().await;
    assert!(coordinator.success(), "the coordinator ends well: {coordinator}");
    let left = processes::of_folder(host.path());
    found.add(Harm::Process, left.into_iter().map(|process| format!("{process:?}")));
    for member in &fleet.workers {
        look_at_disk(&member.worker.seen_root(), &mut found);
    }
    found.story = story(&events);
    found
}

/// The whole feed, once every task has ended, or nothing more happens.
async fn run_out(client: &Client, submitted: &[Submitted], found: &mut Found) -> Vec<Event> {
    let tasks: Vec<String> = submitted.iter().map(|task| task.id.clone()).collect();
    let ids: BTreeSet<&str> = tasks.iter().map(String::as_str).collect();
    let watch = WatchRequest { tasks: Vec::new(), after: 0, follow: true, until_ended: false };
    let mut stream = client.tasks().watch(watch).await.expect("the feed is served").into_inner();
    let (mut events, mut ended) = (Vec::new(), BTreeSet::new());
    while ended.len() < ids.len() {
        // Nothing more ends: what is missing is counted below.
        let Ok(end) = timeout(RUN_OUT, next_end(&mut stream, &mut events)).await else { break };
        ended.insert(end);
    }
    let lost = submitted.iter().filter(|task| !ended.contains(&task.id));
    found.add(Harm::TaskLost, lost.map(|task| format!("task {} has not ended", task.number)));
    let others = ended.iter().filter(|task| !ids.contains(task.as_str()));
    found.add(Harm::TaskLost, others.map(|task| format!("task {task} was submitted by nobody")));
    events
}

/// Keeps what the feed tells until a task ends, and says which.
async fn next_end(stream: &mut Streaming<WatchResponse>, events: &mut Vec<Event>) -> String {
    loop {
        let message = stream.message().await.expect("the feed goes on").expect("it has no end");
        let event = message.event.expect("an event");
        let ended = event.state().is_terminal().then(|| event.task_id.clone());
        events.push(event);
        if let Some(task) = ended {
            return task;
        }
    }
}

fn look_at_feed(events: &[Event], endured: &Endured, workload: &Workload, found: &mut Found) {
    let tries: BTreeMap<&str, u32> = endured
        .submitted
        .iter()
        .zip(&workload.jobs)
        .map(|(task, job)| (task.id.as_str(), job.spec.max_attempts.unwrap_or_default()))
        .collect();
    let policy = |task: &str| RetryPolicy {
        max_attempts: tries.get(task).copied().unwrap_or_default(),
        max_infrastructure_failures: 100,
        backoff: Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(100) },
    };
    let replayed = replay(events, policy);
    found.add(Harm::Feed, replayed.inconsistent);
    found.add(Harm::ResultTwice, replayed.ended_twice);
    found.add(Harm::LiveTwice, replayed.live_twice);
    found.lost_attempts = events.iter().filter(|event| event.kind == "lost").count();
}

async fn look_at_task(
    client: &Client,
    submitted: &Submitted,
    job: &Job,
    workload: &Workload,
    found: &mut Found,
) {
    let got = task::get(client, &submitted.id).await;
    found.attempts += got.attempts.len();
    let state = got.task.as_ref().expect("a task").state();
    let wanted = if job.hopeless { TaskState::Failed } else { TaskState::Succeeded };
    match state {
        TaskState::Succeeded => found.succeeded += 1,
        TaskState::Failed => found.failed += 1,
        TaskState::Cancelled => found.cancelled += 1,
        _ => {}
    }
    let cancelled = job.unwanted && state == TaskState::Cancelled;
    if state.is_terminal() && state != wanted && !cancelled {
        let failure = got.task.as_ref().and_then(|task| task.failure.as_ref());
        let what = format!("task {} is {}: {failure:?}", submitted.number, state.name());
        found.add(Harm::EndedOtherwise, [what]);
    }
    look_at_logs(client, &got, job, found).await;
    if job.commits && state == TaskState::Succeeded {
        found.add(Harm::WorkLost, lost_work(&got, job, workload));
    }
}

/// The log of a success has every line once; any other is the beginning of such a one.
async fn look_at_logs(client: &Client, got: &GetResponse, job: &Job, found: &mut Found) {
    let task = got.task.as_ref().expect("a task");
    for attempt in &got.attempts {
        let log = soon("a log", task::log(client, &task.id, attempt.number)).await;
        let printed = numbers(&log);
        found.log_lines += printed.len();
        let whole = attempt.state == "succeeded";
        let expected =
            if whole { to_print(&log, job) } else { u32::try_from(printed.len()).unwrap_or(u32::MAX) };
        let in_order = log.iter().zip(0..).all(|(record, offset)| record.offset == offset);
        if !in_order || printed.iter().copied().ne(1..=expected) {
            let what = format!(
                "#{}.{} {}: {} of {} lines, {} records, in order: {in_order}: {printed:?}",
                task.number,
                attempt.number,
                attempt.state,
                printed.len(),
                job.lines,
                log.len()
            );
            found.add(Harm::LogLine, [what]);
        }
    }
}

/// The branch that a success says it delivered is in the origin, with its commit, and that has every
/// step of the task once, though several attempts may have taken them.
fn lost_work(got: &GetResponse, job: &Job, workload: &Workload) -> Option<String> {
    let task = got.task.as_ref()?;
    let number = task.number;
    let Some(report) = &task.report else { return Some(format!("task {number} has no report")) };
    let delivered = report.delivery.as_ref().map(|delivery| delivery.kind());
    let (Some(DeliveryKind::Pushed), Some(commit)) = (delivered, report.commits.first()) else {
        return Some(format!("task {number} delivered {delivered:?}, {} commits", report.commits.len()));
    };
    let refs = workload.origin.git(["for-each-ref", "--format=%(objectname) %(refname:short)"]);
    let wanted = format!("{} {}", commit.id, report.branch);
    if !refs.lines().any(|line| line == wanted) {
        return Some(format!("task {number}: no {wanted} in the origin"));
    }
    if job.steps == 0 {
        return None;
    }
    let progress = workload.origin.file(&report.branch, "progress.txt");
    (!has_steps(&progress, job.steps))
        .then(|| format!("task {number}: {} steps became {progress:?}", job.steps))
}

/// Whether all steps were taken at last, each after the one before. A new conversation in the same
/// workspace takes them from the first again; one that is resumed neither repeats nor leaves out any.
fn has_steps(progress: &str, steps: u32) -> bool {
    let mut last = 0;
    for line in progress.lines() {
        let step = line.strip_prefix("step-").and_then(|step| step.parse::<u32>().ok());
        match step {
            Some(step) if step == 1 || step == last + 1 => last = step,
            _ => return false,
        }
    }
    last == steps
}

/// An agent whose attempt was ended, or given up for lost, is dead by then: it notes nothing down any more.
fn ran_on(events: &[Event], notes: &[Note]) -> Vec<String> {
    let over = events.iter().filter(|event| event.kind == "ended" || event.kind == "lost");
    let over: BTreeMap<&str, &Event> = over.map(|event| (event.attempt_id.as_str(), event)).collect();
    let late = notes.iter().filter_map(|note| {
        let event = over.get(note.attempt.as_str()).filter(|event| note.at_ms > event.at_ms)?;
        let late_ms = note.at_ms - event.at_ms;
        Some(format!(
            "attempt {} noted `{}` {late_ms} ms after it was {}",
            note.attempt, note.what, event.kind
        ))
    });
    late.collect()
}

/// Nothing is left of an attempt that the worker has not written down in `kept/`: workspaces for a next
/// attempt, those whose work could not be saved on a full disk, and removals that a kill interrupted, with
/// which a later sweep goes on.
fn look_at_disk(root: &Path, found: &mut Found) {
    let kept = entries(&root.join("kept"));
    found.kept += kept.len();
    // By id: a workspace that several attempts went on in has the first one's name.
    let records: Vec<String> = kept
        .iter()
        .map(|path| std::fs::read_to_string(path.join("assignment.json")).unwrap_or_default())
        .collect();
    let is_known = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        records.iter().any(|record| record.contains(&*name))
    };
    let mut folders = vec![root.join("workspaces"), root.join("spool")];
    folders.extend(entries(&root.join("repos")).into_iter().map(|cache| cache.join("worktrees")));
    let left = folders.iter().flat_map(|folder| entries(folder));
    found.add(Harm::Leftover, left.filter(|path| !is_known(path)).map(|path| path.display().to_string()));
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn story(events: &[Event]) -> String {
    events.iter().fold(String::new(), |story, event| {
        let Event { cursor, at_ms, task_number, attempt_number, kind, worker_name, detail, .. } = event;
        let state = event.state().name();
        format!(
            "{story}\n  {cursor} {at_ms}: #{task_number}.{attempt_number} {} {kind} → {state} {worker_name} {detail}",
            event.attempt_id
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_may_begin_anew_and_none_may_be_missing_or_doubled() {
        assert!(has_steps("step-1\nstep-2\n", 2) && has_steps("step-1\nstep-2\nstep-1\nstep-2\nstep-3\n", 3));
        for harm in
            ["", "step-1\n", "step-1\nstep-1\n", "step-2\n", "step-1\nstep-2\nstep-2\n", "step-1\nstep-3\n"]
        {
            assert!(!has_steps(harm, 2), "{harm:?}");
        }
    }
}
