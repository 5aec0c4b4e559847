//! The message board and handoffs, as they are typed.

use clap::{Args, Subcommand, ValueEnum};
use factory_proto::v1;

/// What agents and people say to one another
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  factoryctl messages                                   the newest
  factoryctl messages --task 42 --type question
  factoryctl messages --search '\"login test\" flak*'
  factoryctl messages post \"The API of /login has changed\" --to all
  factoryctl messages thread 7
  factoryctl messages follow -o jsonl"
)]
pub struct Messages {
    #[command(subcommand)]
    pub command: Option<MessagesCommand>,
    #[command(flatten)]
    pub list: MessageList,
}

#[derive(Debug, Subcommand)]
pub enum MessagesCommand {
    /// List messages, newest first
    #[command(after_help = "\
Examples:
  factoryctl messages list --limit 20
  factoryctl messages list --to reviewer --from coder
  factoryctl messages list --search 'cache' -o jsonl | jq -r .content")]
    List(MessageList),
    /// Post a message; prints its number
    #[command(after_help = "\
Examples:
  factoryctl messages post \"Main is frozen until noon\" --to all
  factoryctl messages post \"Use the port in FACTORY_PORT\" --to task:42
  factoryctl messages post \"Yes, please\" --reply-to 7
  factoryctl messages post - --to reviewer --type status < report.md

Agents are told of a message when they next act: of one to their task or role also
where they have not begun yet, of one to all only where they have. `user` is whoever
reads the board.")]
    Post(PostMessage),
    /// Show a message and everything said in reply
    #[command(after_help = "\
Examples:
  factoryctl messages thread 7")]
    Thread(MessageName),
    /// Print messages as they are posted, until interrupted
    #[command(after_help = "\
Examples:
  factoryctl messages follow
  factoryctl messages follow --task 42 --type error
  factoryctl messages follow --since 118    go on after message 118")]
    Follow(FollowMessages),
}

#[derive(Debug, Args)]
pub struct MessageList {
    /// Only messages by or to this task
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Only messages of this type; repeatable
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub types: Vec<MessageType>,
    /// Only messages to `all`, `user`, a role, or task:N
    #[arg(long, value_name = "WHOM")]
    pub to: Option<String>,
    /// Only messages of this sender: a role or a name
    #[arg(long, value_name = "NAME")]
    pub from: Option<String>,
    /// Only messages with all of these words, "phrases" and beginnings*
    #[arg(long, value_name = "WORDS")]
    pub search: Option<String>,
    /// How many at most, up to 1000 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

#[derive(Debug, Args)]
pub struct PostMessage {
    /// The message, in Markdown; `-` reads it from stdin
    #[arg(value_name = "TEXT", required = true)]
    pub text: Vec<String>,
    /// `all`, `user`, a role, or task:N [default: whoever wrote what it replies to, else all]
    #[arg(long, value_name = "WHOM")]
    pub to: Option<String>,
    /// What kind of message it is [default: info]
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub message_type: Option<MessageType>,
    /// The task it is about
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// The message it replies to, by number or id
    #[arg(long, value_name = "MESSAGE")]
    pub reply_to: Option<String>,
    /// Who says it [default: user]
    #[arg(long, value_name = "NAME")]
    pub from: Option<String>,
    /// Posting again with the same key posts nothing new
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
pub struct MessageName {
    /// A message's number or id
    pub message: String,
}

#[derive(Debug, Args)]
pub struct FollowMessages {
    /// Only messages by or to this task
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Only messages of this type; repeatable
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub types: Vec<MessageType>,
    /// Begin after the message with this number [default: what comes from now on]
    #[arg(long, value_name = "NUMBER")]
    pub since: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageType {
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

/// What tasks gave one another
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  factoryctl handoffs --task 42      from it and to it
  factoryctl handoffs show 3
  factoryctl handoffs create --from 42 --to-role reviewer \"The parser is done; mind the tests of dates\""
)]
pub struct Handoffs {
    #[command(subcommand)]
    pub command: Option<HandoffsCommand>,
    #[command(flatten)]
    pub list: HandoffList,
}

#[derive(Debug, Subcommand)]
pub enum HandoffsCommand {
    /// List handoffs, newest first
    #[command(after_help = "\
Examples:
  factoryctl handoffs list --task 42
  factoryctl handoffs list -o jsonl | jq -r .branch")]
    List(HandoffList),
    /// Show one handoff in full
    #[command(after_help = "\
Examples:
  factoryctl handoffs show 3")]
    Show(HandoffName),
    /// Hand on from one task to another, to a role, or to whatever depends on it; prints its number
    #[command(after_help = "\
Examples:
  factoryctl handoffs create --from 42 --to 43 \"The parser is done; mind the tests of dates\"
  factoryctl handoffs create --from 42 --artifact docs/design.md - < notes.md

Without --to and --to-role it is for whatever depends on the task, also what is submitted later.")]
    Create(CreateHandoff),
}

#[derive(Debug, Args)]
pub struct HandoffList {
    /// Only handoffs from this task or to it
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Only handoffs of this workflow, by its id
    #[arg(long, value_name = "WORKFLOW")]
    pub workflow: Option<String>,
    /// How many at most, up to 1000 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

#[derive(Debug, Args)]
pub struct HandoffName {
    /// A handoff's number or id
    pub handoff: String,
}

#[derive(Debug, Args)]
pub struct CreateHandoff {
    /// What the next one must know, in Markdown; `-` reads it from stdin
    #[arg(value_name = "CONTEXT", required = true)]
    pub context: Vec<String>,
    /// The task it comes from
    #[arg(long, value_name = "TASK")]
    pub from: String,
    /// The task it is for [default: whatever depends on the one it comes from]
    #[arg(long, value_name = "TASK", conflicts_with = "to_role")]
    pub to: Option<String>,
    /// The role it is for
    #[arg(long, value_name = "ROLE")]
    pub to_role: Option<String>,
    /// A path in the branch to look at; repeatable
    #[arg(long = "artifact", value_name = "PATH")]
    pub artifacts: Vec<String>,
    /// Where the work is [default: the branch that the task delivered]
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
    /// Handing on again with the same key changes nothing
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}
