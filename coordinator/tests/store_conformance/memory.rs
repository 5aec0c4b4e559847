//! What tasks have learned: kept once, found by words and by vectors, given to whom it is for.

use factory_coordinator::store::{
    Embedding, MemoryEntry, MemoryFilter, NewMemory, SavedMemory, Store, Within,
};
use factory_domain::memory::words::query_terms;
use factory_domain::{
    FailureReason, Memory, MemoryDraft, MemoryId, MemoryKind, Outcome, RepoSource, Scope, SpecDraft, TaskId,
};
use uuid::Uuid;

use crate::bench::{Worker, apply, at, draft, failed, submit};

fn scope(repo: &str, project: &str) -> Scope {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Scope {
        repo: some(repo).map(|repo| RepoSource::parse(&repo).expect("a repository")),
        project: some(project),
    }
}

fn memory(content: &str, repo: &str, project: &str) -> Memory {
    let draft = MemoryDraft {
        kind: MemoryKind::Fact,
        content: content.into(),
        tags: Vec::new(),
        repo: repo.into(),
        project: project.into(),
        role: String::new(),
    };
    draft.validate(None).expect("valid")
}

fn new(memory: Memory) -> NewMemory {
    NewMemory { id: MemoryId::from_uuid(Uuid::now_v7()), memory, idempotency_key: None }
}

async fn save(store: &dyn Store, memory: Memory) -> SavedMemory {
    store.save_memory(new(memory), at(0)).await.expect("saved")
}

fn filter(within: Within) -> MemoryFilter {
    MemoryFilter { within, limit: 10, ..MemoryFilter::default() }
}

async fn find(store: &dyn Store, query: &str, filter: MemoryFilter) -> Vec<String> {
    let found = store.search_memories(query_terms(query), filter).await.expect("searched");
    assert!(found.is_sorted_by(|a, b| a.1 >= b.1), "not best first");
    found.into_iter().map(|(entry, _)| entry.memory.content).collect()
}

fn contents(entries: Vec<MemoryEntry>) -> Vec<String> {
    entries.into_iter().map(|entry| entry.memory.content).collect()
}

pub async fn a_search_puts_first_what_says_most_of_it(store: &dyn Store) {
    for content in [
        "The login page is rendered by LoginPage in src/login_page.rs",
        "Flaky login tests fail when the clock is set back",
        "Use tabs in the Makefile",
        "Deploys go out on Tuesdays",
    ] {
        save(store, memory(content, "", "")).await;
    }
    let all = || filter(Within::default());
    let found = find(store, "why does the login test fail so flakily?", all()).await;
    assert_eq!(found[0], "Flaky login tests fail when the clock is set back");
    assert_eq!(found.len(), 2, "{found:?}");
    // The parts of names, in whichever case they are written.
    for query in ["page", "login_page", "LoginPage", "PAGE", "pages"] {
        assert!(find(store, query, all()).await[0].contains("LoginPage"), "{query}");
    }
    assert_eq!(find(store, "the of and", all()).await, [""; 0]);
}

pub async fn hostile_queries_find_nothing_and_break_nothing(store: &dyn Store) {
    save(store, memory("plain words", "", "")).await;
    for query in [
        "\"",
        "* OR *",
        "NEAR(a b, 3)",
        "content:x",
        "a AND",
        "-",
        "'; DROP TABLE memories; --",
        "\0",
        "😀",
        "^x",
    ] {
        let found = store.search_memories(query_terms(query), filter(Within::default())).await;
        assert!(found.expect("searched").is_empty(), "{query:?}");
    }
    // Whoever calls the store without taking a query apart first cannot hurt it either.
    let raw = vec!["\" OR content : \"plain".to_owned()];
    store.search_memories(raw, filter(Within::default())).await.expect("searched");
}

