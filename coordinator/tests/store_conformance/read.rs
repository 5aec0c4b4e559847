//! The feed, lists and names.

use factory_coordinator::store::{ArtifactEntry, ArtifactKind, ListFilter, NewTask, ResolveError, Store};
use factory_domain::{AttemptState, Event, FailureReason, Labels, Outcome, SpecDraft, TaskId};
use uuid::Uuid;

use crate::bench::{Worker, apply, at, draft, failed, new_task, submit};

pub async fn the_feed_has_no_gaps_and_says_what_the_rows_say(store: &dyn Store) {
    let mut feed = store.feed();
    assert_eq!(*feed.borrow_and_update(), 0);
    let (first, second) = (submit(store, draft("a")).await, submit(store, draft("b")).await);
    feed.changed().await.expect("a store that is open");
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(1)).await;
    store.report(worker.reports(&claimed, Outcome::Succeeded), at(2)).await.expect("heard");
    apply(store, second, Event::CancelRequested, at(3)).await;

    let events = store.events_after(0, &[], 100).await.expect("read");
    let cursors: Vec<u64> = events.iter().map(|event| event.cursor).collect();
    assert_eq!(cursors, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(*feed.borrow_and_update(), events.len() as u64);
    for task in [first, second] {
        let last = events.iter().rfind(|event| event.task == task).expect("an event");
        assert_eq!(last.state, store.task(task).await.expect("read").expect("there").state);
    }
    let started = events.iter().find(|event| event.kind == "started").expect("a start");
    assert_eq!((started.attempt, started.attempt_number), (Some(claimed.attempt), Some(1)));
    assert_eq!((started.worker_name.clone(), started.number), (Some(worker.entry().name), 1));
}

pub async fn the_feed_is_read_in_pieces_and_by_task(store: &dyn Store) {
    let ids =
        [submit(store, draft("a")).await, submit(store, draft("b")).await, submit(store, draft("c")).await];
    for id in ids {
        apply(store, id, Event::CancelRequested, at(1)).await;
    }
    let mut cursor = 0;
    let mut seen = Vec::new();
    loop {
        let piece = store.events_after(cursor, &[], 2).await.expect("read");
        let Some(last) = piece.last() else { break };
        cursor = last.cursor;
        seen.extend(piece.into_iter().map(|event| (event.task, event.kind)));
    }
    assert_eq!(seen.len(), 6);
    let two = store.events_after(2, &ids[..2], 100).await.expect("read");
    let kinds: Vec<_> = two.iter().map(|event| (event.task, event.kind.as_str())).collect();
    assert_eq!(kinds, [(ids[0], "cancel_requested"), (ids[1], "cancel_requested")]);
}

pub async fn lists_are_newest_first_and_page(store: &dyn Store) {
    let tasks = (0..25).map(|n| new_task(draft(&format!("task {n}")))).collect();
    store.submit(tasks, at(0)).await.expect("accepted");
    let (mut before, mut numbers) = (None, Vec::new());
    loop {
        let filter = ListFilter { before, limit: 10, ..ListFilter::default() };
        let page = store.list(filter).await.expect("listed");
        let Some(last) = page.last() else { break };
        before = Some(last.number);
        assert!(page.iter().all(|entry| entry.spec.prompt.is_empty()), "a list loaded prompts");
        numbers.extend(page.iter().map(|entry| entry.number));
    }
    assert_eq!(numbers, (1..=25).rev().collect::<Vec<_>>());
}

