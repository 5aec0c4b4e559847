//! Making worktrees.

use factory_domain::{AttemptId, BranchName, RepoSource, RevisionName};
use factory_worker::repo::{Merge, RepoError, Request};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fixture::{Fixture, read, write_program};

#[tokio::test]
async fn a_worktree_starts_from_the_default_branch_on_a_branch_of_its_own() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    assert_eq!(read(worktree.path.join("README")), "hello\n");
    assert_eq!(worktree.base_commit, fixture.git(&fixture.origin(), &["rev-parse", "main"]));
    assert_eq!(fixture.git(&worktree.path, &["branch", "--show-current"]), "factory/one");
    assert_eq!(fixture.git(&worktree.path, &["status", "--porcelain"]), "");
    assert_eq!(fixture.git(&worktree.path, &["rev-parse", "origin/HEAD"]), worktree.base_commit);
    assert!(fixture.noted("cloning"));
}

#[tokio::test]
async fn eight_tasks_at_once_share_one_clone_and_each_has_its_own_worktree() {
    let fixture = Fixture::new();
    let names: Vec<String> = (0..8).map(|n| format!("task{n}")).collect();
    let made = futures_util::future::join_all(names.iter().map(|name| fixture.checkout(name, None))).await;
    for (name, worktree) in names.iter().zip(made) {
        let worktree = worktree.expect("a worktree");
        fixture.commit_in(&worktree.path, name, "work\n");
        assert_eq!(worktree.tip().await.expect("a tip"), fixture.git(&worktree.path, &["rev-parse", "HEAD"]));
    }
    fixture.clone_path();
    let cloned = fixture.notes.lock().expect("notes").iter().filter(|note| note.contains("cloning")).count();
    assert_eq!(cloned, 1);
}

#[tokio::test]
async fn tasks_that_wait_together_share_one_fetch() {
    let fixture = Fixture::new();
    let (source, token) = (fixture.remote_source(), CancellationToken::new());
    let made = |name: String| {
        let (fixture, source, token) = (&fixture, &source, &token);
        async move { fixture.request(source, &name, None, &name, token).await.expect("a worktree") }
    };
    let together = |batch: &str| (0..4).map(|n| made(format!("{batch}{n}"))).collect::<Vec<_>>();
    // A clone or a fetch, and a question for the default branch: once for whoever comes first,
    // and at most once more for all who come while that is under way.
    futures_util::future::join_all(together("first")).await;
    let first = fixture.connections().len();
    assert!(first <= 4, "{:?}", fixture.connections());
    futures_util::future::join_all(together("second")).await;
    assert!(fixture.connections().len() <= first + 4, "{:?}", fixture.connections());
}

#[tokio::test]
async fn each_request_sees_what_the_origin_had_when_it_came() {
    let fixture = Fixture::new();
    fixture.checkout("before", None).await.expect("a worktree");
    let newer = fixture.commit("origin", "NEWS", "new\n");
    let worktree = fixture.checkout("after", None).await.expect("a worktree");
    assert_eq!(worktree.base_commit, newer);
}

#[tokio::test]
async fn a_base_is_a_branch_a_tag_or_a_commit_id() {
    let fixture = Fixture::new();
    let origin = fixture.origin();
    let first = fixture.git(&origin, &["rev-parse", "HEAD"]);
    fixture.git(&origin, &["tag", "--annotate", "--message", "one", "v1"]);
    fixture.git(&origin, &["checkout", "--quiet", "-b", "side/branch"]);
    let side = fixture.commit("origin", "side", "x\n");
    fixture.git(&origin, &["checkout", "--quiet", "main"]);
    let bases = [
        ("side/branch", &side),
        ("refs/heads/side/branch", &side),
        ("origin/side/branch", &side),
        ("v1", &first),
        ("refs/tags/v1", &first),
        (&side[..9], &side),
        (side.as_str(), &side),
    ];
    for (n, (base, commit)) in bases.into_iter().enumerate() {
        let worktree = fixture.checkout(&format!("t{n}"), Some(base)).await;
        assert_eq!(&worktree.expect(base).base_commit, commit, "{base}");
    }
}

