//! Repositories by name.

use factory_coordinator::Config;
use factory_domain::{NamedRepo, RepoNames, RepoSource, Slug};
use factory_proto::v1;
use factory_proto::v1::repo_job::Job;
use factory_proto::v1::repo_job_done_request::Outcome;
use futures_util::future::{FutureExt, LocalBoxFuture};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::setup::{Factory, Worker, hello, prompt, soon};

fn names(config: &mut Config) {
    let mut names = RepoNames::default();
    let source = RepoSource::parse("git@github.com:octo/application.git").expect("a source");
    let default_role = Some(Slug::parse("reviewer").expect("a role"));
    names.name(Slug::parse("my-app").expect("a name"), NamedRepo { source, default_role }).expect("named");
    config.repos = names;
}

fn of(repo: &str) -> v1::TaskSpec {
    v1::TaskSpec { repo: repo.to_owned(), ..prompt("x") }
}

#[tokio::test]
async fn a_configured_name_stands_for_its_repository_and_brings_a_role() {
    let factory = Factory::start_with(names).await;
    let named = factory.submit(of("my-app")).await;
    factory.submit(of("https://github.com/octo/application")).await;
    factory.submit(of("octo/other")).await;
    let spec = factory.get(&named.id).await.task.and_then(|task| task.spec).expect("a spec");
    assert_eq!((spec.repo.as_str(), spec.role.as_str()), ("git@github.com:octo/application.git", "reviewer"));
    for written in ["my-app", "octo/application", "ssh://git@github.com/octo/application"] {
        let request = v1::ListRequest { repo: written.to_owned(), ..Default::default() };
        let tasks = factory.client.tasks().list(request).await.expect("listed").into_inner().tasks;
        assert_eq!(tasks.iter().map(|task| task.number).collect::<Vec<_>>(), [2, 1], "{written}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_refused_with_the_next_step() {
    let factory = Factory::start_with(names).await;
    let refused = factory.try_submit(vec![of("my-app"), of("your-app")]).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = refused.get_details_bad_request().expect("details");
    assert_eq!(details.field_violations[0].field, "tasks[1].repo");
    assert!(
        refused.message().contains("repos add") && refused.message().contains("default_org"),
        "{refused}"
    );

    let with_org = |config: &mut Config| config.repos.set_default_org("octo").expect("an owner");
    let factory = factory.restart_with(with_org).await;
    let task = factory.submit(of("your-app")).await;
    let spec = factory.get(&task.id).await.task.and_then(|task| task.spec).expect("a spec");
    assert_eq!(spec.repo, "octo/your-app");
}

const REMOTE: &str = "https://github.com/octo/app.git";

fn clone_of(source: &str) -> v1::RepoCopy {
    v1::RepoCopy {
        source: source.to_owned(),
        fetched_at_ms: 5,
        bytes: u64::MAX,
        default_branch: "main".to_owned(),
        ..Default::default()
    }
}

fn worktree(branch: &str, kind: v1::WorktreeKind) -> v1::Worktree {
    v1::Worktree {
        repo: REMOTE.to_owned(),
        path: format!("/w/{branch}"),
        branch: branch.to_owned(),
        kind: kind.into(),
        uncommitted: 1,
        ..Default::default()
    }
}

fn failure(kind: v1::RepoJobFailureKind, message: &str) -> Outcome {
    Outcome::Failure(v1::RepoJobFailure { kind: kind.into(), message: message.to_owned() })
}

fn add(repo: &str) -> v1::AddRepoRequest {
    v1::AddRepoRequest { repo: repo.to_owned(), ..Default::default() }
}

/// Asks, and lets the worker answer what it is asked to do meanwhile.
fn while_it_answers<'w, T: 'w>(
    call: impl Future<Output = Result<Response<T>, Status>> + 'w,
    worker: &'w mut Worker,
    answer: impl Fn(&v1::RepoJob) -> Outcome + 'w,
) -> LocalBoxFuture<'w, Result<T, Status>> {
    let answers = async move {
        let job = worker.repo_job().await;
        worker.repo_job_done(&job, answer(&job)).await;
    };
    let both = async move { tokio::join!(call, answers) };
    async move { soon(both).await.0.map(Response::into_inner) }.boxed_local()
}

#[tokio::test]
async fn a_repository_is_added_once_it_was_found() {
    let factory = Factory::start().await;
    let mut repos = factory.client.repos();
    let nobody = repos.add_repo(add("octo/app")).await.expect_err("nobody is there to look");
    assert_eq!(nobody.code(), Code::FailedPrecondition);
    assert!(nobody.message().contains("no worker is connected"), "{nobody}");

    let mut worker = Worker::connect(&factory.client).await;
    let missing = |job: &v1::RepoJob| {
        assert_eq!((job.repo.as_str(), &job.job), (REMOTE, &Some(Job::Check(v1::CheckRepo {}))));
        failure(v1::RepoJobFailureKind::NotFound, "there is no repository")
    };
    let refused = while_it_answers(repos.clone().add_repo(add("octo/app")), &mut worker, missing).await;
    let refused = refused.expect_err("refused");
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "worker hand: there is no repository"));
    assert!(repos.list_repos(v1::ListReposRequest {}).await.expect("listed").into_inner().repos.is_empty());

    let there = |_: &v1::RepoJob| Outcome::Nothing(v1::RepoJobNothing {});
    let added = while_it_answers(repos.clone().add_repo(add("octo/app")), &mut worker, there).await;
    let repo = added.expect("added").repo.expect("it");
    assert_eq!((repo.name.as_str(), repo.source.as_str(), repo.configured), ("octo/app", "octo/app", false));
    let again =
        repos.add_repo(add("git@github.com:octo/app.git")).await.expect("nobody is asked").into_inner();
    assert!(again.existed);

    let named = v1::AddRepoRequest { name: "tool".into(), unchecked: true, ..add("/srv/tool") };
    repos.add_repo(named).await.expect("added");
    let taken = v1::AddRepoRequest { name: "tool".into(), unchecked: true, ..add("/srv/other") };
    assert_eq!(repos.add_repo(taken).await.expect_err("taken").code(), Code::AlreadyExists);
    let factory = factory.restart().await;
    let task = factory.submit(of("tool")).await;
    let spec = factory.get(&task.id).await.task.and_then(|task| task.spec).expect("a spec");
    assert_eq!(spec.repo, "/srv/tool");
}

