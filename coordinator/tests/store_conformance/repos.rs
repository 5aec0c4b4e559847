//! Repositories with a name, and what lies on the workers' disks.

use factory_coordinator::store::{
    AddedRepo, CopyEntry, DiskChange, Inventory, RepoAdded, Store, WorktreeEntry, WorktreeFilter,
    WorktreeKind,
};
use factory_domain::{Event, RepoSource, Slug, SpecDraft, TaskId};
use uuid::Uuid;

use crate::bench::{Worker, apply, at, draft, submit};

fn repo(name: &str, source: &str) -> AddedRepo {
    AddedRepo {
        name: name.to_owned(),
        source: RepoSource::parse(source).expect("a source"),
        default_role: Some(Slug::parse("coder").expect("a role")),
        added_at: at(1),
    }
}

fn copy(source: &str) -> CopyEntry {
    CopyEntry { source: source.to_owned(), fetched_at: Some(at(2)), bytes: 7, ..CopyEntry::default() }
}

fn worktree(source: &str, branch: &str, task: Option<TaskId>) -> WorktreeEntry {
    WorktreeEntry {
        path: format!("/w/{branch}"),
        source: source.to_owned(),
        branch: branch.to_owned(),
        kind: if task.is_some() { WorktreeKind::Attempt } else { WorktreeKind::ByHand },
        task,
        attempt: None,
        head: "a".repeat(40),
        uncommitted: 2,
        unsaved_commits: 1,
        bytes: 9,
        made_at: at(1),
        seen_at: at(2),
    }
}

pub async fn a_repository_has_one_name_and_a_name_one_repository(store: &dyn Store) {
    let app = repo("app", "git@github.com:octo/app.git");
    let add = |repo: AddedRepo| async move { store.add_repo(repo).await.expect("answered") };
    assert_eq!(add(app.clone()).await, RepoAdded::New);
    assert_eq!(add(repo("other", "octo/app")).await, RepoAdded::Known(app.clone()), "written differently");
    assert_eq!(add(repo("app", "/srv/app")).await, RepoAdded::NameTaken(app.clone()));
    let tool = repo("a-tool", "/srv/tool");
    assert_eq!(add(tool.clone()).await, RepoAdded::New);
    assert_eq!(store.added_repos().await.expect("read"), [tool.clone(), app]);
    assert!(store.remove_repo("app".into()).await.expect("answered"));
    assert!(!store.remove_repo("app".into()).await.expect("answered"));
    assert_eq!(store.added_repos().await.expect("read"), [tool]);
}

pub async fn a_workers_newest_session_says_what_is_on_its_disk(store: &dyn Store) {
    let (one, two) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let inventory = |copies: &[&str], worktrees: &[&str]| Inventory {
        copies: copies.iter().map(|source| copy(source)).collect(),
        worktrees: worktrees.iter().map(|branch| worktree("/srv/a", branch, None)).collect(),
    };
    let keep = |worker: Worker, inventory: Inventory| async move {
        store.keep_inventory(worker.id, worker.session, inventory).await.expect("answered")
    };
    let sources = |repo: Option<&str>| {
        let repo = repo.map(str::to_owned);
        async move {
            let copies = store.repo_copies(repo).await.expect("read");
            copies.into_iter().map(|copy| (copy.worker, copy.entry.source)).collect::<Vec<_>>()
        }
    };
    assert!(keep(one.clone(), inventory(&["/srv/a", "/srv/b"], &["x", "y"])).await);
    assert!(keep(two.clone(), inventory(&["https://github.com/o/a.git"], &["x"])).await);
    assert_eq!(sources(Some("o/a")).await, [(two.id, "https://github.com/o/a.git".to_owned())]);

    assert!(keep(one.clone(), inventory(&["/srv/b"], &["y"])).await, "replaces all of the worker's");
    assert_eq!(sources(None).await.len(), 2, "and none of another's");
    let again = one.restart(store).await;
    assert!(!keep(one.clone(), inventory(&[], &[])).await, "an older session is not heard");
    assert_eq!(sources(Some("/srv/b")).await.len(), 1, "a new one begins with what the last said");
    let branches = |filter: WorktreeFilter| async move {
        let worktrees = store.worktrees(filter).await.expect("read");
        worktrees.into_iter().map(|row| (row.worker, row.entry.branch)).collect::<Vec<_>>()
    };
    let of = |branch: &str| WorktreeFilter { branch: Some(branch.into()), ..WorktreeFilter::default() };
    assert_eq!(
        branches(WorktreeFilter::default()).await,
        [(two.id, "x".to_owned()), (one.id, "y".to_owned())]
    );
    assert_eq!(branches(of("x")).await, [(two.id, "x".to_owned())]);
    let elsewhere = WorktreeFilter { repo: Some("/srv/b".into()), ..WorktreeFilter::default() };
    assert_eq!(branches(elsewhere).await, []);

    for change in [
        DiskChange::Copy(copy("/srv/c")),
        DiskChange::CopyGone("/srv/b".into()),
        DiskChange::Worktree(worktree("/srv/a", "z", None)),
        DiskChange::WorktreeGone("/w/y".into()),
    ] {
        store.note_on_disk(again.id, change).await.expect("noted");
    }
    assert_eq!(sources(Some("/srv/c")).await, [(one.id, "/srv/c".to_owned())]);
    let of_one = WorktreeFilter { worker: Some(one.id), ..WorktreeFilter::default() };
    assert_eq!(branches(of_one).await, [(one.id, "z".to_owned())]);
}

pub async fn worktrees_are_told_with_the_tasks_that_work_in_them(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let task = submit(store, SpecDraft { repo: "/srv/a".into(), ..draft("x") }).await;
    let nobodys = TaskId::from_uuid(Uuid::now_v7());
    let worktrees = vec![
        worktree("/srv/a", "by-hand", None),
        worktree("/srv/a", "of-a-stranger", Some(nobodys)),
        worktree("/srv/a", "of-a-task", Some(task)),
    ];
    let inventory = Inventory { copies: Vec::new(), worktrees: worktrees.clone() };
    assert!(store.keep_inventory(worker.id, worker.session, inventory).await.expect("answered"));
    let rows = store.worktrees(WorktreeFilter::default()).await.expect("read");
    assert_eq!(rows.iter().map(|row| row.entry.clone()).collect::<Vec<_>>(), worktrees);
    let tasks: Vec<_> = rows.into_iter().map(|row| row.task).collect();
    assert_eq!(tasks, [None, None, Some((1, "queued".to_owned()))]);

    submit(store, SpecDraft { repo: "https://github.com/o/a".into(), ..draft("x") }).await;
    let ended = submit(store, SpecDraft { repo: "git@github.com:o/a.git".into(), ..draft("x") }).await;
    apply(store, ended, Event::CancelRequested, at(1)).await;
    submit(store, draft("of no repository")).await;
    let live = store.live_tasks_of_repos().await.expect("read");
    assert_eq!(live, [("/srv/a".to_owned(), 1), ("o/a".to_owned(), 1)]);
}
