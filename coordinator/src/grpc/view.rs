//! The store's entries as wire messages.

use factory_domain::{TaskState, Timestamp};
use factory_proto::{convert, v1};

use crate::app::{
    AttemptDetail, DrainState, HostLoad, Locked, Stats, TaskDetail, WorkerDetail, WorkerView,
    cancelled_because, why_removed,
};
use crate::store::{
    ArtifactEntry, ArtifactKind, FeedEvent, FileInTheWay, HeldEntry, Pruned, PrunedItem, Submitted, TaskEntry,
};

pub fn millis(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::as_millis)
}

fn wake_at(state: &TaskState) -> i64 {
    match state {
        TaskState::Parked { until, .. } => until.as_millis(),
        _ => 0,
    }
}

pub fn submitted(task: Submitted) -> v1::Submitted {
    v1::Submitted { id: task.id.to_string(), number: task.number, existed: task.existed }
}

pub fn task(entry: TaskEntry, waiting_for: Option<String>) -> v1::Task {
    let lease = entry.state.lease();
    let attempt = lease.map(|lease| lease.attempt).or(match &entry.state {
        TaskState::Succeeded { attempt } | TaskState::Failed { attempt, .. } => Some(*attempt),
        _ => None,
    });
    let cancelled_because = cancelled_because(&entry).unwrap_or_default();
    let (parent_id, parent_number) =
        entry.parent.map_or_else(Default::default, |(id, number)| (id.to_string(), number));
    let (progress, progress_percent) =
        entry.progress.map_or_else(Default::default, |it| (it.text, it.percent.map(u32::from)));
    let unreachable =
        lease.is_some_and(|lease| matches!(lease.contact, factory_domain::Contact::Unreachable { .. }));
    v1::Task {
        id: entry.id.to_string(),
        number: entry.number,
        state: v1::TaskState::from(&entry.state).into(),
        attempt_id: attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        worker_id: lease.map(|lease| lease.worker.to_string()).unwrap_or_default(),
        worker_name: entry.worker_name.unwrap_or_default(),
        failure: convert::failure_of(&entry.state),
        wake_at_ms: wake_at(&entry.state),
        waiting_for: waiting_for.unwrap_or_default(),
        unreachable,
        attempts: entry.tally.attempts,
        agent_failures: entry.tally.agent_failures,
        infrastructure_failures: entry.tally.infrastructure_failures,
        submitted_at_ms: entry.submitted_at.as_millis(),
        updated_at_ms: entry.updated_at.as_millis(),
        ended_at_ms: millis(entry.ended_at),
        retry_of: entry.retry_of.map(|task| task.to_string()).unwrap_or_default(),
        open_questions: entry.open_questions,
        retried_as: entry.retried_as.map(|task| task.to_string()).unwrap_or_default(),
        report: entry.report.map(Into::into),
        after: entry.after.iter().map(|needed| needed.id.to_string()).collect(),
        on_failed_dependency: v1::DependencyPolicy::from(entry.on_failed_dependency).into(),
        parent_id,
        parent_number,
        goes_on_from: entry.goes_on_from.map(|task| task.to_string()).unwrap_or_default(),
        workflow_id: entry.workflow.map(|workflow| workflow.to_string()).unwrap_or_default(),
        cancelled_because,
        progress,
        progress_percent,
        children: entry.children,
        held: entry.held,
        spec: Some(entry.spec.into()),
        ..v1::Task::default()
    }
}

pub fn stats(stats: Stats) -> v1::StatsResponse {
    let Stats { tasks: sums, workers, slots, busy, cursor } = stats;
    let state = |name: &str| v1::TaskState::from_name(name).unwrap_or_default().into();
    v1::StatsResponse {
        states: sums
            .states
            .iter()
            .map(|(name, tasks)| v1::StateCount { state: state(name), tasks: *tasks })
            .collect(),
        cost_micro_usd: sums.cost_micro_usd,
        input_tokens: sums.input_tokens,
        output_tokens: sums.output_tokens,
        attempts: sums.attempts,
        workers,
        slots,
        busy,
        open_questions: sums.open_questions,
        cursor,
    }
}

pub fn detail(detail: TaskDetail) -> v1::GetResponse {
    let files = detail
        .files
        .into_iter()
        .map(|lock| v1::HeldFile { path: lock.path.to_string(), since_ms: lock.since.as_millis() });
    let task = v1::Task { files: files.collect(), ..task(detail.task, detail.waiting_for) };
    v1::GetResponse {
        task: Some(task),
        attempts: detail.attempts.into_iter().map(attempt).collect(),
        cursor: detail.cursor,
    }
}

fn attempt(detail: AttemptDetail) -> v1::Attempt {
    let AttemptDetail { entry, artifacts, pruned } = detail;
    v1::Attempt {
        id: entry.id.to_string(),
        task_id: entry.task.to_string(),
        number: entry.number,
        state: entry.state.to_string(),
        worker_id: entry.worker.to_string(),
        worker_name: entry.worker_name,
        offered_at_ms: entry.offered_at.as_millis(),
        started_at_ms: millis(entry.started_at),
        ended_at_ms: millis(entry.ended_at),
        report: entry.report.map(Into::into),
        artifacts: artifacts.into_iter().map(artifact).collect(),
        removed: pruned.iter().map(|pruned| removed(pruned, entry.number)).collect(),
        returned_because: entry.returned_because.unwrap_or_default(),
        continues: entry.continues.map(Into::into),
    }
}

