//! A task as someone asked for it: read once from untrusted input, a [`TaskSpec`] from then on.

use std::time::Duration;

use crate::spec::{ConflictPolicy, Deliver, Leftovers, PermissionMode, TaskSpec};
use crate::{AgentKind, BranchName, Labels, PathPattern, RepoSource, RevisionName, Slug};

/// A task as someone asked for it, before it was looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpecDraft {
    pub title: String,
    pub prompt: String,
    pub agent: String,
    pub argv: Vec<String>,
    pub model: String,
    pub repo: String,
    pub base: String,
    pub branch: String,
    pub deliver: Deliver,
    pub leftovers: Leftovers,
    pub setup: String,
    pub setup_timeout: Option<Duration>,
    pub trust_repo: bool,
    pub labels: Vec<(String, String)>,
    pub priority: i32,
    pub max_attempts: Option<u32>,
    pub timeout: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub budget_micro_usd: Option<u64>,
    pub budget_tokens: Option<u64>,
    pub max_turns: Option<u32>,
    pub role: String,
    pub task_type: String,
    pub acceptance: String,
    pub directory: String,
    pub touches: Vec<String>,
    pub keys: Vec<String>,
    pub issue: String,
    pub project: String,
    pub submitter: String,
    pub allowed_tools: Vec<String>,
    pub disallowed_tools: Vec<String>,
    pub permission_mode: Option<PermissionMode>,
    pub output_schema: String,
    pub on_conflict: ConflictPolicy,
    pub keep_session: bool,
    pub session: String,
}

/// One field that cannot be accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub field: &'static str,
    pub why: String,
}

/// Bytes of prompt a task may have. Claude Code itself reads at most 10 MB.
pub const MAX_PROMPT: usize = 1024 * 1024;
pub const MAX_TITLE: usize = 200;
pub const MAX_ARGV: usize = 1000;
/// Bytes of argv in all; the kernel takes about two megabytes, environment included.
pub const MAX_ARGV_BYTES: usize = 128 * 1024;
pub const MAX_LABELS: usize = 32;
/// Bytes of acceptance text, and of an output schema.
pub const MAX_TEXT: usize = 64 * 1024;
/// Patterns of files, keys or tools a task may name, each.
pub const MAX_NAMED: usize = 500;
pub const MAX_PRIORITY: i32 = 1000;
pub const MAX_ATTEMPTS: u32 = 100;
pub const DEFAULT_ATTEMPTS: u32 = 3;
pub const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);
pub const DEFAULT_SETUP_TIMEOUT: Duration = Duration::from_secs(600);

impl SpecDraft {
    /// Every violation at once, so that nobody mends them one by one.
    pub fn validate(self) -> Result<TaskSpec, Vec<Violation>> {
        let mut found = Violations::default();
        self.check_prompt(&mut found);
        let agent =
            found.parse("agent", if self.agent.is_empty() { "claude" } else { &self.agent }, str::parse);
        self.check_argv(agent, &mut found);
        let repo = found.optional("repo", &self.repo, RepoSource::parse);
        let base = found.optional("base", &self.base, RevisionName::parse);
        let branch = found.optional("branch", &self.branch, BranchName::parse);
        self.check_needs_repo(&mut found);
        self.check_setup(&mut found);
        self.check_numbers(&mut found);
        found.single_line("title", &self.title, MAX_TITLE);
        found.single_line("model", &self.model, 100);
        if self.model.starts_with('-') {
            found.add("model", "begins with `-`");
        }
        let labels = self.read_labels(&mut found);
        let role = found.optional("role", &self.role, Slug::parse);
        let task_type = found.optional("type", &self.task_type, Slug::parse);
        let touches = self.read_touches(&mut found);
        self.check_words(&mut found);
        self.check_schema(&mut found);
        let title = self.title_or_first_line();
        match (found.0.is_empty(), agent) {
            (true, Some(agent)) => Ok(TaskSpec {
                title,
                prompt: self.prompt,
                agent,
                argv: self.argv,
                model: some(self.model),
                repo,
                base,
                branch,
                deliver: self.deliver,
                leftovers: self.leftovers,
                setup: some(self.setup),
                setup_timeout: self.setup_timeout.unwrap_or(DEFAULT_SETUP_TIMEOUT),
                trust_repo: self.trust_repo,
                labels,
                priority: self.priority,
                max_attempts: self.max_attempts.unwrap_or(DEFAULT_ATTEMPTS),
                timeout: self.timeout,
                idle_timeout: self.idle_timeout,
                budget_micro_usd: self.budget_micro_usd,
                budget_tokens: self.budget_tokens,
                max_turns: self.max_turns,
                role,
                task_type,
                acceptance: some(self.acceptance),
                directory: some(self.directory),
                touches,
                keys: self.keys,
                issue: some(self.issue),
                project: some(self.project),
                submitter: some(self.submitter),
                allowed_tools: self.allowed_tools,
                disallowed_tools: self.disallowed_tools,
                permission_mode: self.permission_mode,
                output_schema: some(self.output_schema),
                on_conflict: self.on_conflict,
                keep_session: self.keep_session,
                session: some(self.session),
            }),
            _ => Err(found.0),
        }
    }

