//! The tasks of a storm: each prints numbered lines, and notes down that it runs.

use std::path::Path;
use std::time::Duration;

use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1::{CancelRequest, LogRecord, LogStream, NewTask, SubmitRequest, Submitted, TaskSpec};
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::task;
use fastrand::Rng;
use tonic::{Code, Status};

use super::Storm;
use super::notes::Notes;

/// Kills of agents count as failures of theirs; no storm brings so many on one task.
const TRIES: u32 = 100;
/// In the repository.
const FILES: usize = 200;
/// Tasks submitted with one call.
const TOGETHER: usize = 5;

pub struct Workload {
    pub jobs: Vec<Job>,
    pub origin: Origin,
    pub notes: Notes,
    seed: u64,
}

/// One task to be.
#[derive(Debug, Clone)]
pub struct Job {
    pub spec: TaskSpec,
    /// Numbered lines it prints on a run to its end.
    pub lines: u32,
    /// It works in the repository and leaves a commit there.
    pub commits: bool,
    /// Lines that `progress.txt` has in that commit, one for each step, whoever took it; 0: there is none.
    pub steps: u32,
    /// It fails on every run.
    pub hopeless: bool,
    /// Someone asks for its end, sooner or later.
    pub unwanted: bool,
}

impl Workload {
    pub fn new(host: &Host, storm: Storm) -> Self {
        let mut rng = Rng::with_seed(storm.seed);
        // So many files that a kill may come in the middle of their checkout.
        let files: Vec<String> = (0..FILES).map(|file| format!("{}/{file}.txt", file % 20)).collect();
        let files: Vec<_> = files.iter().map(|path| (path.as_str(), "text\n")).collect();
        let origin = Origin::with_files(host, "app", &files);
        let notes = Notes::new(host);
        std::fs::create_dir(host.path().join("failed")).expect("a folder");
        let jobs = (0..storm.tasks).map(|index| job(&mut rng, host, &origin, &notes, index)).collect();
        Self { jobs, origin, notes, seed: storm.seed }
    }

    /// Submits everything, spread over `span`, whatever becomes of the coordinator meanwhile.
    pub async fn submit(&self, config: &ClientConfig, span: Duration) -> Vec<Submitted> {
        let mut submitted = Vec::new();
        let pause = span * u32::try_from(TOGETHER).unwrap_or(1) / u32::try_from(self.jobs.len()).unwrap_or(1);
        for (batch, jobs) in self.jobs.chunks(TOGETHER).enumerate() {
            let tasks = jobs.iter().enumerate().map(|(index, job)| NewTask {
                spec: Some(job.spec.clone()),
                // A call whose answer was lost is repeated, and must not submit twice.
                idempotency_key: format!("{}-{}", self.seed, batch * TOGETHER + index),
                ..NewTask::default()
            });
            let request = SubmitRequest { tasks: tasks.collect() };
            let batch: Vec<Submitted> = insist(config, async |client| {
                let request = client.request(request.clone());
                Ok(client.tasks().submit(request).await?.into_inner().tasks)
            })
            .await;
            submitted.extend(batch);
            tokio::time::sleep(pause).await;
            let begins = submitted.len() - jobs.len();
            for (task, _) in submitted[begins..].iter().zip(jobs).filter(|(_, job)| job.unwanted) {
                cancel(config, &task.id).await;
            }
        }
        submitted
    }
}

async fn cancel(config: &ClientConfig, task: &str) {
    insist(config, async |client| {
        let request = client.request(CancelRequest { task: task.to_owned(), with_children: false });
        match client.tasks().cancel(request).await {
            // It has ended already.
            Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
            other => other.map(drop),
        }
    })
    .await;
}

