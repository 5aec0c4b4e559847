//! The wish that a task end, alone or with its children.

use factory_domain::Rejected;

use super::{App, Error};
use crate::store::{CancelError, TaskEntry};

/// What came of the wish.
#[derive(Debug)]
pub struct Cancelled {
    pub task: TaskEntry,
    pub waiting_for: Option<String>,
    /// Children and theirs that were asked to end.
    pub children_cancelled: u32,
    /// Those that go on.
    pub children_live: u32,
}

impl App {
    /// Durable when this returns. Wishing it again changes nothing; a task that has ended is past it,
    /// though its children may not be.
    pub async fn cancel(&self, name: &str, with_children: bool) -> Result<Cancelled, Error> {
        let id = self.store.resolve(name).await?;
        let family = match self.store.cancel(id, with_children, self.clock.now()).await {
            Ok(family) => family,
            Err(CancelError::NoSuchTask(task)) => return Err(Error::NoSuchTask(task.to_string())),
            Err(CancelError::Store(error)) => return Err(error.into()),
        };
        family.task.iter().chain(&family.children).for_each(|applied| self.settle(applied));
        if let Err(Rejected::Ended { state }) = family.task
            && family.cancelled == 0
        {
            return Err(Error::HasEnded { task: id, state });
        }
        let (task, waiting_for) = self.task(id).await?;
        Ok(Cancelled { task, waiting_for, children_cancelled: family.cancelled, children_live: family.live })
    }
}