pub async fn a_task_is_told_what_is_for_its_repository_and_project(store: &dyn Store) {
    for (content, repo, project) in [
        ("note of a", "octo/a", ""),
        ("note of b", "octo/b", ""),
        ("note of a for red", "octo/a", "red"),
        ("note for red", "", "red"),
        ("note for blue", "", "blue"),
        ("note for all", "", ""),
    ] {
        save(store, memory(content, repo, project)).await;
    }
    let told = |repo: &str, project: &str| {
        let within = Within::For(scope(repo, project));
        async move {
            let mut found = find(store, "note", filter(within)).await;
            found.sort();
            found
        }
    };
    assert_eq!(told("octo/a", "").await, ["note for all", "note of a", "note of a for red"]);
    assert_eq!(
        told("octo/a", "red").await,
        ["note for all", "note for red", "note of a", "note of a for red"]
    );
    assert_eq!(told("octo/a", "blue").await, ["note for all", "note for blue", "note of a"]);
    assert_eq!(told("", "red").await, ["note for all", "note for red", "note of a for red"]);
    let named = filter(Within::Named(scope("octo/a", "red")));
    assert_eq!(find(store, "note", named).await, ["note of a for red"]);
}

pub async fn memories_are_filtered_by_kind_and_tags_and_paged(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    for n in 0..25 {
        let kind = if n % 5 == 0 { MemoryKind::Error } else { MemoryKind::Fact };
        let tags =
            if n == 10 { ["flaky".to_owned(), "ci".to_owned()].into() } else { ["ci".to_owned()].into() };
        let task = (n < 3).then_some(task);
        let content = format!("number {n} {}", "word ".repeat(n % 7));
        save(store, Memory { kind, tags, task, ..memory(&content, "", "") }).await;
    }
    let numbers = |filter: MemoryFilter| async move {
        let page = store.memories(filter).await.expect("listed");
        page.into_iter().map(|entry| entry.number).collect::<Vec<_>>()
    };
    let errors = MemoryFilter { kinds: vec![MemoryKind::Error], ..filter(Within::default()) };
    assert_eq!(numbers(errors.clone()).await, [21, 16, 11, 6, 1]);
    assert_eq!(numbers(MemoryFilter { before: Some(11), limit: 1, ..errors }).await, [6]);
    let both = MemoryFilter { tags: vec!["ci".into(), "flaky".into()], ..filter(Within::default()) };
    assert_eq!(numbers(both.clone()).await, [11]);
    assert_eq!(find(store, "number", both).await.len(), 1);
    assert_eq!(numbers(MemoryFilter { of_tasks: true, ..filter(Within::default()) }).await, [3, 2, 1]);
}

pub async fn the_same_is_not_kept_twice(store: &dyn Store) {
    let first = save(store, memory("Run `cargo nextest`, not cargo test", "octo/a", "")).await;
    assert!(!first.existed);
    let again = save(store, memory("run cargo  nextest -- not `cargo test`.", "octo/a", "")).await;
    assert_eq!((again.existed, again.entry.number), (true, first.entry.number));
    assert!(!save(store, memory("Run `cargo nextest`, not cargo test", "octo/b", "")).await.existed);

    let keyed =
        |content: &str| NewMemory { idempotency_key: Some("k".into()), ..new(memory(content, "", "")) };
    let kept = store.save_memory(keyed("one"), at(0)).await.expect("saved");
    let repeated = store.save_memory(keyed("another"), at(1)).await.expect("saved");
    assert_eq!((repeated.existed, repeated.entry), (true, kept.entry));

    // Nearly the same, by the same task: agents repeat themselves. By another task it is worth keeping.
    let (task, other) = (submit(store, draft("x")).await, submit(store, draft("y")).await);
    let long = "the login test fails when the clock of the host is set back by more than a minute or two";
    let of = |task: TaskId, content: &str| Memory { task: Some(task), ..memory(content, "octo/a", "") };
    assert!(!save(store, of(task, long)).await.existed);
    assert!(save(store, of(task, &format!("{long} indeed"))).await.existed);
    assert!(!save(store, of(other, &format!("{long} indeed"))).await.existed);
}

