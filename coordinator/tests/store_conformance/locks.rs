//! Files, keys and limits: what keeps queued tasks waiting beside the want of a worker, and whose turn it is.

use std::num::NonZeroU32;

use factory_coordinator::store::{Claim, Claimed, Locking, QueuedTask, Store, WantedFiles};
use factory_domain::{
    AttemptId, Event, FailureReason, Limits, Outcome, PathPattern, ReturnReason, SpecDraft, TaskId, Timestamp,
};
use uuid::Uuid;

use crate::bench::{Worker, apply, at, draft, failed, limited_until, new_task, submit};

fn touching(prompt: &str, files: &[&str]) -> SpecDraft {
    SpecDraft {
        repo: "owner/name".into(),
        touches: files.iter().map(|file| (*file).to_owned()).collect(),
        ..draft(prompt)
    }
}

async fn claims(store: &dyn Store, worker: &Worker, now: Timestamp) -> Vec<String> {
    worker.claim(store, 9, now).await.into_iter().map(|one| one.spec.prompt).collect()
}

/// Claims all there is, accepted and started, by prompt.
async fn runs(store: &dyn Store, worker: &Worker, now: Timestamp) -> Vec<Claimed> {
    let claimed = worker.claim(store, 9, now).await;
    for one in &claimed {
        apply(store, one.task, Event::Accepted { attempt: one.attempt }, now).await;
        apply(store, one.task, Event::Started { attempt: one.attempt }, now).await;
    }
    claimed
}

async fn ends(store: &dyn Store, worker: &Worker, claimed: &Claimed, now: Timestamp) {
    store.report(worker.reports(claimed, Outcome::Succeeded), now).await.expect("heard");
}

async fn files_of(store: &dyn Store, task: TaskId) -> Vec<String> {
    let files = store.files_of(task).await.expect("read");
    files.into_iter().map(|file| file.path.to_string()).collect()
}

async fn waits_for(store: &dyn Store, worker: &Worker, task: TaskId) -> Option<String> {
    let entry = store.task(task).await.expect("read").expect("there");
    let connected = [worker.capacity(0)].into();
    let waits = store.waits(vec![QueuedTask::from(&entry)], connected, at(1)).await.expect("read");
    waits.get(&task).map(ToString::to_string)
}

