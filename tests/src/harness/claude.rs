//! The real Claude Code CLI, as `.ci/run` installs it or as the machine has it.

use std::path::PathBuf;

/// Where `.ci/run` puts it, from the root of the repository.
const INSTALLED: &str = "target/claude/node_modules/@anthropic-ai";

/// The CLI to test with. Without one the caller skips, and says so; where `CI` is true that is a failure.
///
/// # Panics
/// Under CI, when there is none.
pub fn find() -> Option<PathBuf> {
    let found = named().or_else(installed).or_else(on_path);
    if found.is_none() {
        let missing = "no Claude Code CLI: name one with FACTORY_TEST_CLAUDE, or let .ci/run install it";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        super::skipped(missing);
    }
    found
}

/// A name that leads nowhere is a mistake, not a reason to look further.
fn named() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("FACTORY_TEST_CLAUDE")?);
    assert!(path.is_file(), "FACTORY_TEST_CLAUDE names {}, which is no file", path.display());
    Some(path)
}

/// The native binary of the platform's package: the wrapper package needs a postinstall script.
fn installed() -> Option<PathBuf> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join(INSTALLED).join(format!("claude-code-linux-{architecture}/claude"));
    path.is_file().then(|| path.canonicalize().unwrap_or(path))
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("claude")).find(|candidate| candidate.is_file())
}
