//! The command line over the real binary, with nothing to talk to.

use std::process::{Command, Output};

fn factoryctl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_factoryctl"))
        .args(args)
        .env_remove("FACTORY_URL")
        .env_remove("FACTORY_AUTH_TOKEN")
        .output()
        .expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Nothing listens on port 1.
const SILENT: [&str; 2] = ["--url", "http://127.0.0.1:1"];

#[test]
fn help_names_every_command_and_exit_code() {
    let help = factoryctl(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = stdout(&help);
    for word in [
        "submit",
        "batch",
        "top",
        "status",
        "watch",
        "logs",
        "result",
        "diff",
        "cancel",
        "retry",
        "workers",
        "completions",
        "version",
        "FACTORY_URL",
        "130  interrupted",
    ] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    assert!(!text.contains("shim"), "what is not for people is not shown");
}

#[test]
fn help_never_prints_the_token() {
    let output = Command::new(env!("CARGO_BIN_EXE_factoryctl"))
        .args(["submit", "--help"])
        .env("FACTORY_AUTH_TOKEN", "s3cret")
        .output()
        .expect("the binary starts");
    assert!(!stdout(&output).contains("s3cret"));
}

#[test]
fn each_command_shows_examples() {
    for command in [
        "submit",
        "batch",
        "top",
        "status",
        "watch",
        "logs",
        "result",
        "diff",
        "cancel",
        "retry",
        "completions",
    ] {
        let text = stdout(&factoryctl(&[command, "--help"]));
        assert!(text.contains("Examples:\n  factoryctl "), "{command}:\n{text}");
    }
    for command in ["search", "add", "list", "findings", "errors"] {
        let text = stdout(&factoryctl(&["memory", command, "--help"]));
        let example = format!("factoryctl memory {command}");
        assert!(text.contains("Examples:") && text.contains(&example), "{command}:\n{text}");
    }
    for command in ["show", "drain", "resume"] {
        let text = stdout(&factoryctl(&["workers", command, "--help"]));
        let example = format!("Examples:\n  factoryctl workers {command} ");
        assert!(text.contains(&example), "{command}:\n{text}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for (args, said) in [
        (&["submit", "x", "--agent", "nobody"][..], "claude, command, scripted"),
        (&["status", "--state", "bogus"], "queued"),
        (&["watch"], "TASK"),
        (&["workers", "drain"], "<WORKER>"),
        (&["submit", "x", "--timeout", "90"], "such as 90s"),
        (&["submit", "x", "--no-repo", "--base", "main"], "--base: needs a repository"),
        (&["submit", "", "--no-repo"], "PROMPT: is empty"),
        (&["submit", "x", "--repo", "/nowhere/at/all"], "--repo: there is nothing at"),
        (&["submit", "x", "--repo", "octo/app", "--branch", "../../x"], "--branch:"),
        (&["submit", "x", "--repo", "octo/app", "--branch", "-D"], "--branch:"),
        (&["submit", "x", "--repo", "octo/app", "--base", "--upload-pack=x"], "--base:"),
        (&["--url", "ftp://x", "status"], "ftp://x"),
        (&["memory", "add", "x", "--kind", "hunch"], "error, code, decision, fact, doc"),
        (&["memory", "search"], "<QUERY>"),
        (&["top"], "`factoryctl top --once` prints one frame"),
        (&["top", "-o", "json"], "--once prints one frame as JSON"),
        (&["top", "--width", "80"], "--once"),
        (&["nonsense"], "nonsense"),
    ] {
        let output = factoryctl(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?} wrote data");
    }
}

#[test]
fn prompts_out_of_bounds_are_refused_before_anyone_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    for (content, said) in [
        (vec![b'x'; 3_000_000], "3000000 bytes"),
        (b"a\0b".to_vec(), "NUL"),
        (vec![0xff, 0xfe], "UTF-8"),
        (b" \n".to_vec(), "empty"),
    ] {
        let file = directory.path().join("prompt");
        std::fs::write(&file, content).expect("write");
        let path = file.to_str().expect("UTF-8");
        let output = factoryctl(&["submit", "--no-repo", "-f", path, SILENT[0], SILENT[1]]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

#[test]
fn where_no_coordinator_answers_the_next_step_is_named() {
    for args in [
        &["status"][..],
        &["workers"],
        &["workers", "drain", "x"],
        &["submit", "x", "--no-repo"],
        &["top", "--once"],
        &["watch", "1"],
    ] {
        let output = factoryctl(&[&SILENT, args].concat());
        assert_eq!(output.status.code(), Some(4), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("no coordinator answers at http://127.0.0.1:1"));
        assert!(stderr(&output).contains("factoryctl up"));
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = factoryctl(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        for word in ["idempotency-key", "workers", "submit"] {
            assert!(text.contains(word), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn the_version_is_data() {
    assert!(stdout(&factoryctl(&["version"])).starts_with("factoryctl 0."));
    let json: serde_json::Value =
        serde_json::from_slice(&factoryctl(&["version", "-o", "json"]).stdout).expect("JSON");
    assert_eq!(json["name"], "factoryctl");
}

#[test]
fn colours_do_not_reach_a_pipe_unless_asked_for() {
    let plain = factoryctl(&["status", SILENT[0], SILENT[1]]);
    assert!(!stderr(&plain).contains('\x1b'));
    let coloured = factoryctl(&["status", "--color", "always", SILENT[0], SILENT[1]]);
    assert!(stderr(&coloured).contains('\x1b'));
}