pub fn locked(locked: Locked) -> v1::LockFilesResponse {
    let (held, refused_because) = match locked {
        Locked::Granted => return v1::LockFilesResponse { granted: true, ..Default::default() },
        Locked::Held(held) => (held, String::new()),
        Locked::Refused(why) => (Vec::new(), why),
    };
    let lock = |lock: FileInTheWay| v1::FileLock {
        path: lock.path.to_string(),
        task_id: lock.by.task.to_string(),
        task_number: lock.by.number,
        title: lock.by.title,
        since_ms: millis(lock.since),
    };
    v1::LockFilesResponse { granted: false, held: held.into_iter().map(lock).collect(), refused_because }
}

fn removed(pruned: &Pruned, attempt_number: u32) -> v1::Removed {
    let (kind, name) = match &pruned.item {
        PrunedItem::Log => (v1::ArtifactKind::Unspecified, ""),
        PrunedItem::Artifact(key) => (artifact_kind(key.kind), key.name.as_str()),
    };
    v1::Removed {
        kind: kind.into(),
        name: name.to_owned(),
        bytes: pruned.bytes,
        removed_at_ms: pruned.at.as_millis(),
        message: why_removed(pruned, attempt_number),
    }
}

fn artifact(entry: ArtifactEntry) -> v1::Artifact {
    v1::Artifact {
        kind: artifact_kind(entry.kind).into(),
        name: entry.name,
        bytes: entry.bytes,
        sha256: entry.sha256.to_vec(),
    }
}

fn artifact_kind(kind: ArtifactKind) -> v1::ArtifactKind {
    match kind {
        ArtifactKind::Patch => v1::ArtifactKind::Patch,
        ArtifactKind::Bundle => v1::ArtifactKind::Bundle,
        ArtifactKind::File => v1::ArtifactKind::File,
        ArtifactKind::CheckpointWork => v1::ArtifactKind::CheckpointWork,
        ArtifactKind::CheckpointTranscript => v1::ArtifactKind::CheckpointTranscript,
    }
}

pub fn event(event: FeedEvent) -> v1::Event {
    v1::Event {
        cursor: event.cursor,
        at_ms: event.at.as_millis(),
        task_id: event.task.to_string(),
        task_number: event.number,
        attempt_id: event.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        attempt_number: event.attempt_number.unwrap_or_default(),
        kind: event.kind,
        state: v1::TaskState::from(&event.state).into(),
        worker_name: event.worker_name.unwrap_or_default(),
        detail: event.detail.unwrap_or_default(),
        failure: convert::failure_of(&event.state),
        wake_at_ms: wake_at(&event.state),
    }
}

pub fn worker(view: WorkerView) -> v1::Worker {
    let entry = view.row.entry;
    v1::Worker {
        id: entry.id.to_string(),
        name: entry.name,
        version: entry.version,
        labels: entry.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        agents: entry
            .agents
            .into_iter()
            .map(|agent| v1::AgentReadiness {
                name: agent.kind.to_string(),
                version: agent.version,
                warning: agent.warning.unwrap_or_default(),
                unusable_because: agent.unusable.unwrap_or_default(),
            })
            .collect(),
        slots: entry.slots,
        busy: view.row.busy,
        free_disk_bytes: entry.free_disk,
        connected: view.connected,
        registered_at_ms: view.row.registered_at.as_millis(),
        last_seen_at_ms: view.row.last_seen_at.as_millis(),
        last_decline: view.row.last_decline.unwrap_or_default(),
        drain: drain_state(view.drain).into(),
        draining_since_ms: millis(view.row.draining_since),
        hand_over_at_ms: millis(view.row.hand_over_at),
        load: view.load.map(host_load),
    }
}

fn host_load(load: HostLoad) -> v1::HostLoad {
    v1::HostLoad {
        load_1m_hundredths: load.average_hundredths,
        cpus: load.cpus,
        memory_total_bytes: load.memory_total,
        memory_available_bytes: load.memory_available,
        disk_total_bytes: load.disk_total,
    }
}

fn drain_state(drain: Option<DrainState>) -> v1::DrainState {
    match drain {
        None => v1::DrainState::Unspecified,
        Some(DrainState::Draining) => v1::DrainState::Draining,
        Some(DrainState::Drained) => v1::DrainState::Drained,
    }
}

pub fn worker_detail(detail: WorkerDetail) -> (v1::Worker, Vec<v1::WorkerAttempt>) {
    (worker(detail.worker), detail.held.into_iter().map(held).collect())
}

fn held(entry: HeldEntry) -> v1::WorkerAttempt {
    v1::WorkerAttempt {
        id: entry.attempt.to_string(),
        number: entry.number,
        state: entry.state.to_string(),
        task_id: entry.task.to_string(),
        task_number: entry.task_number,
        title: entry.title,
        offered_at_ms: entry.offered_at.as_millis(),
        started_at_ms: millis(entry.started_at),
    }
}
