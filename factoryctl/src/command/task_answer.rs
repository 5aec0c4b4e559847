//! `answer`: answers what a task's agent has asked, with what was typed, or asks on the terminal.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use factory_domain::question::MAX_TEXT;
use factory_proto::client::Client;
use factory_proto::v1;
use tonic::Code;

use super::questions_list::open_questions;
use crate::cli::Answer;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::QuestionView;
use crate::render::{Console, plain, question, units};

pub async fn run(connection: &Connection, console: Console, args: Answer) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let by = args.by.clone().unwrap_or_else(user);
    let text = match args.text.as_deref() {
        Some("-") => read_stdin()?,
        Some(text) => text.to_owned(),
        None if std::io::stdin().is_terminal() => return ask_here(client, console, &args, &by).await,
        None => {
            let how = "give the answer as TEXT, or `-` to read it from stdin";
            return Err(CommandError::Usage(how.to_owned()));
        }
    };
    let which = args.question.clone().unwrap_or_default();
    let answered = answer(client, &args.task, which, text, &by).await?;
    show(console, &answered)?;
    Ok(Exit::Done)
}

async fn answer(
    client: &Client,
    task: &str,
    question: String,
    text: String,
    by: &str,
) -> Result<v1::Question, CommandError> {
    let request = v1::AnswerRequest { task: task.to_owned(), question, text, by: by.to_owned() };
    let reply = client.board().answer(client.request(request)).await?.into_inner();
    Ok(reply.question.unwrap_or_default())
}

fn show(console: Console, answered: &v1::Question) -> Result<(), CommandError> {
    if !console.for_people() {
        return console.value(&QuestionView::from(answered));
    }
    let answer = plain::shorten(&plain::line(&answered.answer), 100);
    console.line(format_args!(
        "question {} of task {} is answered: {answer}",
        answered.number, answered.task_number
    ))
}

/// Shows what is open, one after the other, and reads a line for each.
async fn ask_here(client: &Client, console: Console, args: &Answer, by: &str) -> Result<Exit, CommandError> {
    let mut open = open_questions(client, &args.task).await?;
    if let Some(which) = &args.question {
        open.retain(|question| question.id == *which || question.number.to_string() == *which);
    }
    if open.is_empty() {
        let what =
            args.question.as_ref().map_or_else(|| "question".to_owned(), |which| format!("question {which}"));
        return Err(CommandError::Refused(format!("task {} has no open {what}", args.task)));
    }
    for question in open {
        console.note(question::in_full(&question, units::now_ms()).trim_end());
        while let Some(text) = read_answer(console)? {
            match answer(client, &args.task, question.id.clone(), text, by).await {
                Ok(answered) => {
                    show(console, &answered)?;
                    break;
                }
                // Such as an option that is none: said, and asked again.
                Err(CommandError::Status(status)) if status.code() == Code::InvalidArgument => {
                    console.note(CommandError::from(*status));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Exit::Done)
}

/// A line from the terminal; `None`: an empty one, which leaves the question open.
fn read_answer(console: Console) -> Result<Option<String>, CommandError> {
    console.note("answer (an empty line leaves it open):");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(CommandError::local("cannot read the answer"))?;
    Ok(Some(line.trim().to_owned()).filter(|line| !line.is_empty()))
}

/// One byte more than is accepted, so that its being too long can be told.
fn read_stdin() -> Result<String, CommandError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_TEXT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(CommandError::local("cannot read stdin"))?;
    String::from_utf8(bytes).map_err(|_| CommandError::Usage("TEXT: is not UTF-8 text".to_owned()))
}

/// Whoever is logged in here; empty where that is not known.
pub fn user() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default()
}
