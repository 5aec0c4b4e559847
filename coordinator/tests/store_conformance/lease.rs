//! Leases: renewing, running out, reporting.

use factory_coordinator::store::{Claimed, Holding, Reported, ReportedAttempt, Rules, Store};
use factory_domain::{
    AttemptState, Contact, Event, FailureReason, Outcome, ReturnReason, TaskState, Timestamp,
};

use crate::bench::{Worker, apply, at, draft, failed, state, story, submit};

async fn due(store: &dyn Store, now: Timestamp) -> usize {
    store.apply_due(now).await.expect("applied").len()
}

async fn renewed(store: &dyn Store, worker: &Worker, claimed: &Claimed, now: Timestamp) -> Holding {
    let verdicts = store.renew(worker.holds(&[(claimed, true)]), now).await.expect("renewed");
    assert_eq!(verdicts.len(), 1);
    verdicts[0].1
}

pub async fn an_offer_not_answered_goes_back_and_costs_nothing(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let first = worker.claim(store, 1, at(0)).await.remove(0);
    assert_eq!(store.next_due().await.expect("read"), Some(at(10)));
    assert_eq!(due(store, at(9)).await, 0);
    assert_eq!(due(store, at(10)).await, 1);
    let entry = store.task(task).await.expect("read").expect("there");
    assert_eq!((entry.state, entry.tally.agent_failures), (TaskState::Queued, 0));
    let late = store.apply(task, Event::Accepted { attempt: first.attempt }, at(11)).await;
    assert!(late.is_err(), "an answer that came too late was taken");
    let second = worker.claim(store, 1, at(12)).await.remove(0);
    assert_eq!(second.attempt_number, 2);
    let attempts = store.attempts(task).await.expect("read");
    assert_eq!(attempts[0].state, AttemptState::Returned);
    assert!(attempts[0].returned_because.as_deref().is_some_and(|why| why.contains("in time")));
}

pub async fn a_declined_offer_says_why(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.claim(store, 1, at(0)).await.remove(0);
    let why = ReturnReason::Declined { why: "the disk is full".into() };
    apply(store, task, Event::Returned { attempt: claimed.attempt, why }, at(1)).await;
    store.note_decline(worker.id, "the disk is full".into()).await.expect("noted");
    let events = store.events_after(0, &[task], 10).await.expect("read");
    assert_eq!(events[2].detail.as_deref(), Some("the disk is full"));
    assert_eq!(store.workers().await.expect("read")[0].last_decline.as_deref(), Some("the disk is full"));
}

pub async fn a_lease_that_runs_out_is_unreachable_then_lost(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    assert_eq!(due(store, at(59)).await, 0);
    assert_eq!(due(store, at(60)).await, 1);
    let entry = store.task(task).await.expect("read").expect("there");
    let lease = *entry.state.lease().expect("a lease");
    assert_eq!(entry.state.name(), "running");
    assert_eq!(lease.contact, Contact::Unreachable { since: at(60) });
    assert_eq!(due(store, at(359)).await, 0);
    assert_eq!(due(store, at(360)).await, 1);
    let entry = store.task(task).await.expect("read").expect("there");
    assert_eq!((entry.state.name(), entry.tally.infrastructure_failures), ("parked", 1));
    let attempt = store.attempt(claimed.attempt).await.expect("read").expect("there");
    assert_eq!((attempt.state, attempt.ended_at), (AttemptState::Lost, Some(at(360))));
    let lost = store.events_after(0, &[task], 100).await.expect("read").pop().expect("an event");
    assert!(lost.detail.is_some_and(|why| why.starts_with("worker_lost: ")));
    let wake = store.next_due().await.expect("read").expect("a wake time");
    assert_eq!(due(store, wake).await, 1);
    assert_eq!(state(store, task).await, "queued");
    assert_eq!(
        story(store, task).await,
        ["submitted", "offered", "accepted", "started", "contact_lost", "lost", "woken"]
    );
}

pub async fn a_heartbeat_keeps_the_lease(store: &dyn Store) {
    submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    for beat in (10..200).step_by(10) {
        assert_eq!(renewed(store, &worker, &claimed, at(beat)).await, Holding::CarryOn);
        assert_eq!(due(store, at(beat)).await, 0);
    }
    assert_eq!(store.next_due().await.expect("read"), Some(at(190 + 60)));
    let row = store.workers().await.expect("read").remove(0);
    assert_eq!((row.last_seen_at, row.entry.free_disk), (at(190), 1 << 30));
}

