//! `result`: the agent's closing words, the files it left, its commits as a bundle.
//!
//! The words end as the task did. Files and bundles, as the patch of `diff`, are fetched: that they
//! are there is all their exit code says, whatever became of the task.

use std::path::Path;

use factory_proto::v1;
use factory_proto::v1::ArtifactKind;
use serde::Serialize;

use crate::artifact;
use crate::cli::ResultArgs;
use crate::command::get_task;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::{ArtifactView, ReportView};
use crate::render::{Console, plain, units};

pub async fn run(connection: &Connection, console: Console, args: ResultArgs) -> Result<Exit, CommandError> {
    let (task, attempts) = get_task(&connection.client, &args.task).await?;
    if let Some(path) = &args.bundle {
        bundle(connection, console, &task, &attempts, path).await?;
    } else if args.files {
        files(connection, console, &task, &attempts, args.output.as_deref()).await?;
    } else {
        words(console, &task)?;
        return Ok(ended(task.state()));
    }
    Ok(Exit::Done)
}

/// How a task's end is told in an exit code.
fn ended(state: v1::TaskState) -> Exit {
    match state {
        v1::TaskState::Failed | v1::TaskState::Cancelled => Exit::Failed,
        _ => Exit::Done,
    }
}

#[derive(Serialize)]
struct Words<'a> {
    task: u64,
    state: &'static str,
    report: ReportView<'a>,
}

fn words(console: Console, task: &v1::Task) -> Result<(), CommandError> {
    let state = task.state().name();
    let Some(report) = &task.report else {
        return without_report(console, task);
    };
    if !console.for_people() {
        return console.value(&Words { task: task.number, state, report: ReportView::from(report) });
    }
    if let Some(failure) = &report.failure {
        console.note(format_args!("{}: {}", plain::line(&failure.reason), plain::text(&failure.message)));
    }
    if report.result_text.is_empty() {
        console.note(format_args!("task {} is {state}; its agent left no closing words", task.number));
        return Ok(());
    }
    console.foreign_text(&report.result_text)
}

/// A task that was lost with its worker has a reason all the same, and one that never ran an end.
fn without_report(console: Console, task: &v1::Task) -> Result<(), CommandError> {
    let (number, state) = (task.number, task.state());
    if !state.is_terminal() {
        let state = state.name();
        return Err(CommandError::NotFound(format!("task {number} is {state} and has no result yet")));
    }
    console.note(format_args!("task {number} is {}, and its worker reported nothing", state.name()));
    if let Some(failure) = &task.failure {
        console.note(format_args!("{}: {}", plain::line(&failure.reason), plain::text(&failure.message)));
    }
    Ok(())
}

async fn files(
    connection: &Connection,
    console: Console,
    task: &v1::Task,
    attempts: &[v1::Attempt],
    output: Option<&Path>,
) -> Result<(), CommandError> {
    let Some(attempt) = artifact::latest_with(attempts, ArtifactKind::File) else {
        if let Some(removed) = artifact::removed(attempts, ArtifactKind::File) {
            return Err(removed);
        }
        let state = task.state().name();
        console.note(format_args!("task {} is {state} and left no files", task.number));
        return if console.for_people() { Ok(()) } else { console.values::<ArtifactView<'_>>(&[]) };
    };
    let files: Vec<_> = attempt.artifacts.iter().filter(|found| found.kind() == ArtifactKind::File).collect();
    if let Some(directory) = output {
        for file in &files {
            let path = artifact::place(directory, &file.name)?;
            artifact::save(&connection.client, request(task, attempt, ArtifactKind::File, &file.name), &path)
                .await?;
        }
        let count = units::count(files.len() as u64, "file");
        console.note(format_args!("{count} written under {}", directory.display()));
    }
    if !console.for_people() {
        return console.values(&files.into_iter().map(ArtifactView::from).collect::<Vec<_>>());
    }
    files.iter().try_for_each(|file| {
        console.line(format_args!("{:>10}  {}", units::bytes(file.bytes), plain::line(&file.name)))
    })
}

async fn bundle(
    connection: &Connection,
    console: Console,
    task: &v1::Task,
    attempts: &[v1::Attempt],
    path: &Path,
) -> Result<(), CommandError> {
    let Some(attempt) = artifact::latest_with(attempts, ArtifactKind::Bundle) else {
        if let Some(removed) = artifact::removed(attempts, ArtifactKind::Bundle) {
            return Err(removed);
        }
        let number = task.number;
        return Err(CommandError::NotFound(format!(
            "task {number} has no bundle: one is kept where there are commits that were not pushed"
        )));
    };
    let request = request(task, attempt, ArtifactKind::Bundle, "");
    if path == Path::new("-") {
        return artifact::read(&connection.client, request, |piece| console.bytes(piece)).await;
    }
    artifact::save(&connection.client, request, path).await?;
    let branch = task.report.as_ref().map(|report| plain::line(&report.branch)).unwrap_or_default();
    console.note(format_args!("written; bring it in with: git fetch {} {branch}", path.display()));
    Ok(())
}

fn request(
    task: &v1::Task,
    attempt: &v1::Attempt,
    kind: ArtifactKind,
    name: &str,
) -> v1::ReadArtifactRequest {
    v1::ReadArtifactRequest {
        task: task.id.clone(),
        attempt_number: attempt.number,
        kind: kind.into(),
        name: name.to_owned(),
    }
}
