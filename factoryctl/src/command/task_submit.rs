//! `submit`: settles what was typed into a task, checks it, and hands it in.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use factory_proto::convert::spec_from_wire;
use factory_proto::v1;

use crate::cli::{
    Deliver, Global, Leftovers, OnConflict, OnFailedDependency, PermissionMode, Submit, TaskArgs,
};
use crate::command::task_watch;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::render::json::SubmittedView;
use crate::repository::{self, Asked};
use crate::watch::Subject;

/// More than any prompt that is accepted, so that its size can be told.
const MAX_READ: u64 = 64 * 1024 * 1024;

pub async fn run(global: &Global, console: Console, args: Submit) -> Result<Exit, CommandError> {
    let task = settle(console, args.task)?;
    let connection = Connection::open(global).await?;
    let submitted = hand_in(&connection, console, task).await?;
    print_submitted(console, &submitted)?;
    if args.watch {
        return task_watch::to_the_end(connection, console, Subject::Tasks(vec![submitted.id]), false).await;
    }
    console.note(format_args!("follow it with: factoryctl watch {}", submitted.number));
    Ok(Exit::Done)
}

/// The new task's id alone, for scripts; all of it for programs.
pub fn print_submitted(console: Console, submitted: &v1::Submitted) -> Result<(), CommandError> {
    if console.for_people() {
        console.line(&submitted.id)
    } else {
        console.value(&SubmittedView::from(submitted))
    }
}

/// Sends the task, and says which number it got.
pub async fn hand_in(
    connection: &Connection,
    console: Console,
    task: v1::NewTask,
) -> Result<v1::Submitted, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::SubmitRequest { tasks: vec![task] });
    let reply = client.tasks().submit(request).await?.into_inner();
    let submitted = reply.tasks.into_iter().next().unwrap_or_default();
    let number = submitted.number;
    if submitted.existed {
        console.note(format_args!("task {number} was submitted before under this idempotency key"));
    } else {
        console.note(format_args!("task {number} submitted"));
    }
    Ok(submitted)
}

/// Makes a task of what was typed. Whatever the coordinator would refuse is
/// refused here by the same rules, before anything is sent.
pub fn settle(console: Console, args: TaskArgs) -> Result<v1::NewTask, CommandError> {
    let prompt = read_prompt(&args)?;
    let directory =
        std::env::current_dir().map_err(CommandError::local("cannot find the current directory"))?;
    let asked = Asked { repo: args.repo.as_deref(), no_repo: args.no_repo, base: args.base.as_deref() };
    let chosen = repository::choose(asked, &directory)?;
    let repo = chosen.as_ref().map(|chosen| chosen.repo.clone()).unwrap_or_default();
    let idempotency_key = args.idempotency_key.clone().unwrap_or_default();
    let after = args.together.after.clone();
    let parent = args.together.parent.clone().unwrap_or_default();
    let on_failed_dependency = args.together.on_failed_dependency.map(v1::DependencyPolicy::from);
    let on_failed_dependency = on_failed_dependency.unwrap_or_default();
    let hold = args.together.hold;
    let spec = spec_of(args, prompt, repo);
    spec_from_wire(spec.clone()).map_err(|violations| CommandError::violations(&violations))?;
    match chosen {
        Some(chosen) => {
            console.note(format_args!("repository: {}", chosen.repo));
            chosen.warnings.iter().for_each(|warning| console.warn(warning));
        }
        None => console.note("repository: none, the agent works in an empty workspace"),
    }
    Ok(v1::NewTask {
        spec: Some(spec),
        idempotency_key,
        name: String::new(),
        after,
        on_failed_dependency: on_failed_dependency.into(),
        parent,
        goes_on_from: String::new(),
        hold,
    })
}

