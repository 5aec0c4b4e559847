//! Submitting, looking, ending, trying again.

use crate::factory::{Factory, factoryctl, git, text};

#[test]
fn a_task_goes_from_prompt_to_branch() {
    let factory = Factory::start();
    let repository = factory.repository();
    std::fs::write(repository.join("dirty.txt"), "x").expect("written");
    let prompt = "say I begin\nwrite b.txt one\ncommit Add b\nsay All done";
    let submitted = factory
        .command(&["submit", "--agent", "scripted", prompt])
        .current_dir(&repository)
        .output()
        .expect("the binary starts");
    let id = text(&submitted.stdout);
    assert!(uuid::Uuid::try_parse(id.trim()).is_ok(), "the id alone is on stdout: {id:?}");
    let said = text(&submitted.stderr);
    assert!(said.contains(&format!("repository: {}", repository.display())), "{said}");
    assert!(said.contains("1 changed or untracked file"), "{said}");

    let watched = factory.run(&["watch", id.trim()]);
    assert_eq!(watched.status.code(), Some(0), "{}", text(&watched.stderr));
    let shown = text(&watched.stdout);
    for part in ["queued", "I begin", "● Write b.txt", "All done", "succeeded", "Add b", "1 file +1 -0"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    assert!(!shown.contains('\x1b'), "no colours into a pipe");
    let ends = shown.lines().filter(|line| line.contains("succeeded · in")).count();
    assert_eq!(ends, 1, "each line once:\n{shown}");

    let status = factory.status("1");
    assert_eq!(
        (&status["state"], &status["worker"]),
        (&"succeeded".into(), &status["attempt_list"][0]["worker"])
    );
    let branch = status["report"]["branch"].as_str().expect("a branch");
    assert_eq!(git(&repository, &["show", &format!("{branch}:b.txt")]), "one\n");
    assert_eq!(text(&factory.run(&["result", "1"]).stdout), "All done\n");
    let patch = text(&factory.run(&["diff", "1"]).stdout);
    assert!(patch.contains("+++ b/b.txt"), "{patch}");
    let change: serde_json::Value =
        serde_json::from_slice(&factory.run(&["diff", "1", "-o", "json"]).stdout).expect("JSON");
    assert_eq!(
        (&change["commits"][0]["subject"], &change["diff_stat"]["files"]),
        (&"Add b".into(), &1.into())
    );
    let table = text(&factory.run(&["status"]).stdout);
    assert!(
        table.lines().nth(1).is_some_and(|row| row.starts_with("1 ") && row.contains("succeeded")),
        "{table}"
    );
    let page = text(&factory.run(&["status", "1"]).stdout);
    assert!(page.contains("pushed to the origin") && page.contains("ATTEMPT"), "{page}");
}

#[test]
fn a_failure_ends_with_1_and_a_retry_is_a_new_task() {
    let factory = Factory::start();
    let options = ["--no-repo", "--max-attempts", "1", "--watch"];
    let failed = factory.run(&[&["submit", "--agent", "scripted", "fail on purpose"], &options[..]].concat());
    assert_eq!(failed.status.code(), Some(1));
    let shown = text(&failed.stdout);
    assert!(shown.contains("agent_error") && shown.contains("factoryctl retry 1"), "{shown}");
    let result = factory.run(&["result", "1"]);
    assert_eq!(result.status.code(), Some(1), "as the task ended");
    let said = text(&result.stderr);
    assert!(said.contains("agent_error: ") && said.contains("on purpose"), "{said}");
    let result = factory.run(&["result", "1", "-o", "json"]);
    assert_eq!(result.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&result.stdout).expect("JSON");
    assert_eq!(value["state"], "failed");
    assert_eq!(factory.run(&["diff", "1"]).status.code(), Some(0), "there is no change, which is an answer");
    let retried = factory.run(&["retry", "1", "--watch"]);
    assert_eq!(retried.status.code(), Some(1), "it fails again");
    assert_eq!(factory.status("2")["retry_of"], factory.status("1")["id"]);
    assert_eq!(factory.run(&["retry", "99"]).status.code(), Some(3));
}

#[test]
fn a_cancelled_task_is_ended_and_cannot_be_cancelled_again() {
    let factory = Factory::start();
    let number = factory.submit("sleep 600000", &["--no-repo"]);
    let cancelled = factory.run(&["cancel", &number, "--wait"]);
    assert_eq!(cancelled.status.code(), Some(0), "{}", text(&cancelled.stderr));
    assert_eq!(text(&cancelled.stdout), format!("{number} cancelled\n"));
    assert_eq!(factory.run(&["cancel", &number]).status.code(), Some(5));
    assert_eq!(factory.run(&["result", &number]).status.code(), Some(1));
    let never_run = factory.submit("say hi", &["--no-repo", "--label", "gpu=yes"]);
    assert_eq!(factory.run(&["result", &never_run]).status.code(), Some(3), "it has not ended");
    factory.run(&["cancel", &never_run, "--wait"]);
    let result = factory.run(&["result", &never_run]);
    assert_eq!(result.status.code(), Some(1));
    assert!(text(&result.stderr).contains("cancelled"), "{}", text(&result.stderr));
    assert_eq!(factory.run(&["watch", &number]).status.code(), Some(1));
    assert_eq!(factory.run(&["cancel", "99"]).status.code(), Some(3));
}

#[test]
fn files_left_in_an_empty_workspace_can_be_fetched() {
    let factory = Factory::start();
    let number = factory.submit("write deep/a.txt one\nwrite b.txt two", &["--no-repo"]);
    factory.run(&["watch", &number]);
    let listed = text(&factory.run(&["result", &number, "--files"]).stdout);
    assert!(listed.contains("deep/a.txt") && listed.contains("b.txt"), "{listed}");
    let fetched = factory.run(&["result", &number, "--files", "--output", "out"]);
    assert_eq!(fetched.status.code(), Some(0), "{}", text(&fetched.stderr));
    let read = |name: &str| std::fs::read_to_string(factory.directory().join("out").join(name)).expect(name);
    assert_eq!((read("deep/a.txt").as_str(), read("b.txt").as_str()), ("one\n", "two\n"));
}

#[test]
fn commits_that_were_not_pushed_come_as_a_bundle() {
    let factory = Factory::start();
    let repository = factory.repository();
    let path = repository.to_str().expect("UTF-8");
    let number = factory.submit("write b b\ncommit Add b", &["--repo", path, "--deliver", "none"]);
    factory.run(&["watch", &number]);
    let fetched = factory.run(&["result", &number, "--bundle", "work.bundle"]);
    assert_eq!(fetched.status.code(), Some(0), "{}", text(&fetched.stderr));
    let bundle = factory.directory().join("work.bundle");
    git(&repository, &["fetch", "--quiet", bundle.to_str().expect("UTF-8"), "refs/heads/*:refs/heads/*"]);
    assert!(git(&repository, &["log", "--all", "--format=%s"]).contains("Add b"));
}

#[test]
fn a_task_no_worker_can_take_says_why() {
    let factory = Factory::start();
    let number = factory.submit("say hi", &["--no-repo", "--label", "gpu=yes"]);
    let why = factory.status(&number)["waiting_for"].as_str().expect("a reason").to_owned();
    assert!(why.contains("gpu=yes"), "{why}");
    let page = text(&factory.run(&["status", &number]).stdout);
    assert!(page.contains("waits for") && page.contains("gpu=yes"), "{page}");
    let queued = text(&factory.run(&["status", "--state", "queued", "-o", "jsonl"]).stdout);
    assert_eq!(queued.lines().count(), 1);
    assert!(factory.run(&["status", "--state", "running", "-o", "jsonl"]).stdout.is_empty());
}

#[test]
fn workers_show_what_they_offer() {
    let factory = Factory::start();
    let table = text(&factory.run(&["workers"]).stdout);
    for part in ["connected", "0/2", "scripted", "command"] {
        assert!(table.contains(part), "{part} is missing in\n{table}");
    }
    let workers: serde_json::Value =
        serde_json::from_slice(&factory.run(&["workers", "list", "-o", "json"]).stdout).expect("JSON");
    assert_eq!((&workers[0]["connected"], &workers[0]["slots"]), (&true.into(), &2.into()));
}

#[test]
fn a_worker_is_drained_shown_and_resumed() {
    let factory = Factory::start();
    let json = |args: &[&str]| -> serde_json::Value {
        let output = factory.run(&[args, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let listed = json(&["workers"]);
    let (name, id) = (listed[0]["name"].as_str().expect("a name"), listed[0]["id"].as_str().expect("an id"));
    assert_eq!(listed[0]["drain"], serde_json::Value::Null);

    let drained = json(&["workers", "drain", name]);
    assert_eq!((&drained["drain"], &drained["attempts"]), (&"drained".into(), &serde_json::json!([])));
    let number = factory.submit("say hi", &["--no-repo"]);
    assert_eq!(factory.status(&number)["waiting_for"], "the only matching workers are draining");
    let table = text(&factory.run(&["workers"]).stdout);
    assert!(table.contains("drained") && !table.contains("connected"), "{table}");
    let page = text(&factory.run(&["workers", "show", &id[..13]]).stdout);
    for part in ["drained", id, "0 of 2 taken", "scripted", "workers resume", "last seen"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }

    let resumed = text(&factory.run(&["workers", "resume", id]).stdout);
    assert_eq!(resumed, format!("{name} is offered work again\n"));
    let watched = factory.run(&["watch", &number]);
    assert_eq!(watched.status.code(), Some(0), "{}", text(&watched.stderr));
}

#[test]
fn a_worker_that_is_not_there_ends_with_3() {
    let factory = Factory::start();
    for command in ["show", "drain", "resume"] {
        let output = factory.run(&["workers", command, "nobody"]);
        assert_eq!(output.status.code(), Some(3));
        let said = text(&output.stderr);
        assert!(
            said.contains("there is no worker `nobody`") && said.contains("factoryctl workers"),
            "{said}"
        );
    }
}

#[test]
fn the_same_key_submits_once() {
    let factory = Factory::start();
    let options = ["--no-repo", "--idempotency-key", "k"];
    assert_eq!(factory.submit("say a", &options), "1");
    assert_eq!(factory.submit("say a", &options), "1");
    let other = [&["submit", "--agent", "scripted", "say b"], &options[..]].concat();
    assert_eq!(factory.run(&other).status.code(), Some(5), "the key belongs to another task");
}

#[test]
fn a_second_factory_on_the_same_root_is_refused() {
    let factory = Factory::start();
    let second =
        factoryctl(&factory.root()).args(["up", "--listen", "127.0.0.1:0"]).output().expect("it starts");
    assert_eq!(second.status.code(), Some(5));
    let said = text(&second.stderr);
    assert!(said.contains("pid ") && said.contains(&factory.url), "{said}");
}

#[test]
fn run_finds_the_factory_on_its_root_and_starts_one_where_there_is_none() {
    let factory = Factory::start();
    let run = |root: &std::path::Path| {
        let output = factoryctl(root)
            .args(["run", "--no-repo", "--agent", "scripted", "say hello there"])
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("hello there"));
        text(&output.stderr)
    };
    let said = run(&factory.root());
    assert!(said.contains(&format!("using the coordinator at {}", factory.url)), "{said}");
    let alone = tempfile::tempdir().expect("a directory");
    let said = run(alone.path());
    assert!(said.contains("this process is one now"), "{said}");
    let failed = factoryctl(alone.path())
        .args(["run", "--no-repo", "--agent", "command", "--max-attempts", "1", "--", "false"])
        .output()
        .expect("it starts");
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stderr));
}
