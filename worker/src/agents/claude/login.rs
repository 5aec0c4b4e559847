//! How Claude Code is logged in on this host, found without asking anyone.

use std::path::PathBuf;

use crate::agents::Fingerprint;
use crate::environment::Environment;

/// Variables that are a login by themselves, in the order Claude Code prefers them.
const KEYS: [&str; 3] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];

pub const BEDROCK: &str = "CLAUDE_CODE_USE_BEDROCK";
pub const VERTEX: &str = "CLAUDE_CODE_USE_VERTEX";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A key, a token, or a cloud's own credentials: each attempt can have settings of its own.
    Environment,
    /// A login kept in a file that is refreshed in place: all agents must use this one file.
    Shared(PathBuf),
}

impl Login {
    pub fn find(environment: &Environment) -> Option<Self> {
        if KEYS.iter().chain(&[BEDROCK, VERTEX]).any(|name| environment.get(name).is_some()) {
            return Some(Self::Environment);
        }
        let configured = environment.get("CLAUDE_CONFIG_DIR").map(PathBuf::from);
        let home = || environment.get("HOME").map(|home| PathBuf::from(home).join(".claude"));
        let credentials = configured.or_else(home)?.join(".credentials.json");
        credentials.is_file().then_some(Self::Shared(credentials))
    }

    /// Another one wherever the login is another: the file may be written at any time.
    pub async fn fingerprint(environment: &Environment) -> Option<Fingerprint> {
        match Self::find(environment)? {
            Self::Environment => Some(Fingerprint::of(KEYS.map(|name| environment.get(name)))),
            // One that cannot be read now is told by its next state.
            Self::Shared(path) => tokio::fs::read(path).await.ok().map(Fingerprint::of),
        }
    }
}