fn spec_of(args: TaskArgs, prompt: String, repo: String) -> v1::TaskSpec {
    let together = args.together;
    v1::TaskSpec {
        title: args.title.unwrap_or_default(),
        prompt,
        agent: args.agent.unwrap_or_default(),
        argv: args.argv,
        model: args.model.unwrap_or_default(),
        repo,
        base: args.base.unwrap_or_default(),
        branch: args.branch.unwrap_or_default(),
        deliver: args.deliver.map(v1::Deliver::from).unwrap_or_default().into(),
        leftovers: args.leftovers.map(v1::Leftovers::from).unwrap_or_default().into(),
        setup: args.setup.unwrap_or_default(),
        setup_timeout_ms: args.setup_timeout.map(millis),
        trust_repo: args.trust_repo,
        labels: args.labels.into_iter().collect(),
        priority: args.priority.unwrap_or_default(),
        max_attempts: args.max_attempts,
        timeout_ms: args.timeout.map(millis),
        idle_timeout_ms: args.idle_timeout.map(millis),
        budget_micro_usd: args.budget.map(|budget| budget.0),
        budget_tokens: args.budget_tokens,
        max_turns: args.max_turns,
        role: together.role.unwrap_or_default(),
        r#type: together.task_type.unwrap_or_default(),
        acceptance: together.acceptance.unwrap_or_default(),
        directory: together.directory.unwrap_or_default(),
        touches: together.touches,
        keys: together.keys,
        issue: together.issue.unwrap_or_default(),
        project: together.project.unwrap_or_default(),
        submitter: together.submitter.unwrap_or_default(),
        allowed_tools: together.allowed_tools,
        disallowed_tools: together.disallowed_tools,
        permission_mode: together.permission_mode.map(v1::PermissionMode::from).unwrap_or_default().into(),
        output_schema: String::new(),
        on_conflict: together.on_conflict.map(v1::ConflictPolicy::from).unwrap_or_default().into(),
        keep_session: false,
        session: String::new(),
    }
}

impl From<Deliver> for v1::Deliver {
    fn from(deliver: Deliver) -> Self {
        match deliver {
            Deliver::Branch => Self::Branch,
            Deliver::None => Self::None,
        }
    }
}

impl From<Leftovers> for v1::Leftovers {
    fn from(leftovers: Leftovers) -> Self {
        match leftovers {
            Leftovers::Commit => Self::Commit,
            Leftovers::Keep => Self::Keep,
            Leftovers::Discard => Self::Discard,
        }
    }
}

impl From<OnFailedDependency> for v1::DependencyPolicy {
    fn from(policy: OnFailedDependency) -> Self {
        match policy {
            OnFailedDependency::Cancel => Self::Cancel,
            OnFailedDependency::Skip => Self::Skip,
            OnFailedDependency::Run => Self::Run,
        }
    }
}

impl From<OnConflict> for v1::ConflictPolicy {
    fn from(policy: OnConflict) -> Self {
        match policy {
            OnConflict::Fail => Self::Fail,
            OnConflict::Agent => Self::Agent,
        }
    }
}

impl From<PermissionMode> for v1::PermissionMode {
    fn from(mode: PermissionMode) -> Self {
        match mode {
            PermissionMode::Bypass => Self::Bypass,
            PermissionMode::AcceptEdits => Self::AcceptEdits,
            PermissionMode::Plan => Self::Plan,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn read_prompt(args: &TaskArgs) -> Result<String, CommandError> {
    let bytes = match &args.file {
        Some(path) if path == Path::new("-") => read(std::io::stdin().lock(), "stdin")?,
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path)
                .map_err(|error| CommandError::Usage(format!("--file: cannot read {name}: {error}")))?;
            read(file, &name)?
        }
        None if args.prompt == ["-"] => read(std::io::stdin().lock(), "stdin")?,
        None => return Ok(args.prompt.join(" ")),
    };
    String::from_utf8(bytes).map_err(|_| CommandError::Usage("PROMPT: is not UTF-8 text".to_owned()))
}

fn read(source: impl Read, name: &str) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    source
        .take(MAX_READ)
        .read_to_end(&mut bytes)
        .map_err(|error| CommandError::Usage(format!("PROMPT: cannot read {name}: {error}")))?;
    Ok(bytes)
}