#[tokio::test]
async fn a_repository_is_synced_where_it_is_and_removed_once_nobody_needs_it() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let mut repos = factory.client.repos();
    worker.inventory(vec![clone_of("git@github.com:octo/app.git")], Vec::new()).await.expect("kept");
    let get = || v1::GetRepoRequest { repo: "octo/app".to_owned() };
    let repo = repos.get_repo(get()).await.expect("known by its clone").into_inner().repo.expect("it");
    assert_eq!((repo.default_branch.as_str(), repo.added_at_ms, repo.copies.len()), ("main", 0, 1));
    assert!(repo.copies[0].connected && repo.copies[0].worker_name == "hand");

    let sync = || v1::SyncRepoRequest { repo: "octo/app".to_owned(), workers: Vec::new() };
    let fetched = |job: &v1::RepoJob| {
        assert_eq!(
            (job.repo.as_str(), &job.job),
            ("git@github.com:octo/app.git", &Some(Job::Fetch(v1::FetchRepo {})))
        );
        Outcome::Copy(v1::RepoCopy { fetched_at_ms: 9, ..clone_of("git@github.com:octo/app.git") })
    };
    let synced =
        while_it_answers(repos.clone().sync_repo(sync()), &mut worker, fetched).await.expect("synced");
    assert_eq!(synced.repo.expect("it").copies[0].fetched_at_ms, 9);
    let away = |_: &v1::RepoJob| failure(v1::RepoJobFailureKind::Unreachable, "github.com does not answer");
    let failed = while_it_answers(repos.clone().sync_repo(sync()), &mut worker, away).await;
    assert_eq!(failed.expect_err("at none").code(), Code::FailedPrecondition);
    let repo = repos.get_repo(get()).await.expect("there").into_inner().repo.expect("it");
    assert!(repo.copies[0].error.contains("github.com does not answer"), "{repo:?}");

    let task = factory.submit(of("octo/app")).await;
    let remove = || v1::RemoveRepoRequest { repo: "octo/app".to_owned() };
    let used = repos.remove_repo(remove()).await.expect_err("a task needs it");
    assert!(used.code() == Code::FailedPrecondition && used.message().contains("1 of its tasks"), "{used}");
    factory
        .client
        .tasks()
        .cancel(v1::CancelRequest { task: task.id, ..Default::default() })
        .await
        .expect("gone");
    let gone = |job: &v1::RepoJob| {
        assert_eq!(job.job, Some(Job::Forget(v1::ForgetRepo {})));
        Outcome::Nothing(v1::RepoJobNothing {})
    };
    let removed =
        while_it_answers(repos.clone().remove_repo(remove()), &mut worker, gone).await.expect("removed");
    assert_eq!((removed.removed.len(), removed.left.len()), (1, 0));
    assert_eq!(repos.get_repo(get()).await.expect_err("gone").code(), Code::NotFound);
}

