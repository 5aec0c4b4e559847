//! `questions`: what agents ask.

use factory_proto::client::Client;
use factory_proto::v1;

use crate::cli::Questions;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::QuestionView;
use crate::render::{Console, question, units};

pub async fn run(connection: &Connection, console: Console, args: Questions) -> Result<Exit, CommandError> {
    let request = v1::ListQuestionsRequest {
        all: args.all,
        task: args.task.unwrap_or_default(),
        page_size: args.limit.unwrap_or_default(),
        page_token: args.page_token.unwrap_or_default(),
    };
    let client = &connection.client;
    let reply = client.board().list_questions(client.request(request)).await?.into_inner();
    if !console.for_people() {
        console.values(&reply.questions.iter().map(QuestionView::from).collect::<Vec<_>>())?;
    } else if reply.questions.is_empty() {
        console.note(if args.all { "nobody has asked anything" } else { "no question is open" });
    } else {
        console.line(question::table(console, &reply.questions, units::now_ms()).trim_fmt())?;
    }
    if !reply.next_page_token.is_empty() {
        console.note(format_args!("more with: --page-token {}", reply.next_page_token));
    }
    Ok(Exit::Done)
}

/// The open questions of one task, oldest first; a page of them.
pub async fn open_questions(client: &Client, task: &str) -> Result<Vec<v1::Question>, CommandError> {
    let request = v1::ListQuestionsRequest { task: task.to_owned(), ..Default::default() };
    Ok(client.board().list_questions(client.request(request)).await?.into_inner().questions)
}
