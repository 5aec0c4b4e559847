//! Tasks and their attempts.

use std::collections::BTreeMap;

use factory_domain::Conversation;
use factory_proto::v1;
use serde::Serialize;

use super::board::HandoffView;
use super::question::QuestionView;
use super::report::{FailureView, ReportView};
use super::{pairs, some};
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
    /// Files it has for itself; left out in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileView<'a>>,
    pub wake_at: Option<String>,
    pub failure: Option<FailureView<'a>>,
    pub attempts: u32,
    pub agent_failures: u32,
    pub infrastructure_failures: u32,
    pub submitted_at: Option<String>,
    pub updated_at: Option<String>,
    pub ended_at: Option<String>,
    pub open_questions: u32,
    pub retry_of: Option<&'a str>,
    pub retried_as: Option<&'a str>,
    pub after: &'a [String],
    pub on_failed_dependency: &'static str,
    pub parent_id: Option<&'a str>,
    pub parent_number: Option<u64>,
    pub goes_on_from: Option<&'a str>,
    pub workflow_id: Option<&'a str>,
    pub children: u32,
    pub cancelled_because: Option<&'a str>,
    pub progress: Option<&'a str>,
    pub progress_percent: Option<u32>,
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
            files: task.files.iter().map(FileView::from).collect(),
            wake_at: rfc3339(task.wake_at_ms),
            failure: task.failure.as_ref().map(FailureView::from),
            attempts: task.attempts,
            agent_failures: task.agent_failures,
            infrastructure_failures: task.infrastructure_failures,
            submitted_at: rfc3339(task.submitted_at_ms),
            updated_at: rfc3339(task.updated_at_ms),
            ended_at: rfc3339(task.ended_at_ms),
            open_questions: task.open_questions,
            retry_of: some(&task.retry_of),
            retried_as: some(&task.retried_as),
            after: &task.after,
            on_failed_dependency: match task.on_failed_dependency() {
                v1::DependencyPolicy::Unspecified | v1::DependencyPolicy::Cancel => "cancel",
                v1::DependencyPolicy::Skip => "skip",
                v1::DependencyPolicy::Run => "run",
            },
            parent_id: some(&task.parent_id),
            parent_number: (task.parent_number != 0).then_some(task.parent_number),
            goes_on_from: some(&task.goes_on_from),
            workflow_id: some(&task.workflow_id),
            children: task.children,
            cancelled_because: some(&task.cancelled_because),
            progress: some(&task.progress),
            progress_percent: task.progress_percent,
            report: task.report.as_ref().map(ReportView::from),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct FileView<'a> {
    pub path: &'a str,
    pub since: Option<String>,
}

impl<'a> From<&'a v1::HeldFile> for FileView<'a> {
    fn from(file: &'a v1::HeldFile) -> Self {
        Self { path: &file.path, since: rfc3339(file.since_ms) }
    }
}

/// A task with its attempts.
#[derive(Debug, Serialize)]
pub struct TaskInFull<'a> {
    #[serde(flatten)]
    pub task: TaskView<'a>,
    /// Beside `attempts`, which counts them.
    pub attempt_list: Vec<AttemptView<'a>>,
    /// By it and to it; no more than a hundred are counted.
    pub messages: usize,
    /// From it and to it; the newest twenty.
    pub handoffs: Vec<HandoffView<'a>>,
    /// Those that are open.
    pub questions: Vec<QuestionView<'a>>,
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
    pub budget_tokens: Option<u64>,
    pub max_turns: Option<u32>,
    pub role: Option<&'a str>,
    #[serde(rename = "type")]
    pub task_type: Option<&'a str>,
    pub acceptance: Option<&'a str>,
    pub directory: Option<&'a str>,
    pub touches: &'a [String],
    pub keys: &'a [String],
    pub issue: Option<&'a str>,
    pub project: Option<&'a str>,
    pub submitter: Option<&'a str>,
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
            budget_tokens: spec.budget_tokens,
            max_turns: spec.max_turns,
            role: some(&spec.role),
            task_type: some(&spec.r#type),
            acceptance: some(&spec.acceptance),
            directory: some(&spec.directory),
            touches: &spec.touches,
            keys: &spec.keys,
            issue: some(&spec.issue),
            project: some(&spec.project),
            submitter: some(&spec.submitter),
        }
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
    pub continues: Option<ContinuesView<'a>>,
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
            continues: attempt.continues.as_ref().map(ContinuesView::from),
            report: attempt.report.as_ref().map(ReportView::from),
            artifacts: attempt.artifacts.iter().map(ArtifactView::from).collect(),
        }
    }
}

/// What an attempt goes on from.
#[derive(Debug, Serialize)]
pub struct ContinuesView<'a> {
    pub attempt_id: &'a str,
    /// `resume` or `afresh`.
    pub conversation: Conversation,
    pub because: &'a str,
}

impl<'a> From<&'a v1::Continuation> for ContinuesView<'a> {
    fn from(continues: &'a v1::Continuation) -> Self {
        let conversation = continues.conversation().into();
        Self { attempt_id: &continues.attempt_id, conversation, because: &continues.because }
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
            v1::ArtifactKind::CheckpointWork => "checkpoint_work",
            v1::ArtifactKind::CheckpointTranscript => "checkpoint_transcript",
        };
        Self { kind, name: &artifact.name, bytes: artifact.bytes }
    }
}
