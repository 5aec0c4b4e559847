//! What programs read: the wire's messages as JSON, snake_case, times in
//! RFC 3339, and nothing where nothing is known.

use std::collections::BTreeMap;

use factory_proto::v1;
use serde::Serialize;

use crate::render::units::rfc3339;

#[derive(Debug, Serialize)]
pub struct SubmittedView<'a> {
    pub id: &'a str,
    pub number: u64,
    pub existed: bool,
}

impl<'a> From<&'a v1::Submitted> for SubmittedView<'a> {
    fn from(submitted: &'a v1::Submitted) -> Self {
        Self { id: &submitted.id, number: submitted.number, existed: submitted.existed }
    }
}

#[derive(Debug, Serialize)]
pub struct TaskView<'a> {
    pub id: &'a str,
    pub number: u64,
    pub state: &'static str,
    #[serde(flatten)]
    pub spec: SpecView<'a>,
    pub attempt_id: Option<&'a str>,
    pub worker: Option<&'a str>,
    pub unreachable: bool,
    pub waiting_for: Option<&'a str>,
    pub wake_at: Option<String>,
    pub failure: Option<FailureView<'a>>,
    pub attempts: u32,
    pub agent_failures: u32,
    pub infrastructure_failures: u32,
    pub submitted_at: Option<String>,
    pub updated_at: Option<String>,
    pub ended_at: Option<String>,
    pub retry_of: Option<&'a str>,
    pub retried_as: Option<&'a str>,
    pub report: Option<ReportView<'a>>,
}

impl<'a> From<&'a v1::Task> for TaskView<'a> {
    fn from(task: &'a v1::Task) -> Self {
        Self {
            id: &task.id,
            number: task.number,
            state: task.state().name(),
            spec: task.spec.as_ref().map(SpecView::from).unwrap_or_default(),
            attempt_id: some(&task.attempt_id),
            worker: some(&task.worker_name),
            unreachable: task.unreachable,
            waiting_for: some(&task.waiting_for),
            wake_at: rfc3339(task.wake_at_ms),
            failure: task.failure.as_ref().map(FailureView::from),
            attempts: task.attempts,
            agent_failures: task.agent_failures,
            infrastructure_failures: task.infrastructure_failures,
            submitted_at: rfc3339(task.submitted_at_ms),
            updated_at: rfc3339(task.updated_at_ms),
            ended_at: rfc3339(task.ended_at_ms),
            retry_of: some(&task.retry_of),
            retried_as: some(&task.retried_as),
            report: task.report.as_ref().map(ReportView::from),
        }
    }
}

/// A task with its attempts.
#[derive(Debug, Serialize)]
pub struct TaskInFull<'a> {
    #[serde(flatten)]
    pub task: TaskView<'a>,
    /// Beside `attempts`, which counts them.
    pub attempt_list: Vec<AttemptView<'a>>,
}

#[derive(Debug, Default, Serialize)]
pub struct SpecView<'a> {
    pub title: &'a str,
    /// Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<&'a str>,
    pub agent: &'a str,
    pub argv: &'a [String],
    pub model: Option<&'a str>,
    pub repo: Option<&'a str>,
    pub base: Option<&'a str>,
    pub branch: Option<&'a str>,
    pub deliver: &'static str,
    pub leftovers: &'static str,
    pub setup: Option<&'a str>,
    pub setup_timeout_ms: Option<u64>,
    pub trust_repo: bool,
    pub labels: BTreeMap<&'a str, &'a str>,
    pub priority: i32,
    pub max_attempts: Option<u32>,
    pub timeout_ms: Option<u64>,
    pub idle_timeout_ms: Option<u64>,
    pub budget_micro_usd: Option<u64>,
    pub max_turns: Option<u32>,
}

