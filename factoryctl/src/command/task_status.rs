//! `status`: the tasks in a table, or one of them in full.

use factory_proto::v1;
use factory_proto::v1::TaskState;

use crate::cli::Status;
use crate::command::get_task;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::{AttemptView, TaskInFull, TaskView};
use crate::render::{Console, table, task, units};

pub async fn run(connection: &Connection, console: Console, args: Status) -> Result<Exit, CommandError> {
    match &args.task {
        Some(name) => show(connection, console, name).await,
        None => list(connection, console, args).await,
    }
}

async fn show(connection: &Connection, console: Console, name: &str) -> Result<Exit, CommandError> {
    let (entry, attempts) = get_task(&connection.client, name).await?;
    if !console.for_people() {
        let attempt_list = attempts.iter().map(AttemptView::from).collect();
        console.value(&TaskInFull { task: TaskView::from(&entry), attempt_list })?;
        return Ok(Exit::Done);
    }
    let now = units::now_ms();
    console.line(task::page(&entry, &attempts, now).trim_end())?;
    if !attempts.is_empty() {
        console.line(format_args!("\n{}", table::attempts(console, &attempts, now).trim_fmt()))?;
    }
    Ok(Exit::Done)
}

async fn list(connection: &Connection, console: Console, args: Status) -> Result<Exit, CommandError> {
    let filtered = !(args.states.is_empty()
        && args.labels.is_empty()
        && args.repo.is_none()
        && args.page_token.is_none());
    let states = args.states.iter().filter_map(|name| TaskState::from_name(name));
    let request = v1::ListRequest {
        states: states.map(i32::from).collect(),
        repo: args.repo.unwrap_or_default(),
        labels: args.labels.into_iter().collect(),
        page_size: args.limit.unwrap_or(0),
        page_token: args.page_token.unwrap_or_default(),
        ..v1::ListRequest::default()
    };
    let client = &connection.client;
    let reply = client.tasks().list(client.request(request)).await?.into_inner();
    if !console.for_people() {
        console.values(&reply.tasks.iter().map(TaskView::from).collect::<Vec<_>>())?;
    } else if reply.tasks.is_empty() {
        console.note(if filtered {
            "no task is like that; without a filter `factoryctl status` lists all"
        } else {
            "no tasks; submit one with: factoryctl submit \"…\""
        });
    } else {
        console.line(table::tasks(console, &reply.tasks, units::now_ms()).trim_fmt())?;
    }
    if !reply.next_page_token.is_empty() {
        console.note(format_args!("more with: --page-token {}", reply.next_page_token));
    }
    Ok(Exit::Done)
}
