//! `worktrees`: what it shows and does.

use factory_proto::v1;

use crate::cli::{AddWorktree, RemoveWorktree, WorktreeList, WorktreeName, WorktreesCommand};
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorktreeView;
use crate::render::{Console, plain, units, worktree};
use crate::repository;

pub async fn run(
    connection: &Connection,
    console: Console,
    command: WorktreesCommand,
) -> Result<Exit, CommandError> {
    match command {
        WorktreesCommand::List(args) => list(connection, console, args).await,
        WorktreesCommand::Show(args) => show(connection, console, args).await,
        WorktreesCommand::Add(args) => add(connection, console, args).await,
        WorktreesCommand::Remove(args) => remove(connection, console, args).await,
    }
}

async fn list(connection: &Connection, console: Console, args: WorktreeList) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = v1::ListWorktreesRequest {
        repo: args.repo.as_deref().map(repository::named).transpose()?.unwrap_or_default(),
        worker: args.worker.unwrap_or_default(),
        branch: args.branch.unwrap_or_default(),
    };
    let worktrees = client.repos().list_worktrees(client.request(request)).await?.into_inner().worktrees;
    if !console.for_people() {
        console.values(&worktrees.iter().map(WorktreeView::from).collect::<Vec<_>>())?;
    } else if worktrees.is_empty() {
        console.note("no such worktree; make one with: factoryctl worktrees add REPO BRANCH");
    } else {
        console.line(worktree::table(console, &worktrees, units::now_ms()).trim_fmt())?;
    }
    Ok(Exit::Done)
}

async fn show(connection: &Connection, console: Console, args: WorktreeName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = v1::GetWorktreeRequest {
        repo: repository::named(&args.repo.repo)?,
        branch: args.branch,
        worker: args.worker.unwrap_or_default(),
    };
    let reply = client.repos().get_worktree(client.request(request)).await?.into_inner();
    let found = reply.worktree.unwrap_or_default();
    if console.for_people() {
        console.line(worktree::page(&found, units::now_ms()).trim_end())?;
    } else {
        console.value(&WorktreeView::from(&found))?;
    }
    Ok(Exit::Done)
}

async fn add(connection: &Connection, console: Console, args: AddWorktree) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = v1::AddWorktreeRequest {
        repo: repository::named(&args.name.repo.repo)?,
        branch: args.name.branch,
        base: args.base.unwrap_or_default(),
        worker: args.name.worker.unwrap_or_default(),
    };
    let reply = client.repos().add_worktree(client.request(request)).await?.into_inner();
    let made = reply.worktree.unwrap_or_default();
    if !console.for_people() {
        console.value(&WorktreeView::from(&made))?;
        return Ok(Exit::Done);
    }
    let done = if reply.existed { "was there already" } else { "made" };
    let (path, host) = (plain::line(&made.path), plain::line(&made.worker_name));
    console.line(format_args!("worktree of {} {done} on {host}: {path}", plain::line(&made.branch)))?;
    Ok(Exit::Done)
}

async fn remove(
    connection: &Connection,
    console: Console,
    args: RemoveWorktree,
) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let RemoveWorktree { name, force } = args;
    let repo = repository::named(&name.repo.repo)?;
    let worker = name.worker.unwrap_or_default();
    let request = v1::RemoveWorktreeRequest { repo, branch: name.branch, worker, force };
    let reply = client.repos().remove_worktree(client.request(request)).await?.into_inner();
    let removed = reply.worktree.unwrap_or_default();
    if console.for_people() {
        let (branch, host) = (plain::line(&removed.branch), plain::line(&removed.worker_name));
        console
            .line(format_args!("worktree of {branch} removed from {host}: {}", plain::line(&removed.path)))?;
    } else {
        console.value(&WorktreeView::from(&removed))?;
    }
    Ok(Exit::Done)
}
