//! The first thing a new user runs.

use serde_json::Value;

use crate::factory::{factoryctl, text};

#[test]
fn the_demo_ends_well_and_shows_a_retry() {
    let root = tempfile::tempdir().expect("a directory");
    let scratch = tempfile::tempdir().expect("a directory");
    let output = factoryctl(root.path())
        .args(["demo", "--agent", "scripted", "-o", "json"])
        .env("TMPDIR", scratch.path())
        .output()
        .expect("the binary starts");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("worker-a, worker-b") && said.contains("next try in"), "{said}");
    let tasks: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(tasks.len(), 6);
    for task in &tasks {
        assert_eq!(task["state"], "succeeded", "{task}");
        assert_eq!(task["report"]["commits"].as_array().map(Vec::len), Some(1), "{task}");
        assert_eq!(task["report"]["delivery"]["kind"], "pushed", "{task}");
    }
    assert_eq!(tasks.iter().filter(|task| task["agent_failures"] == 1).count(), 1);
    assert_eq!(std::fs::read_dir(scratch.path()).expect("readable").count(), 0, "nothing is left behind");
}
