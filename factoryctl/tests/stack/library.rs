//! Roles and templates.

use crate::factory::{Factory, text};

#[test]
fn the_roles_are_listed_with_what_each_does() {
    let factory = Factory::start();
    let table = text(&factory.run(&["roles"]).stdout);
    for (role, what) in [
        ("orchestrator", "Monitors and coordinates other agents"),
        ("test", "Writes and runs tests, saves failures as errors"),
        ("docs", "Writes documentation"),
        ("debug", "Investigates and fixes bugs"),
        ("custom", "Generic agent for custom tasks"),
    ] {
        let row =
            table.lines().find(|line| line.starts_with(role)).unwrap_or_else(|| panic!("{role}: {table}"));
        assert!(row.contains(&what.replace(", ", "; ")) || row.contains(what), "{row}");
    }
    let page = text(&factory.run(&["roles", "show", "review"]).stdout);
    assert!(page.starts_with("Role reviewer") && page.contains("You are a code reviewer"), "{page}");
    let unknown = factory.run(&["roles", "show", "poet"]);
    assert_eq!(unknown.status.code(), Some(3));
    assert!(text(&unknown.stderr).contains("there is no role `poet`; there are: coder"));
}

#[test]
fn a_check_names_file_and_line_and_says_so_with_its_exit_code() {
    let factory = Factory::start();
    let well = factory.run(&["templates", "check"]);
    assert_eq!((well.status.code(), text(&well.stdout).contains("are well")), (Some(0), true));

    let templates = factory.root().join("templates");
    std::fs::create_dir_all(&templates).expect("made");
    std::fs::write(templates.join("ui-worker.template.md"), "# {task_name}\n{flies}\n").expect("written");
    let checked = factory.run(&["templates", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = text(&checked.stdout);
    assert!(said.contains("ui-worker.template.md:2: unknown placeholder `flies`"), "{said}");
    let refused = factory.run(&["submit", "--no-repo", "--type", "ui", "--agent", "scripted", "write: a"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("ui-worker.template.md:2"), "{}", text(&refused.stderr));
}
