//! `.worktreeinclude`.

use std::os::unix::fs::symlink;

use factory_domain::Leftovers;

use crate::fixture::{Fixture, read};

fn origin_with_secrets() -> Fixture {
    let fixture = Fixture::new();
    let origin = fixture.origin();
    fixture.commit("origin", ".gitignore", "*.env\n/secrets/\nlink\n");
    fixture.commit("origin", ".worktreeinclude", "*.env\nsecrets/\nlink\nnotes.txt\n");
    std::fs::write(origin.join("local.env"), "KEY=1\n").expect("written");
    std::fs::create_dir(origin.join("secrets")).expect("made");
    std::fs::write(origin.join("secrets/odd\nname.pem"), "pem\n").expect("written");
    std::fs::write(origin.join("notes.txt"), "matches, but is not ignored\n").expect("written");
    symlink("/etc/passwd", origin.join("link")).expect("linked");
    fixture
}

#[tokio::test]
async fn ignored_files_that_match_are_copied_and_never_committed() {
    let fixture = origin_with_secrets();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    assert_eq!(read(worktree.path.join("local.env")), "KEY=1\n");
    assert_eq!(read(worktree.path.join("secrets/odd\nname.pem")), "pem\n");
    assert!(!worktree.path.join("notes.txt").exists());
    assert!(!worktree.path.join("link").exists());
    assert!(fixture.noted("copied by .worktreeinclude: local.env"));
    assert!(fixture.noted("link was not copied: it is not a regular file"));

    // Even when the agent stops ignoring them.
    std::fs::write(worktree.path.join(".gitignore"), "").expect("written");
    let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(work.leftovers.files, 1);
    assert_eq!(fixture.git(&worktree.path, &["show", "--name-only", "--format=", "HEAD"]), ".gitignore");
}

#[tokio::test]
async fn a_link_in_the_repository_leads_no_copy_outside() {
    let fixture = origin_with_secrets();
    let outside = fixture.path("outside");
    std::fs::create_dir(&outside).expect("made");
    let origin = fixture.origin();
    // On its branch, `secrets` is a link; in the source's own checkout it is a directory.
    fixture.git(&origin, &["stash", "--quiet"]);
    fixture.git(&origin, &["checkout", "--quiet", "-b", "evil"]);
    std::fs::rename(origin.join("secrets"), fixture.path("aside")).expect("moved");
    symlink(&outside, origin.join("secrets")).expect("linked");
    fixture.git(&origin, &["add", "--force", "secrets"]);
    fixture.git(&origin, &["commit", "--quiet", "--message", "Link"]);
    fixture.git(&origin, &["checkout", "--quiet", "main"]);
    std::fs::rename(fixture.path("aside"), origin.join("secrets")).expect("moved");

    let worktree = fixture.checkout("one", Some("evil")).await.expect("a worktree");
    assert!(worktree.path.join("secrets").is_symlink());
    assert_eq!(std::fs::read_dir(outside).expect("readable").count(), 0);
    assert!(worktree.path.join("local.env").exists());
}
