//! What an agent does with tasks of its own: submits children, looks at what concerns it, and says
//! how far it is.

use std::collections::HashSet;

use factory_domain::family::Bounds;
use factory_domain::{Brief, Progress, TaskId, TaskSpec};
use uuid::Uuid;

use super::{Acting, App, Error, FieldViolation, Wanted};
use crate::store::{ListFilter, NewTask, Submitted, TaskEntry};

/// Children an agent is shown at most; the newest.
const MOST_CHILDREN: u32 = 100;

impl App {
    /// Accepts a child of the agent's task. The same `key` of the same attempt submits once.
    pub async fn submit_child(
        &self,
        acting: &Acting,
        key: &str,
        wanted: Wanted,
        traceparent: &str,
    ) -> Result<Submitted, Error> {
        if key.len() > super::submit::MAX_KEY {
            return Err(Error::invalid("key", format!("is longer than {} bytes", super::submit::MAX_KEY)));
        }
        let mut wanted = Wanted { parent: acting.task.to_string(), ..wanted };
        self.settle_repos([&mut wanted.spec])?;
        let id = TaskId::from_uuid(Uuid::now_v7());
        let links = self.links(std::slice::from_ref(&wanted), &[id]).await?.remove(0);
        let kin = self.kin(acting.task).await?;
        let strangers = links.after.iter().chain(&links.goes_on_from).filter(|id| !kin.contains(id));
        let violations: Vec<_> = strangers
            .map(|id| {
                let why =
                    format!("names task {id}, which is neither yours, nor a child of yours, nor waited for");
                FieldViolation::new("tasks[0].after", why)
            })
            .collect();
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let mut child = [NewTask {
            id,
            spec: wanted.spec,
            idempotency_key: (!key.is_empty()).then(|| format!("child:{}:{key}", acting.attempt)),
            retry_of: None,
            links,
            brief: Brief::default(),
            traceparent: traceparent.to_owned(),
        }];
        self.brief(&mut child).await?;
        let [child] = child;
        let submitted = self.store.submit_child(child, Bounds::default(), self.clock.now()).await?;
        tracing::info!(task = %submitted.id, number = submitted.number, parent = %acting.task, "child submitted");
        self.after_submit(true);
        Ok(submitted)
    }

    /// What the agent's own task asks for.
    pub async fn spec_of(&self, acting: &Acting) -> Result<TaskSpec, Error> {
        Ok(self.task(acting.task).await?.0.spec)
    }

    /// Those named, or where none is: the agent's task, its children and those it waited for.
    pub async fn tasks_of_agent(
        &self,
        acting: &Acting,
        names: &[String],
    ) -> Result<Vec<(TaskEntry, Option<String>)>, Error> {
        let kin = self.kin(acting.task).await?;
        let mut tasks = Vec::new();
        if names.is_empty() {
            for id in &kin {
                tasks.push(self.task(*id).await?);
            }
            tasks.sort_by_key(|(task, _)| task.number);
        }
        for name in names {
            let id = self.store.resolve(name).await?;
            if !kin.contains(&id) {
                return Err(Error::NotKin(name.clone()));
            }
            tasks.push(self.task(id).await?);
        }
        Ok(tasks)
    }

    /// What concerns the agent of a task: itself, its children, and those it waited for or goes on from.
    async fn kin(&self, task: TaskId) -> Result<HashSet<TaskId>, Error> {
        let (entry, _) = self.task(task).await?;
        let filter = ListFilter { parent: Some(task), limit: MOST_CHILDREN, ..ListFilter::default() };
        let children = self.store.list(filter).await?.into_iter().map(|child| child.id);
        let needed = entry.after.iter().map(|needed| needed.id).chain(entry.goes_on_from);
        Ok(children.chain(needed).chain([task]).collect())
    }

    /// Shown with the task. The feed does not tell of it: that is for what happened, and stays so.
    pub async fn report_progress(
        &self,
        acting: &Acting,
        text: &str,
        percent: Option<u32>,
    ) -> Result<(), Error> {
        let progress = Progress::new(text, percent).map_err(|it| Error::invalid(it.field, it.why))?;
        let noted = self.store.note_progress(acting.task, acting.attempt, progress).await?;
        if noted { Ok(()) } else { Err(Error::NotYours(acting.attempt)) }
    }
}