impl<'a> From<&'a v1::TaskSpec> for SpecView<'a> {
    fn from(spec: &'a v1::TaskSpec) -> Self {
        Self {
            title: &spec.title,
            prompt: some(&spec.prompt),
            agent: &spec.agent,
            argv: &spec.argv,
            model: some(&spec.model),
            repo: some(&spec.repo),
            base: some(&spec.base),
            branch: some(&spec.branch),
            deliver: match spec.deliver() {
                v1::Deliver::Unspecified | v1::Deliver::Branch => "branch",
                v1::Deliver::None => "none",
            },
            leftovers: match spec.leftovers() {
                v1::Leftovers::Unspecified | v1::Leftovers::Commit => "commit",
                v1::Leftovers::Keep => "keep",
                v1::Leftovers::Discard => "discard",
            },
            setup: some(&spec.setup),
            setup_timeout_ms: spec.setup_timeout_ms,
            trust_repo: spec.trust_repo,
            labels: pairs(&spec.labels),
            priority: spec.priority,
            max_attempts: spec.max_attempts,
            timeout_ms: spec.timeout_ms,
            idle_timeout_ms: spec.idle_timeout_ms,
            budget_micro_usd: spec.budget_micro_usd,
            max_turns: spec.max_turns,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct FailureView<'a> {
    pub reason: &'a str,
    pub message: &'a str,
}

impl<'a> From<&'a v1::Failure> for FailureView<'a> {
    fn from(failure: &'a v1::Failure) -> Self {
        Self { reason: &failure.reason, message: &failure.message }
    }
}

#[derive(Debug, Serialize)]
pub struct AttemptView<'a> {
    pub id: &'a str,
    pub number: u32,
    pub state: &'a str,
    pub worker: &'a str,
    pub offered_at: Option<String>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub returned_because: Option<&'a str>,
    pub report: Option<ReportView<'a>>,
    pub artifacts: Vec<ArtifactView<'a>>,
}

impl<'a> From<&'a v1::Attempt> for AttemptView<'a> {
    fn from(attempt: &'a v1::Attempt) -> Self {
        Self {
            id: &attempt.id,
            number: attempt.number,
            state: &attempt.state,
            worker: &attempt.worker_name,
            offered_at: rfc3339(attempt.offered_at_ms),
            started_at: rfc3339(attempt.started_at_ms),
            ended_at: rfc3339(attempt.ended_at_ms),
            returned_because: some(&attempt.returned_because),
            report: attempt.report.as_ref().map(ReportView::from),
            artifacts: attempt.artifacts.iter().map(ArtifactView::from).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct ArtifactView<'a> {
    pub kind: &'static str,
    pub name: &'a str,
    pub bytes: u64,
}

impl<'a> From<&'a v1::Artifact> for ArtifactView<'a> {
    fn from(artifact: &'a v1::Artifact) -> Self {
        let kind = match artifact.kind() {
            v1::ArtifactKind::Unspecified => "unknown",
            v1::ArtifactKind::Patch => "patch",
            v1::ArtifactKind::Bundle => "bundle",
            v1::ArtifactKind::File => "file",
        };
        Self { kind, name: &artifact.name, bytes: artifact.bytes }
    }
}

#[derive(Debug, Serialize)]
pub struct ReportView<'a> {
    pub outcome: &'static str,
    pub failure: Option<FailureView<'a>>,
    pub result_text: &'a str,
    pub usage: UsageView<'a>,
    pub agent_session: Option<&'a str>,
    pub exit_code: Option<i32>,
    pub base_commit: Option<&'a str>,
    pub branch: Option<&'a str>,
    pub commits: Vec<CommitView<'a>>,
    pub diff_stat: DiffStatView,
    pub delivery: DeliveryView<'a>,
}

