//! Following tasks: in full, raw, in JSON, from a cursor, and broken off.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::factory::{Factory, text};

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_watch_can_be_taken_up_at_any_of_its_lines() {
    let factory = Factory::start();
    let number = factory.submit("fail-once at first\nlines 5\nsay bye", &["--no-repo"]);
    let whole = json_lines(&factory.run(&["watch", &number, "-o", "jsonl"]).stdout);
    let cursor = |line: &Value| line["cursor"].as_str().map(str::to_owned);
    assert!(whole.len() > 15, "two attempts leave more than {} lines", whole.len());
    let kinds: Vec<_> = whole.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "ended").count(), 2, "{kinds:?}");
    for at in [0, 3, whole.len() / 2, whole.len() - 2] {
        let since = cursor(&whole[at]).expect("every line but the last has a cursor");
        let rest = json_lines(&factory.run(&["watch", &number, "-o", "jsonl", "--since", &since]).stdout);
        // Which of two roads is faster is not told by a cursor: the lines are the same, each once.
        let mut seen: Vec<_> = rest.iter().map(line_identity).collect();
        let mut expected: Vec<_> = whole[at + 1..].iter().map(line_identity).collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "since {since}");
    }
}

/// What a line is about, without where it stood among others.
fn line_identity(line: &Value) -> String {
    let mut line = line.clone();
    line["cursor"] = Value::Null;
    line.to_string()
}

#[test]
fn raw_gives_the_agents_own_lines() {
    let factory = Factory::start();
    let options = ["submit", "--agent", "command", "--no-repo", "--", "printf"];
    factory.run(&[&options[..], &[r"a\033[31mb\nlast\n"]].concat());
    let raw = factory.run(&["watch", "1", "--raw"]);
    assert_eq!(raw.stdout, b"a\x1b[31mb\nlast\n");
    assert_eq!(factory.run(&["logs", "1", "--raw"]).stdout, raw.stdout);
    let readable = text(&factory.run(&["logs", "1"]).stdout);
    assert!(readable.contains("ab\nlast\n"), "{readable:?}");
    let tail = text(&factory.run(&["logs", "1", "--tail", "1", "-o", "jsonl"]).stdout);
    assert_eq!(tail.lines().count(), 1);
}

#[test]
fn several_tasks_are_told_apart_and_the_worst_decides() {
    let factory = Factory::start();
    let good = factory.submit("say fine", &["--no-repo"]);
    let bad = factory.submit("fail bad", &["--no-repo", "--max-attempts", "1"]);
    let watched = factory.run(&["watch", &good, &bad]);
    assert_eq!(watched.status.code(), Some(1));
    let shown = text(&watched.stdout);
    assert!(shown.lines().all(|line| line.starts_with(" [1] ") || line.starts_with(" [2] ")), "{shown}");
    assert!(shown.contains(" [1] fine"), "{shown}");
}

#[test]
fn an_interrupt_says_how_to_go_on() {
    let factory = Factory::start();
    let number = factory.submit("say begun\nsleep 600000", &["--no-repo"]);
    let mut watch = factory
        .command(&["watch", &number])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("a line").contains("begun")), "it is live");
    let killed = Command::new("kill").args(["-INT", &watch.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let output = watch.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("resume with: factoryctl watch {number} --since ")), "{said}");
    factory.run(&["cancel", &number, "--wait"]);
}

#[test]
fn what_is_not_there_is_not_found() {
    let factory = Factory::start();
    for args in [&["watch", "7"][..], &["logs", "7"], &["result", "7"], &["diff", "7"], &["status", "7"]] {
        let output = factory.run(args);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains('7'), "{args:?}");
    }
}
