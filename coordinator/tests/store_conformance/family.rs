//! A task and its children, and a task that goes on from another.

use factory_coordinator::store::{ListFilter, NewTask, Relative, Store, SubmitError, TaskEntry};
use factory_domain::family::Bounds;
use factory_domain::{
    Conversation, DependencyPolicy, Event, Links, NoticeKind, Outcome, Progress, SpecDraft, TaskId,
};

use crate::bench::{Worker, apply, at, draft, new_task, state, submit};

const BOUNDS: Bounds = Bounds { depth: 2, live_children: 3 };

fn child_of(parent: TaskId, prompt: &str) -> NewTask {
    NewTask { links: Links { parent: Some(parent), ..Links::default() }, ..new_task(draft(prompt)) }
}

async fn child(store: &dyn Store, parent: TaskId, prompt: &str) -> TaskId {
    store.submit(vec![child_of(parent, prompt)], at(0)).await.expect("accepted")[0].id
}

async fn entry(store: &dyn Store, task: TaskId) -> TaskEntry {
    store.task(task).await.expect("read").expect("there")
}

/// What the task's agent is told, and that it is about children.
async fn told(store: &dyn Store, task: TaskId) -> Vec<String> {
    let notices = store.notices(task, 0).await.expect("read").notices;
    assert!(notices.iter().all(|notice| notice.kind == NoticeKind::ChildEnded));
    notices.into_iter().map(|notice| notice.text).collect()
}

pub async fn a_parent_is_told_how_its_children_ended(store: &dyn Store) {
    let parent = submit(store, SpecDraft { priority: -1, ..draft("parent") }).await;
    let first = child(store, parent, "first").await;
    let policy = DependencyPolicy::Cancel;
    let links =
        Links { parent: Some(parent), after: vec![first], on_failed_dependency: policy, ..Links::default() };
    let second = NewTask { links, ..new_task(draft("second")) };
    let second = store.submit(vec![second], at(0)).await.expect("accepted")[0].id;
    assert_eq!(
        (entry(store, parent).await.children, entry(store, second).await.parent),
        (2, Some((parent, 1)))
    );

    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(1)).await;
    let applied = apply(store, first, Event::CancelRequested, at(2)).await;
    assert_eq!(
        (applied.parent, told(store, parent).await.len()),
        (Some(parent), 0),
        "not before it has ended"
    );
    store.report(worker.reports(&claimed, Outcome::Cancelled), at(3)).await.expect("heard");
    let told = told(store, parent).await;
    assert!(told[0].starts_with("Your subtask 2 (first) was cancelled. Its closing words:"), "{told:?}");
    assert!(told[1].starts_with("Your subtask 3 (second) was cancelled."), "what followed, too: {told:?}");
}

pub async fn children_are_cancelled_with_their_parent_where_that_is_asked_for(store: &dyn Store) {
    let parent = submit(store, SpecDraft { priority: 9, ..draft("parent") }).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let (queued, ended) = (child(store, parent, "a").await, child(store, parent, "b").await);
    let grandchild = child(store, ended, "c").await;
    apply(store, ended, Event::CancelRequested, at(1)).await;

    let alone = store.cancel(parent, false, at(2)).await.expect("wished");
    assert_eq!((alone.cancelled, alone.live), (0, 2));
    assert_eq!(alone.task.expect("wished").state.name(), "cancelling");
    let family = store.cancel(parent, true, at(3)).await.expect("wished");
    assert!(family.task.is_err(), "wished before");
    assert_eq!((family.cancelled, family.live, family.children.len()), (2, 0, 2));
    for task in [queued, grandchild] {
        assert_eq!(state(store, task).await, "cancelled");
    }
    store.report(worker.reports(&claimed, Outcome::Cancelled), at(4)).await.expect("heard");
    let late = store.cancel(parent, true, at(5)).await.expect("heard");
    assert!(late.task.is_err() && late.cancelled == 0);
}

pub async fn an_agent_submits_only_so_many_and_so_deep(store: &dyn Store) {
    let parent = submit(store, draft("parent")).await;
    let submit_child = |parent, prompt: &'static str, key: &'static str| {
        let child = NewTask { idempotency_key: Some(key.into()), ..child_of(parent, prompt) };
        store.submit_child(child, BOUNDS, at(1))
    };
    let first = submit_child(parent, "one", "k1").await.expect("accepted").id;
    let second = submit_child(first, "two", "k2").await.expect("accepted").id;
    let deep = submit_child(second, "three", "k3").await.expect_err("refused");
    assert!(matches!(deep, SubmitError::TooDeep { most: 2 }), "{deep}");
    for (prompt, key) in [("a", "k4"), ("b", "k5")] {
        submit_child(parent, prompt, key).await.expect("accepted");
    }
    let many = submit_child(parent, "c", "k6").await.expect_err("refused");
    assert!(matches!(many, SubmitError::TooManyChildren { live: 3 }), "{many}");
    let again = submit_child(parent, "one", "k1").await.expect("found");
    assert_eq!((again.id, again.existed), (first, true));
    store.cancel(first, true, at(2)).await.expect("wished");
    submit_child(parent, "c", "k6").await.expect("there is room again");
}

