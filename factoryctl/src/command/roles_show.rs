//! `roles show`: one role in full.

use factory_proto::v1;

use crate::cli::LibraryName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::RoleView;
use crate::render::{Console, library};

pub async fn run(connection: &Connection, console: Console, args: LibraryName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::GetRoleRequest { name: args.name });
    let role = client.library().get_role(request).await?.into_inner().role.unwrap_or_default();
    if console.for_people() {
        console.line(library::role(&role).trim_end())?;
    } else {
        console.value(&RoleView::from(&role))?;
    }
    Ok(Exit::Done)
}
