//! Which worker may be given which task, and which task comes first.
//!
//! Order: higher priority first, then the task whose submitter has the fewest running, then the
//! one submitted earlier. Placement: a worker must offer the task's agent and carry every label
//! the task asks for. What else a task waits for, `limits` and `admission` say.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{AgentKind, Labels, Slug};

/// Everything about a task that says whether it may be given out now, but for its place in the
/// queue. Tasks alike in it form one class, so that the queue is searched by class and not by task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Class {
    #[serde(flatten)]
    pub requirements: Requirements,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Slug>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitter: Option<String>,
    /// Its tasks want files or keys for themselves: each is looked at by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

/// What a task asks of a worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Requirements {
    pub agent: AgentKind,
    pub labels: Labels,
}

/// What a worker offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    pub agents: BTreeSet<AgentKind>,
    pub labels: Labels,
    /// Attempts it could take now.
    pub free_slots: u32,
    /// It takes nothing new, whatever is free.
    pub draining: bool,
}

impl Requirements {
    pub fn met_by(&self, capacity: &Capacity) -> bool {
        capacity.agents.contains(&self.agent) && self.labels.missing_from(&capacity.labels).next().is_none()
    }

    /// Why no worker takes a task of this class just now, in a sentence for people;
    /// `None` where some worker has a free slot for it.
    pub fn obstacle<'a>(&self, fleet: impl IntoIterator<Item = &'a Capacity>) -> Option<String> {
        let fleet: Vec<&Capacity> = fleet.into_iter().collect();
        if fleet.is_empty() {
            return Some("no worker is connected".to_owned());
        }
        let offering: Vec<_> = fleet.into_iter().filter(|c| c.agents.contains(&self.agent)).collect();
        if offering.is_empty() {
            return Some(format!("no connected worker offers the agent `{}`", self.agent));
        }
        let matching: Vec<_> = offering.into_iter().filter(|c| self.met_by(c)).collect();
        if matching.is_empty() {
            return Some(format!(
                "no connected worker that offers `{}` has the labels {}",
                self.agent, self.labels
            ));
        }
        let taking: Vec<_> = matching.into_iter().filter(|c| !c.draining).collect();
        if taking.is_empty() {
            return Some("the only matching workers are draining".to_owned());
        }
        if taking.iter().all(|c| c.free_slots == 0) {
            return Some(format!("every slot of the {} matching worker(s) is taken", taking.len()));
        }
        None
    }
}

/// The place of a task in its queue; the smallest comes first.
pub type Rank = (Reverse<i32>, u64);

/// `number` grows with every submit.
pub const fn rank(priority: i32, number: u64) -> Rank {
    (Reverse(priority), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(agents: &[AgentKind], labels: &[&str], free_slots: u32) -> Capacity {
        Capacity {
            agents: agents.iter().copied().collect(),
            labels: labels_of(labels),
            free_slots,
            draining: false,
        }
    }

    fn labels_of(pairs: &[&str]) -> Labels {
        let mut labels = Labels::default();
        for pair in pairs {
            let (key, value) = Labels::parse_pair(pair).expect("a label");
            labels.insert(key, value).expect("a label");
        }
        labels
    }

    #[test]
    fn priority_comes_before_age() {
        let mut queue = vec![(0, 1u64), (5, 3), (5, 2), (-1, 0)];
        queue.sort_by_key(|&(priority, number)| rank(priority, number));
        assert_eq!(queue, [(5, 2), (5, 3), (0, 1), (-1, 0)]);
    }

    #[test]
    fn a_worker_needs_the_agent_and_every_label() {
        let wanted = Requirements { agent: AgentKind::Claude, labels: labels_of(&["gpu=yes", "os=linux"]) };
        assert!(wanted.met_by(&capacity(&[AgentKind::Claude], &["gpu=yes", "os=linux", "x=y"], 1)));
        assert!(!wanted.met_by(&capacity(&[AgentKind::Claude], &["gpu=no", "os=linux"], 1)));
        assert!(!wanted.met_by(&capacity(&[AgentKind::Command], &["gpu=yes", "os=linux"], 1)));
    }

    #[test]
    fn the_obstacle_names_what_is_missing() {
        let wanted = Requirements { agent: AgentKind::Claude, labels: labels_of(&["gpu=yes"]) };
        let say = |fleet: &[Capacity]| wanted.obstacle(fleet);
        assert!(say(&[]).is_some_and(|s| s.contains("no worker")));
        assert!(
            say(&[capacity(&[AgentKind::Command], &["gpu=yes"], 1)]).is_some_and(|s| s.contains("`claude`"))
        );
        assert!(say(&[capacity(&[AgentKind::Claude], &[], 1)]).is_some_and(|s| s.contains("gpu=yes")));
        assert!(say(&[capacity(&[AgentKind::Claude], &["gpu=yes"], 0)]).is_some_and(|s| s.contains("slot")));
        assert_eq!(say(&[capacity(&[AgentKind::Claude], &["gpu=yes"], 1)]), None);
    }

    #[test]
    fn draining_workers_are_an_obstacle_only_where_there_are_no_others() {
        let wanted = Requirements { agent: AgentKind::Claude, labels: Labels::default() };
        let able = |free_slots| capacity(&[AgentKind::Claude], &[], free_slots);
        let draining = Capacity { draining: true, ..able(2) };
        let other = Capacity { draining: true, ..capacity(&[AgentKind::Command], &[], 2) };
        let alone = wanted.obstacle([&draining, &other]);
        assert_eq!(alone.as_deref(), Some("the only matching workers are draining"));
        assert!(wanted.obstacle([&draining, &able(0)]).is_some_and(|s| s.contains("slot of the 1 ")));
        assert_eq!(wanted.obstacle([&draining, &able(1)]), None);
    }
}