#[tokio::test]
async fn worktrees_are_made_shown_and_removed() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let mut repos = factory.client.repos();
    let wanted = |branch: &str| v1::AddWorktreeRequest {
        repo: "octo/app".to_owned(),
        branch: branch.to_owned(),
        ..Default::default()
    };
    let made = |job: &v1::RepoJob| match &job.job {
        Some(Job::MakeWorktree(make)) => Outcome::Worktree(worktree(&make.branch, v1::WorktreeKind::ByHand)),
        other => panic!("instead of a worktree to make: {other:?}"),
    };
    let added = while_it_answers(repos.clone().add_worktree(wanted("feat/x")), &mut worker, made).await;
    let added = added.expect("made");
    assert_eq!((added.existed, added.worktree.expect("it").path.as_str()), (false, "/w/feat/x"));
    let again = while_it_answers(repos.clone().add_worktree(wanted("feat/x")), &mut worker, made).await;
    assert!(again.expect("there").existed);
    for bad in ["", "-x", "a..b", "refs/heads/../x"] {
        let refused = repos.add_worktree(wanted(bad)).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad:?}");
    }

    let remove = |force| v1::RemoveWorktreeRequest {
        repo: "octo/app".to_owned(),
        branch: "feat/x".to_owned(),
        worker: String::new(),
        force,
    };
    let unsaved = |job: &v1::RepoJob| match &job.job {
        Some(Job::DeleteWorktree(delete)) if delete.force => Outcome::Nothing(v1::RepoJobNothing {}),
        _ => failure(v1::RepoJobFailureKind::Refused, "1 file is changed"),
    };
    let refused = while_it_answers(repos.clone().remove_worktree(remove(false)), &mut worker, unsaved).await;
    let refused = refused.expect_err("it holds work");
    assert!(refused.code() == Code::FailedPrecondition && refused.message().contains("--force"), "{refused}");
    let removed = while_it_answers(repos.clone().remove_worktree(remove(true)), &mut worker, unsaved).await;
    assert_eq!(removed.expect("removed").worktree.expect("as it was").uncommitted, 1);
    let all = v1::ListWorktreesRequest::default();
    assert!(repos.list_worktrees(all).await.expect("listed").into_inner().worktrees.is_empty());
    assert_eq!(repos.remove_worktree(remove(true)).await.expect_err("gone").code(), Code::NotFound);
}

#[tokio::test]
async fn what_lies_on_a_disk_is_shown_while_its_worker_is_away_and_after_a_restart() {
    let factory = Factory::start().await;
    let worker = Worker::connect(&factory.client).await;
    let task = factory.submit(of("octo/app")).await;
    let of_task = v1::Worktree { task_id: task.id.clone(), ..worktree("of-task", v1::WorktreeKind::Attempt) };
    let by_hand = worktree("by-hand", v1::WorktreeKind::ByHand);
    worker.inventory(vec![clone_of(REMOTE)], vec![of_task, by_hand]).await.expect("kept");
    drop(worker);
    let factory = factory.restart().await;
    let mut repos = factory.client.repos();
    let all = v1::ListWorktreesRequest::default();
    let worktrees = repos.list_worktrees(all).await.expect("listed").into_inner().worktrees;
    let told: Vec<_> =
        worktrees.iter().map(|one| (one.branch.as_str(), one.task_number, one.connected)).collect();
    assert_eq!(told, [("by-hand", 0, false), ("of-task", 1, false)]);
    assert_eq!(worktrees[1].task_state(), v1::TaskState::Queued);

    let remove = |branch: &str| v1::RemoveWorktreeRequest {
        repo: "octo/app".to_owned(),
        branch: branch.to_owned(),
        worker: String::new(),
        force: true,
    };
    let busy = repos.remove_worktree(remove("of-task")).await.expect_err("a task's");
    assert!(busy.code() == Code::FailedPrecondition && busy.message().contains("task 1"), "{busy}");
    let away = repos.remove_worktree(remove("by-hand")).await.expect_err("nobody could");
    assert!(away.code() == Code::FailedPrecondition && away.message().contains("not connected"), "{away}");
    let sync = v1::SyncRepoRequest { repo: "octo/app".to_owned(), workers: vec!["hand".to_owned()] };
    assert_eq!(repos.sync_repo(sync).await.expect_err("away").code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_job_ends_with_the_session_and_none_goes_to_a_worker_that_does_not_know_them() {
    let factory = Factory::start().await;
    let older = v1::Hello { protocol: 3, ..hello(Uuid::now_v7()) };
    let older = Worker::connect_as(&factory.client, older).await.expect("welcome");
    let repos = factory.client.repos();
    let nobody = repos.clone().add_repo(add("octo/app")).await.expect_err("it does not know such jobs");
    assert!(nobody.message().contains("no worker is connected"), "{nobody}");
    drop(older);

    let mut worker = Worker::connect(&factory.client).await;
    let mut asking = repos.clone();
    let leaves = async {
        worker.repo_job().await;
        drop(worker);
    };
    let both = Box::pin(async { tokio::join!(asking.add_repo(add("octo/app")), leaves) });
    let lost = soon(both).await.0.expect_err("nobody answers");
    assert!(lost.code() == Code::Aborted && lost.message().contains("was lost"), "{lost}");
}