impl<'a> From<&'a v1::Report> for ReportView<'a> {
    fn from(report: &'a v1::Report) -> Self {
        Self {
            outcome: match report.outcome() {
                v1::OutcomeKind::Unspecified => "unknown",
                v1::OutcomeKind::Succeeded => "succeeded",
                v1::OutcomeKind::Failed => "failed",
                v1::OutcomeKind::Cancelled => "cancelled",
            },
            failure: report.failure.as_ref().map(FailureView::from),
            result_text: &report.result_text,
            usage: report.usage.as_ref().map(UsageView::from).unwrap_or_default(),
            agent_session: some(&report.agent_session),
            exit_code: report.exit_code,
            base_commit: some(&report.base_commit),
            branch: some(&report.branch),
            commits: report.commits.iter().map(CommitView::from).collect(),
            diff_stat: report.diff_stat.as_ref().map(DiffStatView::from).unwrap_or_default(),
            delivery: report.delivery.as_ref().map(DeliveryView::from).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct UsageView<'a> {
    pub cost_micro_usd: u64,
    pub turns: u32,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub model: Option<&'a str>,
}

impl<'a> From<&'a v1::Usage> for UsageView<'a> {
    fn from(usage: &'a v1::Usage) -> Self {
        Self {
            cost_micro_usd: usage.cost_micro_usd,
            turns: usage.turns,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            model: some(&usage.model),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct CommitView<'a> {
    pub id: &'a str,
    pub subject: &'a str,
}

impl<'a> From<&'a v1::Commit> for CommitView<'a> {
    fn from(commit: &'a v1::Commit) -> Self {
        Self { id: &commit.id, subject: &commit.subject }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct DiffStatView {
    pub files: u32,
    pub insertions: u32,
    pub deletions: u32,
}

impl From<&v1::DiffStat> for DiffStatView {
    fn from(stat: &v1::DiffStat) -> Self {
        Self { files: stat.files, insertions: stat.insertions, deletions: stat.deletions }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct DeliveryView<'a> {
    pub kind: &'static str,
    pub why: Option<&'a str>,
}

impl<'a> From<&'a v1::Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a v1::Delivery) -> Self {
        let kind = match delivery.kind() {
            v1::DeliveryKind::None => "none",
            v1::DeliveryKind::Pushed => "pushed",
            v1::DeliveryKind::Bundled => "bundled",
        };
        Self { kind, why: some(&delivery.why) }
    }
}

#[derive(Debug, Serialize)]
pub struct WorkerView<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub connected: bool,
    pub slots: u32,
    pub busy: u32,
    pub agents: BTreeMap<&'a str, &'a str>,
    pub labels: BTreeMap<&'a str, &'a str>,
    pub free_disk_bytes: u64,
    pub registered_at: Option<String>,
    pub last_seen_at: Option<String>,
    pub last_decline: Option<&'a str>,
}

impl<'a> From<&'a v1::Worker> for WorkerView<'a> {
    fn from(worker: &'a v1::Worker) -> Self {
        Self {
            id: &worker.id,
            name: &worker.name,
            version: &worker.version,
            connected: worker.connected,
            slots: worker.slots,
            busy: worker.busy,
            agents: worker.agents.iter().map(|agent| (agent.name.as_str(), agent.version.as_str())).collect(),
            labels: pairs(&worker.labels),
            free_disk_bytes: worker.free_disk_bytes,
            registered_at: rfc3339(worker.registered_at_ms),
            last_seen_at: rfc3339(worker.last_seen_at_ms),
            last_decline: some(&worker.last_decline),
        }
    }
}

/// An event, one line of `watch -o jsonl`.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    #[serde(rename = "type")]
    pub line_type: &'static str,
    /// Where a watch with `--since` goes on after this line.
    pub cursor: String,
    pub at: Option<String>,
    pub task_id: &'a str,
    pub task: u64,
    pub attempt: Option<u32>,
    pub kind: &'a str,
    pub state: &'static str,
    pub worker: Option<&'a str>,
    pub detail: Option<&'a str>,
    pub failure: Option<FailureView<'a>>,
    pub wake_at: Option<String>,
}

impl<'a> EventView<'a> {
    pub fn new(event: &'a v1::Event, cursor: String) -> Self {
        Self {
            line_type: "event",
            cursor,
            at: rfc3339(event.at_ms),
            task_id: &event.task_id,
            task: event.task_number,
            attempt: (event.attempt_number != 0).then_some(event.attempt_number),
            kind: &event.kind,
            state: event.state().name(),
            worker: some(&event.worker_name),
            detail: some(&event.detail),
            failure: event.failure.as_ref().map(FailureView::from),
            wake_at: rfc3339(event.wake_at_ms),
        }
    }
}

/// A whole line of a log, one line of `watch` and `logs -o jsonl`.
#[derive(Debug, Serialize)]
pub struct LogLineView<'a> {
    #[serde(rename = "type")]
    pub line_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    pub at: Option<String>,
    pub task: u64,
    pub attempt: u32,
    /// Of the line's first record.
    pub offset: u64,
    pub stream: &'static str,
    /// Bytes that are no UTF-8 are replaced; `--raw` has them as they are.
    pub text: &'a str,
}

/// The end of one task, the last line about it in `watch -o jsonl`.
#[derive(Debug, Serialize)]
pub struct EndedView<'a> {
    #[serde(rename = "type")]
    pub line_type: &'static str,
    #[serde(flatten)]
    pub task: TaskView<'a>,
}

pub fn stream_name(stream: v1::LogStream) -> &'static str {
    match stream {
        v1::LogStream::Unspecified => "unknown",
        v1::LogStream::Stdout => "stdout",
        v1::LogStream::Stderr => "stderr",
        v1::LogStream::Setup => "setup",
        v1::LogStream::Factory => "factory",
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn pairs(map: &std::collections::HashMap<String, String>) -> BTreeMap<&str, &str> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}
