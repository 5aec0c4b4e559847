//! `memory add`.

use std::io::Read as _;

use factory_domain::memory::MAX_CONTENT;
use factory_proto::v1;

use super::memory_list::{kind_of, repository_of};
use crate::cli::MemoryAdd;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::render::json::MemoryView;

pub async fn run(connection: &Connection, console: Console, args: MemoryAdd) -> Result<Exit, CommandError> {
    let content = if args.text == "-" { read_stdin()? } else { args.text };
    let memory = v1::NewMemory {
        kind: kind_of(&args.kind)?.into(),
        content,
        tags: args.tags,
        repo: repository_of(&args.scope)?,
        project: args.scope.project.unwrap_or_default(),
        role: String::new(),
        task: args.task.unwrap_or_default(),
    };
    let client = &connection.client;
    let request = v1::SaveMemoryRequest { memory: Some(memory), idempotency_key: String::new() };
    let reply = client.memory().save(client.request(request)).await?.into_inner();
    let memory = reply.memory.unwrap_or_default();
    if !console.for_people() {
        console.value(&MemoryView::from(&memory))?;
        return Ok(Exit::Done);
    }
    console.line(memory.number)?;
    let whose = match (memory.repo.as_str(), memory.project.as_str()) {
        ("", "") => "all tasks that have a repository or a project".to_owned(),
        (repo, "") => format!("tasks of {repo}"),
        ("", project) => format!("tasks of project {project}"),
        (repo, project) => format!("tasks of {repo} and of project {project}"),
    };
    console.note(format_args!("memory {} is for {whose}", memory.number));
    Ok(Exit::Done)
}

/// One byte more than is accepted, so that its being too long can be told.
fn read_stdin() -> Result<String, CommandError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_CONTENT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(CommandError::local("cannot read stdin"))?;
    String::from_utf8(bytes).map_err(|_| CommandError::Usage("TEXT: is not UTF-8 text".to_owned()))
}
