//! How tasks stand to one another.

use factory_domain::TaskId;

use super::{App, Error, ListRequest};
use crate::store::Relative;

/// Tasks of one page that are looked at for some that have to do with others.
const LOOKED_AT: u32 = 300;

#[derive(Debug)]
pub struct Related {
    /// The nearest first.
    pub tasks: Vec<Relative>,
    /// There are more.
    pub cut: bool,
}

impl App {
    /// All that hangs together with a task, by what waits for what and by parents and children; at most `most`.
    pub async fn related(&self, name: &str, most: u32) -> Result<Related, Error> {
        let id = self.store.resolve(name).await?;
        let tasks = self.store.related(vec![id], most.saturating_add(1)).await?;
        Ok(Related::first(tasks, most))
    }

    /// The same of the newest tasks that have to do with others at all.
    pub async fn newest_related(&self, most: u32) -> Result<Related, Error> {
        let request = ListRequest { page_size: LOOKED_AT, ..ListRequest::default() };
        let newest = self.list(request).await?.tasks.into_iter().map(|(task, _)| task);
        let linked =
            newest.filter(|task| task.children > 0 || task.parent.is_some() || !task.after.is_empty());
        let linked = linked.map(|task| task.id).collect();
        let tasks = self.store.related(linked, most.saturating_add(1)).await?;
        Ok(Related::first(tasks, most))
    }
}

impl App {
    pub async fn number_of(&self, task: TaskId) -> Result<u64, Error> {
        let (task, _) = self.task(task).await?;
        Ok(task.number)
    }
}

impl Related {
    fn first(mut tasks: Vec<Relative>, most: u32) -> Self {
        let cut = tasks.len() > most as usize;
        tasks.truncate(most as usize);
        Self { tasks, cut }
    }
}
