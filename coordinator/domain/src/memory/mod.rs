//! What tasks have learned, for those that come later.
//!
//! A memory belongs to a repository, to a project, to both or to neither. Agents and people save
//! them; the coordinator adds a [`summary`] of each task that ended. Which of them a task is told
//! is decided by its words ([`words`]), by meaning where vectors are at hand, and by what its role
//! prefers ([`rank`]).

pub mod briefing;
pub mod rank;
pub mod summary;
pub mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::draft::Violations;
use crate::{RepoSource, Slug, TaskId, TaskSpec, Violation};

/// Bytes of one memory.
pub const MAX_CONTENT: usize = 64 * 1024;
pub const MAX_TAGS: usize = 20;
/// Bytes of one tag.
pub const MAX_TAG: usize = 64;
/// Bytes of a project's name, as in a task.
const MAX_PROJECT: usize = 100;
/// The share of words two memories of one task have in common from which on they say the same.
const SAME: f64 = 0.85;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// What went wrong, and how it was mended.
    Error,
    /// A pattern or a place in the code.
    Code,
    Decision,
    Fact,
    Doc,
}

impl MemoryKind {
    pub const ALL: [Self; 5] = [Self::Error, Self::Code, Self::Decision, Self::Fact, Self::Doc];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Code => "code",
            Self::Decision => "decision",
            Self::Fact => "fact",
            Self::Doc => "doc",
        }
    }
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of memory `{0}`; known kinds: error, code, decision, fact, doc")]
pub struct UnknownMemoryKind(String);

impl FromStr for MemoryKind {
    type Err = UnknownMemoryKind;

    fn from_str(name: &str) -> Result<Self, UnknownMemoryKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownMemoryKind(name.to_owned()))
    }
}

/// Where a memory belongs, or who asks for some.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub repo: Option<RepoSource>,
    pub project: Option<String>,
}

impl Scope {
    /// The scope of a task whose agent can make use of memories. One of no repository and no
    /// project has none: nobody could be told of what it learned, or know what is for it.
    pub fn of_task(spec: &TaskSpec) -> Option<Self> {
        let scope =
            Self { repo: spec.repo.as_ref().map(RepoSource::canonical), project: spec.project.clone() };
        (spec.agent.converses() && scope != Self::default()).then_some(scope)
    }
}

/// A memory as it is saved. Every field has passed [`MemoryDraft::validate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    pub kind: MemoryKind,
    pub content: String,
    pub tags: BTreeSet<String>,
    pub scope: Scope,
    /// Of the agent that learned it.
    pub role: Option<Slug>,
    pub task: Option<TaskId>,
    /// Written by the coordinator at the task's end.
    pub is_summary: bool,
}

/// A memory as someone gave it, before it was looked at.
#[derive(Debug, Clone)]
pub struct MemoryDraft {
    pub kind: MemoryKind,
    pub content: String,
    pub tags: Vec<String>,
    pub repo: String,
    pub project: String,
    pub role: String,
}

impl MemoryDraft {
    /// Every violation at once.
    pub fn validate(self, task: Option<TaskId>) -> Result<Memory, Vec<Violation>> {
        let mut found = Violations::default();
        let content = self.content.trim();
        if content.is_empty() {
            found.add("content", "is empty; say what was learned");
        }
        if content.len() > MAX_CONTENT {
            found.add("content", format!("is longer than {MAX_CONTENT} bytes; save what matters of it"));
        }
        if content.contains('\0') {
            found.add("content", "holds a NUL byte");
        }
        if self.tags.len() > MAX_TAGS {
            found.add("tags", format!("are more than {MAX_TAGS}"));
        }
        for tag in &self.tags {
            found.single_line("tags", tag, MAX_TAG);
            if tag.trim().is_empty() {
                found.add("tags", "holds an empty one");
            }
        }
        let repo = found.optional("repo", &self.repo, RepoSource::parse);
        found.single_line("project", &self.project, MAX_PROJECT);
        let role = found.optional("role", &self.role, Slug::parse);
        if !found.0.is_empty() {
            return Err(found.0);
        }
        let mut tags: BTreeSet<String> = self.tags.iter().map(|tag| tag.trim().to_owned()).collect();
        if task.is_some() {
            tags.insert(agent_tag(role.as_ref()));
        }
        let project = Some(self.project).filter(|project| !project.is_empty());
        let content = content.to_owned();
        Ok(Memory {
            kind: self.kind,
            content,
            tags,
            scope: Scope { repo, project },
            role,
            task,
            is_summary: false,
        })
    }
}

/// What marks the memories of all agents of one role, such as `test-agent`.
pub fn agent_tag(role: Option<&Slug>) -> String {
    role.map_or_else(|| "agent".to_owned(), |role| format!("{role}-agent"))
}

/// `content` without what makes no difference: the same words in the same order are the same memory.
pub fn normalised(content: &str) -> String {
    words::words(content).collect::<Vec<_>>().join(" ").to_lowercase()
}

/// An agent that says again what it has said before tends to change a word or two.
pub fn says_the_same(one: &str, other: &str) -> bool {
    let set = |text: &str| words::words(text).map(str::to_lowercase).collect::<BTreeSet<_>>();
    let (one, other) = (set(one), set(other));
    let common = one.intersection(&other).count();
    let all = one.len() + other.len() - common;
    all > 0 && common as f64 / all as f64 >= SAME
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(content: &str) -> MemoryDraft {
        MemoryDraft {
            kind: MemoryKind::Fact,
            content: content.to_owned(),
            tags: Vec::new(),
            repo: String::new(),
            project: String::new(),
            role: String::new(),
        }
    }

    #[test]
    fn everything_wrong_with_a_memory_is_said_at_once() {
        let bad = MemoryDraft {
            tags: vec!["a\nb".into(), " ".into()],
            repo: "ext::sh".into(),
            role: "../x".into(),
            ..draft(" \n")
        };
        let fields: Vec<_> = bad.validate(None).expect_err("refused").iter().map(|v| v.field).collect();
        assert_eq!(fields, ["content", "tags", "tags", "repo", "role"]);
        assert!(draft(&"x".repeat(MAX_CONTENT + 1)).validate(None).is_err());
    }

    #[test]
    fn an_agents_memory_bears_its_roles_tag_and_a_persons_does_not() {
        let task = TaskId::from_uuid(uuid::Uuid::nil());
        let of_agent = MemoryDraft { role: "test".into(), ..draft("x") }.validate(Some(task)).expect("valid");
        assert_eq!(of_agent.tags.into_iter().collect::<Vec<_>>(), ["test-agent"]);
        assert!(draft("x").validate(None).expect("valid").tags.is_empty());
    }

    #[test]
    fn what_says_the_same_is_known_by_its_words() {
        assert_eq!(
            normalised("Use  `cargo nextest`,\nnot cargo test."),
            normalised("use cargo nextest not cargo-test")
        );
        let long =
            "the login test fails when the clock of the host is set back by more than a minute at night";
        assert!(says_the_same(long, &format!("{long}!")));
        assert!(says_the_same(long, &long.replace(" at night", "")));
        assert!(!says_the_same("use tabs in Go", "use tabs in Make"));
        assert!(!says_the_same("", ""));
    }
}
