//! A task as it is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use factory_domain::{
    ConflictPolicy, Deliver, DependencyPolicy, Leftovers, PermissionMode, SpecDraft, TaskSpec, Violation,
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::{Error, FieldViolation, Wanted};

/// What a task asks for. What is left out, or `null`, is as the role says, and otherwise as said here.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// One line; made from the description when left out.
    #[schema(max_length = 200)]
    title: Option<String>,
    /// What the agent is asked to do, in full; it is given the title before it. Needed where there is no title.
    description: Option<String>,
    /// Absolute path on the worker's host, URL, or `owner/name`. Left out: the agent gets an empty workspace.
    repo: Option<String>,
    /// The role: `coder`, `reviewer`, or another of the coordinator's.
    agent_type: Option<String>,
    /// `claude` when left out, `command`, `scripted`.
    agent: Option<String>,
    /// Program and arguments for the agent `command`; never read by a shell.
    argv: Option<Vec<String>>,
    /// Chooses the template that the description is put into.
    #[serde(rename = "type")]
    task_type: Option<String>,
    /// Branch, tag or commit to start from; left out: the remote's default branch.
    base: Option<String>,
    /// Left out: `factory/<short id>-<title>`.
    branch: Option<String>,
    model: Option<String>,
    /// Higher first; 0 when left out.
    #[schema(minimum = -1000, maximum = 1000)]
    priority: Option<i32>,
    /// Labels that the worker must have.
    labels: Option<BTreeMap<String, String>>,
    /// Tasks that must have ended before it starts: ids, prefixes or numbers. It starts from their branches.
    after: Option<Vec<Name>>,
    /// `cancel` when left out.
    #[schema(value_type = Option<OnFailedDependency>)]
    on_failed_dependency: Option<DependencyPolicy>,
    /// Paths and globs in the repository that no other task may hold meanwhile.
    touches: Option<Vec<String>>,
    /// Of tasks that name the same key, only so many run at a time: the key's limit, or 1.
    keys: Option<Vec<String>>,
    /// What must hold for the task to be done.
    acceptance: Option<String>,
    /// From the agent's start to its end.
    #[schema(minimum = 1, maximum = 2_592_000)]
    timeout_seconds: Option<u64>,
    /// Without a line from the agent.
    #[schema(minimum = 1, maximum = 2_592_000)]
    idle_timeout_seconds: Option<u64>,
    /// Tries in all; 3 when left out.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<u32>,
    /// US dollars for one attempt.
    #[schema(exclusive_minimum = 0, maximum = 1_000_000)]
    budget_usd: Option<f64>,
    /// Tokens for one attempt: input, output and what is written to the cache.
    #[schema(minimum = 1)]
    budget_tokens: Option<u64>,
    #[schema(minimum = 1)]
    max_turns: Option<u32>,
    /// The task that it is submitted for.
    parent: Option<Name>,
    /// It goes on from the work of this task, which has ended or is waited for.
    goes_on_from: Option<Name>,
    /// URL.
    issue: Option<String>,
    /// Groups memories beside the repository.
    project: Option<String>,
    /// Whose task it is: those of one submitter do not keep others' waiting.
    submitter: Option<String>,
    /// Where in the repository the agent works, relative to its root.
    directory: Option<String>,
    /// Executable in the repository, run before the agent; relative to its root.
    setup: Option<String>,
    /// 600 when left out.
    #[schema(minimum = 1, maximum = 2_592_000)]
    setup_timeout_seconds: Option<u64>,
    /// Let the repository's own agent settings take effect.
    trust_repo: Option<bool>,
    /// Left out: all tools.
    allowed_tools: Option<Vec<String>>,
    disallowed_tools: Option<Vec<String>>,
    /// `bypass` when left out.
    #[schema(value_type = Option<Permissions>)]
    permission_mode: Option<PermissionMode>,
    /// A JSON Schema that the agent's answer must fit.
    #[schema(value_type = Option<Object>)]
    output_schema: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether the branch is pushed to the origin, or its commits are only kept as a bundle; `branch` when left out.
    #[schema(value_type = Option<Delivered>)]
    deliver: Option<Deliver>,
    /// What becomes of changes that the agent did not commit; `commit` when left out.
    #[schema(value_type = Option<LeftOver>)]
    leftovers: Option<Leftovers>,
    /// What becomes of it when the branches that it starts from do not merge; `fail` when left out.
    #[schema(value_type = Option<OnConflict>)]
    on_conflict: Option<ConflictPolicy>,
    /// The conversation is kept after a success, so that another task can go on with it.
    keep_session: Option<bool>,
}

/// A task's id, a prefix of it, or its number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Name {
    Number(u64),
    Text(String),
}

