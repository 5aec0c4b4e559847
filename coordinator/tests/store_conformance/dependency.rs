//! Tasks that wait for others.

use factory_coordinator::store::{Applied, NewTask, Reported, Store};
use factory_domain::{
    CancelReason, DependencyPolicy, Event, FailureReason, Links, Outcome, SpecDraft, TaskId, TaskState,
};

use crate::bench::{Worker, apply, at, draft, failed, keyed, new_task, state, story, submit};

fn after(prompt: &str, needs: &[TaskId], on_failed_dependency: DependencyPolicy) -> NewTask {
    let links = Links { after: needs.to_vec(), on_failed_dependency, ..Links::default() };
    NewTask { links, ..new_task(SpecDraft { max_attempts: Some(1), ..draft(prompt) }) }
}

async fn submit_after(store: &dyn Store, needs: &[TaskId], policy: DependencyPolicy) -> TaskId {
    store.submit(vec![after("then", needs, policy)], at(0)).await.expect("accepted")[0].id
}

/// Runs the next of the queue, which must be `task`, to this end.
async fn end(store: &dyn Store, worker: &Worker, task: TaskId, outcome: Outcome) -> Applied {
    let claimed = worker.run_one(store, at(1)).await;
    assert_eq!(claimed.task, task);
    match store.report(worker.reports(&claimed, outcome), at(2)).await.expect("heard") {
        Reported::Accepted(applied) => *applied,
        other => panic!("{other:?}"),
    }
}

/// What followed, task by task, with the state each came to.
fn followed(applied: &Applied) -> Vec<(TaskId, &'static str)> {
    applied.followed.iter().map(|one| (one.task, one.state.name())).collect()
}

async fn because(store: &dyn Store, task: TaskId) -> CancelReason {
    match store.task(task).await.expect("read").expect("there").state {
        TaskState::Cancelled { because } => because,
        other => panic!("{other:?}"),
    }
}

pub async fn a_task_waits_until_all_it_needs_have_succeeded(store: &dyn Store) {
    let (a, b) = (submit(store, draft("a")).await, submit(store, draft("b")).await);
    let then = submit_after(store, &[a, b], DependencyPolicy::Cancel).await;
    assert_eq!(state(store, then).await, "blocked");
    assert_eq!(store.live_count().await.expect("counted"), 3);
    let worker = Worker::register(store, &[]).await;
    assert_eq!(followed(&end(store, &worker, a, Outcome::Succeeded).await), []);
    assert_eq!(state(store, then).await, "blocked");
    assert_eq!(followed(&end(store, &worker, b, Outcome::Succeeded).await), [(then, "queued")]);
    assert_eq!(story(store, then).await, ["submitted", "unblocked"]);
    assert_eq!(followed(&end(store, &worker, then, Outcome::Succeeded).await), []);
}

pub async fn the_last_of_a_diamond_waits_for_both_sides(store: &dyn Store) {
    let top = submit(store, draft("top")).await;
    let (left, right) = (
        submit_after(store, &[top], DependencyPolicy::Cancel).await,
        submit_after(store, &[top], DependencyPolicy::Cancel).await,
    );
    let last = submit_after(store, &[left, right], DependencyPolicy::Cancel).await;
    let worker = Worker::register(store, &[]).await;
    let both = end(store, &worker, top, Outcome::Succeeded).await;
    assert_eq!(followed(&both), [(left, "queued"), (right, "queued")]);
    end(store, &worker, left, Outcome::Succeeded).await;
    assert_eq!(state(store, last).await, "blocked");
    let done = end(store, &worker, right, Outcome::Succeeded).await;
    assert_eq!(followed(&done), [(last, "queued")]);
}

