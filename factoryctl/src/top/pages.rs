//! What the pages show: logs and messages as they come, a task in full.

use factory_proto::client::follow::{self, Update};
use factory_proto::v1;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tonic::Status;

use crate::command::task_in_full;
use crate::connect::Connection;
use crate::exit::CommandError;
use crate::render::console::DIM;
use crate::render::transcript::Transcript;
use crate::render::{Console, Format, board, plain};
use crate::watch::Joiner;

/// Records of a log with which its page begins; what was before is for `factoryctl logs`.
const TAIL: u32 = 1_000;
/// Messages with which the board begins.
const MESSAGES: u32 = 100;

pub enum PageNews {
    /// What follows on what is there.
    Lines(Vec<String>),
    /// All of it, in place of what is there.
    Text(String),
}

/// A task's log from its last lines on, over all further attempts.
pub fn log(connection: Connection, number: u64, task: String) -> BoxStream<'static, PageNews> {
    let first = tail(connection.clone(), task.clone());
    let all = stream::once(first).flat_map(move |tail| match tail {
        Ok(tail) => log_from(&connection, number, &task, tail),
        Err(status) => stream::iter([refused(status)]).boxed(),
    });
    all.boxed()
}

async fn tail(connection: Connection, task: String) -> Result<v1::ReadLogResponse, Status> {
    let client = &connection.client;
    let request = v1::ReadLogRequest { task, tail: Some(TAIL), ..v1::ReadLogRequest::default() };
    Ok(client.logs().read(client.request(request)).await?.into_inner())
}

fn log_from(
    connection: &Connection,
    number: u64,
    task: &str,
    tail: v1::ReadLogResponse,
) -> BoxStream<'static, PageNews> {
    let from = v1::LogPosition { attempt_number: tail.attempt_number, offset: tail.next_offset };
    let request = v1::FollowLogRequest { task: task.to_owned(), from: Some(from), attempt_number: None };
    let mut reader = LogReader::default();
    let mut begun = Vec::new();
    if tail.records.first().is_some_and(|first| first.offset > 0) {
        begun.push(format!("{DIM}· what was before: factoryctl logs {number}{DIM:#}"));
    }
    begun.extend(reader.lines(tail.attempt_number, tail.records));
    let rest = follow::log(connection.config.clone(), request).map(move |update| match update {
        Ok(Update::Next(batch)) => PageNews::Lines(reader.lines(batch.attempt_number, batch.records)),
        Ok(word) => PageNews::Lines(vec![of_the_connection(&word)]),
        Err(status) => refused(status),
    });
    let over = PageNews::Lines(vec![format!("{DIM}· the log is over{DIM:#}")]);
    stream::iter([PageNews::Lines(begun)]).chain(rest).chain(stream::iter([over])).boxed()
}

#[derive(Default)]
struct LogReader {
    joiner: Joiner,
    transcript: Transcript,
    attempt: u32,
}

impl LogReader {
    fn lines(&mut self, attempt: u32, records: Vec<v1::LogRecord>) -> Vec<String> {
        let mut lines = Vec::new();
        if attempt != self.attempt && !records.is_empty() {
            lines.push(format!("{DIM}── attempt {attempt} ──{DIM:#}"));
            self.attempt = attempt;
        }
        for record in records {
            if let Some(line) = self.joiner.push(attempt, record) {
                lines.extend(self.transcript.lines(line.stream, &line.data));
            }
        }
        lines
    }
}

/// The board's last messages, and what is posted from now on.
pub fn messages(connection: Connection) -> BoxStream<'static, PageNews> {
    let first = newest(connection.clone());
    let all = stream::once(first).flat_map(move |newest| match newest {
        Ok(newest) => messages_from(&connection, newest),
        Err(status) => stream::iter([refused(status)]).boxed(),
    });
    all.boxed()
}

async fn newest(connection: Connection) -> Result<Vec<v1::Message>, Status> {
    let client = &connection.client;
    let request = v1::ListMessagesRequest { page_size: MESSAGES, ..v1::ListMessagesRequest::default() };
    let mut messages = client.board().list_messages(client.request(request)).await?.into_inner().messages;
    messages.reverse();
    Ok(messages)
}

fn messages_from(connection: &Connection, newest: Vec<v1::Message>) -> BoxStream<'static, PageNews> {
    let after = newest.last().map_or(0, |message| message.number);
    let request = v1::FollowMessagesRequest { after: Some(after), ..v1::FollowMessagesRequest::default() };
    let begun = if newest.is_empty() {
        vec![format!("{DIM}nobody has posted anything yet{DIM:#}")]
    } else {
        newest.iter().flat_map(message_lines).collect()
    };
    let rest = follow::messages(connection.config.clone(), request).map(|update| match update {
        Ok(Update::Next(message)) => PageNews::Lines(message_lines(&message)),
        Ok(word) => PageNews::Lines(vec![of_the_connection(&word)]),
        Err(status) => refused(status),
    });
    stream::iter([PageNews::Lines(begun)]).chain(rest).boxed()
}

fn message_lines(message: &v1::Message) -> Vec<String> {
    board::message(message).lines().map(str::to_owned).collect()
}

/// As `factoryctl status` shows it.
pub async fn details(connection: &Connection, task: &str) -> String {
    match task_in_full(connection, Console { format: Format::Table }, task).await {
        Ok(page) => page,
        Err(error) => plain::text(&error.to_string()),
    }
}

fn of_the_connection<T>(word: &Update<T>) -> String {
    match word {
        Update::Disconnected { cause, .. } => {
            format!("{DIM}· connection lost ({}); trying again{DIM:#}", plain::line(cause.message()))
        }
        Update::Reconnected | Update::Next(_) => format!("{DIM}· connected again{DIM:#}"),
    }
}

fn refused(status: Status) -> PageNews {
    PageNews::Lines(vec![plain::line(&CommandError::from(status).to_string())])
}
