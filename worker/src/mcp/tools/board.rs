//! The message board, and handing on.

use std::time::Duration;

use factory_proto::v1;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, RequestMetaObject};
use rmcp::{schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tools;
use crate::mcp::link::Trouble;
use crate::mcp::words;

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MessageType {
    #[default]
    Info,
    Question,
    Handoff,
    Status,
    Error,
}

impl From<MessageType> for v1::MessageType {
    fn from(kind: MessageType) -> Self {
        match kind {
            MessageType::Info => Self::Info,
            MessageType::Question => Self::Question,
            MessageType::Handoff => Self::Handoff,
            MessageType::Status => Self::Status,
            MessageType::Error => Self::Error,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct PostMessage {
    /// Whom it is for: `all`, `user` (the people), a role such as `reviewer`, or one task as `task:12`. Left out:
    /// whoever wrote the message you reply to, and otherwise all.
    #[serde(default)]
    to: Option<String>,
    /// The message, in Markdown. Say what it is about: those who read it do not see your work.
    content: String,
    /// `info` where left out; `question` where you need a reply of another agent.
    #[serde(default)]
    message_type: MessageType,
    /// The number of the message that this one replies to.
    #[serde(default)]
    reply_to: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ReadMessages {
    /// Words, "quoted phrases" or prefix* to search for in all messages. Left out, together with `thread`: only
    /// what is new for you.
    #[serde(default)]
    search: Option<String>,
    /// The number of a message: it and everything said in reply.
    #[serde(default)]
    thread: Option<u64>,
    /// Also messages that you have read before, or that are for others.
    #[serde(default)]
    all: bool,
    /// At most so many, 1 to 100; 20 where left out.
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Handoff {
    /// What the next one must know, in Markdown: what is done and how you know it works, what is left, decisions and
    /// their reasons, traps, how to run and test it. They do not have your conversation.
    context: String,
    /// The task it is for, such as `12`. Leave out, and `to_role` too, for whatever depends on your task.
    #[serde(default)]
    to_task: Option<String>,
    /// The role it is for, such as `reviewer`.
    #[serde(default)]
    to_role: Option<String>,
    /// Paths in your branch to look at first, such as `docs/design.md`.
    #[serde(default)]
    artifacts: Vec<String>,
}

#[tool_router(router = board, vis = "pub(super)")]
impl Tools {
    /// Post a message on the board that agents and people share.
    ///
    /// Use it for what concerns others while you work: an interface you changed, a trap you found, a question to
    /// another agent, an answer to a message of theirs. Agents are told of it when they next act; `user` is for
    /// people, who may read it later and owe you no reply (ask_user is for what you cannot go on without).
    /// Not for a summary of your work (end your turn with that) nor for how far you are (report_progress).
    ///
    /// Returns the message's number, which replies name.
    ///
    /// Example: {"to": "task:12", "content": "I renamed `Session::open` to `connect` in src/net.rs; rebase before you
    /// call it.", "message_type": "info"}
    #[tool(annotations(title = "Post a message", destructive_hint = false))]
    async fn post_message(
        &self,
        Parameters(said): Parameters<PostMessage>,
        meta: RequestMetaObject,
    ) -> CallToolResult {
        let message = v1::NewMessage {
            to: said.to.clone().unwrap_or_default(),
            r#type: v1::MessageType::from(said.message_type).into(),
            content: said.content.clone(),
            reply_to: said.reply_to.map(|number| number.to_string()).unwrap_or_default(),
            ..v1::NewMessage::default()
        };
        let post = async |key| self.seat.post(key, message.clone()).await;
        let posted = self.once("post_message", &said, &meta, post).await;
        self.answer(posted.map(|message| format!("Posted as message {} to {}.", message.number, message.to)))
            .await
    }

    /// Read messages from the board, newest last.
    ///
    /// Without arguments: those to you, your role or all that you have not read; you are shown new ones with the
    /// results of your tools anyway, so there is no need to look again and again. With `search` or `thread`: what was
    /// said before, by anyone.
    #[tool(annotations(title = "Read messages", destructive_hint = false))]
    async fn read_messages(&self, Parameters(wanted): Parameters<ReadMessages>) -> CallToolResult {
        let (search, thread) = (wanted.search.unwrap_or_default(), wanted.thread);
        let request = v1::AgentReadMessagesRequest {
            attempt: self.seat.attempt(),
            unread: !wanted.all && search.is_empty() && thread.is_none(),
            search,
            thread: thread.map(|number| number.to_string()).unwrap_or_default(),
            limit: wanted.limit.unwrap_or_default(),
        };
        let read = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.read_messages(request).await }
        });
        let read = read.await;
        self.answer(read.map(|response| words::messages(&response.messages))).await
    }

    /// Hand your work on to another task, to a role, or to whatever depends on your task.
    ///
    /// Use it once, near the end, when somebody is to go on from what you did and your branch alone does not say
    /// enough. It is shown with both tasks; your branch goes with it. Commit first.
    ///
    /// Example: {"to_role": "reviewer", "context": "Rate limiting is in src/limit.rs, tested by tests/limit.rs …",
    /// "artifacts": ["src/limit.rs"]}
    #[tool(annotations(title = "Hand on", destructive_hint = false))]
    async fn handoff(
        &self,
        Parameters(handoff): Parameters<Handoff>,
        meta: RequestMetaObject,
    ) -> CallToolResult {
        let hand_on = async |key| self.hand_on(&handoff, key).await;
        let done = self.once("handoff", &handoff, &meta, hand_on).await;
        self.answer(done.map(|handoff| {
            let to = match (handoff.to_task_number, handoff.to_role.as_str()) {
                (0, "") => "whatever depends on your task".to_owned(),
                (0, role) => format!("the role {role}"),
                (task, _) => format!("task {task}"),
            };
            format!("Handoff {} is there for {to}.", handoff.number)
        }))
        .await
    }
}

impl Tools {
    async fn hand_on(&self, handoff: &Handoff, key: String) -> Result<v1::Handoff, Trouble> {
        let request = v1::AgentHandoffRequest {
            attempt: self.seat.attempt(),
            key,
            handoff: Some(v1::NewHandoff {
                to_task: handoff.to_task.clone().unwrap_or_default(),
                to_role: handoff.to_role.clone().unwrap_or_default(),
                context: handoff.context.clone(),
                artifacts: handoff.artifacts.clone(),
                branch: self.seat.branch().map(ToString::to_string).unwrap_or_default(),
                ..v1::NewHandoff::default()
            }),
        };
        let made = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.handoff(request).await }
        });
        made.await?.handoff.ok_or_else(|| Trouble::Refused("the answer names no handoff".to_owned()))
    }
}
