//! What is known of the factory: its tasks as far as they fit, its workers, and sums over all.
//!
//! The event feed moves it; what events do not tell (titles, reports, progress) is read for the tasks
//! that it says have moved. Nothing here waits or asks: see [`super::feed`].

use std::collections::{BTreeMap, BTreeSet};

use factory_proto::v1;
use factory_proto::v1::TaskState;

/// Tasks kept. The newest, and all that an agent works on or that wait for someone.
const MOST: usize = 2_000;

/// Whether news arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    Connected,
    /// And why; it is tried again until it is there.
    Lost(String),
}

#[derive(Debug)]
pub struct Fleet {
    pub url: String,
    pub link: Link,
    pub workers: Vec<v1::Worker>,
    /// What the coordinator says of its own disk; empty: there is room.
    pub disk_warning: String,
    tasks: BTreeMap<u64, Entry>,
    /// Over all tasks; absent until the coordinator has said it.
    sums: Option<v1::StatsResponse>,
    /// Tasks that have moved since they were read.
    stale: BTreeSet<u64>,
}

#[derive(Debug)]
struct Entry {
    task: v1::Task,
    /// The feed's cursor that this is the truth of.
    as_of: u64,
}

impl Fleet {
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            link: Link::Connected,
            workers: Vec::new(),
            disk_warning: String::new(),
            tasks: BTreeMap::new(),
            sums: None,
            stale: BTreeSet::new(),
        }
    }

    /// Forgets all tasks: another factory answers now.
    pub fn clear(&mut self) {
        *self = Self::new(std::mem::take(&mut self.url));
    }

    /// A task as it was read when the feed stood at `cursor`.
    pub fn put(&mut self, task: v1::Task, cursor: u64) {
        let number = task.number;
        // What an event said since then is newer than what was read, which is read again.
        if self.tasks.get(&number).is_some_and(|known| known.as_of > cursor) {
            return;
        }
        self.tasks.insert(number, Entry { task, as_of: cursor });
        self.stale.remove(&number);
        self.make_room();
    }

    pub fn set_sums(&mut self, sums: v1::StatsResponse) {
        self.sums = Some(sums);
    }

    /// Something happened to a task.
    pub fn apply(&mut self, event: &v1::Event) {
        let entry = self.tasks.entry(event.task_number).or_insert_with(|| Entry::unread(event));
        if event.cursor <= entry.as_of {
            return;
        }
        entry.as_of = event.cursor;
        entry.task.follow(event);
        self.stale.insert(event.task_number);
        self.make_room();
    }

    /// Tasks to be read anew, newest first, with their ids. They count as asked for from now on.
    pub fn take_stale(&mut self, most: usize) -> Vec<(u64, String)> {
        let newest: Vec<u64> = self.stale.iter().rev().take(most).copied().collect();
        for number in &newest {
            self.stale.remove(number);
        }
        newest.iter().filter_map(|number| Some((*number, self.tasks.get(number)?.task.id.clone()))).collect()
    }

    /// Tasks that were asked for and not read.
    pub fn give_back(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.stale.extend(numbers);
    }

    pub fn stale(&self) -> usize {
        self.stale.len()
    }

    pub fn task(&self, number: u64) -> Option<&v1::Task> {
        self.tasks.get(&number).map(|entry| &entry.task)
    }

    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = &v1::Task> {
        self.tasks.values().map(|entry| &entry.task)
    }

    pub fn is_connected(&self) -> bool {
        self.link == Link::Connected
    }

    pub fn works(&self) -> bool {
        self.tasks().any(|task| task.state() == TaskState::Running)
    }

    /// How many tasks are in `state`, of all there are; of those known, until the coordinator has told.
    pub fn count(&self, state: TaskState) -> u64 {
        match &self.sums {
            Some(sums) => {
                let of_state = sums.states.iter().filter(|count| count.state() == state);
                of_state.map(|count| count.tasks).sum()
            }
            None => self.tasks().filter(|task| task.state() == state).count() as u64,
        }
    }

    pub fn cost_micro_usd(&self) -> u64 {
        match &self.sums {
            Some(sums) => sums.cost_micro_usd,
            None => self.tasks().map(cost_micro_usd).sum(),
        }
    }

    pub fn open_questions(&self) -> u64 {
        match &self.sums {
            Some(sums) => sums.open_questions,
            None => self.tasks().map(|task| u64::from(task.open_questions)).sum(),
        }
    }

    /// Taken, and there in all, of connected workers.
    pub fn slots(&self) -> (u32, u32) {
        let there = self.workers.iter().filter(|worker| worker.connected);
        there.fold((0, 0), |(busy, slots), worker| (busy + worker.busy, slots + worker.slots))
    }

    /// Ended tasks go first, then those that wait in the queue; both come back when something happens to them.
    fn make_room(&mut self) {
        if self.tasks.len() <= MOST + MOST / 10 {
            return;
        }
        for may_go in [TaskState::is_terminal, in_the_queue] {
            let excess = self.tasks.len().saturating_sub(MOST);
            let go = self.tasks.iter().filter(|(_, entry)| may_go(entry.task.state()));
            let oldest: Vec<u64> = go.map(|(number, _)| *number).take(excess).collect();
            for number in oldest {
                self.tasks.remove(&number);
                self.stale.remove(&number);
            }
        }
    }
}

fn in_the_queue(state: TaskState) -> bool {
    matches!(state, TaskState::Queued | TaskState::Blocked)
}

/// Of its deciding attempt.
pub fn cost_micro_usd(task: &v1::Task) -> u64 {
    let usage = task.report.as_ref().and_then(|report| report.usage.as_ref());
    usage.map_or(0, |usage| usage.cost_micro_usd)
}