/// The domain's enums, as the document shows them.
macro_rules! documented {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ })+) => {
        $(
            $(#[$doc])*
            #[derive(ToSchema)]
            #[schema(rename_all = "snake_case")]
            #[expect(dead_code, reason = "for the document alone")]
            pub enum $name { $($(#[$variant_doc])* $variant),+ }
        )+
    };
}

documented! {
    /// What becomes of a task when one that it waits for does not succeed: it is cancelled, left out, or runs all the
    /// same.
    OnFailedDependency { Cancel, Skip, Run }
    Permissions { Bypass, AcceptEdits, Plan }
    Delivered { Branch, None }
    LeftOver { Commit, Keep, Discard }
    OnConflict { Fail, Agent }
}

impl NewTask {
    /// Every bad field at once.
    pub fn read(self, idempotency_key: String, hold: bool) -> Result<Wanted, Error> {
        let after = self.after.iter().flatten().map(Name::text).collect();
        let on_failed_dependency = self.on_failed_dependency.unwrap_or_default();
        let parent = self.parent.as_ref().map(Name::text).unwrap_or_default();
        let goes_on_from = self.goes_on_from.as_ref().map(Name::text).unwrap_or_default();
        Ok(Wanted {
            spec: self.spec()?,
            idempotency_key,
            name: String::new(),
            after,
            on_failed_dependency,
            parent,
            goes_on_from,
            hold,
        })
    }

    fn spec(self) -> Result<TaskSpec, Error> {
        let budget_micro_usd = self.budget_usd.map(micro_usd).transpose()?;
        let (agent, title) = (self.agent.unwrap_or_default(), self.title.unwrap_or_default());
        let draft = SpecDraft {
            prompt: prompt(&agent, &title, &self.description.unwrap_or_default()),
            title,
            agent,
            argv: self.argv.unwrap_or_default(),
            model: self.model.unwrap_or_default(),
            repo: self.repo.unwrap_or_default(),
            base: self.base.unwrap_or_default(),
            branch: self.branch.unwrap_or_default(),
            deliver: self.deliver.unwrap_or_default(),
            leftovers: self.leftovers.unwrap_or_default(),
            setup: self.setup.unwrap_or_default(),
            setup_timeout: self.setup_timeout_seconds.map(Duration::from_secs),
            trust_repo: self.trust_repo.unwrap_or_default(),
            labels: self.labels.unwrap_or_default().into_iter().collect(),
            priority: self.priority.unwrap_or_default(),
            max_attempts: self.max_attempts,
            timeout: self.timeout_seconds.map(Duration::from_secs),
            idle_timeout: self.idle_timeout_seconds.map(Duration::from_secs),
            budget_micro_usd,
            budget_tokens: self.budget_tokens,
            max_turns: self.max_turns,
            role: self.agent_type.unwrap_or_default(),
            task_type: self.task_type.unwrap_or_default(),
            acceptance: self.acceptance.unwrap_or_default(),
            directory: self.directory.unwrap_or_default(),
            touches: self.touches.unwrap_or_default(),
            keys: self.keys.unwrap_or_default(),
            issue: self.issue.unwrap_or_default(),
            project: self.project.unwrap_or_default(),
            submitter: self.submitter.unwrap_or_default(),
            allowed_tools: self.allowed_tools.unwrap_or_default(),
            disallowed_tools: self.disallowed_tools.unwrap_or_default(),
            permission_mode: self.permission_mode,
            output_schema: self
                .output_schema
                .map(|schema| serde_json::Value::Object(schema).to_string())
                .unwrap_or_default(),
            on_conflict: self.on_conflict.unwrap_or_default(),
            keep_session: self.keep_session.unwrap_or_default(),
            session: String::new(),
        };
        draft.validate().map_err(|violations| {
            Error::Invalid(
                violations.into_iter().map(|Violation { field, why }| violation(field, why)).collect(),
            )
        })
    }
}

impl Name {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The title is the task in short, and often says what the description does not. A script is followed to the letter,
/// and a program is given what is meant for it.
fn prompt(agent: &str, title: &str, description: &str) -> String {
    let title = title.trim();
    match agent {
        "command" => description.to_owned(),
        _ if description.trim().is_empty() => title.to_owned(),
        "" | "claude" if !title.is_empty() && !description.trim_start().starts_with(title) => {
            format!("{title}\n\n{description}")
        }
        _ => description.to_owned(),
    }
}

fn micro_usd(usd: f64) -> Result<u64, Error> {
    const MOST: f64 = 1e6;
    if usd > 0.0 && usd <= MOST {
        // At least one, so that no sum is no limit.
        return Ok(((usd * 1e6).round() as u64).max(1));
    }
    Err(Error::invalid("budget_usd", format!("is {usd}; it must be more than 0 and at most {MOST}")))
}

/// Fields by the names under which they were sent.
pub fn named_as_sent(error: Error) -> Error {
    match error {
        Error::Invalid(violations) => {
            let named = violations.into_iter().map(|FieldViolation { field, why }| {
                violation(field.strip_prefix("tasks[0].").unwrap_or(&field), why)
            });
            Error::Invalid(named.collect())
        }
        error => error,
    }
}

fn violation(field: &str, why: String) -> FieldViolation {
    let name = match field {
        "prompt" => "description",
        "role" => "agent_type",
        "timeout" => "timeout_seconds",
        "idle_timeout" => "idle_timeout_seconds",
        "setup_timeout" => "setup_timeout_seconds",
        "idempotency_key" => "Idempotency-Key",
        other => other,
    };
    FieldViolation::new(name, why)
}
