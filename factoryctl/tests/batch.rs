//! `batch` over the real binary, as far as it goes without a coordinator: the examples, and what is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name)
}

fn git(directory: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false"];
    let output = Command::new("git").arg("-C").arg(directory).args(identity).args(args).output();
    assert!(output.is_ok_and(|output| output.status.success()), "git {args:?}");
}

/// A repository with one commit, at `name` under a directory of its own.
fn repository(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    std::fs::create_dir(&path).expect("a directory");
    git(&path, &["init", "--quiet", "--initial-branch=main"]);
    git(&path, &["commit", "--quiet", "--allow-empty", "--message=Begin"]);
    path.canonicalize().expect("it exists")
}

fn batch(directory: &Path, file: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_factoryctl"))
        .args(["--url", "http://127.0.0.1:1", "batch"])
        .arg(file)
        .args(options)
        .current_dir(directory)
        .env_remove("FACTORY_AUTH_TOKEN")
        .output()
        .expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The plan of a file as JSON, made in `directory`.
fn plan(directory: &Path, file: &Path) -> Vec<serde_json::Value> {
    let output = batch(directory, file, &["--dry-run", "-o", "json", "--project", "p"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_examples_are_planned() {
    let parent = tempfile::tempdir().expect("a directory");
    let repo = repository(parent.path(), "app");
    for (name, waves) in [
        ("agents.json", vec![1, 1, 1]),
        ("dag.json", vec![1, 2, 2, 3]),
        ("batch.toml", vec![1, 1, 2]),
        ("batch.yaml", vec![1, 2, 2, 3]),
    ] {
        let tasks = plan(&repo, &example(name));
        let planned: Vec<_> = tasks.iter().filter_map(|task| task["wave"].as_u64()).collect();
        assert_eq!(planned, waves, "{name}");
        assert!(tasks.iter().all(|task| task["repo"] == repo.display().to_string()), "{name}: {tasks:?}");
    }
    let dag = plan(&repo, &example("dag.json"));
    assert_eq!(dag[2]["touches"], serde_json::json!(["web/users/**", "Cargo.lock"]));
    assert_eq!(dag[2]["keys"], serde_json::json!(["development database"]));
    assert_eq!(plan(&repo, &example("agents.json"))[0]["directory"], "tests");
    let table = text(&batch(&repo, &example("dag.json"), &["--dry-run"]).stdout);
    assert!(
        table.lines().nth(2).is_some_and(|row| row.starts_with("2 ") && row.contains("User API")),
        "{table}"
    );
}

#[test]
fn an_absolute_directory_is_another_repository() {
    let parent = tempfile::tempdir().expect("a directory");
    let (backend, frontend) = (repository(parent.path(), "backend"), repository(parent.path(), "frontend"));
    std::fs::create_dir(frontend.join("web")).expect("a directory");
    let written = std::fs::read_to_string(example("cross-repo.json")).expect("the example");
    let written = written
        .replace("/path/to/backend", &backend.display().to_string())
        .replace("/path/to/frontend", &frontend.join("web").display().to_string());
    let file = parent.path().join("cross-repo.json");
    std::fs::write(&file, written).expect("written");
    let tasks = plan(parent.path(), &file);
    assert_eq!(tasks[0]["repo"], backend.display().to_string());
    assert_eq!(tasks[1]["repo"], frontend.display().to_string());
    assert_eq!((&tasks[0]["directory"], &tasks[1]["directory"]), (&"".into(), &"web".into()));
    assert_eq!(tasks[1]["after"], serde_json::json!(["@backend"]));
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_sent() {
    let parent = tempfile::tempdir().expect("a directory");
    for (name, written, said) in [
        ("cycle.yaml", "- {id: a, task: x, after: [b]}\n- {id: b, task: x, after: [a]}", "a -> b -> a"),
        ("typo.toml", "[[tasks]]\nprompt = \"x\"\nafterr = []", "afterr"),
        ("typo.json", "[\n{\"task\": \"x\"},\n{\"tsk\": \"x\"}]", "line 3"),
        ("unknown.json", "[{\"task\": \"x\", \"depends_on\": [\"nope\"]}]", "no task with the id `nope`"),
        ("nothing.json", "[]", "there are none"),
    ] {
        let file = parent.path().join(name);
        std::fs::write(&file, written).expect("written");
        let output = batch(parent.path(), &file, &["--no-repo"]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {complaint}");
        assert!(complaint.contains(said), "{name}: {complaint}");
    }
    let missing = batch(parent.path(), Path::new("nowhere.json"), &[]);
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing.stderr));
}
