//! Submits a task, follows it live to its end, and cancels it on ctrl-c.
//!
//! ```sh
//! cargo run -p factory-proto --example submit_and_follow -- "Say hello" [REPO]
//! ```
//!
//! `FACTORY_URL` and `FACTORY_AUTH_TOKEN` say where the coordinator is. It may be
//! restarted meanwhile: the streams go on where they broke off.

use std::process::ExitCode;

use anyhow::{Context, Result};
use factory_proto::client::follow::{self, Following, Update};
use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1::{
    CancelRequest, Event, FollowLogRequest, FollowLogResponse, GetRequest, NewTask, SubmitRequest, Task,
    TaskSpec, TaskState, WatchRequest,
};
use futures_util::StreamExt;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let prompt = arguments.next().context("usage: submit_and_follow PROMPT [REPO]")?;
    let spec = TaskSpec { prompt, repo: arguments.next().unwrap_or_default(), ..TaskSpec::default() };

    let config = ClientConfig::from_env()?;
    let client = Client::connect(config.clone()).await?;
    let id = submit(&client, spec).await?;
    println!("submitted {id}");

    let watch = WatchRequest { tasks: vec![id.clone()], after: 0, follow: true, until_ended: true };
    let events = follow::events(config.clone(), watch);
    let log = follow::log(config, FollowLogRequest { task: id.clone(), ..Default::default() });
    show(&client, &id, events, log).await?;

    let request = client.request(GetRequest { task: id });
    let task = client.tasks().get(request).await?.into_inner().task.context("the reply holds no task")?;
    Ok(conclude(&task))
}

async fn submit(client: &Client, spec: TaskSpec) -> Result<String> {
    let task = NewTask { spec: Some(spec), ..NewTask::default() };
    let request = client.request(SubmitRequest { tasks: vec![task] });
    let submitted = client.tasks().submit(request).await?.into_inner().tasks;
    Ok(submitted.into_iter().next().context("the reply holds no task")?.id)
}

/// Prints both streams as they come, until both have ended.
async fn show(
    client: &Client,
    id: &str,
    mut events: Following<Event>,
    mut log: Following<FollowLogResponse>,
) -> Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let (mut more_events, mut more_log) = (true, true);
    while more_events || more_log {
        tokio::select! {
            event = events.next(), if more_events => match event.transpose()? {
                Some(Update::Next(event)) => println!("-- {} {}", event.kind, event.detail),
                Some(Update::Disconnected { cause, retry_in }) => {
                    eprintln!("-- {}; connecting again in {retry_in:.1?}", cause.message());
                }
                Some(Update::Reconnected) => eprintln!("-- connected again"),
                None => more_events = false,
            },
            // Its connection is the same coordinator's: the events have told of it.
            page = log.next(), if more_log => match page.transpose()? {
                Some(Update::Next(page)) => print_lines(&page),
                Some(Update::Disconnected { .. } | Update::Reconnected) => {}
                None => more_log = false,
            },
            _ = interrupts.recv() => cancel(client, id).await,
        }
    }
    Ok(())
}

/// Wishes for the task's end. That it has come is told by its events.
async fn cancel(client: &Client, id: &str) {
    let request = client.request(CancelRequest { task: id.to_owned(), with_children: false });
    match client.tasks().cancel(request).await {
        Ok(_) => eprintln!("-- cancelling"),
        Err(status) => eprintln!("-- not cancelled: {}", status.message()),
    }
}

fn print_lines(page: &FollowLogResponse) {
    for record in &page.records {
        let text = String::from_utf8_lossy(&record.data);
        print!("{text}{}", if record.continues { "" } else { "\n" });
    }
}

fn conclude(task: &Task) -> ExitCode {
    let report = task.report.clone().unwrap_or_default();
    if let Some(failure) = task.failure.as_ref().or(report.failure.as_ref()) {
        println!("{}: {}", failure.reason, failure.message);
    }
    println!("{}", report.result_text);
    for commit in &report.commits {
        println!("{} {}", commit.id, commit.subject);
    }
    if task.state() == TaskState::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
