//! Which tasks are listed, and in which order.

use std::cmp::Reverse;

use factory_proto::v1;
use factory_proto::v1::TaskState;

use super::fleet::Fleet;

/// A choice of tasks by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    #[default]
    All,
    Running,
    Waiting,
    Queued,
    Failed,
    Ended,
}

impl Tab {
    pub const ALL: [Self; 6] =
        [Self::All, Self::Running, Self::Waiting, Self::Queued, Self::Failed, Self::Ended];

    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Running => "Running",
            Self::Waiting => "Waiting",
            Self::Queued => "Queued",
            Self::Failed => "Failed",
            Self::Ended => "Ended",
        }
    }

    fn holds(self, task: &v1::Task) -> bool {
        match self {
            // An agent may ask and go on with something else until it is answered.
            Self::Waiting => task.open_questions > 0 || self.is_of(task.state()),
            _ => self.is_of(task.state()),
        }
    }

    fn is_of(self, state: TaskState) -> bool {
        use TaskState as S;
        match self {
            Self::All => true,
            Self::Running => matches!(state, S::Leased | S::Running | S::Cancelling),
            Self::Waiting => state == S::Waiting,
            Self::Queued => matches!(state, S::Queued | S::Blocked | S::Parked),
            Self::Failed => state == S::Failed,
            Self::Ended => state.is_terminal(),
        }
    }

    /// How many tasks there are of it.
    pub fn count(self, fleet: &Fleet) -> u64 {
        if self == Self::Waiting {
            // All of these are known, and what asks while it runs is in another state.
            return fleet.tasks().filter(|task| self.holds(task)).count() as u64;
        }
        let states = STATES.iter().filter(|state| self.is_of(**state));
        states.map(|state| fleet.count(*state)).sum()
    }

    pub fn next(self, step: isize) -> Self {
        let place = Self::ALL.iter().position(|tab| *tab == self).unwrap_or_default();
        let places = Self::ALL.len();
        Self::ALL[place.saturating_add_signed(step.rem_euclid(places.cast_signed())) % places]
    }
}

/// Every state, those first that someone looks for first.
pub const STATES: [TaskState; 10] = [
    TaskState::Waiting,
    TaskState::Running,
    TaskState::Leased,
    TaskState::Cancelling,
    TaskState::Parked,
    TaskState::Queued,
    TaskState::Blocked,
    TaskState::Failed,
    TaskState::Cancelled,
    TaskState::Succeeded,
];

/// Live ones first, by how near they are to needing somebody; the newest first among equals.
pub fn listed<'a>(fleet: &'a Fleet, tab: Tab, filter: &str) -> Vec<&'a v1::Task> {
    let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    let fits = |task: &&v1::Task| tab.holds(task) && (words.is_empty() || has_all(task, &words));
    let mut tasks: Vec<_> = fleet.tasks().filter(fits).collect();
    tasks.sort_by_key(|task| (rank(task), Reverse(task.number)));
    tasks
}

fn rank(task: &v1::Task) -> u8 {
    match task.state() {
        _ if task.open_questions > 0 => 0,
        TaskState::Waiting => 0,
        TaskState::Leased | TaskState::Running | TaskState::Cancelling => 1,
        TaskState::Parked => 2,
        TaskState::Queued | TaskState::Blocked => 3,
        TaskState::Unspecified | TaskState::Succeeded | TaskState::Failed | TaskState::Cancelled => 4,
    }
}

fn has_all(task: &v1::Task, words: &[String]) -> bool {
    let spec = task.spec.as_ref();
    let of_spec =
        spec.map(|spec| [&spec.title, &spec.repo, &spec.role, &spec.agent, &spec.branch, &spec.issue]);
    let mut text = format!("{} {} {}", task.number, task.state().name(), task.worker_name);
    for part in of_spec.into_iter().flatten() {
        text.push(' ');
        text.push_str(part);
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Fleet {
        let mut fleet = Fleet::new("http://x");
        for (number, title, state) in [
            (1, "Fix login", TaskState::Succeeded),
            (2, "Fix search", TaskState::Running),
            (3, "Write docs", TaskState::Queued),
            (4, "Fix cache", TaskState::Failed),
            (5, "Ask me", TaskState::Waiting),
            (6, "Again", TaskState::Running),
            (7, "Later", TaskState::Blocked),
        ] {
            let spec = v1::TaskSpec { title: title.into(), role: "coder".into(), ..Default::default() };
            fleet.put(
                v1::Task { number, spec: Some(spec), state: state.into(), ..Default::default() },
                number,
            );
        }
        fleet
    }

    fn numbers(tab: Tab, filter: &str) -> Vec<u64> {
        listed(&fleet(), tab, filter).iter().map(|task| task.number).collect()
    }

    #[test]
    fn live_tasks_come_first_then_the_newest() {
        assert_eq!(numbers(Tab::All, ""), [5, 6, 2, 7, 3, 4, 1]);
    }

    #[test]
    fn a_tab_holds_its_states_and_counts_them() {
        for (tab, expected) in [
            (Tab::Running, vec![6, 2]),
            (Tab::Waiting, vec![5]),
            (Tab::Queued, vec![7, 3]),
            (Tab::Failed, vec![4]),
            (Tab::Ended, vec![4, 1]),
        ] {
            assert_eq!(numbers(tab, ""), expected, "{tab:?}");
            assert_eq!(tab.count(&fleet()), expected.len() as u64, "{tab:?}");
        }
        assert_eq!(
            (Tab::All.next(1), Tab::All.next(-1), Tab::Ended.next(1)),
            (Tab::Running, Tab::Ended, Tab::All)
        );
    }

    #[test]
    fn a_filter_wants_every_word_in_any_case() {
        assert_eq!(numbers(Tab::All, "fix"), [2, 4, 1]);
        assert_eq!(numbers(Tab::All, "FIX failed"), [4]);
        assert_eq!(numbers(Tab::All, "coder docs"), [3]);
        assert_eq!(numbers(Tab::Failed, "search"), [0_u64; 0]);
    }
}
