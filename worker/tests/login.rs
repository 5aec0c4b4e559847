//! Whether `claude` is offered: alone in its process, since a program just written can be
//! run only when no other thread was starting one meanwhile.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use factory_worker::agents::claude::Claude;
use factory_worker::agents::{Agent, DEFAULT_LIMIT_PAUSE};
use factory_worker::environment::Environment;

fn environment(vars: &[(&str, &str)]) -> Environment {
    let vars = vars.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Environment::from_vars(vars, Vec::new())
}

#[tokio::test]
async fn a_login_is_looked_for_before_the_agent_is_offered() {
    let home = tempfile::tempdir().unwrap();
    let home_path = home.path().to_str().unwrap();
    let program = home.path().join("claude");
    std::fs::write(&program, "#!/bin/sh\necho '9.9.9 (Claude Code)'\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let agent = |key| {
        Claude::new(
            None,
            environment(&[("HOME", home_path), ("PATH", home_path), ("ANTHROPIC_API_KEY", key)]),
            DEFAULT_LIMIT_PAUSE,
        )
    };

    let nobody = agent("").probe().await.unwrap_err().to_string();
    assert!(
        nobody.starts_with("claude 9.9.9 is installed but not logged in; set ANTHROPIC_API_KEY"),
        "{nobody}"
    );
    let keyed = agent("sk").probe().await.unwrap();
    assert_eq!((keyed.version.as_str(), keyed.warning), ("9.9.9", None));

    std::fs::create_dir(home.path().join(".claude")).unwrap();
    std::fs::write(home.path().join(".claude/.credentials.json"), "{}").unwrap();
    let shared = agent("").probe().await.unwrap();
    assert!(shared.warning.is_some_and(|warning| warning.contains(".credentials.json")));

    let missing = Claude::new(None, environment(&[("PATH", "/nowhere")]), DEFAULT_LIMIT_PAUSE)
        .probe()
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("not on PATH"), "{missing}");
    let misnamed = Claude::new(Some("/nowhere/claude".into()), environment(&[]), DEFAULT_LIMIT_PAUSE)
        .probe()
        .await
        .unwrap_err();
    assert_eq!(misnamed.to_string(), "there is no `claude` at /nowhere/claude");
}