/// Until it is done: the coordinator is being killed and started.
pub async fn insist<T>(config: &ClientConfig, call: impl AsyncFn(Client) -> Result<T, Status>) -> T {
    loop {
        if let Ok(client) = Client::connect(config.clone()).await
            && let Ok(done) = call(client).await
        {
            return done;
        }
        // The one thing to wait for is time.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn job(rng: &mut Rng, host: &Host, origin: &Origin, notes: &Notes, index: usize) -> Job {
    let lines = rng.u32(20..120);
    let commits = rng.u8(..3) == 0;
    let hopeless = rng.u8(..20) == 0;
    let unwanted = rng.u8(..12) == 0;
    let mut steps = 0;
    let spec = if rng.u8(..3) == 0 {
        steps = rng.u32(1..8);
        scripted(rng, notes, lines, steps, commits, hopeless)
    } else {
        Script { rng, lines, commits, hopeless, notes, failed: &host.path().join("failed") }.spec()
    };
    let repo = if commits { origin.source() } else { String::new() };
    let max_attempts = Some(if hopeless { 2 } else { TRIES });
    let spec = TaskSpec { title: format!("Task {index}"), repo, max_attempts, ..spec };
    Job { spec, lines, commits, steps, hopeless, unwanted }
}

/// For the built-in agent.
fn scripted(rng: &mut Rng, notes: &Notes, lines: u32, steps: u32, commits: bool, hopeless: bool) -> TaskSpec {
    let note = |what: &str| format!("run sh {} {what}", notes.script().display());
    let mut text = vec![note("begin"), format!("lines {lines}")];
    if rng.u8(..6) == 0 {
        text.push("limit-once 1".to_owned());
    }
    for step in 1..=steps {
        let append = format!("append progress.txt step-{step}");
        text.extend([format!("sleep {}", rng.u32(20..600)), append, note(&format!("step-{step}"))]);
    }
    if rng.bool() {
        text.push("orphan".to_owned());
    }
    if commits {
        text.extend(["write work.txt done".to_owned(), "commit Work".to_owned()]);
    }
    text.push(if hopeless { "fail as it was told" } else { "say done" }.to_owned());
    TaskSpec { agent: "scripted".to_owned(), prompt: text.join("\n"), ..TaskSpec::default() }
}

/// For `/bin/sh`.
struct Script<'a> {
    rng: &'a mut Rng,
    lines: u32,
    commits: bool,
    hopeless: bool,
    notes: &'a Notes,
    failed: &'a Path,
}

impl Script<'_> {
    fn spec(self) -> TaskSpec {
        let Self { rng, lines, commits, hopeless, notes, failed } = self;
        let burst = rng.u32(1..12);
        let pause = f64::from(rng.u32(5..150)) / 1000.0;
        let mut text = format!("{}\nnote begin\n", notes.function());
        if rng.u8(..4) == 0 {
            text += "setsid sleep 100000 &\n";
        }
        text += &format!(
            "i=0\nwhile [ $i -lt {lines} ]; do\n  i=$((i+1)); echo \"line $i of {lines}\"\n  \
             [ $((i % {burst})) != 0 ] || {{ note alive; sleep {pause}; }}\n"
        );
        if rng.u8(..5) == 0 {
            let half = lines / 2;
            let marker = format!("{}/$FACTORY_TASK_ID", failed.display());
            text += &format!(
                "  if [ $i = {half} ] && mkdir {marker} 2>/dev/null; then echo oops >&2; exit 3; fi\n"
            );
        }
        text += "done\n";
        if commits {
            // Its disk may be full.
            text +=
                "echo done > work.txt && git add work.txt && git commit --quiet --message Work || exit 5\n";
        }
        text += "note end";
        if hopeless {
            text += "\nexit 4";
        }
        task::script(&text)
    }
}

/// The numbers of the lines an attempt printed, in the order of its log.
pub fn numbers(records: &[LogRecord]) -> Vec<u32> {
    let printed = records.iter().filter(|record| record.stream() == LogStream::Stdout);
    printed.filter_map(|record| number(&String::from_utf8_lossy(&record.data))).collect()
}

/// How many lines an attempt of the job prints that comes to its end: none where it was resumed after
/// that step of its script, the second one.
pub fn to_print(records: &[LogRecord], job: &Job) -> u32 {
    let resumed = records.iter().find_map(|record| {
        let text = String::from_utf8_lossy(&record.data);
        let (done, _) = text.split_once("I go on after ")?.1.split_once(" of ")?;
        done.parse::<u32>().ok()
    });
    if resumed.is_some_and(|done| done >= 2) { 0 } else { job.lines }
}

/// `line 3 of 40`, bare or within an event of the scripted agent's.
fn number(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("line ")?;
    rest.split_once(" of ")?.0.parse().ok()
}