#[tokio::test]
async fn a_detached_head_and_an_unadvertised_commit_are_bases_too() {
    let fixture = Fixture::new();
    let origin = fixture.origin();
    fixture.checkout("first", None).await.expect("a worktree");
    fixture.git(&origin, &["checkout", "--quiet", "--detach"]);
    let loose = fixture.commit("origin", "loose", "x\n");
    assert_eq!(fixture.checkout("head", None).await.expect("a worktree").base_commit, loose);
    let looser = fixture.commit("origin", "looser", "x\n");
    assert_eq!(fixture.checkout("later", None).await.expect("a worktree").base_commit, looser);
    fixture.git(&origin, &["checkout", "--quiet", &loose]);
    fixture.git(&origin, &["update-ref", "refs/pull/7/head", "HEAD"]);
    let pull = fixture.checkout("pull", Some("refs/pull/7/head")).await.expect("a worktree");
    assert_eq!(pull.base_commit, loose);
}

#[tokio::test]
async fn a_branch_the_origin_has_is_gone_on_from() {
    let fixture = Fixture::new();
    let origin = fixture.origin();
    fixture.git(&origin, &["checkout", "--quiet", "-b", "feature"]);
    let delivered = fixture.commit("origin", "feature", "x\n");
    fixture.git(&origin, &["checkout", "--quiet", "main"]);

    let worktree = fixture.checkout_branch("again", None, "feature").await.expect("a worktree");
    assert_eq!(worktree.base_commit, delivered);
    assert!(fixture.noted("already in"));
    worktree.remove().await.expect("removed");

    let worktree = fixture.checkout_branch("based", Some("main"), "feature").await.expect("a worktree");
    assert_eq!(worktree.base_commit, delivered);
    worktree.remove().await.expect("removed");

    fixture.commit("origin", "elsewhere", "x\n");
    let refused = fixture.checkout_branch("apart", Some("main"), "feature").await;
    assert!(matches!(refused, Err(RepoError::BranchWithoutBase { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_branch_in_use_is_refused_until_its_worktree_is_gone() {
    let fixture = Fixture::new();
    let first = fixture.checkout_branch("first", None, "mine").await.expect("a worktree");
    let refused = fixture.checkout_branch("second", None, "mine").await.expect_err("in use");
    assert!(matches!(&refused, RepoError::BranchInUse { path, .. } if *path == first.path), "{refused}");
    // As a crash leaves it: the directory gone, the registration not.
    std::fs::remove_dir_all(&first.path).expect("removed");
    fixture.checkout_branch("third", None, "mine").await.expect("the branch is free again");
}

#[tokio::test]
async fn what_a_crash_left_of_a_clone_is_no_clone() {
    let fixture = Fixture::new();
    fixture.checkout("one", None).await.expect("a worktree");
    let clone = fixture.clone_path();
    std::fs::remove_dir_all(&clone).expect("removed");
    let half = clone.with_extension("tmp");
    std::fs::create_dir_all(half.join(".git/objects")).expect("made");
    let worktree = fixture.checkout("two", None).await.expect("a worktree");
    assert!(worktree.path.join("README").exists());
    assert!(!half.exists());
}

#[tokio::test]
async fn an_abandoned_lock_does_not_close_the_cache() {
    let fixture = Fixture::new();
    fixture.checkout("one", None).await.expect("a worktree");
    let newer = fixture.commit("origin", "NEWS", "new\n");
    let lock = fixture.clone_path().join("refs/remotes/origin/main.lock");
    let written = std::fs::File::create(&lock).expect("written");
    fixture.checkout("two", None).await.expect_err("a lock someone may hold is respected");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    written.set_modified(long_ago).expect("aged");
    let worktree = fixture.checkout("three", None).await.expect("a worktree");
    assert_eq!(worktree.base_commit, newer);
}

#[tokio::test]
async fn a_new_start_forgets_worktrees_that_are_gone() {
    let fixture = Fixture::new();
    let gone = fixture.checkout("gone", None).await.expect("a worktree");
    std::fs::remove_dir_all(&gone.path).expect("removed");
    let fixture = fixture.restarted();
    fixture.checkout("next", None).await.expect("a worktree");
    let listing = fixture.git(&fixture.clone_path(), &["worktree", "list"]);
    assert!(listing.contains("next") && !listing.contains("workspaces/gone"), "{listing}");
}

#[tokio::test]
async fn a_hostile_repository_runs_nothing() {
    let fixture = Fixture::new();
    let touched = fixture.path("touched");
    let script = format!("touch {}", touched.display());
    fixture.commit("origin", ".gitattributes", "* filter=evil diff=evil\n");
    fixture.commit("origin", ".githooks/post-checkout", &script);
    fixture.checkout("one", None).await.expect("a worktree");
    // As an agent could have prepared it for the tasks after its own.
    let clone = fixture.clone_path();
    for hook in ["post-checkout", "reference-transaction", "pre-commit", "pre-push"] {
        std::fs::create_dir_all(clone.join("hooks")).expect("made");
        write_program(&clone.join("hooks").join(hook), &script);
    }
    let worktree = fixture.checkout("two", None).await.expect("a worktree");
    std::fs::write(worktree.path.join("new"), "x").expect("written");
    let out = fixture.out();
    worktree.finish(factory_domain::Leftovers::Commit, "t", &out).await.expect("finished");
    let delivered = factory_worker::delivery::deliver(&worktree, factory_domain::Deliver::Branch, &out).await;
    assert_eq!(delivered.expect("delivered").delivery, factory_domain::Delivery::Pushed);
    worktree.remove().await.expect("removed");
    assert!(!touched.exists(), "a hook ran");
}

#[tokio::test]
async fn where_nobody_is_known_to_git_the_factory_commits() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("gitconfig"), "[user]\n\tuseConfigOnly = true\n").expect("written");
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.commit_in(&worktree.path, "file", "x\n");
    let author = fixture.git(&worktree.path, &["log", "-1", "--format=%an <%ae>"]);
    assert_eq!(author, "Factory <factory@localhost>");
}

/// Its worker may be killed meanwhile, and the files must not go on appearing in what is then removed.
#[tokio::test]
async fn what_checks_files_out_is_known_as_a_process_of_the_attempt() {
    let fixture = Fixture::new();
    let (said, filter) = (fixture.path("said"), fixture.path("filter"));
    write_program(&filter, &format!("echo \"$FACTORY_ATTEMPT_ID\" >{}\ncat", said.display()));
    let config =
        read(fixture.path("gitconfig")) + &format!("[filter \"spy\"]\n\tsmudge = {}\n", filter.display());
    std::fs::write(fixture.path("gitconfig"), config).expect("written");
    fixture.commit("origin", ".gitattributes", "README filter=spy\n");
    fixture.checkout("one", None).await.expect("a worktree");
    assert!(read(said).trim().parse::<factory_domain::AttemptId>().is_ok());
}

#[tokio::test]
async fn a_cancelled_checkout_leaves_nothing() {
    let fixture = Fixture::new();
    let token = CancellationToken::new();
    token.cancel();
    let base = RevisionName::parse("main").expect("a base");
    let refused = fixture.request(&fixture.source("origin"), "one", Some(&base), "b", &token).await;
    assert!(refused.expect_err("cancelled").is_cancelled());
    assert!(!fixture.path("worker/workspaces/one").exists());
}

#[tokio::test]
async fn a_checkout_cancelled_as_it_is_registered_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.git(&fixture.origin(), &["branch", "b"]);
    let other = fixture.checkout("other", None).await.expect("a worktree");
    let (source, branch) = (fixture.source("origin"), BranchName::parse("b").expect("a branch"));
    let (workspace, token) = (fixture.path("worker/workspaces/one"), CancellationToken::new());
    let attempt = AttemptId::from_uuid(Uuid::now_v7());
    let request = Request {
        source: &source,
        base: None,
        attempt,
        branch: &branch,
        merge: Merge::default(),
        workspace: &workspace,
        goes_on: false,
        token: &token,
    };
    // The last word before git is asked to register it.
    let cancel = |text: String| {
        if text.contains("going on from") {
            token.cancel();
        }
    };
    let made = fixture.cache.checkout(&request, &cancel).await;
    assert!(token.is_cancelled() && made.expect_err("cancelled").is_cancelled());
    let listed = fixture.git(&fixture.clone_path(), &["worktree", "list", "--porcelain"]);
    assert_eq!(listed.matches("worktree ").count(), 2, "the clone and the other one: {listed}");
    assert!(!workspace.exists() && other.path.exists());
}

#[tokio::test]
async fn removal_leaves_nothing_and_may_be_repeated() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let kept = fixture.checkout("two", None).await.expect("a worktree");
    std::fs::remove_file(worktree.path.join(".git")).expect("damaged");
    worktree.remove().await.expect("removed");
    worktree.remove().await.expect("removed again");
    assert!(!worktree.path.exists());
    let clone = fixture.clone_path();
    assert_eq!(fixture.git(&clone, &["branch", "--format=%(refname:short)"]), "factory/two");
    assert_eq!(fixture.git(&kept.path, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_half_made_worktree_is_discarded_and_can_be_made_again() {
    let fixture = Fixture::new();
    let other = fixture.checkout("other", None).await.expect("a worktree");
    for whole in [true, false] {
        let worktree = fixture.checkout("one", None).await.expect("a worktree");
        let git_dir = fixture.git(&worktree.path, &["rev-parse", "--absolute-git-dir"]);
        if !whole {
            // As `git worktree add` leaves it when it is killed early.
            std::fs::remove_file(std::path::Path::new(&git_dir).join("gitdir")).expect("removed");
            std::fs::remove_dir_all(&worktree.path).expect("removed");
        }
        fixture.cache.discard(&worktree.path).await.expect("discarded");
        fixture.cache.discard(&worktree.path).await.expect("nothing to do");
        assert!(!worktree.path.exists() && !std::path::Path::new(&git_dir).exists());
        let branches =
            fixture.git(&fixture.clone_path(), &["for-each-ref", "--format=%(refname)", "refs/heads"]);
        assert_eq!(branches, "refs/heads/factory/other");
    }
    assert_eq!(fixture.git(&other.path, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_clone_is_found_by_its_source_as_it_is_shown() {
    let fixture = Fixture::new();
    let url = |login: &str| format!("https://{login}h.example/octo/app.git");
    let (config, origin) = (fixture.path("gitconfig"), fixture.origin());
    let settings = std::fs::read_to_string(&config).expect("a configuration");
    let instead = format!("[url \"file://{}\"]\n\tinsteadOf = {}\n", origin.display(), url("token@"));
    std::fs::write(&config, settings + &instead).expect("written");
    let parse = |text: &str| RepoSource::parse(text).expect("a source");
    let (with_login, without) = (parse(&url("token@")), parse(&url("")));
    assert_eq!(fixture.cache.as_cloned(without.clone()).await.expect("looked for"), without);
    let facts = fixture.cache.fetch(&with_login, &CancellationToken::new()).await.expect("cloned");
    assert_eq!(facts.source, url(""));
    for source in [&without, &with_login] {
        assert_eq!(fixture.cache.as_cloned(source.clone()).await.expect("looked for"), with_login);
    }
    // What an agent writes into the clone leads nobody elsewhere.
    fixture.git(&fixture.clone_path(), &["config", "remote.origin.url", "https://evil.example/octo/app.git"]);
    assert_eq!(fixture.cache.as_cloned(without.clone()).await.expect("looked for"), without);
}
