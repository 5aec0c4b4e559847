use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

struct Root(TempDir);

impl Root {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn write(&self, path: &str, text: &str) -> String {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    fn shelf(&self) -> Arc<Shelf> {
        Library::open(self.0.path()).0.shelf()
    }

    fn problems(&self) -> Vec<String> {
        self.shelf().problems().map(ToString::to_string).collect()
    }
}

fn values() -> Placeholders {
    Placeholders {
        task_name: "Add rate limiting".into(),
        task_instructions: "Limit logins.".into(),
        files: list_of(["src/login.rs", "tests/login.rs"]),
        ..Placeholders::default()
    }
}

#[test]
fn all_that_is_built_in_is_well() {
    let root = Root::new();
    assert_eq!(root.problems(), [""; 0]);
    let shelf = root.shelf();
    let roles: Vec<_> = shelf.roles().map(|role| role.name.as_str()).collect();
    assert_eq!(
        roles,
        [
            "coder",
            "coder_revision",
            "custom",
            "debug",
            "devops",
            "docs",
            "orchestrator",
            "researcher",
            "reviewer",
            "test"
        ]
    );
    for role in shelf.roles() {
        let prompt = shelf.prompt_of(role, &values()).expect("filled in");
        assert!(prompt.contains("`ask_user`") && prompt.contains("memory"), "{}", role.name);
        assert!(!role.description.is_empty() && role.timeout.is_some(), "{}", role.name);
    }
    assert_eq!(shelf.workflows().count(), 1);
    for template in shelf.templates() {
        assert!(!template.description.is_empty() && !template.description.contains('#'), "{}", template.name);
        shelf.fill(template, values()).expect("filled in");
    }
}

#[test]
fn the_names_of_other_orchestrators_mean_the_same_roles() {
    let shelf = Root::new().shelf();
    for (alias, name) in [("code", "coder"), ("review", "reviewer"), ("coder", "coder")] {
        assert_eq!(shelf.role(alias).expect("a role").name.as_str(), name);
    }
    let reviewer = shelf.role("reviewer").expect("a role");
    assert_eq!(reviewer.timeout, Some(Duration::from_secs(30 * 60)));
    assert_eq!(&reviewer.allowed_tools[..3], ["Read", "Glob", "Grep"]);
}

#[test]
fn a_template_is_filled_in_with_the_base_protocol() {
    let shelf = Root::new().shelf();
    let text = shelf.fill(shelf.template("code").expect("a template"), values()).expect("filled in");
    assert!(text.starts_with("# Add rate limiting\n\nLimit logins.\n"), "{text}");
    assert!(text.contains("- src/login.rs\n- tests/login.rs\n"), "{text}");
    assert!(text.contains("## Protocol") && !text.contains("Acceptance criteria"), "{text}");
    assert!(!text.contains("\n\n\n"), "{text}");
}

#[test]
fn an_unknown_placeholder_is_an_error_with_file_and_line() {
    let root = Root::new();
    let path =
        root.write("templates/code.md", "# {{ task_name }}\n\nunknwon is a word\n{{ unknwon }}\n{{ fiels }}");
    let problems = root.problems();
    assert!(problems[0].starts_with(&format!("{path}:5: unknown placeholder `fiels`; there are: task_id")));
    assert!(problems[1].starts_with(&format!("{path}:4: unknown placeholder `unknwon`")));
    let refused = root.shelf().template("code").map(|_| ()).expect_err("broken").to_string();
    assert!(refused.contains(":5:"), "{refused}");
    assert!(root.shelf().template("ui").is_ok(), "its neighbours stay usable");
}

#[test]
fn what_is_wrong_in_a_roles_prompt_is_counted_in_lines_of_its_file() {
    let root = Root::new();
    let head = "+++\ndescription = \"x\"\n+++\n";
    let path = root.write("roles/coder.md", &format!("{head}\nYou are\n{{{{ nobody }}}}\n"));
    assert!(
        root.problems()[0].starts_with(&format!("{path}:6: unknown placeholder")),
        "{:?}",
        root.problems()
    );
    root.write("roles/coder.md", "+++\ndescription = \"x\"\ntimeout = 5\n+++\nYou are");
    assert!(
        root.problems()[0].starts_with(&format!("{path}:3: unknown field `timeout`")),
        "{:?}",
        root.problems()
    );
    root.write("roles/coder.md", "You are a coder");
    assert!(root.problems()[0].starts_with(&format!("{path}:1: does not begin with a head")));
}

#[test]
fn mistakes_that_show_only_when_it_is_filled_in_are_found_too() {
    let root = Root::new();
    let path = root.write("templates/mine.md", "text\n{{ files | shout }}");
    assert!(root.problems()[0].starts_with(&format!("{path}:2: ")), "{:?}", root.problems());
    let path = root.write("templates/mine.md", "{% include \"nothing\" %}");
    assert!(root.problems()[0].starts_with(&format!("{path}:1: ")), "{:?}", root.problems());
    let path = root.write("templates/mine.md", "a\nb\n{% if %}");
    assert!(root.problems()[0].starts_with(&format!("{path}:3: ")), "{:?}", root.problems());
}

#[test]
fn a_users_files_go_before_the_built_in_ones_without_a_restart() {
    let root = Root::new();
    let library = Library::open(root.0.path());
    assert_eq!(library.0.shelf().template("code").expect("a template").source, "built-in");
    let path = root.write("templates/code.md", "Mine: {{ task_instructions }}\n{% include \"protocol\" %}");
    root.write("templates/protocol.md", "Be brief.");
    root.write(
        "roles/poet.toml",
        "description = \"Writes verse\"\nprompt = \"You are a poet.\"\nmodel = \"opus\"",
    );
    root.write("templates/.code.md.swp", "{{ nonsense }}");
    let shelf = library.0.shelf();
    let code = shelf.template("code").expect("a template");
    assert_eq!(code.source, path);
    assert_eq!(shelf.fill(code, values()).expect("filled in"), "Mine: Limit logins.\nBe brief.");
    assert_eq!(shelf.role("poet").expect("a role").model.as_deref(), Some("opus"));
    assert!(Arc::ptr_eq(&shelf, &library.0.shelf()), "read again though nothing changed");
}

#[test]
fn templates_with_single_braces_are_read_by_their_ending() {
    let root = Root::new();
    root.write(
        "templates/code-worker.template.md",
        "# {task_name}\n\nFiles:\n{files}\n\n```js\nfunction f() { return {a: 1}; }\n```\n{base_worker_protocol}",
    );
    let shelf = root.shelf();
    let text = shelf.fill(shelf.template("code").expect("a template"), values()).expect("filled in");
    assert!(text.starts_with("# Add rate limiting\n\nFiles:\n- src/login.rs\n"), "{text}");
    assert!(text.contains("function f() { return {a: 1}; }") && text.contains("## Protocol"), "{text}");
    let path = root.write("templates/ui-worker.template.md", "\n{task_nmae}");
    assert!(root.problems()[0].starts_with(&format!("{path}:2: unknown placeholder `task_nmae`")));
}

#[test]
fn a_role_fills_only_what_a_task_leaves_open() {
    let shelf = Root::new().shelf();
    let draft = factory_domain::SpecDraft {
        prompt: "Look".into(),
        role: "review".into(),
        timeout: Some(Duration::from_secs(60)),
        model: "haiku".into(),
        ..Default::default()
    };
    let mut spec = draft.validate().expect("valid");
    shelf.role("review").expect("a role").fill(&mut spec);
    assert_eq!(spec.timeout, Some(Duration::from_secs(60)));
    assert_eq!(spec.model.as_deref(), Some("haiku"));
    assert_eq!(spec.role.as_ref().map(factory_domain::Slug::as_str), Some("reviewer"));
    assert_eq!(spec.permission_mode, Some(factory_domain::PermissionMode::AcceptEdits));
    assert_eq!(spec.disallowed_tools, ["Edit", "Write", "NotebookEdit"]);
}

/// As the seed of workflows has it in its configuration, beside settings that are not ours.
const CONFIG: &str = r#"
max_concurrent_agents: 3
repos:
  my-app:
    url: "https://github.com/your-org/my-app.git"
# Multi-step workflows
workflows:
  code_review:
    max_iterations: 3  # Max revision cycles
    steps:
      - agent: coder
        output: initial_code
      - agent: reviewer
        input: initial_code
        output: review
      - agent: coder
        input: review
        output: revision
        condition: "has_issues"  # Only run if review has issues
        loop_to: review  # Loop back for another review
        prompt_template: "prompts/coder_revision.md"
"#;

#[test]
fn a_workflow_in_yaml_is_read_from_a_configuration_as_it_is() {
    let root = Root::new();
    let path = root.write("workflows/config.yml", CONFIG);
    let shelf = root.shelf();
    assert_eq!(root.problems(), [""; 0]);
    let found = shelf.workflow("code_review").expect("a workflow");
    assert_eq!((found.source.as_str(), found.definition.steps.len()), (path.as_str(), 3));
    let again = shelf.read_definition(&to_toml(&found.definition), "").expect("TOML");
    assert_eq!(again, found.definition);
    assert_eq!(shelf.read_definition(CONFIG, ""), Ok(again));
}

#[test]
fn what_is_wrong_with_a_workflow_is_said_with_its_place() {
    let root = Root::new();
    let path = root.write(
        "workflows/mine.toml",
        "[[steps]]\nagent = \"poet\"\nprompt_template = \"sonnet\"\n[[steps]]\nagent = \"coder\"\ninput = \"verse\"",
    );
    assert_eq!(root.problems(), [format!("{path}: steps[1].input `verse` is no output of an earlier step")]);
    root.write("workflows/mine.toml", "[[steps]]\nagent = \"poet\"\nprompt_template = \"sonnet\"");
    let problems = root.problems();
    assert!(
        problems[0].starts_with(&format!("{path}: steps[0].agent: there is no role `poet`")),
        "{problems:?}"
    );
    assert!(problems[1].contains("steps[0].prompt_template: there is no template `sonnet`"), "{problems:?}");
    root.write("workflows/mine.toml", "[[steps]]\nagent = \"coder\"\nlop_to = \"x\"");
    assert!(
        root.problems()[0].starts_with(&format!("{path}:3: unknown field `lop_to`")),
        "{:?}",
        root.problems()
    );
    std::fs::remove_file(&path).expect("removed");
    let path = root.write("workflows/mine.yaml", "steps:\n  - agent: coder\n    lop_to: x\n");
    assert!(root.problems()[0].starts_with(&format!("{path}:3: ")), "{:?}", root.problems());
}