    fn check_prompt(&self, found: &mut Violations) {
        if self.prompt.trim().is_empty() && self.argv.is_empty() {
            found.add("prompt", "is empty; say what the agent is to do");
        } else if self.prompt.len() > MAX_PROMPT {
            let size = self.prompt.len();
            found.add("prompt", format!("is {size} bytes long; at most {MAX_PROMPT} are accepted. Put long material in the repository and name it"));
        } else if self.prompt.contains('\0') {
            found.add("prompt", "holds a NUL byte");
        }
    }

    fn check_argv(&self, agent: Option<AgentKind>, found: &mut Violations) {
        match agent {
            Some(AgentKind::Command) if self.argv.first().is_none_or(String::is_empty) => {
                found.add("argv", "is empty; the agent `command` needs a program to run (after `--`)");
            }
            Some(AgentKind::Claude | AgentKind::Scripted) if !self.argv.is_empty() => {
                found.add("argv", "is only for the agent `command`");
            }
            _ => {}
        }
        if self.argv.len() > MAX_ARGV || self.argv.iter().map(String::len).sum::<usize>() > MAX_ARGV_BYTES {
            found.add(
                "argv",
                format!(
                    "is too long; at most {MAX_ARGV} arguments of {MAX_ARGV_BYTES} bytes in all are accepted"
                ),
            );
        }
        if self.argv.iter().any(|arg| arg.contains('\0')) {
            found.add("argv", "holds a NUL byte");
        }
    }

    fn check_needs_repo(&self, found: &mut Violations) {
        if !self.repo.is_empty() {
            return;
        }
        for (field, given) in [
            ("base", !self.base.is_empty()),
            ("branch", !self.branch.is_empty()),
            ("setup", !self.setup.is_empty()),
            ("touches", !self.touches.is_empty()),
            ("directory", !self.directory.is_empty()),
        ] {
            if given {
                found.add(field, "needs a repository, and the task has none");
            }
        }
    }

    fn check_setup(&self, found: &mut Violations) {
        for (field, path) in [("setup", &self.setup), ("directory", &self.directory)] {
            found.single_line(field, path, 500);
            if path.starts_with('/') || path.starts_with('-') || path.split('/').any(|part| part == "..") {
                found.add(field, "must be a path inside the repository, relative to its root");
            }
        }
    }

    fn read_touches(&self, found: &mut Violations) -> Vec<PathPattern> {
        found.few("touches", self.touches.len());
        let patterns = self.touches.iter();
        patterns.filter_map(|pattern| found.parse("touches", pattern, PathPattern::parse)).collect()
    }

    /// Fields that are words: what they mean is decided elsewhere.
    fn check_words(&self, found: &mut Violations) {
        for (field, words) in [
            ("keys", &self.keys),
            ("allowed_tools", &self.allowed_tools),
            ("disallowed_tools", &self.disallowed_tools),
        ] {
            found.few(field, words.len());
            for word in words {
                found.single_line(field, word, 200);
                if word.trim().is_empty() || word.starts_with('-') {
                    found.add(field, format!("`{word}` is empty or begins with `-`"));
                }
            }
        }
        for (field, word) in [("project", &self.project), ("submitter", &self.submitter)] {
            found.single_line(field, word, 100);
        }
        found.single_line("session", &self.session, 200);
        found.single_line("issue", &self.issue, 1000);
        let is_url = self.issue.starts_with("https://") || self.issue.starts_with("http://");
        if !self.issue.is_empty() && !is_url {
            found.add("issue", "must be a URL that begins with https:// or http://");
        }
        if self.acceptance.len() > MAX_TEXT {
            found.add("acceptance", format!("is longer than {MAX_TEXT} bytes"));
        }
    }

    fn check_schema(&self, found: &mut Violations) {
        if self.output_schema.is_empty() {
            return;
        }
        if self.output_schema.len() > MAX_TEXT {
            found.add("output_schema", format!("is longer than {MAX_TEXT} bytes"));
        }
        match serde_json::from_str::<serde_json::Value>(&self.output_schema) {
            Ok(serde_json::Value::Object(_)) => {}
            Ok(_) => found.add("output_schema", "must be a JSON object"),
            Err(error) => found.add("output_schema", format!("is not JSON: {error}")),
        }
    }

    fn check_numbers(&self, found: &mut Violations) {
        if self.priority.unsigned_abs() > MAX_PRIORITY.unsigned_abs() {
            found.add("priority", format!("must lie between -{MAX_PRIORITY} and {MAX_PRIORITY}"));
        }
        if self.max_attempts.is_some_and(|n| n == 0 || n > MAX_ATTEMPTS) {
            found.add("max_attempts", format!("must lie between 1 and {MAX_ATTEMPTS}"));
        }
        for (field, span) in [
            ("timeout", self.timeout),
            ("idle_timeout", self.idle_timeout),
            ("setup_timeout", self.setup_timeout),
        ] {
            if span.is_some_and(|span| span.is_zero() || span > MAX_TIMEOUT) {
                found.add(field, "must be longer than nothing and at most 30 days");
            }
        }
        if self.budget_micro_usd == Some(0) {
            found.add("budget_usd", "must be more than nothing");
        }
        if self.budget_tokens == Some(0) {
            found.add("budget_tokens", "must be at least 1");
        }
        if self.max_turns == Some(0) {
            found.add("max_turns", "must be at least 1");
        }
    }

