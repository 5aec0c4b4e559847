//! Each way a repository can be of no use says so.

use std::time::Duration;

use factory_domain::{FailureReason, RepoSource};
use factory_worker::repo::RepoError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;

#[tokio::test]
async fn a_path_of_another_host() {
    let fixture = Fixture::without_origin();
    let error = fixture.checkout("one", None).await.expect_err("no such path");
    assert!(matches!(error, RepoError::NotOnThisHost { .. }), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_no_repository() {
    let fixture = Fixture::without_origin();
    std::fs::create_dir(fixture.origin()).expect("made");
    let error = fixture.checkout("one", None).await.expect_err("no repository");
    assert!(matches!(error, RepoError::NotARepository { .. }), "{error:?}");
    assert!(error.to_string().contains("origin is not a git repository"), "{error}");
}

#[tokio::test]
async fn a_repository_without_commits() {
    let fixture = Fixture::without_origin();
    std::fs::create_dir(fixture.origin()).expect("made");
    fixture.git(&fixture.origin(), &["init", "--quiet"]);
    for base in [None, Some("main")] {
        let error = fixture.checkout("one", base).await.expect_err("nothing to start from");
        assert!(matches!(error, RepoError::Empty { .. }), "{error:?}");
    }
    // The clone of the empty repository serves once there is something.
    fixture.commit("origin", "README", "x\n");
    fixture.checkout("two", None).await.expect("a worktree");
}

#[tokio::test]
async fn a_head_that_leads_nowhere() {
    let fixture = Fixture::new();
    fixture.git(&fixture.origin(), &["symbolic-ref", "HEAD", "refs/heads/unborn"]);
    let error = fixture.checkout("one", None).await.expect_err("no default");
    assert!(error.to_string().ends_with("it has main"), "{error}");
    fixture.checkout("two", Some("main")).await.expect("a worktree");
}

#[tokio::test]
async fn a_missing_base_is_named_with_those_that_exist() {
    let fixture = Fixture::new();
    fixture.git(&fixture.origin(), &["branch", "develop"]);
    for base in [
        "nope",
        "deadbeef",
        "0123456789012345678901234567890123456789",
        "refs/heads/nope",
        "refs/pull/1/head",
    ] {
        let error = fixture.checkout("one", Some(base)).await.expect_err("no such base");
        let text = error.to_string();
        assert!(matches!(error, RepoError::BaseNotFound { .. }), "{error:?}");
        assert!(text.contains(base) && text.contains("develop") && text.contains("main"), "{text}");
        assert_eq!(error.failure().reason, FailureReason::BaseNotFound);
    }
}

#[tokio::test]
async fn a_repository_that_was_there_before() {
    let fixture = Fixture::new();
    let source = RepoSource::parse(&format!("file://{}", fixture.origin().display())).expect("a source");
    let token = CancellationToken::new();
    fixture.request(&source, "one", None, "one", &token).await.expect("a worktree");
    std::fs::rename(fixture.origin(), fixture.path("moved")).expect("moved");
    let error = fixture.request(&source, "two", None, "two", &token).await.expect_err("gone");
    assert!(matches!(error, RepoError::NotARepository { .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_that_does_not_answer() {
    let fixture = Fixture::without_origin();
    // Port 1 of loopback: nothing listens there.
    let source = RepoSource::parse("git://127.0.0.1:1/a.git").expect("a source");
    let token = CancellationToken::new();
    let error = fixture.request(&source, "one", None, "b", &token).await.expect_err("refused");
    assert!(matches!(error, RepoError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.failure().reason, FailureReason::RepositoryUnavailable);
}

#[tokio::test]
async fn a_token_in_a_url_stays_out_of_the_message() {
    let fixture = Fixture::without_origin();
    let source = RepoSource::parse("http://s3cret@127.0.0.1:1/a.git").expect("a source");
    let token = CancellationToken::new();
    let error = fixture.request(&source, "one", None, "b", &token).await.expect_err("refused");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    let notes = fixture.notes.lock().expect("notes").join("\n");
    assert!(!notes.contains("s3cret"), "{notes}");
}

/// A server that speaks nothing yet, and the source to name it by.
async fn listener(scheme: &str) -> (TcpListener, RepoSource) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    (listener, RepoSource::parse(&format!("{scheme}://127.0.0.1:{port}/a.git")).expect("a source"))
}

/// Reads until the other end is closed: by the death of the git that opened it.
async fn wait_until_closed(mut connection: TcpStream) {
    let closed = async { while connection.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {} };
    tokio::time::timeout(Duration::from_secs(30), closed).await.expect("git lives on");
}

#[tokio::test]
async fn a_login_that_is_refused() {
    let fixture = Fixture::without_origin();
    let (listener, source) = listener("http").await;
    let refuse = async {
        loop {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let _request = connection.read(&mut [0; 4096]).await.expect("a request");
            let answer = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            connection.write_all(answer).await.expect("answered");
        }
    };
    let token = CancellationToken::new();
    let error = tokio::select! {
        made = fixture.request(&source, "one", None, "b", &token) => made.expect_err("refused"),
        () = refuse => unreachable!("the server goes on for ever"),
    };
    assert!(matches!(error, RepoError::AuthenticationFailed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_cancelled_transfer_ends_with_its_processes() {
    let fixture = Fixture::without_origin();
    let (listener, source) = listener("git").await;
    let token = CancellationToken::new();
    let cancel = async {
        let (connection, _) = listener.accept().await.expect("a connection");
        token.cancel();
        connection
    };
    let (made, connection) = tokio::join!(fixture.request(&source, "one", None, "b", &token), cancel);
    assert!(made.expect_err("cancelled").is_cancelled());
    wait_until_closed(connection).await;
}

#[tokio::test]
async fn a_forgotten_transfer_ends_with_its_processes() {
    let fixture = Fixture::without_origin();
    let (listener, source) = listener("git").await;
    let token = CancellationToken::new();
    let connection = tokio::select! {
        made = fixture.request(&source, "one", None, "b", &token) => panic!("{made:?}"),
        accepted = listener.accept() => accepted.expect("a connection").0,
    };
    wait_until_closed(connection).await;
}