pub async fn progress_is_what_the_live_attempt_says(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let half = Progress::new("half of it", Some(50)).expect("one line");
    assert!(store.note_progress(task, claimed.attempt, half.clone()).await.expect("written"));
    assert_eq!(entry(store, task).await.progress, Some(half.clone()));
    store.report(worker.reports(&claimed, Outcome::Succeeded), at(1)).await.expect("heard");
    let late = Progress::new("late", None).expect("one line");
    assert!(!store.note_progress(task, claimed.attempt, late).await.expect("heard"));
    assert_eq!(entry(store, task).await.progress, Some(half));
}

pub async fn lists_are_filtered_by_role_and_parent(store: &dyn Store) {
    let parent = submit(store, SpecDraft { role: "coder".into(), ..draft("parent") }).await;
    let (a, b) = (child(store, parent, "a").await, child(store, parent, "b").await);
    let list = |filter: ListFilter| async move {
        let page = store.list(ListFilter { limit: 10, ..filter }).await.expect("listed");
        page.into_iter().map(|entry| entry.id).collect::<Vec<TaskId>>()
    };
    let children = ListFilter { parent: Some(parent), ..ListFilter::default() };
    assert_eq!(list(children).await, [b, a]);
    let role = |name: &str| ListFilter { role: Some(name.into()), ..ListFilter::default() };
    assert_eq!(list(role("coder")).await, [parent]);
    assert_eq!(list(role("reviewer")).await, []);
}

pub async fn a_task_goes_on_from_the_last_attempt_of_another(store: &dyn Store) {
    let first = submit(store, draft("first")).await;
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let done = worker.run_one(store, at(0)).await;
    store.report(worker.reports(&done, Outcome::Succeeded), at(1)).await.expect("heard");
    let links = Links { goes_on_from: Some(first), ..Links::default() };
    let next = NewTask { links, ..new_task(draft("next")) };
    let next = store.submit(vec![next], at(2)).await.expect("accepted")[0].id;

    // As long as it has come to no agent of its own.
    for _ in 0..2 {
        let offered = other.claim(store, 1, at(3)).await.remove(0);
        let continues = offered.continues.clone().expect("it goes on");
        assert_eq!((continues.from, continues.worker), (done.attempt, worker.id));
        assert_eq!(continues.conversation, Conversation::Resume);
        let why = factory_domain::ReturnReason::Declined { why: "no room".into() };
        apply(store, next, Event::Returned { attempt: offered.attempt, why }, at(3)).await;
    }
    let own = other.run_one(store, at(4)).await;
    store.report(other.reports(&own, Outcome::HandedOver), at(5)).await.expect("heard");
    let again = worker.claim(store, 1, at(6)).await.remove(0);
    assert_eq!(again.continues.expect("it goes on").from, own.attempt);
    let events = store.events_after(0, &[next], 100).await.expect("read");
    let offered = events.iter().find(|event| event.kind == "offered").expect("an offer");
    assert_eq!(offered.detail.as_deref(), Some("resumes attempt 1 of task 1"));
}

pub async fn tasks_that_hang_together_are_found_the_nearest_first(store: &dyn Store) {
    let parent = submit(store, draft("parent")).await;
    let child = child(store, parent, "child").await;
    let links = Links { after: vec![child], ..Links::default() };
    let next = NewTask { links, ..new_task(draft("next")) };
    let next = store.submit(vec![next], at(0)).await.expect("accepted")[0].id;
    let alone = submit(store, draft("alone")).await;

    let ids = |found: &[Relative]| found.iter().map(|one| one.id).collect::<Vec<_>>();
    let found = store.related(vec![next], 10).await.expect("read");
    assert_eq!(ids(&found), [next, child, parent]);
    assert_eq!((found[0].title.as_str(), found[0].state.as_str()), ("next", "blocked"));
    assert_eq!((found[0].after.as_slice(), found[0].parent), ([child].as_slice(), None));
    assert_eq!((found[1].number, found[1].parent), (2, Some(parent)));
    assert_eq!(ids(&store.related(vec![parent], 10).await.expect("read")), [parent, child, next]);
    assert_eq!(ids(&store.related(vec![next], 2).await.expect("read")), [next, child]);
    assert_eq!(ids(&store.related(vec![alone], 10).await.expect("read")), [alone]);
    assert_eq!(store.related(vec![], 10).await.expect("read"), []);
}
