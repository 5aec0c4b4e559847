//! `roles check`, `templates check`: what is wrong with a user's own files.

use factory_proto::v1;

use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::ProblemView;
use crate::render::{Console, library};

/// Ends with [`Exit::Failed`] where something is wrong.
pub async fn run(connection: &Connection, console: Console) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::CheckRequest {});
    let reply = client.library().check(request).await?.into_inner();
    if !console.for_people() {
        console.values(&reply.problems.iter().map(ProblemView::from).collect::<Vec<_>>())?;
    } else if reply.problems.is_empty() {
        let v1::CheckResponse { roles, templates, .. } = reply;
        console.line(format_args!("{roles} roles and {templates} templates are well"))?;
    } else {
        for problem in &reply.problems {
            console.line(library::problem(problem))?;
        }
    }
    Ok(if reply.problems.is_empty() { Exit::Done } else { Exit::Failed })
}
