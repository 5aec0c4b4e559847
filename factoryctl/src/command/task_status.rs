//! `status`: the tasks in a table, or one of them in full.

use factory_proto::v1;
use factory_proto::v1::TaskState;

use crate::cli::Status;
use crate::command::get_task;
use crate::command::questions_list::open_questions;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::{AttemptView, HandoffView, QuestionView, TaskInFull, TaskView};
use crate::render::{Console, board, family, question, table, task, units};

pub async fn run(connection: &Connection, console: Console, args: Status) -> Result<Exit, CommandError> {
    match &args.task {
        Some(name) => show(connection, console, name).await,
        None => list(connection, console, args).await,
    }
}

async fn show(connection: &Connection, console: Console, name: &str) -> Result<Exit, CommandError> {
    if console.for_people() {
        console.line(in_full(connection, console, name).await?)?;
        return Ok(Exit::Done);
    }
    let InFull { task, attempts, said, questions } = InFull::read(connection, name).await?;
    console.value(&TaskInFull {
        task: TaskView::from(&task),
        attempt_list: attempts.iter().map(AttemptView::from).collect(),
        messages: said.messages,
        handoffs: said.handoffs.iter().map(HandoffView::from).collect(),
        questions: questions.iter().map(QuestionView::from).collect(),
    })?;
    Ok(Exit::Done)
}

/// All about one task, for people.
pub async fn in_full(connection: &Connection, console: Console, name: &str) -> Result<String, CommandError> {
    let InFull { task, attempts, said, questions } = InFull::read(connection, name).await?;
    let family = family::section(&crate::family::read(connection, &task).await?);
    let now = units::now_ms();
    let mut sections = vec![task::page(&task, &attempts, now), family];
    if !attempts.is_empty() {
        sections.push(table::attempts(console, &attempts, now).trim_fmt());
    }
    sections.extend(said.sections(console, task.number, now));
    for one in &questions {
        let how = question::how_to_answer(one, questions.len() == 1);
        sections.push(format!("{}  answer with: {how}", question::in_full(one, now)));
    }
    let shown: Vec<_> = sections.iter().map(|text| text.trim_end()).filter(|text| !text.is_empty()).collect();
    Ok(shown.join("\n\n"))
}

struct InFull {
    task: v1::Task,
    attempts: Vec<v1::Attempt>,
    said: Said,
    questions: Vec<v1::Question>,
}

impl InFull {
    async fn read(connection: &Connection, name: &str) -> Result<Self, CommandError> {
        let client = &connection.client;
        let (task, attempts) = get_task(client, name).await?;
        let said = Said::about(connection, &task.id).await?;
        let questions = match task.open_questions {
            0 => Vec::new(),
            _ => open_questions(client, &task.id).await?,
        };
        Ok(Self { task, attempts, said, questions })
    }
}

/// What was said and handed on by a task and to it, as far as one page tells.
struct Said {
    messages: usize,
    /// There are more.
    more: bool,
    handoffs: Vec<v1::Handoff>,
}

impl Said {
    async fn about(connection: &Connection, task: &str) -> Result<Self, CommandError> {
        let client = &connection.client;
        let request = v1::ListMessagesRequest { task: task.to_owned(), page_size: 100, ..Default::default() };
        let messages = client.board().list_messages(client.request(request)).await?.into_inner();
        let request = v1::ListHandoffsRequest { task: task.to_owned(), page_size: 20, ..Default::default() };
        let handoffs = client.board().list_handoffs(client.request(request)).await?.into_inner().handoffs;
        let more = !messages.next_page_token.is_empty();
        Ok(Self { messages: messages.messages.len(), more, handoffs })
    }

    fn sections(&self, console: Console, task: u64, now_ms: i64) -> Vec<String> {
        let mut sections = Vec::new();
        if !self.handoffs.is_empty() {
            sections.push(board::handoffs(console, &self.handoffs, now_ms).trim_fmt());
        }
        if self.messages > 0 {
            let more = if self.more { " at least" } else { "" };
            let count = units::count(self.messages as u64, "message");
            sections.push(format!("{count}{more}: `factoryctl messages --task {task}`"));
        }
        sections
    }
}

async fn list(connection: &Connection, console: Console, args: Status) -> Result<Exit, CommandError> {
    let filtered = !(args.states.is_empty()
        && args.labels.is_empty()
        && args.repo.is_none()
        && args.role.is_none()
        && args.parent.is_none()
        && args.search.is_none()
        && args.page_token.is_none());
    let states = args.states.iter().filter_map(|name| TaskState::from_name(name));
    let request = v1::ListRequest {
        states: states.map(i32::from).collect(),
        repo: args.repo.unwrap_or_default(),
        role: args.role.unwrap_or_default(),
        parent: args.parent.unwrap_or_default(),
        search: args.search.unwrap_or_default(),
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
