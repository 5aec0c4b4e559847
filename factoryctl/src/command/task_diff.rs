//! `diff`: the change an agent made, as a patch.

use std::io::IsTerminal;

use factory_proto::v1;
use serde::Serialize;

use crate::artifact;
use crate::cli::Diff;
use crate::command::get_task;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::render::diff::Painter;
use crate::render::json::{CommitView, DiffStatView};

#[derive(Serialize)]
struct Change<'a> {
    task: u64,
    base_commit: &'a str,
    branch: &'a str,
    commits: Vec<CommitView<'a>>,
    diff_stat: DiffStatView,
}

pub async fn run(connection: &Connection, console: Console, args: Diff) -> Result<Exit, CommandError> {
    let (task, attempts) = get_task(&connection.client, &args.task).await?;
    if !console.for_people() {
        let report = task.report.clone().unwrap_or_default();
        console.value(&Change {
            task: task.number,
            base_commit: &report.base_commit,
            branch: &report.branch,
            commits: report.commits.iter().map(CommitView::from).collect(),
            diff_stat: report.diff_stat.as_ref().map(DiffStatView::from).unwrap_or_default(),
        })?;
        return Ok(Exit::Done);
    }
    let Some(attempt) = artifact::latest_with(&attempts, v1::ArtifactKind::Patch) else {
        if let Some(removed) = artifact::removed(&attempts, v1::ArtifactKind::Patch) {
            return Err(removed);
        }
        if task.state().is_terminal() {
            console.note(format_args!("task {} changed nothing", task.number));
            return Ok(Exit::Done);
        }
        let (number, state) = (task.number, task.state().name());
        return Err(CommandError::NotFound(format!(
            "task {number} is {state}; its patch comes with its end"
        )));
    };
    let patch = v1::ReadArtifactRequest {
        task: task.id.clone(),
        attempt_number: attempt.number,
        kind: v1::ArtifactKind::Patch.into(),
        name: String::new(),
    };
    if std::io::stdout().is_terminal() || console.colored() {
        let mut bytes = Vec::new();
        artifact::read(&connection.client, patch, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        let mut painter = Painter::default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            console.line(painter.line(line))?;
        }
    } else {
        // For `git apply`: every byte as it is.
        artifact::read(&connection.client, patch, |piece| console.bytes(piece)).await?;
    }
    Ok(Exit::Done)
}