    fn read_labels(&self, found: &mut Violations) -> Labels {
        let mut labels = Labels::default();
        if self.labels.len() > MAX_LABELS {
            found.add("labels", format!("are more than {MAX_LABELS}"));
        }
        for (key, value) in &self.labels {
            if let Err(error) = labels.insert(key.clone(), value.clone()) {
                found.add("labels", error.to_string());
            }
        }
        labels
    }

    fn title_or_first_line(&self) -> String {
        const LENGTH: usize = 72;
        let source = if !self.title.trim().is_empty() {
            return self.title.trim().to_owned();
        } else if self.prompt.trim().is_empty() {
            self.argv.join(" ")
        } else {
            self.prompt.clone()
        };
        let line: String = source
            .trim()
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if line.chars().count() <= LENGTH {
            return line.trim_end().to_owned();
        }
        let cut: String = line.chars().take(LENGTH - 1).collect();
        format!("{}…", cut.trim_end())
    }
}

#[derive(Default)]
pub(crate) struct Violations(pub(crate) Vec<Violation>);

impl Violations {
    pub(crate) fn add(&mut self, field: &'static str, why: impl Into<String>) {
        self.0.push(Violation { field, why: why.into() });
    }

    pub(crate) fn parse<'t, T, E: ToString>(
        &mut self,
        field: &'static str,
        text: &'t str,
        read: impl FnOnce(&'t str) -> Result<T, E>,
    ) -> Option<T> {
        read(text).map_err(|error| self.add(field, error.to_string())).ok()
    }

    pub(crate) fn optional<'t, T, E: ToString>(
        &mut self,
        field: &'static str,
        text: &'t str,
        read: impl FnOnce(&'t str) -> Result<T, E>,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.parse(field, text, read) }
    }

    fn few(&mut self, field: &'static str, count: usize) {
        if count > MAX_NAMED {
            self.add(field, format!("are more than {MAX_NAMED}"));
        }
    }

    pub(crate) fn single_line(&mut self, field: &'static str, text: &str, max: usize) {
        if text.chars().any(char::is_control) {
            self.add(field, "holds a line break or another control character");
        }
        if text.len() > max {
            self.add(field, format!("is longer than {max} bytes"));
        }
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> SpecDraft {
        SpecDraft { prompt: "Fix the login".into(), ..SpecDraft::default() }
    }

    fn fields(draft: SpecDraft) -> Vec<&'static str> {
        draft.validate().err().unwrap_or_default().into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a_prompt_alone_is_enough() {
        let spec = draft().validate().expect("valid");
        assert_eq!(spec.title, "Fix the login");
        assert_eq!(spec.agent, AgentKind::Claude);
        assert_eq!(spec.max_attempts, DEFAULT_ATTEMPTS);
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let bad = SpecDraft {
            prompt: " \n".into(),
            agent: "nobody".into(),
            repo: "--upload-pack=x".into(),
            base: "--upload-pack=x".into(),
            branch: "../../x".into(),
            priority: 5000,
            max_attempts: Some(0),
            labels: vec![("a b".into(), "c".into())],
            ..SpecDraft::default()
        };
        assert_eq!(
            fields(bad),
            ["prompt", "agent", "repo", "base", "branch", "priority", "max_attempts", "labels"]
        );
    }

    #[test]
    fn prompts_out_of_bounds_are_refused() {
        assert_eq!(fields(SpecDraft { prompt: "x".repeat(3_000_000), ..draft() }), ["prompt"]);
        assert_eq!(fields(SpecDraft { prompt: "a\0b".into(), ..draft() }), ["prompt"]);
    }

    #[test]
    fn argv_belongs_to_the_command_agent() {
        assert_eq!(fields(SpecDraft { argv: vec!["true".into()], ..draft() }), ["argv"]);
        assert_eq!(fields(SpecDraft { agent: "command".into(), ..draft() }), ["argv"]);
        let command = SpecDraft {
            agent: "command".into(),
            prompt: String::new(),
            argv: vec!["echo".into(), "hi".into()],
            ..draft()
        };
        assert_eq!(command.validate().expect("valid").title, "echo hi");
    }

    #[test]
    fn a_setup_script_stays_inside_the_repository() {
        let with = |setup: &str| SpecDraft { repo: "/srv/app".into(), setup: setup.into(), ..draft() };
        assert_eq!(fields(with("scripts/setup.sh")), [""; 0]);
        assert_eq!(fields(with("../x")), ["setup"]);
        assert_eq!(fields(with("/bin/sh")), ["setup"]);
    }
}
