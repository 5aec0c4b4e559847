//! `roles list`.

use factory_proto::v1;

use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::RoleView;
use crate::render::{Console, library};

pub async fn run(connection: &Connection, console: Console) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::ListRolesRequest {});
    let roles = client.library().list_roles(request).await?.into_inner().roles;
    if console.for_people() {
        console.line(library::roles(console, &roles).trim_fmt())?;
    } else {
        console.values(&roles.iter().map(RoleView::from).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}
