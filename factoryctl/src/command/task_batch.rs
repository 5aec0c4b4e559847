//! `batch`: reads a file of many tasks, checks it as a whole, and hands it in with one call.

use factory_proto::v1;
use tonic::Status;
use tonic_types::StatusExt;

use crate::batch::{self, Batch, Entry, Planned, Settings, Span};
use crate::cli;
use crate::cli::Global;
use crate::command::task_watch;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::render::batch as tables;
use crate::render::json::{BatchTaskView, PlannedView, SubmittedView};
use crate::watch::Subject;

pub async fn run(global: &Global, console: Console, args: cli::Batch) -> Result<Exit, CommandError> {
    let batch = plan(console, &args)?;
    if args.dry_run {
        print_plan(console, &batch)?;
        return Ok(Exit::Done);
    }
    let connection = Connection::open(global).await?;
    let submitted = hand_in(&connection, &batch).await?;
    print_submitted(console, &batch, &submitted)?;
    let known = submitted.iter().filter(|task| task.existed).count();
    if known > 0 {
        console.note(format_args!("{known} of them were submitted before under this idempotency key"));
    }
    if args.watch {
        let ids = submitted.into_iter().map(|task| task.id).collect();
        return task_watch::to_the_end(connection, console, Subject::Tasks(ids), false).await;
    }
    if let (Some(first), Some(last)) = (submitted.first(), submitted.last()) {
        console.note(format_args!(
            "{} tasks submitted, {} to {}; `factoryctl status` lists them",
            submitted.len(),
            first.number,
            last.number
        ));
    }
    Ok(Exit::Done)
}

fn plan(console: Console, args: &cli::Batch) -> Result<Batch, CommandError> {
    let document = batch::read(&args.file)?;
    let directory =
        std::env::current_dir().map_err(CommandError::local("cannot find the current directory"))?;
    let options = Entry {
        agent: args.agent.clone(),
        project: args.project.clone(),
        timeout: args.timeout.map(Span),
        repo: args.repo.clone(),
        no_repo: args.no_repo.then_some(true),
        submitter: args.submitter.clone(),
        ..Entry::default()
    };
    let idempotency_key = args.idempotency_key.as_deref();
    let settings = Settings { options, directory: &directory, idempotency_key };
    let batch = batch::plan(document, settings).map_err(|faults| CommandError::Usage(faults.join("\n")))?;
    batch.warnings.iter().for_each(|warning| console.warn(warning));
    Ok(batch)
}

async fn hand_in(connection: &Connection, batch: &Batch) -> Result<Vec<v1::Submitted>, CommandError> {
    let client = &connection.client;
    let tasks = batch.tasks.iter().map(|planned| planned.task.clone()).collect();
    let request = client.request(v1::SubmitRequest { tasks });
    match client.tasks().submit(request).await {
        Ok(reply) => Ok(reply.into_inner().tasks),
        Err(status) => Err(refusal(status, &batch.tasks)),
    }
}

/// What the coordinator finds wrong, under the names that the file has.
fn refusal(status: Status, tasks: &[Planned]) -> CommandError {
    let Some(details) = status.get_details_bad_request().filter(|found| !found.field_violations.is_empty())
    else {
        return status.into();
    };
    let lines = details.field_violations.iter().map(|found| {
        let field = &found.field;
        let at = field.strip_prefix("tasks[").and_then(|rest| rest.split_once(']'));
        let task = at.and_then(|(at, rest)| Some((tasks.get(at.parse::<usize>().ok()?)?, rest)));
        match task {
            Some((task, rest)) => format!("{}{rest}: {}", task.name, found.description),
            None => format!("{field}: {}", found.description),
        }
    });
    CommandError::Usage(lines.collect::<Vec<_>>().join("\n"))
}

fn print_plan(console: Console, batch: &Batch) -> Result<(), CommandError> {
    if console.for_people() {
        console.line(tables::plan(console, &batch.tasks))?;
        let waves = batch.tasks.iter().map(|task| task.wave).max().unwrap_or_default();
        console.note(format_args!("{} tasks in {waves} waves; nothing was submitted", batch.tasks.len()));
        return Ok(());
    }
    let specs: Vec<_> = batch.tasks.iter().map(|task| task.task.spec.clone().unwrap_or_default()).collect();
    let views = batch.tasks.iter().zip(&specs).map(|(task, spec)| PlannedView::new(task, spec));
    console.values(&views.collect::<Vec<_>>())
}

fn print_submitted(console: Console, batch: &Batch, submitted: &[v1::Submitted]) -> Result<(), CommandError> {
    if console.for_people() {
        return console.line(tables::submitted(console, &batch.tasks, submitted));
    }
    let tasks = batch.tasks.iter().zip(submitted);
    let views = tasks.map(|(task, submitted)| BatchTaskView {
        name: &task.name,
        submitted: SubmittedView::from(submitted),
    });
    console.values(&views.collect::<Vec<_>>())
}
