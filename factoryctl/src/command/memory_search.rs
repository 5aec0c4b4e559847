//! `memory search`.

use factory_proto::v1;

use super::memory_list::{kinds_of, repository_of};
use crate::cli::MemorySearch;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::MemoryHitView;
use crate::render::{Console, memory, units};

pub async fn run(
    connection: &Connection,
    console: Console,
    args: MemorySearch,
) -> Result<Exit, CommandError> {
    let request = v1::SearchMemoryRequest {
        query: args.query.join(" "),
        repo: repository_of(&args.scope)?,
        project: args.scope.project.unwrap_or_default(),
        kinds: kinds_of(&args.narrowed.kinds)?,
        tags: args.narrowed.tags,
        limit: args.limit.unwrap_or_default(),
    };
    let client = &connection.client;
    let reply = client.memory().search(client.request(request)).await?.into_inner();
    if !console.for_people() {
        let hits: Vec<_> =
            reply.hits.iter().filter_map(|hit| MemoryHitView::of(hit, &reply.ranking)).collect();
        console.values(&hits)?;
    } else if reply.hits.is_empty() {
        console.note("nothing that is remembered says any of that; `factoryctl memory list` shows all");
    } else {
        let found: Vec<_> = reply.hits.into_iter().filter_map(|hit| hit.memory).collect();
        console.line(memory::in_full(&found, units::now_ms()).trim_end())?;
    }
    Ok(Exit::Done)
}
