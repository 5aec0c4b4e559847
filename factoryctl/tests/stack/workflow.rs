//! Workflows, by the examples that come with the factory.

use std::path::Path;

use crate::factory::{Factory, text};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn the_examples_are_definitions_of_ones_own_where_they_are_put_into_the_root() {
    let factory = Factory::start();
    let workflows = factory.root().join("workflows");
    std::fs::create_dir_all(&workflows).expect("made");
    std::fs::copy(example("workflow.toml"), workflows.join("feature.toml")).expect("copied");
    std::fs::copy(example("workflows.yaml"), workflows.join("workflows.yaml")).expect("copied");
    let checked = factory.run(&["templates", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let table = text(&factory.run(&["workflow", "definitions"]).stdout);
    for (name, from) in
        [("code_review", "built-in"), ("my_workflow", "workflows.yaml"), ("feature", "feature.toml")]
    {
        let row = table.lines().find(|line| line.starts_with(name));
        assert!(row.is_some_and(|row| row.contains(from)), "{name}: {table}");
    }
}

#[test]
fn a_workflow_is_followed_to_its_end_and_shown() {
    let factory = Factory::start();
    let definition = example("workflows.yaml");
    let wish = ["workflow", "start", "my_workflow", "--definition", &definition, "--no-repo"];
    // The script is each step's, and none of it is a verdict.
    let ended = factory.run(&[&wish[..], &["--agent", "scripted", "--watch", "write: a"]].concat());
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended.stderr));
    let told = text(&ended.stderr);
    assert!(told.contains("round 1, step 1 (code by coder): task 1 succeeded"), "{told}");
    assert!(told.contains("workflow 1 failed: step 2 (review)"), "{told}");

    let listed: serde_json::Value =
        serde_json::from_slice(&factory.run(&["workflows", "-o", "json"]).stdout).expect("JSON");
    assert_eq!((&listed[0]["number"], &listed[0]["state"]), (&1.into(), &"failed".into()));
    let page = text(&factory.run(&["workflow", "show", "1"]).stdout);
    for part in ["Workflow 1", "failed", "my_workflow", "reviewer", "HANDOFF"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    assert_eq!(factory.run(&["workflow", "cancel", "1"]).status.code(), Some(5), "it has ended");
    assert_eq!(factory.run(&["workflow", "show", "9"]).status.code(), Some(3));
}
