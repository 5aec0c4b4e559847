//! `logs`: what one attempt printed, or goes on printing.

use factory_proto::client::follow::{self, Update};
use factory_proto::v1;
use futures_util::StreamExt;

use crate::cli::Logs;
use crate::command::get_task;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::Console;
use crate::render::transcript::Transcript;
use crate::watch::{Joiner, LogPlace, View};

pub async fn run(connection: &Connection, console: Console, args: Logs) -> Result<Exit, CommandError> {
    let (task, _) = get_task(&connection.client, &args.task).await?;
    let mut log = Log {
        task: &task,
        view: View::new(console, args.raw, false),
        joiner: Joiner::default(),
        transcript: Transcript::default(),
        next: LogPlace { attempt: args.attempt.unwrap_or(0), offset: 0 },
    };
    let found = log.read(connection, &args).await?;
    if args.follow {
        let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
        tokio::select! {
            followed = log.follow(connection, args.attempt) => followed?,
            () = interrupts.next() => return Err(CommandError::Interrupted),
        }
    } else if !found {
        let state = task.state().name();
        let why = if task.attempts == 0 { "it has not been started" } else { "nothing of it has arrived" };
        return Err(CommandError::NotFound(format!(
            "task {} has no log yet: {why} (it is {state})",
            task.number
        )));
    }
    Ok(Exit::Done)
}

struct Log<'a> {
    task: &'a v1::Task,
    view: View,
    joiner: Joiner,
    transcript: Transcript,
    next: LogPlace,
}

impl Log<'_> {
    /// Prints what is there now. False: there is no log.
    async fn read(&mut self, connection: &Connection, args: &Logs) -> Result<bool, CommandError> {
        let mut tail = args.tail;
        let mut attempt = args.attempt;
        loop {
            let request = v1::ReadLogRequest {
                task: self.task.id.clone(),
                attempt_number: attempt,
                offset: self.next.offset,
                tail: tail.take(),
                limit: 0,
            };
            let client = &connection.client;
            let page = match client.logs().read(client.request(request)).await {
                Ok(reply) => reply.into_inner(),
                Err(status) => return Err(status.into()),
            };
            attempt = Some(page.attempt_number);
            self.next = LogPlace { attempt: page.attempt_number, offset: page.next_offset };
            let empty = page.records.is_empty();
            self.show(page.attempt_number, page.records)?;
            if page.at_end || page.complete || empty {
                return Ok(page.attempt_number != 0);
            }
        }
    }

    async fn follow(&mut self, connection: &Connection, attempt: Option<u32>) -> Result<(), CommandError> {
        let request = v1::FollowLogRequest {
            task: self.task.id.clone(),
            from: Some(v1::LogPosition { attempt_number: self.next.attempt, offset: self.next.offset }),
            attempt_number: attempt,
        };
        let mut updates = follow::log(connection.config.clone(), request);
        while let Some(update) = updates.next().await {
            match update? {
                Update::Next(batch) => self.show(batch.attempt_number, batch.records)?,
                Update::Disconnected { cause, .. } => {
                    self.view.note(&format!("connection lost ({}); trying again", cause.message()));
                }
                Update::Reconnected => self.view.note("connected again"),
            }
        }
        Ok(())
    }

    fn show(&mut self, attempt: u32, records: Vec<v1::LogRecord>) -> Result<(), CommandError> {
        for record in records {
            if let Some(line) = self.joiner.push(attempt, record) {
                self.view.log_line(self.task.number, &mut self.transcript, &line, None)?;
            }
        }
        Ok(())
    }
}
