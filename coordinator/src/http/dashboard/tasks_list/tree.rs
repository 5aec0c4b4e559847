//! A page of tasks as trees: children below their parents, where both are on it.

use std::collections::{HashMap, HashSet};

use crate::store::TaskEntry;

/// A task, and why no worker takes it.
type Listed = (TaskEntry, Option<String>);

/// Deeper ones are shown as deep as this.
const MOST_SHOWN: usize = 6;

pub fn flat(tasks: Vec<Listed>) -> Vec<(usize, Listed)> {
    tasks.into_iter().map(|task| (0, task)).collect()
}

/// The newest family first, and within a family parents before their children, oldest first: the order in which they came.
pub fn ordered(tasks: Vec<Listed>) -> Vec<(usize, Listed)> {
    let here: HashSet<u64> = tasks.iter().map(|(task, _)| task.number).collect();
    let mut roots = Vec::new();
    // Newest first, as they come: the last is taken first.
    let mut children: HashMap<u64, Vec<Listed>> = HashMap::new();
    for listed in tasks {
        match listed.0.parent {
            Some((_, parent)) if here.contains(&parent) => children.entry(parent).or_default().push(listed),
            _ => roots.push(listed),
        }
    }
    roots.reverse();
    let mut next: Vec<(usize, Listed)> = roots.into_iter().map(|root| (0, root)).collect();
    let mut ordered = Vec::with_capacity(here.len());
    while let Some((depth, listed)) = next.pop() {
        let below = children.remove(&listed.0.number).unwrap_or_default();
        next.extend(below.into_iter().map(|child| ((depth + 1).min(MOST_SHOWN), child)));
        ordered.push((depth, listed));
    }
    ordered
}
