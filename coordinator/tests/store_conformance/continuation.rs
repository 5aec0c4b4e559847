//! What the attempt after one that ended is told to go on from.

use factory_coordinator::store::{Claimed, Reported, Store};
use factory_domain::{
    Continuation, Conversation, Event, FailureReason, Outcome, ReturnReason, SpecDraft, Timestamp,
};

use crate::bench::{Worker, apply, at, draft, failed, limited_until, state, submit};

/// Waits out the pause before the next try, if there is one, and runs it.
async fn again(store: &dyn Store, worker: &Worker, now: Timestamp) -> Claimed {
    let wake = store.next_due().await.expect("read").unwrap_or(now);
    store.apply_due(wake.max(now)).await.expect("applied");
    worker.run_one(store, now).await
}

async fn ends(store: &dyn Store, worker: &Worker, claimed: &Claimed, outcome: Outcome) {
    let reported = store.report(worker.reports(claimed, outcome), at(1)).await.expect("heard");
    assert!(matches!(reported, Reported::Accepted(_)), "{reported:?}");
}

fn resumes(claimed: &Claimed, from: &Claimed) -> bool {
    let continues = claimed.continues.as_ref();
    continues.is_some_and(|one| one.from == from.attempt && one.conversation == Conversation::Resume)
}

pub async fn an_attempt_goes_on_from_the_last_that_started_an_agent(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);

    let first = worker.run_one(store, at(0)).await;
    assert_eq!(first.continues, None);
    ends(store, &worker, &first, Outcome::HandedOver).await;
    assert_eq!(state(store, task).await, "queued", "at once, and at no cost");
    let told = store.events_after(0, &[task], 100).await.expect("read").pop().expect("an event");
    assert!(told.detail.is_some_and(|why| why.contains("handed it over")));

    // Neither an offer that came back nor one that came to no agent is gone on from.
    let returned = other.claim(store, 1, at(2)).await.remove(0);
    assert!(resumes(&returned, &first), "{:?}", returned.continues);
    let why = ReturnReason::Declined { why: "no room".into() };
    apply(store, task, Event::Returned { attempt: returned.attempt, why }, at(2)).await;
    let accepted = other.accept_one(store, at(2)).await;
    let mut no_agent = other.reports(&accepted, failed(FailureReason::RepositoryUnavailable));
    no_agent.report.agent_session = None;
    store.report(no_agent, at(2)).await.expect("heard");

    let second = again(store, &other, at(3)).await;
    let because = "its worker stopped and handed the task over".to_owned();
    let (from, by, conversation) = (first.attempt, worker.id, Conversation::Resume);
    let continues = Continuation { from, worker: by, conversation, because, of_another_task: false };
    assert_eq!(second.continues, Some(continues.clone()));
    let kept = store.attempt(second.attempt).await.expect("read").expect("there");
    assert_eq!(kept.continues, Some(continues), "and it is kept with the attempt");
    let offered = store.events_after(0, &[task], 100).await.expect("read");
    let details: Vec<_> = offered.iter().filter(|event| event.kind == "offered").map(|e| &e.detail).collect();
    let goes_on = Some("resumes attempt 1".to_owned());
    assert_eq!(details, [&None, &goes_on, &goes_on, &goes_on]);

    ends(store, &other, &second, limited_until(1)).await;
    let third = again(store, &worker, at(4)).await;
    assert!(resumes(&third, &second), "{:?}", third.continues);
    for lapses in [at(1000), at(2000)] {
        store.apply_due(lapses).await.expect("applied");
    }
    let fourth = again(store, &worker, at(3000)).await;
    assert!(resumes(&fourth, &third), "{:?}", fourth.continues);
    let because = fourth.continues.expect("it goes on").because;
    assert_eq!(because, "its worker was not heard of any more");
}

pub async fn a_conversation_that_failed_again_is_begun_afresh(store: &dyn Store) {
    let tasks = [submit(store, SpecDraft { max_attempts: Some(5), ..draft("x") }).await];
    let worker = Worker::register(store, &[]).await;
    let mut before = worker.run_one(store, at(0)).await;
    let mut conversations = Vec::new();
    for _ in 0..3 {
        ends(store, &worker, &before, failed(FailureReason::AgentError)).await;
        let next = again(store, &worker, at(10)).await;
        let continues = next.continues.clone().expect("it goes on");
        assert_eq!(continues.from, before.attempt);
        assert_eq!(continues.because, "agent_error: it broke");
        conversations.push(continues.conversation);
        before = next;
    }
    assert_eq!(conversations, [Conversation::Resume, Conversation::Afresh, Conversation::Resume]);

    // The start was never heard of, the report was.
    ends(store, &worker, &before, failed(FailureReason::WorkerError)).await;
    let wake = store.next_due().await.expect("read").expect("a wake time");
    store.apply_due(wake).await.expect("applied");
    let unheard = worker.accept_one(store, wake).await;
    ends(store, &worker, &unheard, failed(FailureReason::WorkerError)).await;
    let next = again(store, &worker, wake).await;
    assert!(resumes(&next, &unheard), "{:?}", next.continues);

    // Each of several tasks claimed at once goes on from its own.
    ends(store, &worker, &next, failed(FailureReason::WorkerError)).await;
    let fresh = submit(store, draft("y")).await;
    let wake = store.next_due().await.expect("read").expect("a wake time");
    store.apply_due(wake).await.expect("applied");
    let claimed = worker.claim(store, 2, wake).await;
    let of = |task| claimed.iter().find(|one| one.task == task).expect("claimed");
    assert!(resumes(of(tasks[0]), &next));
    assert_eq!(of(fresh).continues, None);
}
