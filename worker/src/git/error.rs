//! What git says when it fails, read into types.

use std::io;
use std::time::Duration;

/// Why a git command did not do what it was asked to.
///
/// `said` is the end of git's own words, without credentials. Each message is whole: it holds its cause.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git could not be started: {0}. Install git on the worker, or put it on its PATH")]
    Start(io::Error),
    #[error("git {command}: reading or writing failed: {cause}")]
    Io { command: String, cause: io::Error },
    #[error("not a git repository: {said}")]
    NotARepository { said: String },
    #[error("the repository belongs to another user, and git does not trust it: {said}")]
    ForeignOwner { said: String },
    #[error("no such branch, tag or commit: {said}")]
    RefNotFound { said: String },
    #[error("the remote refused the login: {said}")]
    AuthenticationFailed { said: String },
    #[error("the remote could not be reached: {said}")]
    Unreachable { said: String },
    #[error("the remote refused the push: {said}")]
    Rejected { said: String },
    #[error("no space left on the worker's disk: {said}")]
    DiskFull { said: String },
    #[error("git {command} took longer than {} s and was ended", limit.as_secs())]
    TimedOut { command: String, limit: Duration },
    #[error("git {command} was cancelled")]
    Cancelled { command: String },
    #[error("git {command} failed ({}): {said}", code.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}")))]
    Failed { command: String, code: Option<i32>, said: String },
    #[error("git {command} answered something unexpected: {said}")]
    Unexpected { command: String, said: String },
}

/// Words of git and of the programs it runs (ssh, curl), by what they mean. The first match wins, so
/// the specific stand before the general; git's messages are stable under `LC_ALL=C`.
const SIGNS: [(Sign, &[&str]); 7] = [
    (Sign::DiskFull, &["No space left on device", "Disk quota exceeded"]),
    (Sign::ForeignOwner, &["detected dubious ownership"]),
    (
        Sign::Authentication,
        &[
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "Permission denied (",
            "Host key verification failed",
            "Permission to ",
            "returned error: 401",
            "returned error: 403",
        ],
    ),
    (
        Sign::NotARepository,
        &[
            "not a git repository",
            "does not appear to be a git repository",
            "Repository not found",
            "' not found",
            "' does not exist",
        ],
    ),
    (
        Sign::Rejected,
        &["[rejected]", "[remote rejected]", "non-fast-forward", "hook declined", "failed to push some refs"],
    ),
    (
        Sign::Unreachable,
        &[
            "Could not resolve host",
            "Could not resolve hostname",
            "Name or service not known",
            "Connection refused",
            "Connection timed out",
            "Connection reset",
            "Failed to connect",
            "unable to connect",
            "Couldn't connect",
            "Network is unreachable",
            "No route to host",
            "Operation timed out",
            "Operation too slow",
            "returned error: 5",
            "RPC failed",
            "early EOF",
            "hung up unexpectedly",
            "Could not read from remote repository",
            "unable to access",
        ],
    ),
    (
        Sign::RefNotFound,
        &[
            "couldn't find remote ref",
            "unknown revision",
            "Needed a single revision",
            "bad revision",
            "Not a valid object name",
            "invalid reference",
            "not our ref",
        ],
    ),
];

#[derive(Clone, Copy)]
enum Sign {
    DiskFull,
    ForeignOwner,
    Authentication,
    NotARepository,
    Rejected,
    Unreachable,
    RefNotFound,
}

impl GitError {
    /// Reads a failed command's stderr.
    pub(super) fn read(command: String, code: Option<i32>, stderr: &[u8]) -> Self {
        let said = without_credentials(&tail(stderr));
        let sign = SIGNS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word)));
        match sign.map(|(sign, _)| *sign) {
            Some(Sign::DiskFull) => Self::DiskFull { said },
            Some(Sign::ForeignOwner) => Self::ForeignOwner { said },
            Some(Sign::Authentication) => Self::AuthenticationFailed { said },
            Some(Sign::NotARepository) => Self::NotARepository { said },
            Some(Sign::Rejected) => Self::Rejected { said },
            Some(Sign::Unreachable) => Self::Unreachable { said },
            Some(Sign::RefNotFound) => Self::RefNotFound { said },
            None => Self::Failed { command, code, said },
        }
    }

    /// Reads a failure to read or write around a command.
    pub(crate) fn io(command: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |cause| match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { said: cause.to_string() }
            }
            _ => Self::Io { command: command.into(), cause },
        }
    }

    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

/// The last lines, joined into one; progress and hints left out.
fn tail(stderr: &[u8]) -> String {
    const LENGTH: usize = 1000;
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("hint:")).collect();
    let mut said = lines.join("; ");
    if said.len() > LENGTH {
        let from = said.ceil_char_boundary(said.len() - LENGTH);
        said = format!("…{}", &said[from..]);
    }
    said
}

/// Takes `user:password@` (and a token given as the user) out of every URL in the text.
pub fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '\'' | '"'))
            .unwrap_or(after.len());
        let authority = &after[..end];
        let is_ssh = before.ends_with("ssh://");
        match authority.rsplit_once('@') {
            Some((user, host)) if !is_ssh || user.contains(':') => {
                clean.push_str("***@");
                clean.push_str(host);
            }
            _ => clean.push_str(authority),
        }
        rest = &after[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stderr: &str) -> GitError {
        GitError::read("fetch".into(), Some(128), stderr.as_bytes())
    }

    #[test]
    fn what_git_says_becomes_a_type() {
        let auth = "fatal: could not read Username for 'https://github.com': terminal prompts disabled";
        assert!(matches!(read(auth), GitError::AuthenticationFailed { .. }));
        let ssh = "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.";
        assert!(matches!(read(ssh), GitError::AuthenticationFailed { .. }));
        let gone = "fatal: unable to access 'https://h/': Could not resolve host: h";
        assert!(matches!(read(gone), GitError::Unreachable { .. }));
        let none = "fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.";
        assert!(matches!(read(none), GitError::NotARepository { .. }));
        let full = "error: file write error: No space left on device\nfatal: unable to write";
        assert!(matches!(read(full), GitError::DiskFull { .. }));
        let old = "! [rejected] a -> a (non-fast-forward)\nerror: failed to push some refs to 'x'";
        assert!(matches!(read(old), GitError::Rejected { .. }));
        assert!(matches!(read("fatal: something else"), GitError::Failed { code: Some(128), .. }));
    }

    #[test]
    fn credentials_never_reach_a_message() {
        let clean = without_credentials(
            "fatal: unable to access 'https://bob:s3cret@h.example/a.git/': 403, see https://tok@h and ssh://git@h/x",
        );
        assert_eq!(
            clean,
            "fatal: unable to access 'https://***@h.example/a.git/': 403, see https://***@h and ssh://git@h/x"
        );
    }

    #[test]
    fn only_the_end_of_a_long_answer_is_kept() {
        let said = tail("é".repeat(5000).as_bytes());
        assert!(said.len() <= 1010 && said.starts_with('…'));
    }
}