pub async fn a_failure_cancels_all_that_follows_at_once(store: &dyn Store) {
    let first = store.submit(vec![after("first", &[], DependencyPolicy::Cancel)], at(0)).await;
    let first = first.expect("accepted")[0].id;
    let other = submit(store, SpecDraft { priority: -1, ..draft("other") }).await;
    let second = submit_after(store, &[other, first], DependencyPolicy::Cancel).await;
    let third = submit_after(store, &[second], DependencyPolicy::Cancel).await;
    let worker = Worker::register(store, &[]).await;
    let applied = end(store, &worker, first, failed(FailureReason::AgentError)).await;
    assert_eq!(followed(&applied), [(second, "cancelled"), (third, "cancelled")]);
    assert_eq!(because(store, second).await, CancelReason::DependencyFailed { task: first });
    assert_eq!(because(store, third).await, CancelReason::DependencyFailed { task: second });
    assert_eq!(story(store, third).await, ["submitted", "dependency_failed"]);
    assert_eq!(followed(&end(store, &worker, other, Outcome::Succeeded).await), [], "it is too late");
}

pub async fn a_task_that_is_skipped_lets_go_what_waits_for_it(store: &dyn Store) {
    let first = submit(store, SpecDraft { max_attempts: Some(1), ..draft("first") }).await;
    let skipped = submit_after(store, &[first], DependencyPolicy::Skip).await;
    let last = submit_after(store, &[skipped], DependencyPolicy::Cancel).await;
    let worker = Worker::register(store, &[]).await;
    let applied = end(store, &worker, first, failed(FailureReason::AgentError)).await;
    assert_eq!(followed(&applied), [(skipped, "cancelled"), (last, "queued")]);
    assert_eq!(because(store, skipped).await, CancelReason::Skipped { task: first });
}

pub async fn a_task_that_runs_all_the_same_waits_for_the_others(store: &dyn Store) {
    let first = submit(store, SpecDraft { max_attempts: Some(1), ..draft("first") }).await;
    let second = submit(store, draft("second")).await;
    let last = submit_after(store, &[first, second], DependencyPolicy::Run).await;
    let worker = Worker::register(store, &[]).await;
    let applied = end(store, &worker, first, failed(FailureReason::AgentError)).await;
    assert_eq!(followed(&applied), []);
    let applied = end(store, &worker, second, Outcome::Succeeded).await;
    assert_eq!(followed(&applied), [(last, "queued")]);
}

pub async fn what_has_ended_before_the_submit_counts(store: &dyn Store) {
    let first = submit(store, SpecDraft { max_attempts: Some(1), ..draft("first") }).await;
    let worker = Worker::register(store, &[]).await;
    end(store, &worker, first, Outcome::Succeeded).await;
    let then = submit_after(store, &[first], DependencyPolicy::Cancel).await;
    assert_eq!(state(store, then).await, "queued");
    end(store, &worker, then, Outcome::Succeeded).await;
}

pub async fn a_failure_before_the_submit_ends_all_of_a_chain(store: &dyn Store) {
    let gone = submit(store, draft("gone")).await;
    apply(store, gone, Event::CancelRequested, at(1)).await;
    let second = after("second", &[gone], DependencyPolicy::Cancel);
    let third = after("third", &[second.id], DependencyPolicy::Skip);
    let fourth = after("fourth", &[third.id], DependencyPolicy::Cancel);
    let (second_id, third_id, fourth_id) = (second.id, third.id, fourth.id);
    // In any order within a call.
    store.submit(vec![fourth, third, second], at(2)).await.expect("accepted");
    assert_eq!(because(store, second_id).await, CancelReason::DependencyFailed { task: gone });
    assert_eq!(because(store, third_id).await, CancelReason::Skipped { task: second_id });
    assert_eq!(state(store, fourth_id).await, "queued");
    let all = store.submit(vec![after("run", &[gone], DependencyPolicy::Run)], at(3)).await;
    assert_eq!(state(store, all.expect("accepted")[0].id).await, "queued");
}

pub async fn a_blocked_task_is_cancelled_and_what_waits_for_it(store: &dyn Store) {
    let first = submit(store, draft("first")).await;
    let second = submit_after(store, &[first], DependencyPolicy::Cancel).await;
    let third = submit_after(store, &[second], DependencyPolicy::Cancel).await;
    let applied = apply(store, second, Event::CancelRequested, at(1)).await;
    assert_eq!(followed(&applied), [(third, "cancelled")]);
    let worker = Worker::register(store, &[]).await;
    assert_eq!(followed(&end(store, &worker, first, Outcome::Succeeded).await), []);
    assert_eq!(because(store, second).await, CancelReason::Requested);
}

