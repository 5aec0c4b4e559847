//! Accepting tasks.

use factory_domain::{Brief, DependencyPolicy, TaskId, TaskSpec};
use uuid::Uuid;

use super::{App, Error, FieldViolation};
use crate::store::{NewTask, Submitted};

/// Tasks one submit may bring.
const MAX_TASKS: usize = 1000;
/// Bytes.
pub(super) const MAX_KEY: usize = 200;

/// One task as it was asked for.
#[derive(Debug)]
pub struct Wanted {
    pub spec: TaskSpec,
    /// Empty: none.
    pub idempotency_key: String,
    /// By which others of the same call name it, as `@name`; empty: none.
    pub name: String,
    /// Ids, prefixes, numbers or `@name`, as in the other links.
    pub after: Vec<String>,
    pub on_failed_dependency: DependencyPolicy,
    /// Empty: none.
    pub parent: String,
    /// Empty: none.
    pub goes_on_from: String,
    /// It does not start until someone lets it go.
    pub hold: bool,
}

impl App {
    /// Accepts all of `wanted` or none. When this returns, they survive a crash.
    pub async fn submit(&self, mut wanted: Vec<Wanted>, traceparent: &str) -> Result<Vec<Submitted>, Error> {
        check(&wanted)?;
        self.settle_repos(wanted.iter_mut().map(|task| &mut task.spec))?;
        let ids: Vec<TaskId> = wanted.iter().map(|_| TaskId::from_uuid(Uuid::now_v7())).collect();
        let links = self.links(&wanted, &ids).await?;
        let mut tasks: Vec<_> = wanted
            .into_iter()
            .zip(ids)
            .zip(links)
            .map(|((task, id), links)| NewTask {
                id,
                spec: task.spec,
                idempotency_key: Some(task.idempotency_key).filter(|key| !key.is_empty()),
                retry_of: None,
                links,
                brief: Brief::default(),
                traceparent: traceparent.to_owned(),
            })
            .collect();
        self.brief(&mut tasks).await?;
        self.enter(tasks).await
    }

    pub(super) async fn enter(&self, tasks: Vec<NewTask>) -> Result<Vec<Submitted>, Error> {
        let children = tasks.iter().any(|task| task.links.parent.is_some());
        let submitted = self.store.submit(tasks, self.clock.now()).await?;
        for task in submitted.iter().filter(|task| !task.existed) {
            tracing::info!(task = %task.id, number = task.number, "task submitted");
        }
        self.after_submit(children);
        Ok(submitted)
    }

    pub(super) fn after_submit(&self, children: bool) {
        self.schedule.notify_one();
        // One that waits for a task which did not succeed has ended already, and its parent is told.
        if children {
            self.told.notify_waiters();
        }
    }
}

fn check(wanted: &[Wanted]) -> Result<(), Error> {
    if wanted.is_empty() || wanted.len() > MAX_TASKS {
        return Err(Error::invalid("tasks", format!("must be 1 to {MAX_TASKS}, and are {}", wanted.len())));
    }
    let mut violations = Vec::new();
    for (index, task) in wanted.iter().enumerate() {
        let key = &task.idempotency_key;
        let field = || format!("tasks[{index}].idempotency_key");
        if key.len() > MAX_KEY {
            violations.push(FieldViolation::new(field(), format!("is longer than {MAX_KEY} bytes")));
        }
        if key.chars().any(char::is_control) {
            violations.push(FieldViolation::new(field(), "holds a control character"));
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}
