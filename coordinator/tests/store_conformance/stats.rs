//! Sums over all tasks.

use factory_coordinator::store::{ReportedAttempt, Stats, Store};
use factory_domain::{Event, Outcome, SpecDraft, Usage};

use crate::bench::{Worker, apply, at, draft, failed, submit};

const REPO: &str = "owner/name";

fn in_repo(prompt: &str) -> SpecDraft {
    SpecDraft { repo: REPO.into(), ..draft(prompt) }
}

async fn states(store: &dyn Store, repo: Option<&str>) -> Vec<(String, u64)> {
    store.stats(repo.map(str::to_owned)).await.expect("summed").states
}

fn counts(wanted: &[(&str, u64)]) -> Vec<(String, u64)> {
    wanted.iter().map(|(state, tasks)| ((*state).to_owned(), *tasks)).collect()
}

pub async fn tasks_are_counted_by_state_and_repository(store: &dyn Store) {
    assert_eq!(store.stats(None).await.expect("summed"), Stats::default());
    let worker = Worker::register(store, &[]).await;
    let first = submit(store, draft("a")).await;
    submit(store, in_repo("b")).await;
    submit(store, in_repo("c")).await;
    assert_eq!(states(store, None).await, counts(&[("queued", 3)]));
    let claimed = worker.run_one(store, at(1)).await;
    assert_eq!(claimed.task, first);
    assert_eq!(states(store, None).await, counts(&[("queued", 2), ("running", 1)]));
    store.report(worker.reports(&claimed, Outcome::Succeeded), at(2)).await.expect("heard");
    let claimed = worker.run_one(store, at(3)).await;
    apply(store, claimed.task, Event::CancelRequested, at(4)).await;
    assert_eq!(states(store, None).await, counts(&[("cancelling", 1), ("queued", 1), ("succeeded", 1)]));
    assert_eq!(states(store, Some(REPO)).await, counts(&[("cancelling", 1), ("queued", 1)]));
    assert_eq!(states(store, Some("owner/other")).await, []);
}

pub async fn what_attempts_used_is_summed_once(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    submit(store, SpecDraft { max_attempts: Some(1), ..in_repo("a") }).await;
    submit(store, draft("b")).await;
    let used = |cost, reported: ReportedAttempt| {
        let usage = Usage { cost_micro_usd: cost, input_tokens: 10, output_tokens: 3, ..Usage::default() };
        let report = factory_domain::Report { usage, ..reported.report };
        ReportedAttempt { report, ..reported }
    };
    let first = worker.run_one(store, at(1)).await;
    let report = used(500, worker.reports(&first, failed(factory_domain::FailureReason::AgentError)));
    store.report(report.clone(), at(2)).await.expect("heard");
    store.report(report, at(3)).await.expect("heard again");
    let second = worker.run_one(store, at(4)).await;
    store.report(used(70, worker.reports(&second, Outcome::Succeeded)), at(5)).await.expect("heard");

    let sums = |stats: Stats| (stats.attempts, stats.cost_micro_usd, stats.input_tokens, stats.output_tokens);
    assert_eq!(sums(store.stats(None).await.expect("summed")), (2, 570, 20, 6));
    assert_eq!(sums(store.stats(Some(REPO.into())).await.expect("summed")), (1, 500, 10, 3));
}
