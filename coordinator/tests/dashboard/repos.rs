//! `/repos`.

use factory_proto::v1;
use factory_proto::v1::repo_job_done_request::Outcome;
use reqwest::StatusCode;

use crate::browser::{Browser, Page};
use crate::setup::{Factory, Worker, soon};

const REMOTE: &str = "https://github.com/octo/app.git";

fn clone_at(head: &str) -> v1::RepoCopy {
    v1::RepoCopy {
        source: REMOTE.to_owned(),
        fetched_at_ms: 5,
        bytes: 1_500_000,
        default_branch: "trunk".to_owned(),
        head: head.to_owned(),
        ..v1::RepoCopy::default()
    }
}

/// Sends a form, and has the worker answer what it is asked to do meanwhile.
async fn send(
    browser: &Browser,
    path: &str,
    fields: &[(&str, &str)],
    worker: &mut Worker,
    outcome: Outcome,
) -> Page {
    let answers = async {
        let job = worker.repo_job().await;
        worker.repo_job_done(&job, outcome).await;
    };
    Box::pin(soon(async { tokio::join!(browser.post("/repos", path, fields), answers).0 })).await
}

#[tokio::test]
async fn a_repository_is_added_synced_and_removed_by_forms() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    browser.get("/repos").await.shows("No repositories yet");
    let add = [("repo", "octo/app"), ("name", "<app>")];
    let nobody = browser.post("/repos", "/repos", &add).await;
    assert!(nobody.status.is_client_error() || nobody.status.is_server_error(), "{}", nobody.status);
    nobody.shows("role=\"alert\"");
    nobody.shows("value=\"octo&#x2f;app\"");

    let mut worker = Worker::connect(&factory.client).await;
    let missing = v1::RepoJobFailure {
        kind: v1::RepoJobFailureKind::NotFound.into(),
        message: "there is no repository <octo>".to_owned(),
    };
    let add = [("repo", "octo/app")];
    let refused = send(&browser, "/repos", &add, &mut worker, Outcome::Failure(missing)).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    refused.shows("there is no repository &lt;octo&gt;");

    let found = Outcome::Nothing(v1::RepoJobNothing {});
    assert_eq!(send(&browser, "/repos", &add, &mut worker, found).await.to(), "/repos");
    browser.get("/repos").await.shows("octo&#x2f;app");
    let source = [("repo", "octo/app")];
    let synced = Outcome::Copy(clone_at("0123456789abcdef0123456789abcdef01234567"));
    assert_eq!(send(&browser, "/repos/sync", &source, &mut worker, synced).await.to(), "/repos");
    let page = browser.get("/repos").await;
    ["synced", "trunk", "1.5 MB", "012345678"].iter().for_each(|text| page.shows(text));
    let gone = Outcome::Nothing(v1::RepoJobNothing {});
    assert_eq!(send(&browser, "/repos/remove", &source, &mut worker, gone).await.to(), "/repos");
    browser.get("/repos").await.shows("No repositories yet");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_worktree_with_unsaved_work_is_asked_about_before_it_is_removed() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let mut worker = Worker::connect(&factory.client).await;
    let tree = v1::Worktree {
        repo: REMOTE.to_owned(),
        path: "/w/topic".to_owned(),
        branch: "topic/one".to_owned(),
        kind: v1::WorktreeKind::ByHand.into(),
        uncommitted: 2,
        unsaved_commits: 1,
        made_at_ms: 5,
        seen_at_ms: 5,
        ..v1::Worktree::default()
    };
    let add = [("repo", "octo/app"), ("branch", "topic/one")];
    let made = Outcome::Worktree(tree);
    assert_eq!(send(&browser, "/repos/worktrees", &add, &mut worker, made).await.to(), "/repos");
    let page = browser.get("/repos").await;
    ["2 changed", "1 unsaved commit", "topic&#x2f;one", "by hand"].iter().for_each(|text| page.shows(text));

    let href =
        page.html.split("href=\"").find(|rest| rest.starts_with("/repos/worktrees/remove?")).expect("a link");
    let href = href.split('"').next().unwrap_or_default().replace("&amp;", "&").replace("&#x2f;", "/");
    let asked = browser.get(&href).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.html);
    asked.shows("2 files changed and not committed");
    asked.shows("name=\"force\"");
    let which = [("repo", "octo/app"), ("branch", "topic/one")];
    let unsaved = v1::RepoJobFailure {
        kind: v1::RepoJobFailureKind::Refused.into(),
        message: "topic/one holds 2 files that are not committed".to_owned(),
    };
    let refused =
        send(&browser, "/repos/worktrees/remove", &which, &mut worker, Outcome::Failure(unsaved)).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    refused.shows("2 files that are not committed");
    let forced = [("repo", "octo/app"), ("branch", "topic/one"), ("force", "on")];
    let gone = Outcome::Nothing(v1::RepoJobNothing {});
    assert_eq!(send(&browser, "/repos/worktrees/remove", &forced, &mut worker, gone).await.to(), "/repos");
    browser.get("/repos").await.shows("No worktrees");
    factory.coordinator.shutdown().await;
}
