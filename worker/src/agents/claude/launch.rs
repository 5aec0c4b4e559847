//! Claude Code's argv, environment and standard input for one attempt.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use factory_domain::{PermissionMode, TaskSpec};

use super::files;
use super::login::{BEDROCK, Login, VERTEX};
use crate::agents::{Conversation, Job, PrivateFile};
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

/// Argv, and the files it names.
pub fn argv(program: &Path, job: &Job) -> io::Result<(Vec<OsString>, Vec<PrivateFile>)> {
    let spec = &job.spec;
    let mut argv: Vec<OsString> = vec![program.into()];
    let mut files = Vec::new();
    argv.extend(["-p", "--output-format", "stream-json", "--verbose"].map(OsString::from));
    let mut option = |name: &str, value: OsString| argv.extend([name.into(), value]);
    option("--permission-mode", permission_mode(spec.permission_mode).into());
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
    if let Some(schema) = &spec.output_schema {
        option("--json-schema", schema.into());
    }
    for (name, tools) in tools(job) {
        option(name, tools.into());
    }
    if let Some(file) = files::system_prompt(job)? {
        option("--append-system-prompt-file", file.path.clone().into());
        if matches!(job.conversation, Conversation::Resumed { .. }) {
            // It may have been another role's before, whose prompt Claude Code would go on with.
            option("--system-prompt-snapshot", "off".into());
        }
        files.push(file);
    }
    if let Some(access) = &job.access {
        let (config, settings) = (files::mcp_config(job, access), files::settings(job, access));
        option("--mcp-config", config.path.clone().into());
        option("--settings", settings.path.clone().into());
        files.extend([config, settings]);
    }
    if !spec.trust_repo {
        option("--setting-sources", OsString::new());
        argv.push("--strict-mcp-config".into());
    }
    Ok((argv, files))
}

const fn permission_mode(mode: Option<PermissionMode>) -> &'static str {
    match mode {
        // The workspace is the agent's own, and there is nobody to ask.
        None | Some(PermissionMode::Bypass) => "bypassPermissions",
        Some(PermissionMode::AcceptEdits) => "acceptEdits",
        Some(PermissionMode::Plan) => "plan",
    }
}

/// Which tools there are, which of them need no permission, and which are never to be used. The endpoint's are
/// always there: they are how a restricted agent asks for what it lacks.
fn tools(job: &Job) -> Vec<(&'static str, String)> {
    let TaskSpec { allowed_tools, disallowed_tools, .. } = &job.spec;
    let mut options = Vec::new();
    if !allowed_tools.is_empty() {
        // `Bash(git *)` permits some uses of the tool `Bash`.
        let built_in = allowed_tools.iter().filter(|tool| !tool.starts_with("mcp__"));
        let mut names: Vec<_> = built_in.filter_map(|tool| tool.split('(').next()).collect();
        names.sort_unstable();
        names.dedup();
        options.push(("--tools", names.join(",")));
    }
    let own = job.access.is_some().then(|| format!("mcp__{}", files::SERVER));
    let allowed: Vec<_> = allowed_tools.iter().cloned().chain(own).collect();
    if !allowed.is_empty() {
        options.push(("--allowedTools", allowed.join(",")));
    }
    if !disallowed_tools.is_empty() {
        options.push(("--disallowedTools", disallowed_tools.join(",")));
    }
    options
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