impl Entry {
    /// A task of which only an event is known.
    fn unread(event: &v1::Event) -> Self {
        let task = v1::Task {
            id: event.task_id.clone(),
            number: event.task_number,
            submitted_at_ms: event.at_ms,
            ..v1::Task::default()
        };
        Self { task, as_of: 0 }
    }
}

trait Follow {
    fn follow(&mut self, event: &v1::Event);
}

impl Follow for v1::Task {
    fn follow(&mut self, event: &v1::Event) {
        let state = event.state();
        self.set_state(state);
        self.updated_at_ms = event.at_ms;
        self.attempts = self.attempts.max(event.attempt_number);
        self.failure = event.failure.clone();
        self.wake_at_ms = event.wake_at_ms;
        self.waiting_for.clear();
        self.unreachable = event.kind == "contact_lost";
        match state {
            TaskState::Leased | TaskState::Running | TaskState::Cancelling => {
                if !event.worker_name.is_empty() {
                    self.worker_name.clone_from(&event.worker_name);
                }
            }
            _ if state.is_terminal() => {
                self.ended_at_ms = event.at_ms;
                self.open_questions = 0;
            }
            _ => self.worker_name.clear(),
        }
        match event.kind.as_str() {
            "asked" => self.open_questions += 1,
            "answered" => self.open_questions = self.open_questions.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cursor: u64, number: u64, kind: &str, state: TaskState) -> v1::Event {
        v1::Event {
            cursor,
            task_id: format!("id-{number}"),
            task_number: number,
            kind: kind.to_owned(),
            state: state.into(),
            at_ms: 1_000 * i64::try_from(cursor).expect("small"),
            ..v1::Event::default()
        }
    }

    fn read(number: u64, title: &str, state: TaskState) -> v1::Task {
        let spec = v1::TaskSpec { title: title.to_owned(), ..Default::default() };
        v1::Task {
            id: format!("id-{number}"),
            number,
            spec: Some(spec),
            state: state.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_task_moves_by_events_and_is_to_be_read_again() {
        let mut fleet = Fleet::new("http://x");
        fleet.put(read(7, "Fix it", TaskState::Queued), 10);
        assert!(fleet.stale() == 0);
        let mut started = event(12, 7, "started", TaskState::Running);
        (started.worker_name, started.attempt_number) = ("anvil".to_owned(), 2);
        fleet.apply(&started);
        let task = fleet.task(7).expect("known");
        assert_eq!(
            (task.state(), task.worker_name.as_str(), task.attempts),
            (TaskState::Running, "anvil", 2)
        );
        assert_eq!(fleet.count(TaskState::Running), 1);
        assert_eq!(fleet.take_stale(10), [(7, "id-7".to_owned())]);
        assert!(fleet.take_stale(10).is_empty(), "it was asked for");
        fleet.give_back([7]);
        assert_eq!(fleet.stale(), 1);
        fleet.apply(&event(13, 7, "asked", TaskState::Running));
        assert_eq!(fleet.open_questions(), 1);
        fleet.apply(&event(14, 7, "ended", TaskState::Failed));
        let task = fleet.task(7).expect("known");
        assert_eq!((task.state(), task.ended_at_ms, fleet.open_questions()), (TaskState::Failed, 14_000, 0));
    }

    #[test]
    fn what_was_read_before_an_event_does_not_undo_it_and_an_event_read_already_changes_nothing() {
        let mut fleet = Fleet::new("http://x");
        fleet.apply(&event(20, 3, "started", TaskState::Running));
        fleet.put(read(3, "Late", TaskState::Queued), 19);
        assert_eq!(fleet.task(3).map(v1::Task::state), Some(TaskState::Running));
        assert_eq!(fleet.stale(), 1, "its title is still to be read");
        fleet.put(read(3, "Now", TaskState::Succeeded), 25);
        fleet.apply(&event(24, 3, "started", TaskState::Running));
        assert_eq!(fleet.task(3).map(v1::Task::state), Some(TaskState::Succeeded));
    }

    #[test]
    fn a_lost_worker_is_told_until_it_is_heard_of() {
        let mut fleet = Fleet::new("http://x");
        fleet.apply(&event(1, 1, "contact_lost", TaskState::Running));
        assert!(fleet.task(1).is_some_and(|task| task.unreachable));
        fleet.apply(&event(2, 1, "contact_regained", TaskState::Running));
        assert!(fleet.task(1).is_some_and(|task| !task.unreachable));
    }

    #[test]
    fn sums_are_the_coordinators_where_it_tells_them() {
        let mut fleet = Fleet::new("http://x");
        fleet.put(read(1, "a", TaskState::Queued), 1);
        assert_eq!(fleet.count(TaskState::Queued), 1);
        let queued = v1::StateCount { state: TaskState::Queued.into(), tasks: 10_000 };
        fleet.set_sums(v1::StatsResponse { states: vec![queued], cost_micro_usd: 5, ..Default::default() });
        assert_eq!((fleet.count(TaskState::Queued), fleet.count(TaskState::Failed)), (10_000, 0));
        assert_eq!(fleet.cost_micro_usd(), 5);
    }

    #[test]
    fn old_tasks_make_room_and_those_at_work_stay() {
        let mut fleet = Fleet::new("http://x");
        fleet.put(read(1, "at work", TaskState::Running), 1);
        for number in 2..=(2 * MOST as u64) {
            let state = if number % 2 == 0 { TaskState::Succeeded } else { TaskState::Queued };
            fleet.put(read(number, "x", state), number);
        }
        assert!(fleet.tasks().count() <= MOST + MOST / 10);
        assert!(fleet.task(1).is_some(), "an agent works on it");
        assert!(fleet.task(2).is_none() && fleet.task(3).is_some(), "what has ended goes first");
    }
}
