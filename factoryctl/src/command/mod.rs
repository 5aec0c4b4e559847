//! What each command does: one file a command.

mod factory_demo;
mod factory_top;
mod factory_up;
mod handoffs_create;
mod handoffs_list;
mod handoffs_show;
mod library_check;
mod memory_add;
mod memory_list;
mod memory_search;
mod messages_follow;
mod messages_list;
mod messages_post;
mod messages_thread;
mod questions_list;
mod repos;
mod roles_list;
mod roles_show;
mod shell_completions;
mod task_answer;
mod task_batch;
mod task_cancel;
mod task_diff;
mod task_logs;
mod task_release;
mod task_result;
mod task_retry;
mod task_run;
mod task_status;
mod task_submit;
mod task_watch;
mod templates_list;
mod templates_show;
mod typed;
mod workers_drain;
mod workers_list;
mod workers_resume;
mod workers_show;
mod workflow_cancel;
mod workflow_list;
mod workflow_show;
mod workflow_start;
mod worktrees;

pub(crate) use questions_list::open_questions;
pub(crate) use task_answer::user;
pub(crate) use task_status::in_full as task_in_full;

use factory_proto::client::Client;
use factory_proto::v1;

use crate::cli::{
    Cli, Command, Global, Handoffs, HandoffsCommand, LibraryCommand, MemoryCommand, Messages,
    MessagesCommand, WorkersCommand, WorkflowCommand,
};
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;

/// Runs what was typed.
pub async fn dispatch(cli: Cli, console: Console) -> Result<Exit, CommandError> {
    let global = &cli.global;
    match cli.command {
        Command::Demo(args) => factory_demo::run(console, args).await,
        Command::Up(args) => factory_up::run(global, console, args).await,
        Command::Run(args) => task_run::run(global, console, *args).await,
        Command::Submit(args) => task_submit::run(global, console, *args).await,
        Command::Batch(args) => task_batch::run(global, console, *args).await,
        Command::Top(args) => factory_top::run(global, console, args).await,
        Command::Status(args) => task_status::run(&Connection::open(global).await?, console, args).await,
        Command::Watch(args) => task_watch::run(Connection::open(global).await?, console, args).await,
        Command::Logs(args) => task_logs::run(&Connection::open(global).await?, console, args).await,
        Command::Result(args) => task_result::run(&Connection::open(global).await?, console, args).await,
        Command::Diff(args) => task_diff::run(&Connection::open(global).await?, console, args).await,
        Command::Cancel(args) => task_cancel::run(&Connection::open(global).await?, console, args).await,
        Command::Retry(args) => task_retry::run(Connection::open(global).await?, console, args).await,
        Command::Release(args) => task_release::run(&Connection::open(global).await?, console, args).await,
        Command::Questions(args) => {
            questions_list::run(&Connection::open(global).await?, console, args).await
        }
        Command::Answer(args) => task_answer::run(&Connection::open(global).await?, console, args).await,
        Command::Workers(workers) => match workers.command.unwrap_or_default() {
            WorkersCommand::List => workers_list::run(&Connection::open(global).await?, console).await,
            WorkersCommand::Show(args) => {
                workers_show::run(&Connection::open(global).await?, console, args).await
            }
            WorkersCommand::Drain(args) => {
                workers_drain::run(&Connection::open(global).await?, console, args).await
            }
            WorkersCommand::Resume(args) => {
                workers_resume::run(&Connection::open(global).await?, console, args).await
            }
        },
        Command::Repos(args) => {
            repos::run(&Connection::open(global).await?, console, args.command.unwrap_or_default()).await
        }
        Command::Worktrees(args) => {
            worktrees::run(&Connection::open(global).await?, console, args.command.unwrap_or_default()).await
        }
        Command::Messages(args) => messages(global, console, *args).await,
        Command::Handoffs(args) => handoffs(global, console, *args).await,
        Command::Roles(roles) => match roles.command.unwrap_or_default() {
            LibraryCommand::List => roles_list::run(&Connection::open(global).await?, console).await,
            LibraryCommand::Show(args) => {
                roles_show::run(&Connection::open(global).await?, console, args).await
            }
            LibraryCommand::Check => library_check::run(&Connection::open(global).await?, console).await,
        },
        Command::Templates(templates) => match templates.command.unwrap_or_default() {
            LibraryCommand::List => templates_list::run(&Connection::open(global).await?, console).await,
            LibraryCommand::Show(args) => {
                templates_show::run(&Connection::open(global).await?, console, args).await
            }
            LibraryCommand::Check => library_check::run(&Connection::open(global).await?, console).await,
        },
        Command::Memory(memory) => memory_command(memory.command.unwrap_or_default(), global, console).await,
        Command::Workflow(workflow) => match workflow.command.unwrap_or_default() {
            WorkflowCommand::List(args) => {
                workflow_list::run(&Connection::open(global).await?, console, args).await
            }
            WorkflowCommand::Start(args) => workflow_start::run(global, console, *args).await,
            WorkflowCommand::Show(args) => {
                workflow_show::run(&Connection::open(global).await?, console, args).await
            }
            WorkflowCommand::Cancel(args) => {
                workflow_cancel::run(&Connection::open(global).await?, console, args).await
            }
            WorkflowCommand::Definitions => {
                workflow_list::definitions(&Connection::open(global).await?, console).await
            }
        },
        Command::Completions(args) => shell_completions::run(console, &args),
        Command::Version => version(console),
    }
}

