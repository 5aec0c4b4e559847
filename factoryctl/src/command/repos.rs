//! `repos`: what it shows and does.

use factory_proto::v1;

use crate::cli::{AddRepo, RepoName, ReposCommand, SyncRepo};
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::{CopyView, RepoView, SyncFailureView};
use crate::render::{Console, plain, repo, units};
use crate::repository;

pub async fn run(
    connection: &Connection,
    console: Console,
    command: ReposCommand,
) -> Result<Exit, CommandError> {
    match command {
        ReposCommand::List => list(connection, console).await,
        ReposCommand::Show(args) => show(connection, console, args).await,
        ReposCommand::Add(args) => add(connection, console, args).await,
        ReposCommand::Sync(args) => sync(connection, console, args).await,
        ReposCommand::Remove(args) => remove(connection, console, args).await,
    }
}

async fn list(connection: &Connection, console: Console) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let repos = client.repos().list_repos(client.request(v1::ListReposRequest {})).await?.into_inner().repos;
    if !console.for_people() {
        console.values(&repos.iter().map(RepoView::from).collect::<Vec<_>>())?;
    } else if repos.is_empty() {
        console.note("no repository is known yet; add one with: factoryctl repos add OWNER/NAME");
    } else {
        console.line(repo::table(console, &repos, units::now_ms()).trim_fmt())?;
    }
    Ok(Exit::Done)
}

async fn show(connection: &Connection, console: Console, args: RepoName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::GetRepoRequest { repo: repository::named(&args.repo)? });
    let repo = client.repos().get_repo(request).await?.into_inner().repo.unwrap_or_default();
    page(console, &repo)?;
    Ok(Exit::Done)
}

async fn add(connection: &Connection, console: Console, args: AddRepo) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = v1::AddRepoRequest {
        repo: repository::named(&args.repo)?,
        name: args.name.unwrap_or_default(),
        default_role: args.default_role.unwrap_or_default(),
        unchecked: args.unchecked,
        clone: args.clone,
    };
    let reply = client.repos().add_repo(client.request(request)).await?.into_inner();
    let repo = reply.repo.unwrap_or_default();
    if !console.for_people() {
        console.value(&RepoView::from(&repo))?;
        return Ok(Exit::Done);
    }
    let name = plain::line(&repo.name);
    let done = if reply.existed { "was there already" } else { "added" };
    console.line(format_args!("{name} {done}: {}", plain::line(&repo.source)))?;
    warn_of_errors(console, &repo);
    console.note(format_args!("  tasks name it with: --repo {name}"));
    Ok(Exit::Done)
}

async fn sync(connection: &Connection, console: Console, args: SyncRepo) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = v1::SyncRepoRequest { repo: repository::named(&args.name.repo)?, workers: args.workers };
    let reply = client.repos().sync_repo(client.request(request)).await?.into_inner();
    let repo = reply.repo.unwrap_or_default();
    if console.for_people() {
        page(console, &repo)?;
        for failure in &reply.failed {
            console.note(plain::line(&failure.message));
        }
    } else {
        let failed: Vec<_> = reply.failed.iter().map(SyncFailureView::from).collect();
        console.value(&serde_json::json!({ "repo": RepoView::from(&repo), "failed": failed }))?;
    }
    Ok(if reply.failed.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn remove(connection: &Connection, console: Console, args: RepoName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::RemoveRepoRequest { repo: repository::named(&args.repo)? });
    let reply = client.repos().remove_repo(request).await?.into_inner();
    if !console.for_people() {
        let views = |copies: &[v1::RepoCopy]| {
            serde_json::json!(copies.iter().map(CopyView::from).collect::<Vec<_>>())
        };
        let (removed, left) = (views(&reply.removed), views(&reply.left));
        console.value(&serde_json::json!({ "removed": removed, "left": left }))?;
        return Ok(Exit::Done);
    }
    let name = plain::line(&args.repo);
    console.line(format_args!("{name} removed, with {}", clones(reply.removed.len())))?;
    for copy in &reply.left {
        console.note(format_args!("its clone is left: {}", plain::line(&copy.error)));
    }
    Ok(Exit::Done)
}

fn clones(count: usize) -> String {
    if count == 1 { "1 clone".to_owned() } else { format!("{count} clones") }
}

fn page(console: Console, repo: &v1::Repo) -> Result<(), CommandError> {
    if !console.for_people() {
        return console.value(&RepoView::from(repo));
    }
    let now = units::now_ms();
    console.line(repo::page(repo, now).trim_end())?;
    if !repo.copies.is_empty() {
        console.line(repo::copies(console, &repo.copies, now).trim_fmt())?;
    }
    warn_of_errors(console, repo);
    Ok(())
}

fn warn_of_errors(console: Console, repo: &v1::Repo) {
    for copy in repo.copies.iter().filter(|copy| !copy.error.is_empty()) {
        console.note(format_args!("{}: {}", plain::line(&copy.worker_name), plain::line(&copy.error)));
    }
}
