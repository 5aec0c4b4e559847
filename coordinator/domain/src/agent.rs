//! The agents the factory knows how to drive.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One variant a worker-side adapter. A task names the kind; a worker offers
/// the kinds whose program it found working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Claude Code, headless.
    Claude,
    /// Any argv; the exit code is the verdict.
    Command,
    /// The built-in agent that follows the steps in its prompt: for demos, tests and load.
    Scripted,
}

impl AgentKind {
    pub const ALL: [Self; 3] = [Self::Claude, Self::Command, Self::Scripted];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Command => "command",
            Self::Scripted => "scripted",
        }
    }

    /// It works in a conversation: it can be told things, and has closing words of its own.
    pub const fn converses(self) -> bool {
        match self {
            Self::Claude | Self::Scripted => true,
            Self::Command => false,
        }
    }
}

impl fmt::Display for AgentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown agent `{0}`; known agents: claude, command, scripted")]
pub struct UnknownAgent(String);

impl FromStr for AgentKind {
    type Err = UnknownAgent;

    fn from_str(name: &str) -> Result<Self, UnknownAgent> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| UnknownAgent(name.to_owned()))
    }
}