pub async fn a_task_tried_again_keeps_its_dependents_waiting(store: &dyn Store) {
    let first = submit(store, SpecDraft { max_attempts: Some(2), ..draft("first") }).await;
    let then = submit_after(store, &[first], DependencyPolicy::Cancel).await;
    let worker = Worker::register(store, &[]).await;
    let parked = end(store, &worker, first, failed(FailureReason::AgentError)).await;
    assert_eq!((parked.state.name(), followed(&parked)), ("parked", Vec::new()));
    assert_eq!(state(store, then).await, "blocked");
    let wake = store.next_due().await.expect("read").expect("a time");
    store.apply_due(wake).await.expect("applied");
    assert_eq!(followed(&end(store, &worker, first, Outcome::Succeeded).await), [(then, "queued")]);
}

/// A call repeated after it was taken in mints new ids for what is there already.
pub async fn a_task_that_was_there_before_is_waited_for_by_its_new_id(store: &dyn Store) {
    let first = store.submit(vec![keyed("first", "k")], at(0)).await.expect("accepted")[0].id;
    let repeated = keyed("first", "k");
    let then = after("then", &[repeated.id, first], DependencyPolicy::Cancel);
    let submitted = store.submit(vec![then, repeated], at(1)).await.expect("accepted");
    assert_eq!((submitted[1].id, submitted[1].existed), (first, true));
    assert_eq!(state(store, submitted[0].id).await, "blocked");
    let worker = Worker::register(store, &[]).await;
    let done = end(store, &worker, first, Outcome::Succeeded).await;
    assert_eq!(followed(&done), [(submitted[0].id, "queued")]);
}

/// Reports that came together are written together: what waits for both is let go once.
pub async fn two_that_end_together_settle_what_waits_for_both(store: &dyn Store) {
    let (a, b) = (submit(store, draft("a")).await, submit(store, draft("b")).await);
    let then = submit_after(store, &[a, b], DependencyPolicy::Cancel).await;
    let worker = Worker::register(store, &[]).await;
    let (one, two) = (worker.run_one(store, at(1)).await, worker.run_one(store, at(1)).await);
    let report = |claimed| store.report(worker.reports(claimed, Outcome::Succeeded), at(2));
    let (one, two) = tokio::join!(report(&one), report(&two));
    let followed = [one, two].into_iter().flat_map(|heard| match heard.expect("heard") {
        Reported::Accepted(applied) => followed(&applied),
        other => panic!("{other:?}"),
    });
    let followed: Vec<_> = followed.collect();
    assert_eq!(followed, [(then, "queued")]);
    assert_eq!(story(store, then).await, ["submitted", "unblocked"]);
}

pub async fn what_tasks_start_from_is_read_in_the_order_asked_for(store: &dyn Store) {
    let (a, b, c) =
        (submit(store, draft("a")).await, submit(store, draft("b")).await, submit(store, draft("c")).await);
    let one = submit_after(store, &[c, a], DependencyPolicy::Cancel).await;
    let links = Links { after: vec![a], goes_on_from: Some(b), ..Links::default() };
    let two = store.submit(vec![NewTask { links, ..new_task(draft("two")) }], at(0)).await.expect("accepted");
    let needed = store.needed_by(vec![one, two[0].id, a]).await.expect("read");
    assert_eq!(needed.iter().map(|needed| needed.id).collect::<Vec<_>>(), [c, a, b, a]);

    let worker = Worker::register(store, &[]).await;
    let plain = worker.run_one(store, at(1)).await;
    assert_eq!((plain.task, plain.waited, plain.goes_on_from), (a, false, None));
    for task in [b, c] {
        end(store, &worker, task, Outcome::Succeeded).await;
    }
    assert_eq!(state(store, two[0].id).await, "blocked");
    store.report(worker.reports(&plain, Outcome::Succeeded), at(2)).await.expect("heard");
    let (first, second) = (worker.run_one(store, at(3)).await, worker.run_one(store, at(3)).await);
    assert_eq!((first.task, first.waited, first.goes_on_from), (one, true, None));
    assert_eq!((second.task, second.waited, second.goes_on_from), (two[0].id, true, Some(b)));
}

