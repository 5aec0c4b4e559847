//! Which memories come first.
//!
//! Rankings by words and by meaning have scores that cannot be compared, so they are joined by the
//! places alone: reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009).

use std::collections::HashMap;
use std::time::Duration;

use crate::{MemoryKind, Slug};

/// The paper's constant: how much the first places count before the rest.
const K: f64 = 60.0;
/// After so long a memory counts half of what it did for being new.
const HALF_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// By how much a weight of 1 raises what is alike relevant.
const PREFERENCE: f64 = 0.2;
/// Hits by words below this share of the best one's score have a common word or two by chance.
const BY_CHANCE: f64 = 0.2;
/// There is always a nearest: it is near from this cosine on, and the others from this share of its own.
const NEAR: f64 = 0.2;
const AS_NEAR: f64 = 0.8;

/// A memory that was found, as far as its place depends on it.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    pub number: u64,
    /// By its words, or its cosine; greater is better.
    pub score: f64,
    pub kind: MemoryKind,
    pub role: Option<&'a Slug>,
    pub is_summary: bool,
    pub age: Duration,
}

/// What the asking task's role makes more of.
#[derive(Debug, Clone, Default)]
pub struct Leaning {
    pub kinds: Vec<MemoryKind>,
    pub role: Option<Slug>,
}

impl Leaning {
    /// Greater for what is new, of a preferred kind, of the same role, and said by an agent
    /// rather than put together at its end.
    fn weight(&self, found: &Found<'_>) -> f64 {
        let new = 0.5_f64.powf(found.age.as_secs_f64() / HALF_LIFE.as_secs_f64());
        let kind = if self.kinds.contains(&found.kind) { 0.5 } else { 0.0 };
        let role = if found.role.is_some() && found.role == self.role.as_ref() { 0.25 } else { 0.0 };
        let said = if found.is_summary { 0.0 } else { 0.25 };
        new + kind + role + said
    }
}

/// Joins rankings into one: best first, with a score to compare by. What is in several of them
/// rises; ties go to the newer one, which has the greater number.
pub fn fuse(rankings: &[Vec<u64>]) -> Vec<(u64, f64)> {
    let mut scores: HashMap<u64, f64> = HashMap::new();
    for ranking in rankings {
        for (place, number) in ranking.iter().enumerate() {
            *scores.entry(*number).or_default() += 1.0 / (K + 1.0 + place as f64);
        }
    }
    let mut fused: Vec<_> = scores.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
    fused
}

/// From which cosine on something is near, where the nearest has `best`.
pub fn near(best: f64) -> f64 {
    (best * AS_NEAR).max(NEAR)
}

/// The order in which a task is told what was found: `by_words` as the index ranked it, `nearest`
/// as the vectors did (empty without them), which may hold others.
pub fn for_task(by_words: &[Found<'_>], nearest: &[Found<'_>], leaning: &Leaning) -> Vec<u64> {
    let best = by_words.first().map_or(0.0, |found| found.score);
    let by_words: Vec<_> = by_words.iter().filter(|found| found.score >= best * BY_CHANCE).collect();
    let relevance = if nearest.is_empty() {
        by_words.iter().map(|found| (found.number, found.score)).collect()
    } else {
        let numbers = |found: &[&Found<'_>]| found.iter().map(|found| found.number).collect();
        fuse(&[numbers(&by_words), numbers(&nearest.iter().collect::<Vec<_>>())])
    };
    let all: HashMap<u64, &Found<'_>> =
        nearest.iter().chain(by_words).map(|found| (found.number, found)).collect();
    let raise = |number: &u64| all.get(number).map_or(1.0, |found| 1.0 + PREFERENCE * leaning.weight(found));
    let mut told: Vec<(u64, f64)> =
        relevance.into_iter().map(|(number, score)| (number, score * raise(&number))).collect();
    told.sort_by(|a, b| b.1.total_cmp(&a.1));
    told.into_iter().map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(number: u64, score: f64) -> Found<'static> {
        let age = Duration::ZERO;
        Found { number, score, kind: MemoryKind::Fact, role: None, is_summary: false, age }
    }

    #[test]
    fn what_both_rankings_have_comes_before_what_one_of_them_puts_first() {
        let fused = fuse(&[vec![1, 2], vec![3, 2]]);
        assert_eq!(fused.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3, 1]);
    }

    #[test]
    fn among_equals_a_task_is_told_what_its_role_prefers_and_what_is_new() {
        let decision = Found { kind: MemoryKind::Decision, ..found(2, 1.0) };
        let leaning = Leaning { kinds: vec![MemoryKind::Decision], role: None };
        assert_eq!(for_task(&[found(1, 1.01), decision], &[], &leaning), [2, 1]);
        let old = Found { age: HALF_LIFE * 4, ..found(1, 1.01) };
        assert_eq!(for_task(&[old, found(2, 1.0)], &[], &Leaning::default()), [2, 1]);
    }

    #[test]
    fn what_shares_a_word_by_chance_is_left_out() {
        assert_eq!(for_task(&[found(1, 9.0), found(2, 1.0)], &[], &Leaning::default()), [1]);
    }

    #[test]
    fn what_is_near_is_told_without_a_word_in_common_and_what_is_not_is_left_out() {
        assert!(0.8 >= near(0.9) && 0.7 < near(0.9) && 0.1 < near(0.1));
        assert_eq!(for_task(&[], &[found(7, 0.9)], &Leaning::default()), [7]);
        let by_words = [found(1, 3.0), found(7, 2.0)];
        assert_eq!(for_task(&by_words, &[found(7, 0.9)], &Leaning::default()), [7, 1]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_told_twice(one in proptest::collection::vec(0_u64..50, 0..20), other in proptest::collection::vec(0_u64..50, 0..20)) {
            let fused = fuse(&[one.clone(), other.clone()]);
            let mut numbers: Vec<_> = fused.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            let mut all: Vec<_> = one.into_iter().chain(other).collect();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(numbers, all);
            prop_assert!(fused.is_sorted_by(|a, b| a.1 >= b.1));
        }
    }
}
