//! What agents ask, and the answers to it, as typed.

use clap::Args;

/// What agents have asked and nobody has answered, oldest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl questions
  factoryctl questions --task 42 --all
  factoryctl questions -o jsonl | jq -r '\"\\(.number) \\(.text)\"'

An agent that asks and gets no answer soon ends its turn: its slot is free, its task waits, and once all it asked
is answered it goes on in the same conversation.")]
pub struct Questions {
    /// Also those answered, expired or withdrawn; newest first
    #[arg(long)]
    pub all: bool,
    /// Only those of this task: its number, its id or the beginning of its id
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// How many at most, up to 200 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: Option<u32>,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

/// Answer what a task's agent has asked
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl answer 42                        shows what is asked, and reads the answer
  factoryctl answer 42 \"Use the new API\"
  factoryctl answer 42 2                      the second of its options
  factoryctl answer 42 --question 7 blue      where it asked several things
  factoryctl answer 42 - < decision.md")]
pub struct Answer {
    /// A task's number, its id or the beginning of its id
    pub task: String,
    /// The answer; where there are options, one of them or its number; `-` reads it from stdin
    pub text: Option<String>,
    /// Which question, by its number or its id; needed where several are open
    #[arg(long, value_name = "QUESTION")]
    pub question: Option<String>,
    /// Who answers, for the agent and for others [default: the user's name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}
