//! The wish that a task end.

use factory_domain::{Event, Rejected};

use super::error::{Refusal, refusal};
use super::{App, Error};
use crate::store::TaskEntry;

impl App {
    /// Durable when this returns. Wishing it again changes nothing; a task that has ended is past it.
    pub async fn cancel(&self, name: &str) -> Result<(TaskEntry, Option<String>), Error> {
        let task = self.store.resolve(name).await?;
        match self.store.apply(task, Event::CancelRequested, self.clock.now()).await {
            Ok(applied) => self.settle(&applied),
            Err(error) => match refusal(error)? {
                Refusal::Rejected(Rejected::Ended { state }) => return Err(Error::HasEnded { task, state }),
                Refusal::Rejected(_) => {}
                Refusal::NoSuchTask(task) => return Err(Error::NoSuchTask(task.to_string())),
            },
        }
        self.task(task).await
    }
}
