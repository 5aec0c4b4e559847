//! `templates show`: one template, as written.

use factory_proto::v1;

use crate::cli::LibraryName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::TemplateView;
use crate::render::{Console, plain};

pub async fn run(connection: &Connection, console: Console, args: LibraryName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::GetTemplateRequest { name: args.name });
    let template = client.library().get_template(request).await?.into_inner().template.unwrap_or_default();
    if console.for_people() {
        console.note(format_args!("from: {}", plain::line(&template.source)));
        console.line(plain::text(&template.text).trim_end())?;
    } else {
        console.value(&TemplateView::from(&template))?;
    }
    Ok(Exit::Done)
}