pub async fn tasks_whose_files_overlap_do_not_run_together(store: &dyn Store) {
    submit(store, touching("all of auth", &["src/auth"])).await;
    let login = submit(store, touching("login", &["src/**/login.rs"])).await;
    submit(store, touching("docs", &["docs"])).await;
    submit(store, SpecDraft { repo: "another/one".into(), ..touching("elsewhere", &["src/auth"]) }).await;
    submit(store, draft("plain")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.claim(store, 9, at(1)).await;
    let prompts: Vec<_> = claimed.iter().map(|one| one.spec.prompt.as_str()).collect();
    assert_eq!(prompts, ["all of auth", "docs", "elsewhere", "plain"]);
    assert_eq!(files_of(store, claimed[0].task).await, ["src/auth"]);
    let why = waits_for(store, &worker, login).await;
    assert_eq!(why.as_deref(), Some("src/auth held by task 1 (all of auth)"));
    assert_eq!(store.files_of(claimed[0].task).await.expect("read")[0].since, at(1));
}

pub async fn files_are_given_back_however_a_lease_ends(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let ways = [
        Outcome::Succeeded,
        Outcome::Cancelled,
        Outcome::HandedOver,
        Outcome::Asked,
        failed(FailureReason::AgentError),
        failed(FailureReason::AuthFailed),
        limited_until(1_000_000),
    ];
    for (n, way) in ways.into_iter().enumerate() {
        // Higher each time, so that one that comes back to the queue is not before the next.
        let priority = i32::try_from(n).expect("few");
        let task = submit(store, SpecDraft { priority, ..touching("holds", &["src"]) }).await;
        let held = worker.run_one(store, at(1)).await;
        assert_eq!((held.task, files_of(store, task).await), (task, vec!["src".to_owned()]));
        store.report(worker.reports(&held, way.clone()), at(1)).await.expect("heard");
        assert!(files_of(store, task).await.is_empty(), "{way:?}");
    }

    let task = submit(store, SpecDraft { priority: 50, ..touching("holds", &["src"]) }).await;
    let declined = worker.claim(store, 1, at(1)).await.remove(0);
    let why = ReturnReason::Declined { why: "the disk is full".into() };
    apply(store, task, Event::Returned { attempt: declined.attempt, why }, at(1)).await;
    assert!(files_of(store, task).await.is_empty(), "declined");

    let lapsed = worker.claim(store, 1, at(1)).await.remove(0);
    store.apply_due(at(20)).await.expect("applied");
    assert!(files_of(store, lapsed.task).await.is_empty(), "lapsed");

    let lost = worker.run_one(store, at(30)).await;
    apply(store, lost.task, Event::ContactLost { attempt: lost.attempt }, at(31)).await;
    assert_eq!(files_of(store, lost.task).await, ["src"], "it may still be at work");
    apply(store, lost.task, Event::Lost { attempt: lost.attempt }, at(32)).await;
    assert!(files_of(store, lost.task).await.is_empty(), "lost");
    assert!(!worker.claim(store, 1, at(33)).await.is_empty(), "the next can have them");
}

pub async fn a_task_gets_all_it_wants_or_nothing(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    submit(store, touching("docs", &["docs"])).await;
    let docs = worker.run_one(store, at(1)).await;
    let both = submit(store, touching("both", &["src", "docs/api.md"])).await;
    assert!(claims(store, &worker, at(1)).await.is_empty());
    assert!(files_of(store, both).await.is_empty());
    ends(store, &worker, &docs, at(1)).await;
    assert_eq!(claims(store, &worker, at(1)).await, ["both"]);
    assert_eq!(files_of(store, both).await, ["docs/api.md", "src"]);
}

pub async fn nobody_behind_takes_what_one_before_waits_for(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    submit(store, touching("docs", &["docs"])).await;
    let docs = worker.run_one(store, at(1)).await;
    let both = submit(store, touching("both", &["src", "docs"])).await;
    let behind = submit(store, touching("behind", &["src/main.rs"])).await;
    submit(store, touching("apart", &["tests"])).await;
    assert_eq!(claims(store, &worker, at(1)).await, ["apart"]);
    let why = waits_for(store, &worker, behind).await;
    assert_eq!(why.as_deref(), Some("src, which goes to task 2 (both) first"));
    ends(store, &worker, &docs, at(1)).await;
    assert_eq!(claims(store, &worker, at(1)).await, ["both"]);

    // A wish that ends stands before nobody.
    apply(store, both, Event::CancelRequested, at(1)).await;
    let claimed = store.task(both).await.expect("read").expect("there");
    let attempt = claimed.state.lease().expect("leased").attempt;
    let why = ReturnReason::Declined { why: "it was cancelled".into() };
    apply(store, both, Event::Returned { attempt, why }, at(1)).await;
    assert_eq!(claims(store, &worker, at(1)).await, ["behind"]);
}

pub async fn what_nobody_could_take_keeps_nothing_from_others(store: &dyn Store) {
    let labels = vec![("gpu".to_owned(), "yes".to_owned())];
    let special = submit(store, SpecDraft { labels, priority: 9, ..touching("special", &["src"]) }).await;
    let behind = submit(store, touching("behind", &["src"])).await;
    let (worker, able) = (Worker::register(store, &[]).await, Worker::register(store, &["gpu=yes"]).await);

    // It could be taken by a worker that has no room just now: its turn comes first.
    let beside = Claim { connected: [able.capacity(0), worker.capacity(1)].into(), ..worker.wants(1) };
    assert!(store.claim(beside, at(1)).await.expect("claimed").is_empty());
    let alone = worker.claim(store, 1, at(1)).await;
    assert_eq!(alone.iter().map(|one| one.task).collect::<Vec<_>>(), [behind]);
    ends(store, &worker, &accepted(store, alone).await, at(1)).await;

    // Nor does one that was declined here just now.
    submit(store, touching("last", &["src"])).await;
    let after_a_decline = Claim { except: vec![special], ..able.wants(1) };
    assert_eq!(store.claim(after_a_decline, at(1)).await.expect("claimed").len(), 1);
}

async fn accepted(store: &dyn Store, mut claimed: Vec<Claimed>) -> Claimed {
    let claimed = claimed.pop().expect("one");
    apply(store, claimed.task, Event::Accepted { attempt: claimed.attempt }, at(1)).await;
    claimed
}

pub async fn a_key_is_for_one_task_where_nothing_else_is_said(store: &dyn Store) {
    let keyed = |prompt: &str| SpecDraft { keys: vec!["deploy".into()], ..draft(prompt) };
    submit(store, keyed("first")).await;
    let second = submit(store, keyed("second")).await;
    let worker = Worker::register(store, &[]).await;
    let first = runs(store, &worker, at(1)).await.remove(0);
    assert!(claims(store, &worker, at(1)).await.is_empty());
    let why = waits_for(store, &worker, second).await;
    assert_eq!(why.as_deref(), Some("the key deploy, which goes to task 1 (first) first"));
    ends(store, &worker, &first, at(1)).await;
    assert_eq!(claims(store, &worker, at(1)).await, ["second"]);
}

pub fn limits() -> Limits {
    let limit = NonZeroU32::new;
    Limits {
        fleet: limit(5),
        per_repo: limit(2),
        repos: [("free/one".to_owned(), None)].into(),
        roles: [("coder".to_owned(), limit(3))].into(),
        keys: [("pair".to_owned(), limit(2))].into(),
    }
}

pub async fn limits_bound_what_runs(store: &dyn Store) {
    let of = |repo: &str, role: &str, prompt: &str| SpecDraft {
        repo: repo.into(),
        role: role.into(),
        ..draft(prompt)
    };
    for n in 0..3 {
        submit(store, of("owner/name", "reviewer", &format!("review {n}"))).await;
        submit(store, of("free/one", "coder", &format!("code {n}"))).await;
    }
    let code = submit(store, of("free/one", "coder", "code 3")).await;
    let pair = |n| SpecDraft { keys: vec!["pair".into()], priority: 1, ..draft(&format!("pair {n}")) };
    let worker = Worker::register(store, &[]).await;
    let running = runs(store, &worker, at(1)).await;
    let prompts: Vec<_> = running.iter().map(|one| one.spec.prompt.as_str()).collect();
    assert_eq!(prompts, ["review 0", "code 0", "review 1", "code 1", "code 2"]);
    assert_eq!(waits_for(store, &worker, code).await.as_deref(), Some("the limit of 5 running task(s)"));
    ends(store, &worker, &running[0], at(1)).await;
    let why = waits_for(store, &worker, code).await;
    assert_eq!(why.as_deref(), Some("the limit of 3 running task(s) of the role coder"));
    assert_eq!(claims(store, &worker, at(1)).await, ["review 2"], "the coders are all at work");

    for one in &running[1..] {
        ends(store, &worker, one, at(1)).await;
    }
    for n in 0..3 {
        submit(store, pair(n)).await;
    }
    assert_eq!(claims(store, &worker, at(2)).await, ["pair 0", "pair 1", "code 3"]);
}

pub async fn the_submitter_with_the_fewest_running_goes_first(store: &dyn Store) {
    let by = |who: &str, n: usize| SpecDraft { submitter: who.into(), ..draft(&format!("{who} {n}")) };
    let many = (0..100).map(|n| new_task(by("a", n)));
    store.submit(many.collect(), at(0)).await.expect("accepted");
    submit(store, by("b", 0)).await;
    submit(store, by("b", 1)).await;
    submit(store, by("c", 0)).await;
    let urgent = SpecDraft { priority: 1, ..by("a", 100) };
    submit(store, urgent).await;
    let worker = Worker::register(store, &[]).await;
    let order: Vec<String> =
        worker.claim(store, 3, at(1)).await.into_iter().map(|one| one.spec.prompt).collect();
    assert_eq!(order, ["a 100", "b 0", "c 0"], "priority, then those who have nothing running");
    let order: Vec<String> =
        worker.claim(store, 4, at(1)).await.into_iter().map(|one| one.spec.prompt).collect();
    assert_eq!(order, ["a 0", "b 1", "a 1", "a 2"], "then in turn, the older first");
}

fn wanted(worker: &Worker, attempt: AttemptId, paths: &[&str], until: u64) -> WantedFiles {
    WantedFiles {
        attempt,
        paths: paths.iter().map(|path| PathPattern::parse(path).expect("a pattern")).collect(),
        call: Uuid::now_v7(),
        until: at(until),
        connected: [worker.capacity(0)].into(),
    }
}

async fn lock(store: &dyn Store, wanted: &WantedFiles, now: u64) -> Locking {
    store.lock_files(wanted.clone(), at(now)).await.expect("answered")
}

/// Two at work in one repository, without files of their own.
async fn two(store: &dyn Store, worker: &Worker) -> (Claimed, Claimed) {
    submit(store, touching("one", &[])).await;
    submit(store, touching("two", &[])).await;
    let mut both = runs(store, worker, at(1)).await;
    let two = both.pop().expect("two");
    (both.pop().expect("one"), two)
}

pub async fn an_agent_takes_files_at_work_and_gives_them_back(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let (one, two) = two(store, &worker).await;
    let src = wanted(&worker, one.attempt, &["src", "docs"], 1);
    assert!(matches!(lock(store, &src, 1).await, Locking::Granted));
    assert!(matches!(lock(store, &src, 1).await, Locking::Granted), "what is its own is no obstacle");
    let other = wanted(&worker, two.attempt, &["src/main.rs", "tests"], 1);
    let Locking::Waits(held) = lock(store, &other, 1).await else { panic!("it was not free") };
    assert_eq!((held[0].path.as_str(), held[0].by.task, held[0].since), ("src", one.task, Some(at(1))));
    assert!(files_of(store, two.task).await.is_empty(), "all or none");

    let declared = submit(store, touching("declared", &["docs"])).await;
    assert!(claims(store, &worker, at(2)).await.is_empty());
    let why = waits_for(store, &worker, declared).await;
    assert_eq!(why.as_deref(), Some("docs held by task 1 (one)"));
    assert!(store.unlock_files(one.attempt, src.paths[..1].to_vec()).await.expect("unlocked"));
    assert!(matches!(lock(store, &other, 2).await, Locking::Granted));
    assert!(store.unlock_files(one.attempt, Vec::new()).await.expect("unlocked"));
    assert!(!store.unlock_files(one.attempt, Vec::new()).await.expect("nothing left"));
    let declared = worker.claim(store, 1, at(3)).await.remove(0);
    assert!(!store.unlock_files(declared.attempt, Vec::new()).await.expect("what came with the lease stays"));
    assert_eq!(files_of(store, declared.task).await, ["docs"]);

    ends(store, &worker, &two, at(4)).await;
    assert!(files_of(store, two.task).await.is_empty());
    assert!(matches!(lock(store, &other, 4).await, Locking::Over));
}

pub async fn agents_that_would_wait_in_a_circle_are_told(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let (one, two) = two(store, &worker).await;
    for (attempt, path) in [(one.attempt, "a"), (two.attempt, "b")] {
        assert!(matches!(lock(store, &wanted(&worker, attempt, &[path], 1), 1).await, Locking::Granted));
    }
    let waits = wanted(&worker, one.attempt, &["b"], 100);
    assert!(matches!(lock(store, &waits, 2).await, Locking::Waits(_)));
    let closes = wanted(&worker, two.attempt, &["a"], 100);
    let Locking::Circle(circle) = lock(store, &closes, 3).await else { panic!("it would never end") };
    assert_eq!(circle.iter().map(|other| other.task).collect::<Vec<_>>(), [one.task]);
    assert!(store.unlock_files(two.attempt, Vec::new()).await.expect("unlocked"));
    assert!(matches!(lock(store, &waits, 4).await, Locking::Granted));
    assert!(matches!(lock(store, &closes, 5).await, Locking::Waits(_)), "nobody waits for it now");
}

pub async fn an_agent_at_work_does_not_overtake_the_queue(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    submit(store, touching("docs", &["docs"])).await;
    let docs = worker.run_one(store, at(1)).await;
    let both = submit(store, touching("both", &["src", "docs"])).await;
    let late = submit(store, touching("late", &[])).await;
    let late = runs(store, &worker, at(1)).await.into_iter().find(|one| one.task == late).expect("at work");
    let src = wanted(&worker, late.attempt, &["src"], 100);
    let Locking::Waits(held) = lock(store, &src, 2).await else { panic!("another is before it") };
    assert_eq!((held[0].by.task, held[0].since), (both, None));
    // The holder is not kept from what it needs by one that waits for it.
    let more = wanted(&worker, docs.attempt, &["src/docs.rs"], 2);
    assert!(matches!(lock(store, &more, 2).await, Locking::Granted));
    ends(store, &worker, &docs, at(3)).await;
    // One that asks at work stands before those that come after it in the queue.
    submit(store, touching("behind", &["src"])).await;
    let both = worker.claim(store, 9, at(3)).await;
    assert_eq!(both.iter().map(|one| one.spec.prompt.as_str()).collect::<Vec<_>>(), ["both"]);
    ends(store, &worker, &accepted(store, both).await, at(4)).await;
    assert!(claims(store, &worker, at(4)).await.is_empty());
    assert!(matches!(lock(store, &src, 4).await, Locking::Granted));
}

pub async fn a_wish_for_files_runs_out(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let (one, two) = two(store, &worker).await;
    assert!(matches!(lock(store, &wanted(&worker, one.attempt, &["src"], 1), 1).await, Locking::Granted));
    let wish = wanted(&worker, two.attempt, &["src", "docs"], 10);
    assert!(matches!(lock(store, &wish, 2).await, Locking::Waits(_)));
    submit(store, touching("behind", &["docs"])).await;
    assert!(claims(store, &worker, at(9)).await.is_empty());
    let later = wanted(&worker, two.attempt, &["src"], 10);
    assert!(matches!(lock(store, &later, 3).await, Locking::Waits(_)));
    assert!(matches!(lock(store, &wish, 4).await, Locking::Overtaken));
    assert_eq!(claims(store, &worker, at(9)).await, ["behind"], "the later wish has no docs");
    assert!(matches!(lock(store, &wish, 11).await, Locking::Waits(_)), "the later one has run out");
    let gone = wanted(&worker, AttemptId::from_uuid(Uuid::now_v7()), &["src"], 10);
    assert!(matches!(lock(store, &gone, 5).await, Locking::Over));
}
