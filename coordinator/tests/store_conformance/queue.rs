//! Submitting and claiming.

use factory_coordinator::store::{Claim, Store, SubmitError};
use factory_domain::{AgentKind, CancelReason, Event, SpecDraft, TaskState};

use crate::bench::{Worker, apply, at, draft, keyed, new_task, state, submit};

pub async fn tasks_get_numbers_in_order_of_submit(store: &dyn Store) {
    let tasks: Vec<_> = (0..5).map(|n| new_task(draft(&format!("task {n}")))).collect();
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    let submitted = store.submit(tasks, at(0)).await.expect("accepted");
    assert_eq!(submitted.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    assert_eq!(submitted.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(submitted.iter().all(|one| !one.existed));
    let entry = store.task(ids[3]).await.expect("read").expect("there");
    assert_eq!((entry.number, entry.spec.prompt.as_str()), (4, "task 3"));
    assert_eq!((entry.state, entry.submitted_at, entry.ended_at), (TaskState::Queued, at(0), None));
    assert_eq!(store.live_count().await.expect("counted"), 5);
}

pub async fn a_key_used_again_for_the_same_spec_finds_the_first(store: &dyn Store) {
    let first = store.submit(vec![keyed("same", "k")], at(0)).await.expect("accepted").remove(0);
    let again = store.submit(vec![keyed("other", "l"), keyed("same", "k")], at(1)).await.expect("accepted");
    assert_eq!((again[1].id, again[1].number, again[1].existed), (first.id, first.number, true));
    assert!(!again[0].existed);
    assert_eq!(store.live_count().await.expect("counted"), 2);
}

pub async fn a_key_used_twice_in_one_call_makes_one_task(store: &dyn Store) {
    let both = store.submit(vec![keyed("same", "k"), keyed("same", "k")], at(0)).await.expect("accepted");
    assert_eq!(both[0].id, both[1].id);
    assert!(!both[0].existed && both[1].existed);
    assert_eq!(store.live_count().await.expect("counted"), 1);
}

pub async fn a_key_used_for_another_spec_refuses_the_whole_call(store: &dyn Store) {
    let first = store.submit(vec![keyed("one", "k")], at(0)).await.expect("accepted").remove(0);
    let refused = store.submit(vec![new_task(draft("x")), keyed("two", "k")], at(1)).await;
    match refused {
        Err(SubmitError::KeyReused { index: 1, key, existing }) => {
            assert_eq!((key.as_str(), existing), ("k", first.id));
        }
        other => panic!("{other:?}"),
    }
    let within = store.submit(vec![keyed("three", "m"), keyed("four", "m")], at(1)).await;
    assert!(matches!(within, Err(SubmitError::KeyReused { index: 1, .. })), "{within:?}");
    assert_eq!(store.live_count().await.expect("counted"), 1);
    assert_eq!(*store.feed().borrow(), 1);
}

pub async fn higher_priority_then_age_decides(store: &dyn Store) {
    let of = |prompt: &str, priority| SpecDraft { priority, ..draft(prompt) };
    let tasks = vec![of("old", 0), of("low", -1), of("high", 5), of("high too", 5), of("young", 0)];
    store.submit(tasks.into_iter().map(new_task).collect(), at(0)).await.expect("accepted");
    let worker = Worker::register(store, &[]).await;
    let mut order = Vec::new();
    for slots in [2, 1, 4] {
        order.extend(worker.claim(store, slots, at(1)).await.into_iter().map(|one| one.spec.prompt));
    }
    assert_eq!(order, ["high", "high too", "old", "young", "low"]);
    assert!(worker.claim(store, 4, at(1)).await.is_empty());
}

pub async fn classes_are_merged_by_rank(store: &dyn Store) {
    let of = |prompt: &str, labels: &[(&str, &str)], priority| SpecDraft {
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        priority,
        ..draft(prompt)
    };
    let tasks = vec![
        of("plain", &[], 0),
        of("gpu", &[("gpu", "yes")], 1),
        of("linux", &[("os", "linux")], 0),
        of("gpu later", &[("gpu", "yes")], 0),
        of("windows", &[("os", "windows")], 9),
    ];
    store.submit(tasks.into_iter().map(new_task).collect(), at(0)).await.expect("accepted");
    let worker = Worker::register(store, &["gpu=yes", "os=linux"]).await;
    let order: Vec<_> = worker.claim(store, 9, at(1)).await.into_iter().map(|one| one.spec.prompt).collect();
    assert_eq!(order, ["gpu", "plain", "linux", "gpu later"]);
}

pub async fn a_worker_gets_only_agents_it_offers(store: &dyn Store) {
    submit(store, SpecDraft { agent: "claude".into(), ..draft("for claude") }).await;
    let mut worker = Worker::register(store, &[]).await;
    assert!(worker.claim(store, 1, at(1)).await.is_empty());
    worker.agents.push(AgentKind::Claude);
    assert_eq!(worker.claim(store, 1, at(1)).await.len(), 1);
}

pub async fn a_claim_leases_what_it_returns(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.claim(store, 1, at(1)).await.remove(0);
    assert_eq!((claimed.task, claimed.number, claimed.attempt_number), (task, 1, 1));
    assert_eq!(claimed.traceparent, new_task(draft("x")).traceparent);
    let entry = store.task(task).await.expect("read").expect("there");
    assert_eq!(entry.state.name(), "leased");
    assert_eq!(entry.state.lease().map(|lease| lease.attempt), Some(claimed.attempt));
    assert_eq!(entry.worker_name, Some(worker.entry().name));
    assert_eq!(store.workers().await.expect("read")[0].busy, 1);
}

pub async fn what_a_worker_declined_is_left_out(store: &dyn Store) {
    let (declined, other) = (submit(store, draft("a")).await, submit(store, draft("b")).await);
    let worker = Worker::register(store, &[]).await;
    let claim = Claim { except: vec![declined], ..worker.wants(2) };
    let claimed = store.claim(claim, at(1)).await.expect("claimed");
    assert_eq!(claimed.iter().map(|one| one.task).collect::<Vec<_>>(), [other]);
}

pub async fn an_old_session_or_a_stranger_claims_nothing(store: &dyn Store) {
    submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    worker.restart(store).await;
    assert!(worker.claim(store, 1, at(1)).await.is_empty());
    let stranger = Worker { id: factory_domain::WorkerId::from_uuid(uuid::Uuid::now_v7()), ..worker };
    assert!(stranger.claim(store, 1, at(1)).await.is_empty());
}

pub async fn a_task_has_one_live_attempt(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let (one, two) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let (a, b) = tokio::join!(one.claim(store, 1, at(1)), two.claim(store, 1, at(1)));
    assert_eq!(a.len() + b.len(), 1);
    let attempt = two.wants(1).attempt_ids[0];
    let second = store.apply(task, Event::Offered { attempt, worker: two.id }, at(1)).await;
    assert!(second.is_err(), "{second:?}");
}

pub async fn many_classes_nobody_meets_do_not_hide_one_that_is_met(store: &dyn Store) {
    let unmet = (0..300).map(|n| {
        new_task(SpecDraft { labels: vec![("pool".into(), format!("p{n}"))], priority: 9, ..draft("unmet") })
    });
    store.submit(unmet.collect(), at(0)).await.expect("accepted");
    let met = submit(store, draft("met")).await;
    let worker = Worker::register(store, &["pool=none"]).await;
    let claimed = worker.claim(store, 5, at(1)).await;
    assert_eq!(claimed.iter().map(|one| one.task).collect::<Vec<_>>(), [met]);
}

pub async fn a_queued_task_is_cancelled_at_once(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    apply(store, task, Event::CancelRequested, at(1)).await;
    let entry = store.task(task).await.expect("read").expect("there");
    assert_eq!(
        (entry.state, entry.ended_at),
        (TaskState::Cancelled { because: CancelReason::Requested }, Some(at(1)))
    );
    assert!(Worker::register(store, &[]).await.claim(store, 1, at(2)).await.is_empty());
    assert!(store.apply(task, Event::CancelRequested, at(2)).await.is_err());
    assert_eq!(state(store, task).await, "cancelled");
}
