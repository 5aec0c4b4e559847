//! The files Claude Code is started with: what holds a secret, or is too long, has no place in its argv.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::agents::{Job, PrivateFile};
use crate::mcp::Access;

/// The server's name, which every tool's name begins with: `mcp__factory__ask_user`.
pub const SERVER: &str = "factory";
/// Milliseconds for a tool's answer, which some wait for long: Claude Code's own bound is a minute.
const TOOL_TIMEOUT_MS: u64 = 3_600_000;
/// Seconds for the hook, whose answer waits for nothing.
const HOOK_TIMEOUT: u64 = 5;

/// The endpoint's tools, all of them before the model from the start.
pub fn mcp_config(job: &Job, access: &Access) -> PrivateFile {
    let server = json!({
        "type": "http",
        "url": access.url(),
        "headers": { "Authorization": bearer(access) },
        "timeout": TOOL_TIMEOUT_MS,
        "alwaysLoad": true,
    });
    let config = json!({ "mcpServers": { (SERVER): server } });
    PrivateFile { path: job.agent_home.join("factory-mcp.json"), content: config.to_string().into() }
}

/// A hook that asks after each tool what the agent has not been told yet. The endpoint's own tools say it
/// themselves.
pub fn settings(job: &Job, access: &Access) -> PrivateFile {
    let hook = json!({
        "type": "http",
        "url": access.notices_url(),
        "headers": { "Authorization": bearer(access) },
        "timeout": HOOK_TIMEOUT,
    });
    let settings = json!({ "hooks": { "PostToolUse": [{ "matcher": "*", "hooks": [hook] }] } });
    PrivateFile { path: job.agent_home.join("factory-settings.json"), content: settings.to_string().into() }
}

fn bearer(access: &Access) -> String {
    format!("Bearer {}", access.secret.reveal())
}

/// What is appended to Claude Code's own system prompt: the role's, and the repository's `CLAUDE.md` where that
/// would not be read otherwise.
pub fn system_prompt(job: &Job) -> std::io::Result<Option<PrivateFile>> {
    let role = job.brief.system_prompt.as_deref().map(str::trim_end);
    let memory = match memory_file(&job.workspace).filter(|_| !job.spec.trust_repo) {
        Some(path) => Some(std::fs::read(path)?),
        None => None,
    };
    let memory = memory.map(|memory| format!("# CLAUDE.md\n\n{}", String::from_utf8_lossy(&memory)));
    let parts: Vec<_> = role.map(str::to_owned).into_iter().chain(memory).collect();
    let path = job.agent_home.join("factory-system-prompt.md");
    Ok((!parts.is_empty()).then(|| PrivateFile { path, content: parts.join("\n\n").into() }))
}

/// The repository's `CLAUDE.md`, unless it is a link to somewhere else on this host.
fn memory_file(workspace: &Path) -> Option<PathBuf> {
    let path = workspace.join("CLAUDE.md").canonicalize().ok()?;
    let inside = path.starts_with(workspace.canonicalize().ok()?);
    let says_something = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0);
    (inside && says_something).then_some(path)
}
