//! `messages post`.

use factory_proto::v1;

use crate::cli::PostMessage;
use crate::command::{get_task, typed};
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::render::json::MessageView;

pub async fn run(connection: &Connection, console: Console, args: PostMessage) -> Result<Exit, CommandError> {
    let kind = args.message_type.map(v1::MessageType::from).unwrap_or_default();
    let message = v1::NewMessage {
        to: args.to.unwrap_or_default(),
        r#type: kind.into(),
        content: typed::text("TEXT", &args.text)?,
        reply_to: args.reply_to.unwrap_or_default(),
        from: args.from.unwrap_or_default(),
        task: args.task.unwrap_or_default(),
    };
    let idempotency_key = args.idempotency_key.unwrap_or_default();
    let client = &connection.client;
    let request = client.request(v1::PostMessageRequest { message: Some(message), idempotency_key });
    let posted = client.board().post_message(request).await?.into_inner().message.unwrap_or_default();
    if !posted.to_task_id.is_empty() {
        let (task, _) = get_task(client, &posted.to_task_id).await?;
        if task.state().is_terminal() {
            console.warn(format_args!("task {} has ended: its agent reads nothing any more", task.number));
        }
    }
    if console.for_people() {
        console.line(posted.number)?;
        console.note(format_args!("message {} posted to {}", posted.number, posted.to));
    } else {
        console.value(&MessageView::from(&posted))?;
    }
    Ok(Exit::Done)
}
