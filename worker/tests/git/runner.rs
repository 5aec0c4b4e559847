//! How git is run.

use std::process::Command;

use factory_worker::git::{Call, Git, GitError};

use crate::fixture::Fixture;

#[tokio::test]
async fn output_larger_than_wanted_is_cut_and_git_ended() {
    let fixture = Fixture::new();
    fixture.commit("origin", "large", &"line\n".repeat(100_000));
    let git = Git::new().in_directory(&fixture.origin());
    let file = fixture.path("kept");
    let show = || Call::new(["show", "HEAD:large"]);
    assert!(git.run_into(show(), &file, 1000).await.expect("cut"));
    assert_eq!(std::fs::metadata(&file).expect("kept").len(), 1000);
    assert!(!git.run_into(show(), &file, 500_000).await.expect("whole"));
    assert_eq!(std::fs::metadata(&file).expect("kept").len(), 500_000);
}

#[tokio::test]
async fn a_failure_says_what_git_said() {
    let fixture = Fixture::new();
    let git = Git::new().in_directory(&fixture.origin());
    let error = git.run(Call::new(["show", "nothing-of-that-name"])).await.expect_err("failed");
    assert!(matches!(error, GitError::RefNotFound { .. }), "{error:?}");
    let error = git.run(Call::new(["no-such-command"])).await.expect_err("failed");
    assert!(error.to_string().contains("'no-such-command' is not a git command"), "{error}");
}

/// The worker may itself have been started from a hook, or by someone working on another repository.
#[test]
fn git_variables_of_the_workers_own_environment_lead_nowhere() {
    let mut test = Command::new(std::env::current_exe().expect("this test's program"));
    test.args(["--exact", "delivery::a_branch_is_pushed_and_pushing_again_is_harmless"])
        .env("GIT_DIR", "/nonexistent")
        .env("GIT_WORK_TREE", "/nonexistent")
        .env("GIT_INDEX_FILE", "/nonexistent/index");
    let output = test.output().expect("the test runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
