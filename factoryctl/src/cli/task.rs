//! A task as typed, for every command that submits one.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use factory_domain::{AgentKind, Labels};
use serde::Deserialize;

use super::together::TogetherArgs;

/// What is left out is for the coordinator to choose.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// What the agent is to do; `-` reads it from stdin
    #[arg(value_name = "PROMPT")]
    pub prompt: Vec<String>,
    /// Read the prompt from a file; `-` is stdin
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with = "prompt")]
    pub file: Option<PathBuf>,
    /// One line for people [default: the prompt's first line]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// A path, a URL, owner/name or a name that `repos list` shows [default: the repository of the current directory]
    #[arg(long, value_name = "REPO", conflicts_with = "no_repo", allow_hyphen_values = true)]
    pub repo: Option<String>,
    /// Work in an empty workspace
    #[arg(long)]
    pub no_repo: bool,
    /// Branch, tag or commit to start from [default: the repository's default branch]
    #[arg(long, value_name = "REVISION", allow_hyphen_values = true)]
    pub base: Option<String>,
    /// Branch to work on [default: factory/SHORTID-TITLE]
    #[arg(long, value_name = "BRANCH", allow_hyphen_values = true)]
    pub branch: Option<String>,
    /// Which agent does the work [default: claude]
    #[arg(long, value_name = "AGENT", value_parser = PossibleValuesParser::new(AgentKind::ALL.map(AgentKind::as_str)))]
    pub agent: Option<String>,
    /// The model the agent uses [default: the agent's own]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Higher goes first, from -1000 to 1000 [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// A label the worker must have; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = Labels::parse_pair)]
    pub labels: Vec<(String, String)>,
    /// Tries in all [default: 3]
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// End the agent after so long in all, such as 90s, 5m or 1h30m [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// End the agent after so long without a line from it [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub idle_timeout: Option<Duration>,
    /// US dollars one attempt may spend, such as 1.50 [default: no limit]
    #[arg(long = "budget-usd", value_name = "DOLLARS", value_parser = micro_usd)]
    pub budget: Option<MicroUsd>,
    /// Tokens one attempt may use: input, output and what it writes to the cache [default: no limit]
    #[arg(long, value_name = "N")]
    pub budget_tokens: Option<u64>,
    /// Turns the agent may take [default: no limit]
    #[arg(long, value_name = "N")]
    pub max_turns: Option<u32>,
    /// What becomes of the commits [default: branch]
    #[arg(long, value_enum, value_name = "HOW")]
    pub deliver: Option<Deliver>,
    /// What becomes of changes the agent did not commit [default: commit]
    #[arg(long, value_enum, value_name = "HOW")]
    pub leftovers: Option<Leftovers>,
    /// An executable in the repository to run before the agent, relative to its root
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub setup: Option<String>,
    /// End the set-up after so long [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub setup_timeout: Option<Duration>,
    /// Let the repository's own agent settings (hooks, MCP servers, CLAUDE.md) take effect
    #[arg(long)]
    pub trust_repo: bool,
    /// The same key with the same task submits it once only
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    #[command(flatten)]
    pub together: TogetherArgs,
    /// Program and arguments of `--agent command`; no shell reads them
    #[arg(last = true, value_name = "ARGV")]
    pub argv: Vec<String>,
}

/// Millionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MicroUsd(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deliver {
    /// Push the branch to the origin
    Branch,
    /// Push nothing; the commits are kept as a bundle
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leftovers {
    /// Commit them on the branch
    Commit,
    /// Leave them in the worktree, which is kept
    Keep,
    Discard,
}

pub fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "is not a duration such as 90s, 5m or 1h30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "must not be negative".to_owned())
}

pub fn micro_usd(text: &str) -> Result<MicroUsd, String> {
    let dollars: f64 =
        text.trim_start_matches('$').parse().map_err(|_| "is not an amount such as 1.50".to_owned())?;
    if !(dollars > 0.0 && dollars <= 1e9) {
        return Err("must be more than nothing, and at most a billion".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
    Ok(MicroUsd((dollars * 1e6).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_money_are_read_as_people_write_them() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("90").is_err());
        assert!(duration("-5m").is_err());
        assert_eq!(micro_usd("1.50"), Ok(MicroUsd(1_500_000)));
        for bad in ["0", "-1", "NaN", "inf", "x"] {
            assert!(micro_usd(bad).is_err(), "{bad} was accepted");
        }
    }
}
