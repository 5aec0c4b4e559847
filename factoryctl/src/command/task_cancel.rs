//! `cancel`: asks for the end of tasks, and waits for it where told to.

use factory_proto::client::follow::{self, Update};
use factory_proto::v1;
use factory_proto::v1::TaskState;
use futures_util::StreamExt;

use crate::cli::Cancel;
use crate::command::get_task;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::Console;
use crate::render::json::TaskView;
use crate::render::task::state_style;

pub async fn run(connection: &Connection, console: Console, args: Cancel) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let mut asked = Vec::new();
    let mut refused = None;
    for name in args.tasks {
        // One that cannot be cancelled must not save the others.
        match client
            .tasks()
            .cancel(client.request(v1::CancelRequest { task: name.clone(), with_children: false }))
            .await
        {
            Ok(reply) => asked.push(reply.into_inner().task.unwrap_or_default()),
            Err(status) => {
                let error = CommandError::from(status);
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