pub async fn a_late_heartbeat_regains_contact(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    assert_eq!(due(store, at(100)).await, 1);
    assert_eq!(renewed(store, &worker, &claimed, at(120)).await, Holding::CarryOn);
    let entry = store.task(task).await.expect("read").expect("there");
    assert_eq!(entry.state.lease().map(|lease| lease.contact), Some(Contact::Held));
    assert_eq!(store.next_due().await.expect("read"), Some(at(180)));
    assert_eq!(story(store, task).await.last().map(String::as_str), Some("contact_regained"));
}

pub async fn a_heartbeat_makes_up_for_a_start_that_was_not_heard(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.accept_one(store, at(0)).await;
    assert_eq!(renewed(store, &worker, &claimed, at(5)).await, Holding::CarryOn);
    assert_eq!(state(store, task).await, "running");
    let attempt = store.attempt(claimed.attempt).await.expect("read").expect("there");
    assert_eq!(attempt.started_at, Some(at(5)));
}

pub async fn a_heartbeat_does_not_accept_an_offer(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.claim(store, 1, at(0)).await.remove(0);
    assert_eq!(renewed(store, &worker, &claimed, at(5)).await, Holding::CarryOn);
    assert_eq!(store.next_due().await.expect("read"), Some(at(10)));
    assert_eq!(state(store, task).await, "leased");
}

pub async fn a_heartbeat_hears_of_a_cancel(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    apply(store, task, Event::CancelRequested, at(1)).await;
    assert_eq!(renewed(store, &worker, &claimed, at(2)).await, Holding::Cancel);
    let reported = worker.reports(&claimed, Outcome::Cancelled);
    let reported = store.report(reported, at(3)).await.expect("heard");
    assert!(
        matches!(reported, Reported::Accepted(applied) if matches!(applied.state, TaskState::Cancelled { .. }))
    );
    let entry = store.task(task).await.expect("read").expect("there");
    assert!(entry.report.is_some(), "the report of the attempt that was cancelled is kept");
}

pub async fn each_held_attempt_gets_its_own_verdict(store: &dyn Store) {
    for name in ["a", "b", "c"] {
        submit(store, draft(name)).await;
    }
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let mine = worker.run_one(store, at(0)).await;
    let cancelled = worker.run_one(store, at(0)).await;
    let theirs = other.run_one(store, at(0)).await;
    apply(store, cancelled.task, Event::CancelRequested, at(1)).await;
    // The right attempt under the wrong task is nobody's.
    let crossed = Claimed { task: mine.task, ..theirs.clone() };
    let held = [(&mine, true), (&cancelled, true), (&theirs, true)];
    let verdicts = store.renew(worker.holds(&held), at(2)).await.expect("renewed");
    let of = |claimed: &Claimed| verdicts.iter().find(|(id, _)| *id == claimed.attempt).map(|(_, it)| *it);
    assert_eq!(of(&mine), Some(Holding::CarryOn));
    assert_eq!(of(&cancelled), Some(Holding::Cancel));
    assert_eq!(of(&theirs), Some(Holding::Superseded));
    assert_eq!(renewed(store, &other, &crossed, at(2)).await, Holding::Superseded);
}

pub async fn an_old_session_holds_nothing(store: &dyn Store) {
    submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let again = worker.restart(store).await;
    assert_eq!(renewed(store, &worker, &claimed, at(5)).await, Holding::Superseded);
    assert_eq!(store.next_due().await.expect("read"), Some(at(60)), "an old session extended a lease");
    assert_eq!(renewed(store, &again, &claimed, at(5)).await, Holding::CarryOn);
}

pub async fn a_report_is_accepted_once(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let reported = worker.reports(&claimed, Outcome::Succeeded);
    let first = store.report(reported.clone(), at(5)).await.expect("heard");
    assert!(matches!(first, Reported::Accepted(_)), "{first:?}");
    let entry = store.task(task).await.expect("read").expect("there");
    assert_eq!(
        (entry.state, entry.ended_at),
        (TaskState::Succeeded { attempt: claimed.attempt }, Some(at(5)))
    );
    assert_eq!(entry.report, Some(reported.report.clone()));
    assert_eq!(entry.worker_name, Some(worker.entry().name));
    let cursor = *store.feed().borrow();

    let again = store.report(reported.clone(), at(6)).await.expect("heard");
    assert!(matches!(again, Reported::Duplicate), "{again:?}");
    let other =
        ReportedAttempt { digest: [8; 32], ..worker.reports(&claimed, failed(FailureReason::AgentError)) };
    let other = store.report(other, at(6)).await.expect("heard");
    assert!(matches!(other, Reported::Superseded), "{other:?}");
    assert_eq!(*store.feed().borrow(), cursor);
    assert_eq!(state(store, task).await, "succeeded");
    assert_eq!(store.live_count().await.expect("counted"), 0);
}

