//! Submitting an ended task again, as a new task: what ended stays as it ended.
//!
//! It waits for what the old one waited for, or for what that was tried again as. What waited for
//! the old task has been settled by its end: tried again as well, it waits for the new one.

use factory_domain::{Brief, DependencyPolicy, Links, Settled, TaskId};
use uuid::Uuid;

use super::{App, Error};
use crate::store::{NewTask, Submitted, TaskEntry};

impl App {
    pub async fn retry(&self, name: &str, traceparent: &str) -> Result<Submitted, Error> {
        let id = self.store.resolve(name).await?;
        let (task, _) = self.task(id).await?;
        if !task.state.is_terminal() {
            return Err(Error::HasNotEnded { task: id, state: task.state.name() });
        }
        let links = self.links_again(&task).await?;
        let again = NewTask {
            id: TaskId::from_uuid(Uuid::now_v7()),
            spec: task.spec,
            idempotency_key: None,
            retry_of: Some(id),
            links,
            brief: Brief::default(),
            traceparent: traceparent.to_owned(),
        };
        let mut again = vec![again];
        self.brief(&mut again).await?;
        let mut submitted = self.enter(again).await?;
        Ok(submitted.remove(0))
    }

    async fn links_again(&self, task: &TaskEntry) -> Result<Links, Error> {
        let mut after = Vec::with_capacity(task.after.len());
        for needed in &task.after {
            let newest = self.newest_try(needed.id).await?;
            let hopeless = Settled::of(&newest.state) == Some(Settled::Failed);
            if hopeless && task.on_failed_dependency != DependencyPolicy::Run {
                return Err(Error::NeedsRetryFirst { task: task.id, needs: newest.number });
            }
            after.push(newest.id);
        }
        Ok(Links {
            after,
            on_failed_dependency: task.on_failed_dependency,
            parent: task.parent.map(|(parent, _)| parent),
            goes_on_from: task.goes_on_from,
            hold: false,
        })
    }

    /// What a task that did not succeed was last tried again as; otherwise the task itself.
    async fn newest_try(&self, id: TaskId) -> Result<TaskEntry, Error> {
        let (mut newest, _) = self.task(id).await?;
        while let Some(again) = newest.retried_as
            && Settled::of(&newest.state) != Some(Settled::Succeeded)
        {
            (newest, _) = self.task(again).await?;
        }
        Ok(newest)
    }
}
