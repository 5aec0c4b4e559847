//! A task and its attempts.

use std::collections::BTreeMap;

use factory_domain::{self as domain, Delivery, ParkReason, TaskState};
use serde::Serialize;
use utoipa::ToSchema;

use super::artifact::Artifact;
use super::state::{State, Status};
use super::utc;
use crate::app::{self, AttemptDetail, cancelled_because};
use crate::store::TaskEntry;

#[derive(Debug, Serialize, ToSchema)]
pub struct Task {
    /// UUIDv7.
    id: String,
    /// Short, counted from 1 in order of submit.
    number: u64,
    title: String,
    /// What the agent is asked to do; left out of lists.
    description: Option<String>,
    status: Status,
    state: State,
    repo: Option<String>,
    /// The role.
    agent_type: Option<String>,
    /// claude, command or scripted.
    agent: String,
    /// The template that the description is put into.
    #[serde(rename = "type")]
    task_type: Option<String>,
    model: Option<String>,
    base: Option<String>,
    /// The branch with its work, once it has one.
    branch: Option<String>,
    issue: Option<String>,
    acceptance: Option<String>,
    labels: BTreeMap<String, String>,
    touches: Vec<String>,
    keys: Vec<String>,
    priority: i32,
    max_attempts: u32,
    created_at: String,
    updated_at: String,
    ended_at: Option<String>,
    /// Who runs it, or ran it last.
    worker: Option<String>,
    attempts: u32,
    /// For people: what it waits for.
    waiting_for: Option<String>,
    /// When it is tried again.
    wake_at: Option<String>,
    /// Its worker has not been heard of past its lease.
    unreachable: bool,
    /// Of the last attempt that failed.
    failure: Option<Failure>,
    cancelled_because: Option<String>,
    /// The agent's newest word on how far it is.
    progress: Option<String>,
    progress_percent: Option<u8>,
    open_questions: u32,
    /// The agent's closing words.
    result: Option<String>,
    /// Of the attempt that decided it.
    usage: Option<Usage>,
    changes: Option<Changes>,
    /// The session elsewhere that dispatched it, as that calls itself.
    session: Option<String>,
    parent: Option<Link>,
    /// Tasks submitted for it.
    children: u32,
    /// Tasks that must have ended before it starts.
    after: Vec<Link>,
    /// It is blocked until someone lets it go.
    held: bool,
    workflow_id: Option<String>,
    goes_on_from: Option<String>,
    retry_of: Option<String>,
    retried_as: Option<String>,
}

/// Another task.
#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    id: String,
    number: u64,
    /// Where it is known.
    state: Option<State>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    reason: &'static str,
    message: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    cost_usd: f64,
    turns: u32,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    model: Option<String>,
}

/// What came of the work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changes {
    base: Option<String>,
    /// Newest first, at most 200.
    commits: Vec<Commit>,
    files: u32,
    insertions: u32,
    deletions: u32,
    /// Where they are: nowhere, in the origin, or in a bundle that the coordinator keeps.
    delivery: DeliveryKind,
    /// Why the origin did not take the branch, where it did not.
    bundled_because: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    None,
    Pushed,
    Bundled,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Commit {
    id: String,
    subject: String,
}

/// A task in full.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskDetail {
    #[serde(flatten)]
    task: Task,
    /// In order of number.
    #[serde(rename = "history")]
    attempts: Vec<Attempt>,
    /// Files that it has for itself now.
    files: Vec<HeldFile>,
    /// The event feed's when this was read: follow from here and miss nothing.
    cursor: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct HeldFile {
    path: String,
    since: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt {
    id: String,
    number: u32,
    /// offered, accepted, running, unreachable, returned, succeeded, failed, cancelled, lost, asked, handed_over.
    state: String,
    worker_id: String,
    worker: String,
    offered_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    returned_because: Option<String>,
    failure: Option<Failure>,
    result: Option<String>,
    usage: Option<Usage>,
    changes: Option<Changes>,
    artifacts: Vec<Artifact>,
    /// What was kept of it and is no longer, for people.
    removed: Vec<String>,
}

impl Task {
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    pub fn new(entry: TaskEntry, waiting_for: Option<String>) -> Self {
        let cancelled_because = cancelled_because(&entry);
        let lease = entry.state.lease();
        let report = entry.report.as_ref();
        let branch = report.and_then(|report| report.branch.as_ref()).or(entry.spec.branch.as_ref());
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            status: State::from(&entry.state).status(),
            state: State::from(&entry.state),
            branch: branch.map(ToString::to_string),
            unreachable: lease
                .is_some_and(|lease| matches!(lease.contact, domain::Contact::Unreachable { .. })),
            failure: failure(&entry.state),
            wake_at: match entry.state {
                TaskState::Parked { until, .. } => Some(utc(until)),
                _ => None,
            },
            result: report.map(|report| report.result_text.clone()),
            usage: report.map(|report| Usage::from(&report.usage)),
            changes: report.map(Changes::from),
            repo: entry.spec.repo.as_ref().map(ToString::to_string),
            agent_type: entry.spec.role.as_ref().map(ToString::to_string),
            agent: entry.spec.agent.to_string(),
            task_type: entry.spec.task_type.as_ref().map(ToString::to_string),
            base: entry.spec.base.as_ref().map(ToString::to_string),
            labels: entry.spec.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            touches: entry.spec.touches.iter().map(ToString::to_string).collect(),
            title: entry.spec.title,
            description: Some(entry.spec.prompt).filter(|prompt| !prompt.is_empty()),
            model: entry.spec.model,
            issue: entry.spec.issue,
            acceptance: entry.spec.acceptance,
            keys: entry.spec.keys,
            priority: entry.spec.priority,
            max_attempts: entry.spec.max_attempts,
            created_at: utc(entry.submitted_at),
            updated_at: utc(entry.updated_at),
            ended_at: entry.ended_at.map(utc),
            worker: entry.worker_name,
            attempts: entry.tally.attempts,
            waiting_for,
            cancelled_because,
            progress_percent: entry.progress.as_ref().and_then(|progress| progress.percent),
            progress: entry.progress.map(|progress| progress.text),
            open_questions: entry.open_questions,
            session: entry.spec.session,
            parent: entry.parent.map(|(id, number)| Link { id: id.to_string(), number, state: None }),
            children: entry.children,
            after: entry
                .after
                .into_iter()
                .map(|needed| Link {
                    id: needed.id.to_string(),
                    number: needed.number,
                    state: needed.state.parse().ok(),
                })
                .collect(),
            held: entry.held,
            workflow_id: entry.workflow.map(|workflow| workflow.to_string()),
            goes_on_from: entry.goes_on_from.map(|task| task.to_string()),
            retry_of: entry.retry_of.map(|task| task.to_string()),
            retried_as: entry.retried_as.map(|task| task.to_string()),
        }
    }
}

