//! The agents at work.

use std::collections::HashMap;

use factory_domain::WorkerId;

use super::page::Page;
use super::{App, Error};
use crate::store::{HeldEntry, ListFilter, TaskEntry};

/// A task with its live attempt.
#[derive(Debug)]
pub struct RunningAgent {
    pub task: TaskEntry,
    pub held: HeldEntry,
    pub worker_id: WorkerId,
    /// By name.
    pub worker: String,
    /// It has not been heard of past its lease.
    pub unreachable: bool,
}

#[derive(Debug)]
pub struct RunningPage {
    pub agents: Vec<RunningAgent>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// The states in which a worker holds a task.
const HELD: [&str; 3] = ["leased", "running", "cancelling"];

impl App {
    /// Those of the newest tasks first. One query for the tasks, and one for each worker that holds any.
    pub async fn running_agents(&self, size: u32, token: &str) -> Result<RunningPage, Error> {
        let page = Page::read(size, token, &HELD)?;
        let filter = ListFilter {
            states: HELD.to_vec(),
            before: page.before,
            limit: page.limit(),
            ..ListFilter::default()
        };
        let mut tasks = self.store.list(filter).await?;
        let next_page_token = page.cut(&mut tasks, |task| task.spec.title.len(), |task| task.number);
        let mut held = HashMap::new();
        for worker in self.store.workers().await?.into_iter().filter(|worker| worker.busy > 0) {
            for attempt in self.store.held_by(worker.entry.id).await? {
                held.insert(attempt.attempt, (attempt, worker.entry.id, worker.entry.name.clone()));
            }
        }
        // What moved on between the queries is left out: it runs no longer, or is there at the next look.
        let agents = tasks.into_iter().filter_map(|task| {
            let lease = *task.state.lease()?;
            let (held, worker_id, worker) = held.remove(&lease.attempt)?;
            let unreachable = matches!(lease.contact, factory_domain::Contact::Unreachable { .. });
            Some(RunningAgent { task, held, worker_id, worker, unreachable })
        });
        Ok(RunningPage { agents: agents.collect(), next_page_token })
    }
}
