//! The message board and handoffs, as people and scripts type them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::factory::{Factory, text};

/// The command ends well and prints JSON.
fn json_of(factory: &Factory, args: &[&str]) -> Value {
    let output = factory.run(&[args, &["-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn numbers(list: &Value) -> Vec<u64> {
    list.as_array().expect("a list").iter().filter_map(|entry| entry["number"].as_u64()).collect()
}

/// What other systems do with `POST /messages` and `GET /messages?task_id=…&message_type=…&search=…`.
#[test]
fn messages_are_posted_listed_filtered_and_answered() {
    let factory = Factory::start();
    let task = factory.submit("say hello", &["--no-repo"]);
    let post = |args: &[&str]| json_of(&factory, &[&["messages", "post"], args].concat());
    let first =
        post(&["Which database do we use?", "--type", "question", "--from", "coder", "--task", &task]);
    assert_eq!(
        (&first["from"], &first["to"], &first["type"]),
        (&json!("coder"), &json!("all"), &json!("question"))
    );
    assert_eq!(first["from_task"].to_string(), task);
    let answer = post(&["PostgreSQL,", "version", "17", "--reply-to", "1", "--from", "marie"]);
    assert_eq!(
        (&answer["to"], &answer["thread"], &answer["content"]),
        (&json!("user"), &json!(1), &json!("PostgreSQL, version 17"))
    );
    let red = ["Build is red", "--type", "error", "--to", "devops", "--idempotency-key", "red"];
    assert_eq!(post(&red)["number"], json!(3));
    assert_eq!(post(&red)["number"], json!(3));
    let other = factory.run(&["messages", "post", "Build is green", "--idempotency-key", "red"]);
    assert_eq!(other.status.code(), Some(5), "{}", text(&other.stderr));

    for (args, expected) in [
        (&["messages"][..], vec![3, 2, 1]),
        (&["messages", "list", "--limit", "1"], vec![3]),
        (&["messages", "--task", &task], vec![1]),
        (&["messages", "--type", "error", "--type", "question"], vec![3, 1]),
        (&["messages", "--to", "devops"], vec![3]),
        (&["messages", "--from", "marie"], vec![2]),
        (&["messages", "--search", "postgres*"], vec![2]),
        (&["messages", "--search", "\"is red\" build"], vec![3]),
        (&["messages", "--search", "* \" ( AND"], vec![]),
    ] {
        assert_eq!(numbers(&json_of(&factory, args)), expected, "{args:?}");
    }
    assert_eq!(numbers(&json_of(&factory, &["messages", "thread", "2"])), [1, 2]);

    let thread = text(&factory.run(&["messages", "thread", "1"]).stdout);
    assert!(thread.contains("coder (task 1) → all") && thread.contains("\n    PostgreSQL"), "{thread}");
    let table = text(&factory.run(&["messages", "--color", "never"]).stdout);
    assert!(table.lines().count() == 4 && table.contains("re 1"), "{table}");
    let status = text(&factory.run(&["status", &task]).stdout);
    assert!(status.contains("1 message: `factoryctl messages --task 1`"), "{status}");
    assert_eq!(factory.status(&task)["messages"], json!(1));
    for (args, code, said) in [
        (&["messages", "thread", "9"][..], 3, "no message `9`"),
        (&["messages", "post", "x", "--to", "task:9"], 3, "no task `9`"),
        (&["messages", "post", "x", "--to", "no body"], 2, "write all, user, a role or task:7"),
        (&["messages", "post"], 2, "TEXT"),
    ] {
        let refused = factory.run(args);
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {told}");
        assert!(told.contains(said), "{args:?}: {told}");
    }
}

#[test]
fn a_follower_prints_what_comes_and_says_where_to_go_on() {
    let factory = Factory::start();
    for said in ["one", "two"] {
        json_of(&factory, &["messages", "post", said]);
    }
    let mut follower = factory
        .command(&["messages", "follow", "--since", "1", "-o", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    };
    assert_eq!(next()["content"], json!("two"));
    json_of(&factory, &["messages", "post", "three"]);
    assert_eq!(next()["content"], json!("three"));
    let pid = follower.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let ended = follower.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130));
    let told = text(&ended.stderr);
    assert!(told.contains("messages follow --since 3"), "{told}");
}

#[test]
fn a_handoff_is_seen_at_both_of_its_tasks() {
    let factory = Factory::start();
    let from = factory.submit("say done", &["--no-repo", "--role", "coder"]);
    factory.run(&["watch", &from]);
    let next = factory.submit("say next", &["--no-repo", "--after", &from]);
    let args = [
        "handoffs",
        "create",
        "--from",
        &from,
        "--artifact",
        "src/a.rs",
        "--branch",
        "feature/a",
        "Mind",
        "a",
    ];
    let kept = json_of(&factory, &args);
    assert_eq!((&kept["context"], &kept["branch"]), (&json!("Mind a"), &json!("feature/a")));
    for task in [&from, &next] {
        assert_eq!(numbers(&factory.status(task)["handoffs"]), [1], "task {task}");
        assert_eq!(numbers(&json_of(&factory, &["handoffs", "--task", task])), [1]);
        let page = text(&factory.run(&["status", task]).stdout);
        assert!(page.contains("task 1 (coder)"), "{page}");
    }
    let shown = text(&factory.run(&["handoffs", "show", "1"]).stdout);
    for part in ["task 1 (coder) → what depends on task 1", "feature/a", "src/a.rs", "Mind a"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert_eq!(factory.run(&["handoffs", "show", "7"]).status.code(), Some(3));
}
