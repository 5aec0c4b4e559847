//! Messages and handoffs.

use factory_proto::v1;
use serde::Serialize;

use super::some;
use crate::render::board::type_name;
use crate::render::units::rfc3339;

#[derive(Debug, Serialize)]
pub struct MessageView<'a> {
    pub id: &'a str,
    pub number: u64,
    pub at: Option<String>,
    pub from: &'a str,
    pub from_task_id: Option<&'a str>,
    pub from_task: Option<u64>,
    pub from_attempt_id: Option<&'a str>,
    /// `all`, `user`, a role, or `task:N`.
    pub to: &'a str,
    pub to_task_id: Option<&'a str>,
    #[serde(rename = "type")]
    pub message_type: &'static str,
    pub content: &'a str,
    pub reply_to_id: Option<&'a str>,
    pub reply_to: Option<u64>,
    /// The message that begins its thread; null: it is that one.
    pub thread_id: Option<&'a str>,
    pub thread: Option<u64>,
    pub replies: u32,
}

impl<'a> From<&'a v1::Message> for MessageView<'a> {
    fn from(message: &'a v1::Message) -> Self {
        Self {
            id: &message.id,
            number: message.number,
            at: rfc3339(message.at_ms),
            from: &message.from,
            from_task_id: some(&message.from_task_id),
            from_task: counted(message.from_task_number),
            from_attempt_id: some(&message.from_attempt_id),
            to: &message.to,
            to_task_id: some(&message.to_task_id),
            message_type: type_name(message.r#type()),
            content: &message.content,
            reply_to_id: some(&message.reply_to),
            reply_to: counted(message.reply_to_number),
            thread_id: some(&message.thread_id),
            thread: counted(message.thread_number),
            replies: message.replies,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct HandoffView<'a> {
    pub id: &'a str,
    pub number: u64,
    pub at: Option<String>,
    pub from_task_id: &'a str,
    pub from_task: u64,
    pub from_role: Option<&'a str>,
    pub from_attempt_id: Option<&'a str>,
    /// With no task and no role, it is for whatever depends on the task it comes from.
    pub to_task_id: Option<&'a str>,
    pub to_task: Option<u64>,
    pub to_role: Option<&'a str>,
    pub workflow_id: Option<&'a str>,
    pub iteration: Option<u32>,
    pub context: &'a str,
    pub artifacts: &'a [String],
    pub branch: Option<&'a str>,
}

impl<'a> From<&'a v1::Handoff> for HandoffView<'a> {
    fn from(handoff: &'a v1::Handoff) -> Self {
        Self {
            id: &handoff.id,
            number: handoff.number,
            at: rfc3339(handoff.at_ms),
            from_task_id: &handoff.from_task_id,
            from_task: handoff.from_task_number,
            from_role: some(&handoff.from_role),
            from_attempt_id: some(&handoff.from_attempt_id),
            to_task_id: some(&handoff.to_task_id),
            to_task: counted(handoff.to_task_number),
            to_role: some(&handoff.to_role),
            workflow_id: some(&handoff.workflow_id),
            iteration: some(&handoff.workflow_id).map(|_| handoff.iteration),
            context: &handoff.context,
            artifacts: &handoff.artifacts,
            branch: some(&handoff.branch),
        }
    }
}

/// Things are numbered from 1.
fn counted(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}
