//! What becomes of a task by the ends of those that it waits for.

use serde::{Deserialize, Serialize};

use crate::{CancelReason, DependencyPolicy, Event, TaskId, TaskState};

/// How a task ended, for those that wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    Succeeded,
    /// It was left out; what waits for it goes on as if it had succeeded.
    Skipped,
    /// It failed or was cancelled.
    Failed,
}

impl Settled {
    /// `None`: it has not ended.
    pub const fn of(state: &TaskState) -> Option<Self> {
        match state {
            TaskState::Succeeded { .. } => Some(Self::Succeeded),
            TaskState::Cancelled { because: CancelReason::Skipped { .. } } => Some(Self::Skipped),
            TaskState::Failed { .. } | TaskState::Cancelled { .. } => Some(Self::Failed),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// One of those that a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    pub task: TaskId,
    pub settled: Option<Settled>,
}

/// What `dependencies` bring about for a task that is blocked by them; `None`: it waits on.
///
/// A policy that ends the task acts at the first that did not succeed. Otherwise all must have ended.
pub fn verdict(policy: DependencyPolicy, dependencies: &[Dependency]) -> Option<Event> {
    let failed = dependencies.iter().find(|one| one.settled == Some(Settled::Failed));
    match (failed, policy) {
        (Some(failed), DependencyPolicy::Cancel | DependencyPolicy::Skip) => {
            Some(Event::DependencyFailed { task: failed.task, policy })
        }
        _ => dependencies.iter().all(|one| one.settled.is_some()).then_some(Event::Unblocked),
    }
}

/// A circle in a graph, where `next[n]` are the nodes that node `n` leads to: each node of it leads
/// to the one after it, and the first is also the last. `None`: there is no circle.
pub fn circle(next: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut done = vec![false; next.len()];
    for start in 0..next.len() {
        // The way from `start` to where the search is, each with how many of its ways on were tried.
        let mut way = vec![(start, 0)];
        while let Some((node, tried)) = way.last_mut() {
            let node = *node;
            let Some(&to) = next[node].get(*tried).filter(|_| !done[node]) else {
                done[node] = true;
                way.pop();
                continue;
            };
            *tried += 1;
            if let Some(begin) = way.iter().position(|&(on, _)| on == to) {
                let around = way[begin..].iter().map(|&(on, _)| on);
                return Some(around.chain([to]).collect());
            }
            if !done[to] {
                way.push((to, 0));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn dependencies(settled: &[Option<Settled>]) -> Vec<Dependency> {
        let id = |n| TaskId::from_uuid(Uuid::from_u128(n));
        (1..).zip(settled).map(|(n, &settled)| Dependency { task: id(n), settled }).collect()
    }

    #[test]
    fn a_task_waits_for_all_and_its_policy_for_none() {
        use DependencyPolicy::{Cancel, Run, Skip};
        use Settled::{Failed, Skipped, Succeeded};
        let task = TaskId::from_uuid(Uuid::from_u128(2));
        let ended = |policy| Some(Event::DependencyFailed { task, policy });
        for policy in [Cancel, Skip, Run] {
            assert_eq!(verdict(policy, &[]), Some(Event::Unblocked));
            assert_eq!(verdict(policy, &dependencies(&[Some(Succeeded), None])), None);
            assert_eq!(
                verdict(policy, &dependencies(&[Some(Succeeded), Some(Skipped)])),
                Some(Event::Unblocked)
            );
        }
        let failing = dependencies(&[None, Some(Failed)]);
        assert_eq!(verdict(Cancel, &failing), ended(Cancel));
        assert_eq!(verdict(Skip, &failing), ended(Skip));
        assert_eq!(verdict(Run, &failing), None, "the other one may still succeed");
        assert_eq!(verdict(Run, &dependencies(&[Some(Succeeded), Some(Failed)])), Some(Event::Unblocked));
    }

    #[test]
    fn a_circle_is_told_from_its_first_node_around() {
        assert_eq!(circle(&[vec![1], vec![2], vec![]]), None);
        assert_eq!(circle(&[vec![1, 2], vec![3], vec![3], vec![]]), None, "a diamond");
        assert_eq!(circle(&[vec![0]]), Some(vec![0, 0]));
        assert_eq!(circle(&[vec![], vec![0, 2], vec![3], vec![1]]), Some(vec![1, 2, 3, 1]));
        assert_eq!(circle(&[vec![1], vec![2], vec![1]]), Some(vec![1, 2, 1]), "beside the way to it");
    }
}