pub async fn lists_are_filtered(store: &dyn Store) {
    let of = |repo: &str, labels: &[(&str, &str)]| SpecDraft {
        repo: repo.into(),
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..draft("x")
    };
    let a = submit(store, of("/srv/a", &[("team", "red")])).await;
    let b = submit(store, of("/srv/b", &[("team", "red"), ("gpu", "yes")])).await;
    let c = submit(store, of("/srv/a", &[("team", "blue")])).await;
    let d = submit(store, draft("no repository")).await;
    apply(store, c, Event::CancelRequested, at(1)).await;
    let list = |filter: ListFilter| async move {
        let page = store.list(ListFilter { limit: 10, ..filter }).await.expect("listed");
        page.into_iter().map(|entry| entry.id).collect::<Vec<TaskId>>()
    };
    let labelled = |pairs: &[(&str, &str)]| {
        let mut labels = Labels::default();
        for (key, value) in pairs {
            labels.insert((*key).into(), (*value).into()).expect("a label");
        }
        ListFilter { labels, ..ListFilter::default() }
    };
    let states = |states: &[&'static str]| ListFilter { states: states.to_vec(), ..ListFilter::default() };
    let repo = |repo: &str| ListFilter { repo: Some(repo.into()), ..ListFilter::default() };
    assert_eq!(list(ListFilter::default()).await, [d, c, b, a]);
    assert_eq!(list(states(&["queued"])).await, [d, b, a]);
    assert_eq!(list(states(&["queued", "cancelled"])).await, [d, c, b, a]);
    assert_eq!(list(states(&["running"])).await, []);
    assert_eq!(list(repo("/srv/a")).await, [c, a]);
    assert_eq!(list(labelled(&[("team", "red")])).await, [b, a]);
    assert_eq!(list(labelled(&[("team", "red"), ("gpu", "yes")])).await, [b]);
    assert_eq!(list(labelled(&[("team", "green")])).await, []);
    let narrow = ListFilter { states: vec!["queued"], ..repo("/srv/a") };
    assert_eq!(list(narrow).await, [a]);
}

pub async fn tasks_are_found_by_id_prefix_and_number(store: &dyn Store) {
    let with = |id: u128| NewTask { id: TaskId::from_uuid(Uuid::from_u128(id)), ..new_task(draft("x")) };
    let near = 0x0193_aaaa_0000_7000_8000_0000_0000_0001;
    let tasks = vec![with(near), with(near + 1), with(0x0193_bbbb_0000_7000_8000_0000_0000_0003)];
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    store.submit(tasks, at(0)).await.expect("accepted");
    for (name, task) in [
        ("1".to_owned(), ids[0]),
        ("3".to_owned(), ids[2]),
        (ids[1].to_string(), ids[1]),
        (ids[1].to_string().to_uppercase(), ids[1]),
        ("0193bbbb".to_owned(), ids[2]),
        ("0193bbbb-0000".to_owned(), ids[2]),
    ] {
        assert_eq!(store.resolve(&name).await.expect("found"), task, "{name}");
    }
    for name in ["0193", "0193aaaa-0000"] {
        assert!(matches!(store.resolve(name).await, Err(ResolveError::Ambiguous { .. })), "{name}");
    }
    for name in ["", "4", "-1", "0193cccc", "nothing", "%", &Uuid::nil().to_string()] {
        assert!(matches!(store.resolve(name).await, Err(ResolveError::NotFound(_))), "{name}");
    }
}

pub async fn attempts_are_told_in_order(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let first = worker.run_one(store, at(0)).await;
    store.report(worker.reports(&first, failed(FailureReason::AgentError)), at(1)).await.expect("heard");
    let wake = store.next_due().await.expect("read").expect("a wake time");
    store.apply_due(wake).await.expect("woken");
    let second = worker.accept_one(store, wake).await;
    let attempts = store.attempts(task).await.expect("read");
    let told: Vec<_> = attempts.iter().map(|one| (one.id, one.number, one.state)).collect();
    assert_eq!(told, [(first.attempt, 1, AttemptState::Failed), (second.attempt, 2, AttemptState::Accepted)]);
    assert_eq!(attempts[0].report.as_ref().map(|report| report.usage.turns), Some(3));
    assert_eq!((attempts[0].started_at, attempts[0].ended_at), (Some(at(0)), Some(at(1))));
    assert_eq!(attempts[1].worker, worker.id);
}

pub async fn a_task_and_its_retry_name_each_other(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    apply(store, task, Event::CancelRequested, at(1)).await;
    let again = NewTask { retry_of: Some(task), ..new_task(draft("x")) };
    let again = store.submit(vec![again], at(2)).await.expect("accepted").remove(0).id;
    assert_eq!(store.task(task).await.expect("read").expect("there").retried_as, Some(again));
    assert_eq!(store.task(again).await.expect("read").expect("there").retry_of, Some(task));
}

pub async fn an_artifact_kept_again_replaces_the_first(store: &dyn Store) {
    submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let attempt = worker.run_one(store, at(0)).await.attempt;
    let of =
        |kind, name: &str, bytes| ArtifactEntry { attempt, kind, name: name.into(), bytes, sha256: [1; 32] };
    let patch = of(ArtifactKind::Patch, "changes.patch", 20);
    for artifact in
        [of(ArtifactKind::Patch, "changes.patch", 10), of(ArtifactKind::File, "a/b.txt", 3), patch.clone()]
    {
        store.add_artifact(artifact, at(1)).await.expect("kept");
    }
    let kept = store.artifacts(attempt).await.expect("read");
    assert_eq!(kept, [of(ArtifactKind::File, "a/b.txt", 3), patch]);
}

pub async fn what_is_not_there_is_not_there(store: &dyn Store) {
    let nobody = TaskId::from_uuid(Uuid::now_v7());
    assert!(store.task(nobody).await.expect("read").is_none());
    assert!(store.attempts(nobody).await.expect("read").is_empty());
    assert!(store.apply(nobody, Event::CancelRequested, at(0)).await.is_err());
    assert_eq!(store.next_due().await.expect("read"), None);
    assert_eq!(*store.feed().borrow(), 0);
}

pub async fn tasks_are_found_by_their_words(store: &dyn Store) {
    let with = |title: &str, prompt: &str, branch: Option<&str>| {
        let branch = branch.map(|name| name.to_owned()).unwrap_or_default();
        let repo = "/srv/a".to_owned();
        new_task(SpecDraft { title: title.to_owned(), repo, branch, ..draft(prompt) })
    };
    let tasks = vec![
        with("Fix the login", "It fails at night", None),
        with("Document it", "How the login works", Some("docs/login-page")),
        with("Tidy up", "Nothing else", None),
    ];
    store.submit(tasks, at(0)).await.expect("accepted");
    let found = async |typed: &str, states: &[&'static str]| {
        let search = Some(typed.to_owned());
        let filter = ListFilter { search, states: states.to_vec(), limit: 10, ..ListFilter::default() };
        let tasks = store.list(filter).await.expect("listed");
        tasks.into_iter().map(|task| task.number).collect::<Vec<_>>()
    };
    assert_eq!(found("login", &[]).await, [2, 1]);
    assert_eq!(found("LOGIN night", &[]).await, [1]);
    assert_eq!(found("docu*", &["queued"]).await, [2]);
    assert_eq!(found("login-page", &["queued", "failed"]).await, [2]);
    for nothing in ["login tidy", "\"fix login\"", "* -- (", "title:fix", "NEAR(fix login)"] {
        assert_eq!(found(nothing, &[]).await, [0; 0], "{nothing}");
    }
}
