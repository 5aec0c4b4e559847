//! `memory list`, and the two views that agents' memories fall into: `findings` and `errors`.

use factory_domain::MemoryKind;
use factory_proto::v1;

use crate::cli::{MemoryList, MemoryPage, MemoryScope, MemoryView as ViewArgs};
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::MemoryView;
use crate::render::{Console, memory, units};
use crate::repository::{self, Asked};

pub async fn list(connection: &Connection, console: Console, args: MemoryList) -> Result<Exit, CommandError> {
    let request = v1::ListMemoryRequest {
        kinds: kinds_of(&args.narrowed.kinds)?,
        tags: args.narrowed.tags,
        ..request(args.scope, args.page)?
    };
    let memories = ask(connection, console, request).await?;
    if console.for_people() && !memories.is_empty() {
        console.line(memory::table(console, &memories, units::now_ms()).trim_fmt())?;
    }
    Ok(Exit::Done)
}

pub async fn findings(
    connection: &Connection,
    console: Console,
    args: ViewArgs,
) -> Result<Exit, CommandError> {
    let kinds = MemoryKind::ALL.into_iter().filter(|kind| *kind != MemoryKind::Error);
    view(connection, console, args, kinds).await
}

pub async fn errors(connection: &Connection, console: Console, args: ViewArgs) -> Result<Exit, CommandError> {
    view(connection, console, args, [MemoryKind::Error]).await
}

async fn view(
    connection: &Connection,
    console: Console,
    args: ViewArgs,
    kinds: impl IntoIterator<Item = MemoryKind>,
) -> Result<Exit, CommandError> {
    let request = v1::ListMemoryRequest {
        kinds: kinds.into_iter().map(|kind| v1::MemoryKind::from(kind).into()).collect(),
        of_tasks: true,
        ..request(args.scope, args.page)?
    };
    let memories = ask(connection, console, request).await?;
    if console.for_people() && !memories.is_empty() {
        console.line(memory::in_full(&memories, units::now_ms()).trim_end())?;
    }
    Ok(Exit::Done)
}

fn request(scope: MemoryScope, page: MemoryPage) -> Result<v1::ListMemoryRequest, CommandError> {
    Ok(v1::ListMemoryRequest {
        repo: repository_of(&scope)?,
        project: scope.project.unwrap_or_default(),
        page_size: page.limit.unwrap_or_default(),
        page_token: page.page_token.unwrap_or_default(),
        ..v1::ListMemoryRequest::default()
    })
}

/// The page asked for, printed already for a program.
async fn ask(
    connection: &Connection,
    console: Console,
    request: v1::ListMemoryRequest,
) -> Result<Vec<v1::Memory>, CommandError> {
    let client = &connection.client;
    let reply = client.memory().list(client.request(request)).await?.into_inner();
    if !console.for_people() {
        console.values(&reply.memories.iter().map(MemoryView::from).collect::<Vec<_>>())?;
    } else if reply.memories.is_empty() {
        console.note("nothing like that is remembered; save something with: factoryctl memory add \"…\"");
    }
    if !reply.next_page_token.is_empty() {
        console.note(format_args!("more with: --page-token {}", reply.next_page_token));
    }
    Ok(reply.memories)
}

/// The repository as `submit` would name it; empty: any.
pub(super) fn repository_of(scope: &MemoryScope) -> Result<String, CommandError> {
    let Some(repo) = scope.repo.as_deref() else { return Ok(String::new()) };
    let directory =
        std::env::current_dir().map_err(CommandError::local("cannot find the current directory"))?;
    let chosen = repository::choose(Asked { repo: Some(repo), no_repo: false, base: None }, &directory)?;
    Ok(chosen.map(|chosen| chosen.repo).unwrap_or_default())
}

pub(super) fn kind_of(name: &str) -> Result<v1::MemoryKind, CommandError> {
    let kind: MemoryKind = name.parse().map_err(|error| CommandError::Usage(format!("--kind: {error}")))?;
    Ok(kind.into())
}

pub(super) fn kinds_of(names: &[String]) -> Result<Vec<i32>, CommandError> {
    names.iter().map(|name| kind_of(name).map(i32::from)).collect()
}