async fn memory_command(
    command: MemoryCommand,
    global: &Global,
    console: Console,
) -> Result<Exit, CommandError> {
    let connection = &Connection::open(global).await?;
    match command {
        MemoryCommand::Search(args) => memory_search::run(connection, console, args).await,
        MemoryCommand::Add(args) => memory_add::run(connection, console, args).await,
        MemoryCommand::List(args) => memory_list::list(connection, console, args).await,
        MemoryCommand::Findings(args) => memory_list::findings(connection, console, args).await,
        MemoryCommand::Errors(args) => memory_list::errors(connection, console, args).await,
    }
}

async fn messages(global: &Global, console: Console, args: Messages) -> Result<Exit, CommandError> {
    let connection = Connection::open(global).await?;
    match args.command.unwrap_or(MessagesCommand::List(args.list)) {
        MessagesCommand::List(args) => messages_list::run(&connection, console, args).await,
        MessagesCommand::Post(args) => messages_post::run(&connection, console, args).await,
        MessagesCommand::Thread(args) => messages_thread::run(&connection, console, args).await,
        MessagesCommand::Follow(args) => messages_follow::run(&connection, console, args).await,
    }
}

async fn handoffs(global: &Global, console: Console, args: Handoffs) -> Result<Exit, CommandError> {
    let connection = Connection::open(global).await?;
    match args.command.unwrap_or(HandoffsCommand::List(args.list)) {
        HandoffsCommand::List(args) => handoffs_list::run(&connection, console, args).await,
        HandoffsCommand::Show(args) => handoffs_show::run(&connection, console, args).await,
        HandoffsCommand::Create(args) => handoffs_create::run(&connection, console, args).await,
    }
}

fn version(console: Console) -> Result<Exit, CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    if console.for_people() {
        console.line(format_args!("factoryctl {version}"))?;
    } else {
        console.value(&serde_json::json!({ "name": "factoryctl", "version": version }))?;
    }
    Ok(Exit::Done)
}

/// One task with its attempts.
pub async fn get_task(client: &Client, name: &str) -> Result<(v1::Task, Vec<v1::Attempt>), CommandError> {
    let request = client.request(v1::GetRequest { task: name.to_owned() });
    let reply = client.tasks().get(request).await?.into_inner();
    Ok((reply.task.unwrap_or_default(), reply.attempts))
}
