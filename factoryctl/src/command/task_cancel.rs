//! `cancel`: asks for the end of tasks, with or without their children, and waits for it where told to.

use std::io::IsTerminal;

use factory_proto::client::follow::{self, Update};
use factory_proto::v1;
use factory_proto::v1::TaskState;
use futures_util::StreamExt;

use crate::cli::Cancel;
use crate::command::get_task;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::json::TaskView;
use crate::render::task::state_style;
use crate::render::{Console, units};

pub async fn run(connection: &Connection, console: Console, args: Cancel) -> Result<Exit, CommandError> {
    let mut asked = Vec::new();
    let mut refused = None;
    for name in &args.tasks {
        // One that cannot be cancelled must not save the others.
        match cancel(connection, console, name, &args).await {
            Ok(task) => asked.push(task),
            Err(error) => {
                console.note(format_args!("task {name}: {error}"));
                refused.get_or_insert(error.exit());
            }
        }
    }
    if args.wait && !asked.is_empty() {
        asked = wait(connection, asked).await?;
    }
    if console.for_people() {
        for task in &asked {
            let style = state_style(task.state());
            console.line(format_args!("{} {style}{}{style:#}", task.number, task.state().name()))?;
        }
        if asked.iter().any(|task| task.state() == TaskState::Cancelling) {
            console.note("an agent is being ended; --wait returns when it is");
        }
    } else {
        console.values(&asked.iter().map(TaskView::from).collect::<Vec<_>>())?;
    }
    Ok(refused.unwrap_or(Exit::Done))
}

/// Asks for the end of one, and settles what is to become of its children.
async fn cancel(
    connection: &Connection,
    console: Console,
    name: &str,
    args: &Cancel,
) -> Result<v1::Task, CommandError> {
    let mut reply = ask(connection, name, args.children).await?;
    if reply.children_live > 0 && !args.no_children {
        let live = units::count(reply.children_live.into(), "task");
        if !console.for_people() || !asks_people() {
            let more = format_args!("--children ends them, too: factoryctl cancel {name} --children");
            console.note(format_args!("{live} submitted for task {name} go on; {more}"));
        } else if agreed(console, &format!("{live} submitted for task {name} go on. End them, too?"))? {
            reply = ask(connection, name, true).await?;
        }
    }
    if reply.children_cancelled > 0 {
        let ended = units::count(reply.children_cancelled.into(), "task");
        console.note(format_args!("{ended} submitted for task {name} asked to end as well"));
    }
    Ok(reply.task.unwrap_or_default())
}

async fn ask(
    connection: &Connection,
    task: &str,
    with_children: bool,
) -> Result<v1::CancelResponse, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::CancelRequest { task: task.to_owned(), with_children });
    Ok(client.tasks().cancel(request).await?.into_inner())
}

/// Somebody sits there who can answer.
fn asks_people() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn agreed(console: Console, question: &str) -> Result<bool, CommandError> {
    console.note(format_args!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(CommandError::local("cannot read the answer"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Waits for the end of each, and reads them again.
async fn wait(connection: &Connection, tasks: Vec<v1::Task>) -> Result<Vec<v1::Task>, CommandError> {
    let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
    let request = v1::WatchRequest {
        tasks: tasks.iter().map(|task| task.id.clone()).collect(),
        after: 0,
        follow: true,
        until_ended: true,
    };
    let mut events = follow::events(connection.config.clone(), request);
    let ended = async {
        while let Some(update) = events.next().await {
            if let Update::Disconnected { cause, .. } = update? {
                return Err(CommandError::from(cause));
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = ended => ended?,
        () = interrupts.next() => return Err(CommandError::Interrupted),
    }
    let mut after = Vec::with_capacity(tasks.len());
    for task in tasks {
        after.push(get_task(&connection.client, &task.id).await?.0);
    }
    Ok(after)
}
