//! What tasks have learned, as typed.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use factory_domain::MemoryKind;

/// What earlier tasks and people have learned, which later tasks are told
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl memory search flaky login test
  factoryctl memory add \"CI has no network: vendor what tests fetch\" --kind fact --repo .
  factoryctl memory findings --project checkout --limit 10
  factoryctl memory errors --project checkout

Each task is told the few that fit it best, of its repository and project, before it begins; agents search and
save more while they work. A memory of no repository and no project is for all.")]
pub struct Memory {
    #[command(subcommand)]
    pub command: Option<MemoryCommand>,
}

#[derive(Debug, Subcommand)]
pub enum MemoryCommand {
    /// Find memories by what they say, the most relevant first
    #[command(after_help = "\
Examples:
  factoryctl memory search flaky login test
  factoryctl memory search LoginPage --repo . --kind decision --kind code
  factoryctl memory search timeouts --tag test-agent -o json")]
    Search(MemorySearch),
    /// Save one; prints its number
    #[command(after_help = "\
Examples:
  factoryctl memory add \"Migrations are never edited once they are on main\" --kind decision --repo .
  factoryctl memory add \"Deploys go out on Tuesdays\" --project checkout --tag release
  cat NOTES.md | factoryctl memory add - --kind doc --repo octo/app")]
    Add(MemoryAdd),
    /// List them all, newest first
    #[command(after_help = "\
Examples:
  factoryctl memory list
  factoryctl memory list --repo . --kind doc
  factoryctl memory list --tag review-agent -o jsonl")]
    List(MemoryList),
    /// What agents have found out: all they remember but errors
    #[command(after_help = "\
Examples:
  factoryctl memory findings --project checkout --limit 10")]
    Findings(MemoryView),
    /// What went wrong for agents, and how it was mended
    #[command(after_help = "\
Examples:
  factoryctl memory errors --project checkout")]
    Errors(MemoryView),
}

impl Default for MemoryCommand {
    fn default() -> Self {
        Self::List(MemoryList::default())
    }
}

#[derive(Debug, Args)]
pub struct MemorySearch {
    /// Words to look for
    #[arg(required = true, value_name = "QUERY")]
    pub query: Vec<String>,
    #[command(flatten)]
    pub scope: MemoryScope,
    #[command(flatten)]
    pub narrowed: Narrowed,
    /// How many at most [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: Option<u32>,
}

#[derive(Debug, Args)]
pub struct MemoryAdd {
    /// What was learned; `-` reads it from stdin
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// What it is
    #[arg(long, value_name = "KIND", default_value = "fact", value_parser = kinds())]
    pub kind: String,
    /// A tag to find it by; repeatable
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    #[command(flatten)]
    pub scope: MemoryScope,
    /// The task it was learned in: what is not said here is that task's
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
}

#[derive(Debug, Default, Args)]
pub struct MemoryList {
    #[command(flatten)]
    pub scope: MemoryScope,
    #[command(flatten)]
    pub narrowed: Narrowed,
    #[command(flatten)]
    pub page: MemoryPage,
}

#[derive(Debug, Args)]
pub struct MemoryView {
    #[command(flatten)]
    pub scope: MemoryScope,
    #[command(flatten)]
    pub page: MemoryPage,
}

#[derive(Debug, Default, Args)]
pub struct MemoryScope {
    /// Of this repository: a path, a URL, owner/name or a short name [default: any]
    #[arg(long, value_name = "REPO")]
    pub repo: Option<String>,
    /// Of this project [default: any]
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
}

#[derive(Debug, Default, Args)]
pub struct Narrowed {
    /// Only of this kind; repeatable
    #[arg(long = "kind", value_name = "KIND", value_parser = kinds())]
    pub kinds: Vec<String>,
    /// Only with this tag; repeatable, and all of them must be there
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

#[derive(Debug, Default, Args)]
pub struct MemoryPage {
    /// How many at most [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(MemoryKind::ALL.map(MemoryKind::as_str))
}
