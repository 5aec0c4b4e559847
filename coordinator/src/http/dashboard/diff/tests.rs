//! Against what the real git prints.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::*;

/// A repository with one commit, whose files `before` makes, and then `after` changes.
fn patch(before: impl FnOnce(&Path), after: impl FnOnce(&Path)) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    git(root, &["init", "-q"]);
    before(root);
    let first = snapshot(root);
    after(root);
    let second = snapshot(root);
    git(root, &["diff-tree", "-r", "-p", "--binary", "--full-index", "-M", &first, &second, "--"])
}

/// The tree of all there is.
fn snapshot(root: &Path) -> String {
    git(root, &["add", "-A"]);
    String::from_utf8(git(root, &["write-tree"])).expect("a tree's id").trim().to_owned()
}

fn git(root: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .output()
        .expect("git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
    std::fs::write(path, content).expect("a file");
}

fn file<'d>(diff: &'d Diff, path: &str) -> &'d File {
    diff.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path} in {diff:#?}"))
}

fn text(line: &Line) -> String {
    line.parts.iter().map(|part| part.text.as_str()).collect()
}

#[test]
fn lines_have_their_numbers_and_changed_words_are_marked() {
    let before = "one\ntwo\nfn add(a: i32, b: i32) -> i32 {\nfour\n";
    let after = "one\ntwo\nfn add(a: i64, b: i32) -> i32 {\nfour\nfive\n";
    let diff = read(&patch(|root| write(root, "a.rs", before), |root| write(root, "a.rs", after)), false);
    let file = file(&diff, "a.rs");
    assert_eq!((file.change, file.insertions, file.deletions), ("modified", 2, 1));
    assert_eq!(file.bar, ["added", "added", "removed", "none", "none"]);
    let numbers: Vec<_> = file.hunks[0].lines.iter().map(|line| (line.mark, line.old, line.new)).collect();
    assert_eq!(
        numbers,
        [
            (' ', Some(1), Some(1)),
            (' ', Some(2), Some(2)),
            ('-', Some(3), None),
            ('+', None, Some(3)),
            (' ', Some(4), Some(4)),
            ('+', None, Some(5)),
        ]
    );
    let changed: Vec<_> = file.hunks[0]
        .lines
        .iter()
        .flat_map(|line| line.parts.iter().filter(|part| part.changed).map(|part| part.text.as_str()))
        .collect();
    assert_eq!(changed, ["i32", "i64"]);
}

#[test]
fn files_are_added_deleted_renamed_and_made_executable() {
    let long = "a line\nanother\na third\nand a fourth\n";
    let diff = read(
        &patch(
            |root| {
                write(root, "gone.txt", "x\n");
                write(root, "old name.txt", long);
                write(root, "tool", "#!/bin/sh\n");
            },
            |root| {
                write(root, "src/new.txt", "y");
                std::fs::remove_file(root.join("gone.txt")).expect("it was there");
                std::fs::rename(root.join("old name.txt"), root.join("new name.txt")).expect("it was there");
                std::fs::set_permissions(root.join("tool"), std::fs::Permissions::from_mode(0o755))
                    .expect("it is ours");
            },
        ),
        false,
    );
    assert_eq!(diff.problems, [""; 0]);
    assert_eq!(file(&diff, "gone.txt").change, "deleted");
    let renamed = file(&diff, "new name.txt");
    assert_eq!((renamed.change, renamed.old_path.as_deref()), ("renamed", Some("old name.txt")));
    assert_eq!(file(&diff, "tool").note.as_deref(), Some("regular file → executable"));
    let added = file(&diff, "src/new.txt");
    assert_eq!(added.change, "added");
    assert!(added.hunks[0].lines[0].unended);
}

#[test]
fn names_that_git_quotes_are_read_and_show_what_is_in_them() {
    let name = "tab\t\"quote\" ü \u{202e}.txt";
    let diff = read(&patch(|_| {}, |root| write(root, name, "x\n")), false);
    assert_eq!(diff.problems, [""; 0]);
    assert_eq!(diff.files[0].path, "tab\t\"quote\" ü \\u{202e}.txt");
}

#[test]
fn binary_content_is_said_to_be_so() {
    let diff = read(
        &patch(
            |root| write(root, "a.bin", [0, 1, 2, 3, 255]),
            |root| {
                write(root, "a.bin", [0, 9, 9]);
                write(root, "text.txt", "after it\n");
            },
        ),
        false,
    );
    assert_eq!(diff.problems, [""; 0]);
    assert_eq!(file(&diff, "a.bin").note.as_deref(), Some("binary, 3 bytes, before 5 bytes"));
    assert_eq!(file(&diff, "text.txt").insertions, 1);
}

#[test]
fn content_that_looks_like_a_patch_is_content() {
    let inner = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-- signature\n++ more\n\\ No newline at end of file\n";
    let diff = read(&patch(|root| write(root, "p.diff", inner), |root| write(root, "p.diff", "")), false);
    assert_eq!(diff.problems, [""; 0]);
    assert_eq!((diff.files.len(), diff.deletions), (1, 6));
}

#[test]
fn hidden_characters_are_shown_and_long_lines_cut() {
    let diff = read(
        &patch(
            |_| {},
            |root| {
                write(root, "a", format!("if (admin\u{202e} \u{1b}[31m) {{\n{}\n", "x".repeat(MAX_LINE * 3)))
            },
        ),
        false,
    );
    let lines = &diff.files[0].hunks[0].lines;
    assert_eq!(text(&lines[0]), "if (admin\\u{202e} \\u{1b}[31m) {");
    assert_eq!(text(&lines[1]).chars().count(), MAX_LINE + 1);
}

#[test]
fn what_is_shown_of_a_huge_patch_is_bounded() {
    let lines = |count: usize| (0..count).map(|line| format!("{line}\n")).collect::<String>();
    let whole = patch(
        |_| {},
        |root| (0..12).for_each(|file| write(root, &format!("f{file:02}"), lines(MAX_FILE_LINES + 50))),
    );
    let diff = read(&whole, false);
    let shown = |file: &File| file.hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>();
    assert_eq!(diff.files.iter().map(shown).sum::<usize>(), MAX_LINES);
    assert_eq!(diff.files[0].left_out, 50);
    assert_eq!(diff.files[11].left_out, MAX_FILE_LINES + 50);
    assert_eq!(diff.insertions, 12 * (MAX_FILE_LINES + 50));

    let diff = read(&whole[..whole.len() / 2], true);
    assert_eq!(diff.problems, [""; 0]);
    assert!(diff.cut && (5..=6).contains(&diff.files.len()), "{} files", diff.files.len());
}

#[test]
fn what_is_no_patch_is_said_to_be_none() {
    assert_eq!(read(b"", false).files.len(), 0);
    let diff = read(b"hello\n", false);
    assert_eq!((diff.files.len(), diff.problems.len()), (0, 1));
}
