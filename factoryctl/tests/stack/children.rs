//! Tasks dispatched for another.

use crate::factory::{Factory, git, text};

#[test]
fn a_worker_is_dispatched_for_an_issue_and_shown_with_its_parent() {
    let factory = Factory::start();
    let repository = factory.repository();
    let submit = |args: &[&str]| {
        let output = factory.command(args).current_dir(&repository).output().expect("the binary starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    submit(&["submit", "sleep 600000", "--agent", "scripted", "--title", "main session"]);
    submit(&[
        "submit",
        "write login.txt fixed\ncommit Fix the login redirect\nsay The redirect is fixed",
        "--agent",
        "scripted",
        "--title",
        "Fix the login redirect bug",
        "--parent",
        "1",
        "--issue",
        "https://github.com/org/repo/issues/42",
        "--branch",
        "fix-issue-42",
    ]);
    let watched = factory.run(&["watch", "2"]);
    assert_eq!(watched.status.code(), Some(0), "{}", text(&watched.stderr));
    assert_eq!(git(&repository, &["show", "fix-issue-42:login.txt"]), "fixed\n");
    let page = text(&factory.run(&["status", "2"]).stdout);
    assert!(page.contains("https://github.com/org/repo/issues/42"), "{page}");
    let family = text(&factory.run(&["status", "1"]).stdout);
    assert!(family.contains("2 succeeded Fix the login redirect bug"), "{family}");
    let children = text(&factory.run(&["status", "--parent", "1"]).stdout);
    assert_eq!(children.lines().count(), 2, "a head and the child:\n{children}");

    assert_eq!(factory.run(&["cancel", "1", "--wait"]).status.code(), Some(0));
    assert_eq!(factory.status("1")["state"], "cancelled");
}
