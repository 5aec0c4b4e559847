//! The tasks that one task has to do with.

use std::collections::HashMap;

use factory_domain::TaskId;
use serde::Serialize;

use crate::app::{App, Related};
use crate::http::dashboard::graph::Graph;
use crate::http::problem::Problem;
use crate::store::Relative;

/// Tasks that are looked at, the nearest.
const MOST: u32 = 200;
/// Tasks of the graph on a task's page: of more than these, the nearest.
const DRAWN: usize = 24;

#[derive(Serialize)]
pub struct Family {
    /// Its children and theirs, each after its parent.
    children: Vec<Kin>,
    /// Children that have not ended, and theirs.
    live_children: usize,
    /// What waits for it, or has waited for it.
    unblocks: Vec<Kin>,
    /// There are more tasks than were looked at.
    cut: bool,
    #[serde(skip)]
    tasks: Vec<Relative>,
}

#[derive(Debug, Serialize)]
struct Kin {
    number: u64,
    title: String,
    state: String,
    /// Of a child: how far below.
    depth: usize,
}

pub async fn read(app: &App, task: TaskId) -> Result<Family, Problem> {
    let Related { tasks, cut } = app.related(&task.to_string(), MOST).await?;
    let mut of: HashMap<TaskId, Vec<&Relative>> = HashMap::new();
    for one in &tasks {
        if let Some(parent) = one.parent {
            of.entry(parent).or_default().push(one);
        }
    }
    of.values_mut().for_each(|children| children.sort_by_key(|child| std::cmp::Reverse(child.number)));
    let mut children = Vec::new();
    let mut next: Vec<(&Relative, usize)> = below(&of, task, 0).collect();
    while let Some((one, depth)) = next.pop() {
        children.push(Kin::new(one, depth));
        next.extend(below(&of, one.id, depth + 1));
    }
    let ended = |kin: &&Kin| matches!(kin.state.as_str(), "succeeded" | "failed" | "cancelled");
    let unblocks = tasks.iter().filter(|one| one.after.contains(&task)).map(|one| Kin::new(one, 0));
    Ok(Family {
        live_children: children.len() - children.iter().filter(ended).count(),
        unblocks: unblocks.collect(),
        children,
        cut,
        tasks,
    })
}

/// Last first, as they are taken from the end.
fn below<'r>(
    of: &HashMap<TaskId, Vec<&'r Relative>>,
    parent: TaskId,
    depth: usize,
) -> impl Iterator<Item = (&'r Relative, usize)> + use<'r> {
    let children: Vec<&Relative> = of.get(&parent).cloned().unwrap_or_default();
    children.into_iter().map(move |child| (child, depth))
}

impl Family {
    /// What is near, drawn; nothing where the task stands alone.
    pub fn graph(&self, number: u64) -> Option<Graph> {
        let near: Vec<Relative> = self.tasks.iter().take(DRAWN).cloned().collect();
        let cut = self.cut || self.tasks.len() > near.len();
        (near.len() > 1).then(|| Graph::new(Related { tasks: near, cut }, Some(number)))
    }
}

impl Kin {
    fn new(task: &Relative, depth: usize) -> Self {
        Self { number: task.number, title: task.title.clone(), state: task.state.clone(), depth }
    }
}
