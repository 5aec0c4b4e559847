//! One task in full.

use factory_domain::task::FailureClass;
use factory_domain::{ParkReason, TaskId, TaskState};

use super::standing::blocked_by;
use super::{App, Error};
use crate::store::{ArtifactEntry, AttemptEntry, FileLock, Pruned, QueuedTask, TaskEntry};

#[derive(Debug)]
pub struct TaskDetail {
    pub task: TaskEntry,
    /// While it is queued: why no worker takes it. While it is parked by a failure: which try comes
    /// next. While it is blocked: for which tasks.
    pub waiting_for: Option<String>,
    pub attempts: Vec<AttemptDetail>,
    /// Files it has for itself.
    pub files: Vec<FileLock>,
    /// The feed's cursor before this was read.
    pub cursor: u64,
}

#[derive(Debug)]
pub struct AttemptDetail {
    pub entry: AttemptEntry,
    pub artifacts: Vec<ArtifactEntry>,
    /// What was kept of it, and is no longer.
    pub pruned: Vec<Pruned>,
}

impl App {
    /// Finds a task by id, unique prefix or short number.
    pub async fn get(&self, name: &str) -> Result<TaskDetail, Error> {
        // Read first, so that what happens meanwhile is seen twice rather than not at all.
        let cursor = *self.store.feed().borrow();
        let id = self.store.resolve(name).await?;
        let (task, waiting_for) = self.task(id).await?;
        let mut attempts = Vec::new();
        for entry in self.store.attempts(id).await? {
            let artifacts = self.store.artifacts(entry.id).await?;
            let pruned = self.store.pruned(entry.id).await?;
            attempts.push(AttemptDetail { entry, artifacts, pruned });
        }
        let files = self.store.files_of(id).await?;
        Ok(TaskDetail { task, waiting_for, attempts, files, cursor })
    }

    pub(super) async fn task(&self, id: TaskId) -> Result<(TaskEntry, Option<String>), Error> {
        let task = self.store.task(id).await?.ok_or_else(|| Error::NoSuchTask(id.to_string()))?;
        let waiting_for = self.waiting_for(std::slice::from_ref(&task)).await?.pop().flatten();
        Ok((task, waiting_for))
    }

    /// For each task, why no worker takes it, after a failure which try comes next, or which tasks block it;
    /// `None` for one that is about to be taken, and in any other state.
    pub(super) async fn waiting_for(&self, tasks: &[TaskEntry]) -> Result<Vec<Option<String>>, Error> {
        let (fleet, now) = (self.fleet.capacities(), self.clock.now());
        let queued = tasks.iter().filter(|task| task.state == TaskState::Queued).map(QueuedTask::from);
        let waits = self.store.waits(queued.collect(), self.fleet.kinds(), now).await?;
        let reasons = tasks
            .iter()
            .map(|task| match task.state {
                TaskState::Queued => {
                    if let Some(wait) = waits.get(&task.id) {
                        return Some(wait.to_string());
                    }
                    let requirements = task.spec.requirements();
                    let kept = task.prefers.and_then(|preference| {
                        let name = self.fleet.keeper(preference, &requirements, now)?;
                        let seconds = preference.until.since(now).as_secs() + 1;
                        Some(format!("worker {name}, where its work is, for {seconds}s at most"))
                    });
                    if kept.is_some() {
                        return kept;
                    }
                    match requirements.obstacle(&fleet) {
                        Some(obstacle) => Some(match self.fleet.why_unusable(requirements.agent) {
                            Some(why) => format!("{obstacle}; {why}"),
                            None => obstacle,
                        }),
                        None => self.fleet.refusal(task.id, &requirements),
                    }
                }
                TaskState::Parked { why: ParkReason::Backoff { ref failure }, .. } => {
                    self.next_try(task, failure.reason.class())
                }
                TaskState::Waiting => Some(match task.open_questions {
                    1 => "an answer to what its agent asked".to_owned(),
                    open => format!("answers to {open} questions of its agent's"),
                }),
                TaskState::Blocked => blocked_by(task),
                _ => None,
            })
            .collect();
        Ok(reasons)
    }

    fn next_try(&self, task: &TaskEntry, class: FailureClass) -> Option<String> {
        let (failures, most) = match class {
            FailureClass::Agent => (task.tally.agent_failures, task.spec.max_attempts),
            FailureClass::Infrastructure => {
                (task.tally.infrastructure_failures, self.max_infrastructure_failures)
            }
            FailureClass::Final => return None,
        };
        Some(format!("try {} of {most}", failures + 1))
    }
}
