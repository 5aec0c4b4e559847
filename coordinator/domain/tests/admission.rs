//! Files and keys under any schedule: no two hold the same, nobody waits for ever.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use factory_domain::schedule::rank;
use factory_domain::{Board, Holding, Limits, Needs, Obstacle, PathPattern, TaskId, Wish};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

fn task(n: u64) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(u128::from(n)))
}

fn needs(files: &[&str], keys: &[&str]) -> Needs {
    Needs {
        repo: Some("owner/name".into()),
        files: files.iter().map(|file| PathPattern::parse(file).expect("a pattern")).collect(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    }
}

fn wish(n: u64, needs: Needs) -> Wish {
    Wish { task: task(n), rank: rank(0, n), needs }
}

fn holding(n: u64, needs: Needs) -> Holding {
    Holding { task: task(n), needs }
}

/// Two may have `twice`, and any number `free`.
fn limits() -> Limits {
    let keys = [("twice".to_owned(), NonZeroU32::new(2)), ("free".to_owned(), None)];
    Limits { keys: keys.into(), ..Limits::NONE }
}

fn anyone(_: TaskId) -> bool {
    true
}

#[test]
fn who_waits_is_not_overtaken_but_by_those_it_does_not_clash_with() {
    let limits = limits();
    let (first, second) = (wish(2, needs(&["src", "docs"], &[])), wish(3, needs(&["docs/api.md"], &[])));
    let other = wish(4, needs(&["tests"], &[]));
    let board = Board::new(
        &limits,
        [holding(1, needs(&["src/auth"], &[]))],
        [first.clone(), second.clone(), other.clone()],
    );
    let file = |path: &str, by, held| {
        Some(Obstacle::File { path: PathPattern::parse(path).expect("a pattern"), by: task(by), held })
    };
    assert_eq!(board.obstacle(&first, anyone), file("src/auth", 1, true));
    assert_eq!(board.obstacle(&second, anyone), file("docs", 2, false));
    assert_eq!(board.obstacle(&second, |by| by != task(2)), None, "nobody could take the one before it");
    assert_eq!(board.obstacle(&other, anyone), None);
    let elsewhere = Needs { repo: Some("another/one".into()), ..needs(&["src"], &[]) };
    assert_eq!(board.obstacle(&wish(9, elsewhere), anyone), None);
}

#[test]
fn a_key_is_for_as_many_as_its_limit_says() {
    let limits = limits();
    let holdings = || [holding(1, needs(&[], &["twice", "once", "free"]))];
    let board = Board::new(&limits, holdings(), [wish(2, needs(&["src"], &["twice"]))]);
    let limit = |n| NonZeroU32::new(n).expect("a limit");
    let obstacle = |n, keys: &[&str]| board.obstacle(&wish(n, needs(&[], keys)), anyone);
    assert_eq!(obstacle(2, &["twice", "free"]), None);
    let twice = Obstacle::Key { key: "twice".into(), limit: limit(2), by: task(1) };
    assert_eq!(obstacle(3, &["free", "twice"]), Some(twice), "the second place is promised");
    let once = Obstacle::Key { key: "once".into(), limit: limit(1), by: task(1) };
    assert_eq!(obstacle(3, &["once"]), Some(once));
}

#[test]
fn a_circle_of_agents_is_found_and_one_through_the_line_is_none() {
    let limits = Limits::NONE;
    let holdings =
        || [holding(7, needs(&["a"], &[])), holding(8, needs(&["b"], &[])), holding(9, needs(&["c"], &[]))];
    let waiting = [wish(8, needs(&["c"], &[])), wish(9, needs(&["a"], &[]))];
    let board = Board::new(&limits, holdings(), waiting);
    assert_eq!(board.circle(&wish(7, needs(&["b"], &[]))), Some(vec![task(8), task(9)]));
    assert_eq!(board.circle(&wish(7, needs(&["d"], &[]))), None);

    // A task in the queue wants what one agent has, and stands before it for what it asks next.
    let board = Board::new(&limits, holdings(), [wish(1, needs(&["a", "d"], &[]))]);
    assert_eq!(board.obstacle(&wish(7, needs(&["d"], &[])), anyone), None, "it waits for that very agent");
    let behind = board.files_in_the_way(&wish(8, needs(&["d"], &[])));
    assert!(matches!(behind[..], [Obstacle::File { by, held: false, .. }] if by == task(1)), "{behind:?}");
}

/// A task of the play: what it needs to start, and what its agent asks for on the way.
#[derive(Debug, Clone)]
struct Part {
    priority: i32,
    needs: Needs,
    asks: Vec<Needs>,
}

fn parts() -> impl Strategy<Value = Part> {
    let files = vec(prop::sample::select(vec!["a", "a/b", "a/c", "b", "b/*.rs", "**/b", "c"]), 0..3);
    let keys = vec(prop::sample::select(vec!["once", "twice", "free"]), 0..2);
    let needed = (files.clone(), keys).prop_map(|(files, keys)| needs(&files, &keys));
    let asks = vec(files.prop_map(|files| needs(&files, &[])), 0..3);
    (-1..=1, needed, asks).prop_map(|(priority, needs, asks)| Part { priority, needs, asks })
}

#[derive(Debug)]
struct At {
    part: Part,
    stands: Stands,
    held: Vec<Needs>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stands {
    Queued,
    Works,
    Asks,
}

/// The tasks under way, by number.
struct Play {
    tasks: BTreeMap<u64, At>,
    limits: Limits,
    slots: usize,
    come: u64,
}

impl Play {
    fn comes(&mut self, part: Part) {
        self.come += 1;
        self.tasks.insert(self.come, At { part, stands: Stands::Queued, held: Vec::new() });
    }

    fn wish(&self, n: u64) -> Wish {
        let At { part, stands, .. } = &self.tasks[&n];
        let asked = part.asks.last().filter(|_| *stands != Stands::Queued);
        Wish { task: task(n), rank: rank(part.priority, n), needs: asked.unwrap_or(&part.needs).clone() }
    }

    fn board(&self) -> Board<'_> {
        let held = |(n, at): (&u64, &At)| {
            at.held.iter().map(|needs| Holding { task: task(*n), needs: needs.clone() }).collect::<Vec<_>>()
        };
        let waiting = self.tasks.iter().filter(|(_, at)| at.stands != Stands::Works);
        Board::new(&self.limits, self.tasks.iter().flat_map(held), waiting.map(|(n, _)| self.wish(*n)))
    }

    /// What task `n` does next, as far as it can: starts, asks, gets, ends. Answers whether anything came of it.
    fn acts(&mut self, n: u64) -> bool {
        let wish = self.wish(n);
        let busy = self.tasks.values().filter(|at| at.stands != Stands::Queued).count();
        let granted = self.board().obstacle(&wish, anyone).is_none();
        let refused = self.board().circle(&wish).is_some();
        let slots = self.slots;
        let at = self.tasks.get_mut(&n).expect("under way");
        match at.stands {
            Stands::Queued if granted && busy < slots => {
                at.held.push(wish.needs);
                at.stands = Stands::Works;
            }
            Stands::Works if at.part.asks.is_empty() => drop(self.tasks.remove(&n)),
            Stands::Works => {
                at.stands = Stands::Asks;
                if refused {
                    at.part.asks.pop();
                    at.stands = Stands::Works;
                }
            }
            Stands::Asks if granted => {
                at.held.push(wish.needs);
                at.part.asks.pop();
                at.stands = Stands::Works;
            }
            _ => return false,
        }
        true
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let held: Vec<(u64, &Needs)> =
            self.tasks.iter().flat_map(|(n, at)| at.held.iter().map(move |needs| (*n, needs))).collect();
        for (n, ours) in &held {
            for (other, theirs) in held.iter().filter(|(other, _)| other > n) {
                let clash = ours.files.iter().any(|our| theirs.files.iter().any(|their| our.overlaps(their)));
                prop_assert!(!clash, "{n} and {other} hold {ours:?} and {theirs:?}");
            }
        }
        for (key, most) in [("once", 1), ("twice", 2)] {
            let tasks =
                self.tasks.values().filter(|at| at.held.iter().any(|it| it.keys.iter().any(|k| k == key)));
            prop_assert!(tasks.count() <= most, "{key}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever order they act in, and however many come behind: none of the first is still there
    /// in the end, since there is always one that can act, and no one behind takes its turn.
    #[test]
    fn everyone_is_served(
        first in vec(parts(), 1..8),
        behind in vec(parts(), 1..8),
        order in vec(any::<prop::sample::Index>(), 40),
        slots in 1usize..5,
    ) {
        let mut play = Play { tasks: BTreeMap::new(), limits: limits(), slots, come: 0 };
        let count = first.len() as u64;
        first.into_iter().for_each(|part| play.comes(part));
        let mut newcomers = behind.iter().cycle();
        for turn in order.iter().cycle().take(1000) {
            // None of them is ahead by priority, or they might keep coming for ever.
            while play.tasks.len() < 12 {
                let part = newcomers.next().expect("a cycle").clone();
                play.comes(Part { priority: -1, ..part });
            }
            // Claims look at the queue by rank; then each agent does one thing, in any order.
            let (mut queued, mut working): (Vec<u64>, Vec<u64>) =
                play.tasks.keys().partition(|n| play.tasks[n].stands == Stands::Queued);
            queued.sort_by_key(|n| play.wish(*n).rank);
            let first = turn.index(play.tasks.len()) % working.len().max(1);
            working.rotate_left(first);
            let mut acted = 0;
            for n in queued.into_iter().chain(working) {
                acted += usize::from(play.acts(n));
                play.check()?;
            }
            prop_assert!(acted > 0, "nobody can act: {:?}", play.tasks);
            if play.tasks.keys().all(|n| *n > count) {
                return Ok(());
            }
        }
        prop_assert!(false, "some are never served: {:?}", play.tasks);
    }
}