pub(super) fn failure(state: &TaskState) -> Option<Failure> {
    match state {
        TaskState::Failed { failure, .. } => Some(failure.into()),
        TaskState::Parked {
            why: ParkReason::Backoff { failure } | ParkReason::UsageLimit { failure },
            ..
        } => Some(failure.into()),
        _ => None,
    }
}

impl From<&domain::Failure> for Failure {
    fn from(failure: &domain::Failure) -> Self {
        Self { reason: failure.reason.as_str(), message: failure.message.clone() }
    }
}

impl From<&domain::Usage> for Usage {
    fn from(usage: &domain::Usage) -> Self {
        Self {
            cost_usd: usage.cost_micro_usd as f64 / 1e6,
            turns: usage.turns,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            model: usage.model.clone(),
        }
    }
}

impl From<&domain::Report> for Changes {
    fn from(report: &domain::Report) -> Self {
        let (delivery, bundled_because) = match &report.delivery {
            Delivery::None => (DeliveryKind::None, None),
            Delivery::Pushed => (DeliveryKind::Pushed, None),
            Delivery::Bundled { why } => (DeliveryKind::Bundled, Some(why.clone())),
        };
        let commit =
            |commit: &domain::Commit| Commit { id: commit.id.clone(), subject: commit.subject.clone() };
        Self {
            base: report.base_commit.clone(),
            commits: report.commits.iter().map(commit).collect(),
            files: report.diff_stat.files,
            insertions: report.diff_stat.insertions,
            deletions: report.diff_stat.deletions,
            delivery,
            bundled_because,
        }
    }
}

impl TaskDetail {
    /// What is said of the task alone.
    pub fn without_cursor(&self) -> impl Serialize {
        (&self.task, &self.attempts, &self.files)
    }
}

impl From<app::TaskDetail> for TaskDetail {
    fn from(detail: app::TaskDetail) -> Self {
        let held =
            |lock: crate::store::FileLock| HeldFile { path: lock.path.to_string(), since: utc(lock.since) };
        Self {
            task: Task::new(detail.task, detail.waiting_for),
            attempts: detail.attempts.into_iter().map(Attempt::from).collect(),
            files: detail.files.into_iter().map(held).collect(),
            cursor: detail.cursor,
        }
    }
}

impl From<AttemptDetail> for Attempt {
    fn from(AttemptDetail { entry, artifacts, pruned }: AttemptDetail) -> Self {
        let report = entry.report.as_ref();
        let failure = report.and_then(|report| match &report.outcome {
            domain::Outcome::Failed { failure } | domain::Outcome::Limited { failure, .. } => {
                Some(failure.into())
            }
            _ => None,
        });
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            state: entry.state.to_string(),
            worker_id: entry.worker.to_string(),
            offered_at: utc(entry.offered_at),
            started_at: entry.started_at.map(utc),
            ended_at: entry.ended_at.map(utc),
            failure,
            result: report.map(|report| report.result_text.clone()),
            usage: report.map(|report| Usage::from(&report.usage)),
            changes: report.map(Changes::from),
            worker: entry.worker_name,
            returned_because: entry.returned_because,
            artifacts: artifacts.into_iter().map(Artifact::from).collect(),
            removed: pruned.iter().map(|pruned| app::why_removed(pruned, entry.number)).collect(),
        }
    }
}