pub async fn a_report_by_the_wrong_worker_changes_nothing(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let claimed = worker.run_one(store, at(0)).await;
    let stolen = store.report(other.reports(&claimed, Outcome::Succeeded), at(1)).await.expect("heard");
    assert!(matches!(stolen, Reported::Superseded), "{stolen:?}");
    assert_eq!(state(store, task).await, "running");
    assert_eq!(store.attempt(claimed.attempt).await.expect("read").expect("there").report, None);
}

pub async fn a_report_of_a_lost_attempt_is_superseded(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let first = worker.run_one(store, at(0)).await;
    due(store, at(60)).await;
    due(store, at(360)).await;
    let wake = store.next_due().await.expect("read").expect("a wake time");
    due(store, wake).await;
    let second = worker.run_one(store, wake).await;
    let late = store.report(worker.reports(&first, Outcome::Succeeded), wake).await.expect("heard");
    assert!(matches!(late, Reported::Superseded), "{late:?}");
    assert_eq!(state(store, task).await, "running");
    let held = worker.holds(&[(&first, true), (&second, true)]);
    let verdicts = store.renew(held, wake).await.expect("renewed");
    assert_eq!(verdicts, [(first.attempt, Holding::Superseded), (second.attempt, Holding::CarryOn)]);
    let good = store.report(worker.reports(&second, Outcome::Succeeded), wake).await.expect("heard");
    assert!(matches!(good, Reported::Accepted(_)), "{good:?}");
}

pub async fn failures_are_tried_again_until_they_are_too_many(store: &dyn Store) {
    let task = submit(store, factory_domain::SpecDraft { max_attempts: Some(2), ..draft("x") }).await;
    let worker = Worker::register(store, &[]).await;
    let first = worker.run_one(store, at(0)).await;
    store.report(worker.reports(&first, failed(FailureReason::AgentError)), at(1)).await.expect("heard");
    assert_eq!(state(store, task).await, "parked");
    let wake = store.next_due().await.expect("read").expect("a wake time");
    due(store, wake).await;
    let second = worker.run_one(store, wake).await;
    store.report(worker.reports(&second, failed(FailureReason::AgentError)), wake).await.expect("heard");
    let entry = store.task(task).await.expect("read").expect("there");
    assert_eq!((entry.state.name(), entry.tally.agent_failures), ("failed", 2));
    let last = store.events_after(0, &[task], 100).await.expect("read").pop().expect("an event");
    assert_eq!(last.detail.as_deref(), Some("agent_error: it broke"));
}

pub async fn a_restart_gives_every_lease_one_full_term(store: &dyn Store) {
    for name in ["offered", "running", "away"] {
        submit(store, draft(name)).await;
    }
    let worker = Worker::register(store, &[]).await;
    worker.run_one(store, at(0)).await;
    due(store, at(60)).await;
    worker.run_one(store, at(60)).await;
    worker.claim(store, 1, at(60)).await;
    store.grant_full_term(at(10_000)).await.expect("granted");
    let terms = Rules::default().terms;
    assert_eq!(due(store, at(10_000)).await, 0);
    assert_eq!(store.next_due().await.expect("read"), Some(at(10_000).after(terms.offer)));
    assert_eq!(due(store, at(10_000).after(terms.offer)).await, 1);
    assert_eq!(due(store, at(10_000).after(terms.lease)).await, 1);
    assert_eq!(store.next_due().await.expect("read"), Some(at(10_000).after(terms.lost_after)));
}

pub async fn more_than_one_batch_is_due(store: &dyn Store) {
    let tasks = (0..1200).map(|_| crate::bench::new_task(draft("x"))).collect();
    store.submit(tasks, at(0)).await.expect("accepted");
    let worker = Worker::register(store, &[]).await;
    assert_eq!(worker.claim(store, 1200, at(0)).await.len(), 1200);
    assert_eq!(due(store, at(10)).await, 1200);
    assert_eq!(due(store, at(10)).await, 0);
}
