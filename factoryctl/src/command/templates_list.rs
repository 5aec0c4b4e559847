//! `templates list`: the templates, and what they can ask for.

use factory_proto::v1;

use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::TemplateView;
use crate::render::{Console, library};

pub async fn run(connection: &Connection, console: Console) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::ListTemplatesRequest {});
    let reply = client.library().list_templates(request).await?.into_inner();
    if console.for_people() {
        console.line(library::templates(console, &reply.templates).trim_fmt())?;
        console.line(format_args!("\n{}", library::placeholders(console, &reply.placeholders).trim_fmt()))?;
    } else {
        console.values(&reply.templates.iter().map(TemplateView::from).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}
