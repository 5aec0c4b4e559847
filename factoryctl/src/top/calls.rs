//! The calls behind the screen: what is read, and what keys do.

use factory_proto::v1;
use factory_proto::v1::TaskState;
use futures_util::{StreamExt, stream};
use tonic::{Code, Status};

use super::feed::{Heard, Loaded, Polled, Reread};
use super::wish::Call;
use crate::command::{open_questions, user};
use crate::connect::Connection;
use crate::exit::CommandError;
use crate::render::{plain, units};

/// Newest tasks read at once.
const NEWEST: u32 = 500;
/// Pages of live tasks read at most, each of as many as a page can have.
const LIVE_PAGES: usize = 2;
/// Tasks read one by one at the same time.
const AT_ONCE: usize = 8;

/// The newest tasks, and older ones that are at work or wait for someone.
pub async fn load(connection: &Connection) -> Result<Loaded, CommandError> {
    use TaskState as S;
    let live = [S::Leased, S::Running, S::Cancelling, S::Waiting, S::Parked].map(i32::from).to_vec();
    let newest = list(connection, v1::ListRequest { page_size: NEWEST, ..Default::default() }).await?;
    let cursor = newest.cursor;
    let mut pages = vec![(newest.tasks, cursor)];
    let mut page_token = String::new();
    for _ in 0..LIVE_PAGES {
        let request =
            v1::ListRequest { states: live.clone(), page_size: 1_000, page_token, ..Default::default() };
        let page = list(connection, request).await?;
        pages.push((page.tasks, page.cursor));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(Loaded { pages, sums: sums(connection).await?, cursor })
}

/// Workers, and how far what runs has come: no event tells either.
pub async fn poll(connection: &Connection, running: bool) -> Result<Polled, CommandError> {
    let client = &connection.client;
    let workers = client.fleet().list_workers(client.request(v1::ListWorkersRequest {})).await?.into_inner();
    let request = v1::ListRequest {
        states: vec![TaskState::Running.into()],
        page_size: NEWEST,
        ..v1::ListRequest::default()
    };
    let running = if running { Some(list(connection, request).await?) } else { None };
    Ok(Polled { workers, running })
}

/// Tasks that have moved, each by itself; with `newest` also all of the newest.
pub async fn reread(connection: &Connection, stale: Vec<(u64, String)>, newest: bool) -> Reread {
    let mut tasks = Vec::new();
    if newest {
        let request = v1::ListRequest { page_size: NEWEST, ..v1::ListRequest::default() };
        if let Ok(page) = list(connection, request).await {
            tasks.extend(page.tasks.into_iter().map(|task| (task, page.cursor)));
        }
    }
    let mut unread = Vec::new();
    let mut reads = stream::iter(stale)
        .map(async |(number, task)| (number, get(connection, task).await))
        .buffer_unordered(AT_ONCE);
    while let Some((number, read)) = reads.next().await {
        match read {
            Ok(reply) => tasks.extend(reply.task.map(|task| (task, reply.cursor))),
            Err(status) if status.code() == Code::NotFound => {}
            // The feed tells of a lost connection; what could not be read is asked for again.
            Err(_) => unread.push(number),
        }
    }
    // Told again with the next task that moves.
    let sums = sums(connection).await.ok();
    Reread { tasks, unread, sums }
}

async fn list(connection: &Connection, request: v1::ListRequest) -> Result<v1::ListResponse, Status> {
    let client = &connection.client;
    Ok(client.tasks().list(client.request(request)).await?.into_inner())
}

async fn get(connection: &Connection, task: String) -> Result<v1::GetResponse, Status> {
    let client = &connection.client;
    Ok(client.tasks().get(client.request(v1::GetRequest { task })).await?.into_inner())
}

async fn sums(connection: &Connection) -> Result<v1::StatsResponse, Status> {
    let client = &connection.client;
    Ok(client.tasks().stats(client.request(v1::StatsRequest::default())).await?.into_inner())
}

/// What a key asked for, and what came of it in words.
pub async fn act(connection: &Connection, call: Call) -> Heard {
    let answers = matches!(call, Call::Answer { .. });
    match done(connection, call).await {
        Ok(Acted::Questions(questions)) => Heard::Questions(questions),
        Ok(Acted::Said(text)) if answers => Heard::Answered(text),
        Ok(Acted::Said(text)) => Heard::Done(text),
        Err(error) => Heard::Refused(plain::line(&error.to_string())),
    }
}

enum Acted {
    Said(String),
    Questions(Vec<v1::Question>),
}

async fn done(connection: &Connection, call: Call) -> Result<Acted, CommandError> {
    let client = &connection.client;
    let said = match call {
        Call::ReadQuestions { task } => {
            return Ok(Acted::Questions(open_questions(client, &task).await?));
        }
        Call::Answer { task, question, text } => {
            let request = v1::AnswerRequest { task, question, text, by: user() };
            let reply = client.board().answer(client.request(request)).await?.into_inner();
            let answered = reply.question.unwrap_or_default();
            format!("question {} of task {} is answered", answered.number, answered.task_number)
        }
        Call::Cancel { number, task, with_children } => {
            let request = v1::CancelRequest { task, with_children };
            let reply = client.tasks().cancel(client.request(request)).await?.into_inner();
            let children = match (reply.children_cancelled, reply.children_live) {
                (0, 0) => String::new(),
                (0, live) => format!("; {} submitted for it go on", units::count(live.into(), "task")),
                (ended, _) => format!(", and {} submitted for it", units::count(ended.into(), "task")),
            };
            format!("task {number} was asked to end{children}")
        }
        Call::Retry { number, task } => {
            let reply = client.tasks().retry(client.request(v1::RetryRequest { task })).await?.into_inner();
            format!("task {} tries task {number} again", reply.task.unwrap_or_default().number)
        }
        Call::Drain { worker, name } => {
            let request = v1::DrainWorkerRequest { worker, hand_over_after_ms: None };
            let reply = client.fleet().drain_worker(client.request(request)).await?.into_inner();
            match reply.attempts.len() {
                0 => format!("{name} is drained: it holds nothing"),
                held => format!("{name} drains, and still has {}", units::count(held as u64, "task")),
            }
        }
        Call::Resume { worker, name } => {
            client.fleet().resume_worker(client.request(v1::ResumeWorkerRequest { worker })).await?;
            format!("{name} is offered work again")
        }
    };
    Ok(Acted::Said(said))
}
