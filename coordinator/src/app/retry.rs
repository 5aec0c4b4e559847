//! Submitting an ended task again, as a new task: what ended stays as it ended.

use factory_domain::{Brief, Links, TaskId};
use uuid::Uuid;

use super::{App, Error};
use crate::store::{NewTask, Submitted};

impl App {
    pub async fn retry(&self, name: &str, traceparent: &str) -> Result<Submitted, Error> {
        let id = self.store.resolve(name).await?;
        let (task, _) = self.task(id).await?;
        if !task.state.is_terminal() {
            return Err(Error::HasNotEnded { task: id, state: task.state.name() });
        }
        let again = NewTask {
            id: TaskId::from_uuid(Uuid::now_v7()),
            spec: task.spec,
            idempotency_key: None,
            retry_of: Some(id),
            links: Links::default(),
            brief: Brief::default(),
            traceparent: traceparent.to_owned(),
        };
        let mut again = vec![again];
        self.brief(&mut again).await?;
        let mut submitted = self.enter(again).await?;
        Ok(submitted.remove(0))
    }
}