fn held(needs: &[TaskId], policy: DependencyPolicy) -> NewTask {
    let task = after("held", needs, policy);
    NewTask { links: Links { hold: true, ..task.links }, ..task }
}

async fn submit_held(store: &dyn Store, needs: &[TaskId], policy: DependencyPolicy) -> TaskId {
    store.submit(vec![held(needs, policy)], at(0)).await.expect("accepted")[0].id
}

async fn is_held(store: &dyn Store, task: TaskId) -> bool {
    store.task(task).await.expect("read").expect("there").held
}

pub async fn a_held_task_waits_until_it_is_let_go(store: &dyn Store) {
    let task = submit_held(store, &[], DependencyPolicy::Cancel).await;
    let worker = Worker::register(store, &[]).await;
    assert_eq!((state(store, task).await, is_held(store, task).await), ("blocked", true));
    assert!(worker.claim(store, 1, at(1)).await.is_empty(), "nobody let it go");
    let released = apply(store, task, Event::Released, at(2)).await;
    assert_eq!((released.state.name(), is_held(store, task).await), ("queued", false));
    assert_eq!(story(store, task).await, ["submitted", "released"]);
    store.apply(task, Event::Released, at(3)).await.expect_err("it was let go before");
    assert_eq!(worker.run_one(store, at(4)).await.task, task);
}

pub async fn a_held_task_waits_for_its_dependencies_as_well(store: &dyn Store) {
    let (a, b) = (submit(store, draft("a")).await, submit(store, draft("b")).await);
    let first_let_go = submit_held(store, &[a], DependencyPolicy::Cancel).await;
    let last_let_go = submit_held(store, &[b], DependencyPolicy::Cancel).await;
    let worker = Worker::register(store, &[]).await;
    let released = apply(store, first_let_go, Event::Released, at(0)).await;
    assert_eq!((released.state.name(), is_held(store, first_let_go).await), ("blocked", false));
    assert_eq!(
        followed(&end(store, &worker, a, Outcome::Succeeded).await),
        [(first_let_go, "queued")],
        "its dependency was all that was left"
    );
    apply(store, first_let_go, Event::CancelRequested, at(2)).await;
    assert_eq!(followed(&end(store, &worker, b, Outcome::Succeeded).await), []);
    assert_eq!((state(store, last_let_go).await, is_held(store, last_let_go).await), ("blocked", true));
    let released = apply(store, last_let_go, Event::Released, at(3)).await;
    assert_eq!(released.state.name(), "queued");
    assert_eq!(story(store, last_let_go).await, ["submitted", "released"]);
}

pub async fn a_held_task_is_ended_like_any_other_that_waits(store: &dyn Store) {
    let a = submit(store, draft("a")).await;
    let hopeless = submit_held(store, &[a], DependencyPolicy::Cancel).await;
    let unwanted = submit_held(store, &[], DependencyPolicy::Cancel).await;
    apply(store, a, Event::CancelRequested, at(1)).await;
    apply(store, unwanted, Event::CancelRequested, at(1)).await;
    for task in [hopeless, unwanted] {
        assert_eq!((state(store, task).await, is_held(store, task).await), ("cancelled", false));
        store.apply(task, Event::Released, at(2)).await.expect_err("it has ended");
    }
}

pub async fn a_key_tells_a_held_task_from_one_that_is_not(store: &dyn Store) {
    let keyed = |hold| {
        let task = keyed("x", "k");
        NewTask { links: Links { hold, ..Links::default() }, ..task }
    };
    let first = store.submit(vec![keyed(true)], at(0)).await.expect("accepted")[0].id;
    let again = store.submit(vec![keyed(true)], at(1)).await.expect("the same")[0].clone();
    assert_eq!((again.id, again.existed), (first, true));
    store.submit(vec![keyed(false)], at(2)).await.expect_err("another task");
}
