//! Tasks that have ended, summed up for those that come later.

use factory_domain::MemoryId;
use factory_domain::memory::summary::{Ended, summary};
use uuid::Uuid;

use crate::app::{App, Error};
use crate::store::{NewMemory, TaskEntry};

/// Events looked at at once.
const BATCH: u64 = 500;
/// Events that may be looked at again after a restart, where none of them ended a task to sum up.
const NOTED_EVERY: u64 = 10_000;

/// How far ended tasks have been looked at. A hint: what counts is the cursor in the store.
#[derive(Debug, Default)]
pub struct SummedUp {
    looked_up_to: u64,
    noted: u64,
}

impl App {
    /// Sums up what has ended since the last time, each task once whatever is in between.
    pub(crate) async fn sum_up(&self, progress: &mut SummedUp) -> Result<(), Error> {
        if progress.noted == 0 {
            let noted = self.store.summarised_up_to().await?;
            *progress = SummedUp { looked_up_to: noted, noted };
        }
        let end = *self.store.feed().borrow();
        while progress.looked_up_to < end && !self.stopping.is_cancelled() {
            let up_to = end.min(progress.looked_up_to + BATCH);
            let ended = self.store.ended_between(progress.looked_up_to, up_to).await?;
            let summaries: Vec<NewMemory> = ended.iter().filter_map(summary_of).collect();
            if !summaries.is_empty() || up_to - progress.noted >= NOTED_EVERY {
                self.store.save_summaries(summaries, up_to, self.clock.now()).await?;
                self.remembered.notify_one();
                progress.noted = up_to;
            }
            progress.looked_up_to = up_to;
        }
        Ok(())
    }
}

fn summary_of(task: &TaskEntry) -> Option<NewMemory> {
    let ended = Ended {
        task: task.id,
        number: task.number,
        spec: &task.spec,
        state: &task.state,
        report: task.report.as_ref(),
    };
    let memory = summary(&ended)?;
    Some(NewMemory { id: MemoryId::from_uuid(Uuid::now_v7()), memory, idempotency_key: None })
}
