//! Letting a task go that was submitted with a hold.

use factory_domain::{Event, Rejected};

use super::error::{Refusal, refusal};
use super::{App, Error};
use crate::store::TaskEntry;

impl App {
    /// Durable when this returns. One that is not held stays as it is; one that has ended is past it.
    pub async fn release(&self, name: &str) -> Result<(TaskEntry, Option<String>), Error> {
        let id = self.store.resolve(name).await?;
        match self.store.apply(id, Event::Released, self.clock.now()).await {
            Ok(applied) => self.settle(&applied),
            Err(error) => match refusal(error)? {
                Refusal::NoSuchTask => return Err(Error::NoSuchTask(id.to_string())),
                Refusal::Rejected(Rejected::Ended { state }) => {
                    return Err(Error::HasEnded { task: id, state });
                }
                Refusal::Rejected(_) => {}
            },
        }
        self.task(id).await
    }
}
