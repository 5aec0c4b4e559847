//! Claude Code's argv, environment and standard input for one attempt.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::login::{BEDROCK, Login, VERTEX};
use crate::agents::{Conversation, Job};
use crate::environment::Environment;

/// What Claude Code itself needs of the worker's environment.
const OWN: [&str; 12] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    BEDROCK,
    VERTEX,
];

/// Further ones where the model is reached through Amazon Bedrock; no other agent gets the host's cloud credentials.
const FOR_BEDROCK: [&str; 12] = [
    "ANTHROPIC_BEDROCK_BASE_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

const FOR_VERTEX: [&str; 5] = [
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "CLOUD_ML_REGION",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
];

pub fn argv(program: &Path, job: &Job) -> Vec<OsString> {
    let spec = &job.spec;
    let mut argv: Vec<OsString> = vec![program.into()];
    argv.extend(["-p", "--output-format", "stream-json", "--verbose"].map(OsString::from));
    // The workspace is the agent's own, and there is nobody to ask.
    argv.extend(["--permission-mode", "bypassPermissions"].map(OsString::from));
    let mut option = |name: &str, value: OsString| argv.extend([name.into(), value]);
    let conversation = match &job.conversation {
        Conversation::New { .. } => "--session-id",
        Conversation::Resumed { .. } => "--resume",
    };
    option(conversation, job.conversation.id().to_string().into());
    if let Some(model) = &spec.model {
        option("--model", model.into());
    }
    if let Some(turns) = spec.max_turns {
        option("--max-turns", turns.to_string().into());
    }
    if let Some(budget) = spec.budget_micro_usd {
        option("--max-budget-usd", (budget as f64 / 1e6).to_string().into());
    }
    if !spec.trust_repo {
        option("--setting-sources", OsString::new());
        if let Some(memory) = memory_file(&job.workspace) {
            option("--append-system-prompt-file", memory.into());
        }
        argv.push("--strict-mcp-config".into());
    }
    argv
}

/// The repository's `CLAUDE.md`, unless it is a link to somewhere else on this host.
fn memory_file(workspace: &Path) -> Option<PathBuf> {
    let path = workspace.join("CLAUDE.md").canonicalize().ok()?;
    let inside = path.starts_with(workspace.canonicalize().ok()?);
    let says_something = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0);
    (inside && says_something).then_some(path)
}

pub fn env(environment: &Environment, job: &Job) -> BTreeMap<OsString, OsString> {
    let mut own = OWN.to_vec();
    if environment.get(BEDROCK).is_some() {
        own.extend(FOR_BEDROCK);
    }
    if environment.get(VERTEX).is_some() {
        own.extend(FOR_VERTEX);
    }
    let shared = shared_config_dir(environment);
    if shared.is_some() {
        own.push("CLAUDE_CONFIG_DIR");
    }
    let mut env = environment.for_agent(job, &own);
    let mut set = |name: &str, value: OsString| env.insert(name.into(), value);
    set("DISABLE_AUTOUPDATER", "1".into());
    set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into());
    // A prompt is words: `@/path` in it does not read the host's files.
    set("CLAUDE_CODE_DISABLE_FILE_MENTIONS", "1".into());
    if rustix::process::geteuid().is_root() {
        // Without it root may not go without permissions.
        set("IS_SANDBOX", "1".into());
    }
    if shared.is_none() {
        // Agents that share one can list and message each other, and their files race.
        set("CLAUDE_CONFIG_DIR", job.agent_home.clone().into());
    }
    env
}

/// Where Claude Code keeps settings and conversations that all attempts share; `None`: each has its own.
pub fn shared_config_dir(environment: &Environment) -> Option<PathBuf> {
    match Login::find(environment) {
        Some(Login::Shared(credentials)) => credentials.parent().map(Path::to_owned),
        _ => None,
    }
}

/// A prompt that begins with `/` would run as one of Claude Code's commands; behind a line break it is text.
pub fn prompt(prompt: &str) -> Vec<u8> {
    let begins_a_command = prompt.trim_start().starts_with('/');
    if begins_a_command { format!("\n{prompt}").into_bytes() } else { prompt.as_bytes().to_vec() }
}