pub async fn a_task_that_ended_is_summed_up_once(store: &dyn Store) {
    let with_repo = |prompt: &str| SpecDraft { repo: "octo/a".into(), ..draft(prompt) };
    let (good, bad) = (submit(store, with_repo("a")).await, submit(store, with_repo("b")).await);
    let cancelled = submit(store, with_repo("c")).await;
    apply(store, cancelled, factory_domain::Event::CancelRequested, at(0)).await;
    let worker = Worker::register(store, &[]).await;
    for outcome in [Outcome::Succeeded, failed(FailureReason::Rejected)] {
        let claimed = worker.run_one(store, at(1)).await;
        store.report(worker.reports(&claimed, outcome), at(2)).await.expect("heard");
    }
    let (start, end) = (store.summarised_up_to().await.expect("read"), *store.feed().borrow());
    let ended = store.ended_between(start, end).await.expect("read");
    let ids: Vec<_> = ended.iter().map(|task| task.id).collect();
    assert_eq!(ids, [good, bad]);
    assert!(ended.iter().all(|task| task.report.is_some()));

    let summary =
        |task, content: &str| Memory { task: Some(task), is_summary: true, ..memory(content, "octo/a", "") };
    let first = vec![new(summary(good, "good")), new(summary(bad, "bad"))];
    store.save_summaries(first, end, at(3)).await.expect("saved");
    assert_eq!(store.summarised_up_to().await.expect("read"), end);
    // As after a crash between the look and the write, or by a slower second one.
    let again = vec![new(summary(good, "good, in other words"))];
    store.save_summaries(again, start, at(4)).await.expect("saved");
    assert_eq!(store.summarised_up_to().await.expect("read"), end);
    let kept = store.memories(filter(Within::default())).await.expect("listed");
    assert_eq!(kept.iter().map(|entry| entry.task_number).collect::<Vec<_>>(), [Some(2), Some(1)]);
    assert_eq!(contents(kept), ["bad", "good"]);
    assert_eq!(find(store, "words", filter(Within::default())).await, [""; 0]);
    assert_eq!(find(store, "good", filter(Within::For(scope("octo/a", "")))).await, ["good"]);
}

fn embedding(model: &str, vector: &[f32]) -> Embedding {
    Embedding { model: model.into(), vector: vector.into() }
}

pub async fn vectors_find_what_words_do_not(store: &dyn Store) {
    let mut numbers = Vec::new();
    for (content, repo) in
        [("a cat", "octo/a"), ("a dog", "octo/a"), ("a car", "octo/a"), ("a lion", "octo/b")]
    {
        numbers.push(save(store, memory(content, repo, "")).await.entry.number);
    }
    let to_embed = |model: &'static str, after, limit| async move {
        let found = store.memories_to_embed(model.into(), after, limit).await.expect("read");
        found.into_iter().map(|(number, _)| number).collect::<Vec<_>>()
    };
    assert_eq!(to_embed("m1", 0, 3).await, numbers[..3]);
    let vectors = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.96, 0.28]].map(|vector| embedding("m1", &vector));
    let kept = numbers.iter().copied().zip(vectors).collect();
    store.keep_vectors(kept).await.expect("kept");
    assert_eq!(to_embed("m1", 0, 10).await, [0_u64; 0]);

    let near = |query: Embedding, within, limit| async move {
        let filter = MemoryFilter { limit, ..filter(within) };
        let found = store.nearest_memories(query, filter).await.expect("searched");
        found.into_iter().map(|(entry, score)| (entry.memory.content, score)).collect::<Vec<_>>()
    };
    let in_a = || Within::For(scope("octo/a", ""));
    let found = near(embedding("m1", &[1.0, 0.0]), in_a(), 2).await;
    assert_eq!(found.iter().map(|(content, _)| content.as_str()).collect::<Vec<_>>(), ["a cat", "a dog"]);
    assert!((found[1].1 - 0.8).abs() < 1e-6, "{found:?}");
    assert_eq!(near(embedding("m1", &[1.0, 0.0]), Within::default(), 10).await[1].0, "a lion");

    // Another model's vectors, or of another length, are not compared; the newer takes the place of the older.
    assert!(near(embedding("m2", &[1.0, 0.0]), in_a(), 10).await.is_empty());
    assert!(near(embedding("m1", &[1.0, 0.0, 0.0]), in_a(), 10).await.is_empty());
    assert_eq!(to_embed("m2", 0, 10).await, numbers);
    store.keep_vectors(vec![(numbers[0], embedding("m2", &[1.0]))]).await.expect("kept");
    assert_eq!(to_embed("m2", 0, 10).await, numbers[1..]);
    assert_eq!(to_embed("m1", 0, 10).await, numbers[..1]);
    assert_eq!(to_embed("m2", numbers[1], 10).await, numbers[2..]);
}
