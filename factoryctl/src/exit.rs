//! How a command ends: the documented exit codes, and the one place where
//! errors of every kind are mapped to them and worded for people.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

use factory_domain::Violation;
use factory_proto::client::ClientError;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The exit codes, as `factoryctl --help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// A task ended failed or cancelled, or the command could not do its work.
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Unreachable = 4,
    Refused = 5,
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Input that is refused here, before anything is sent.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Refused(String),
    /// What was to run here cannot.
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The coordinator's answer to a call.
    #[error("{}", describe(.0))]
    Status(Box<Status>),
    /// Reading or writing a local file.
    #[error("{what}: {source}")]
    Local { what: String, source: io::Error },
    /// Whoever read our output went away.
    #[error("the output was closed")]
    OutputClosed,
    #[error("interrupted")]
    Interrupted,
}

impl From<Status> for CommandError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// Writing to stdout.
impl From<io::Error> for CommandError {
    fn from(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Local { what: "cannot write the output".to_owned(), source }
        }
    }
}

impl CommandError {
    pub fn local(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Local { what, source }
    }

    /// Every field that cannot be accepted, under the name of its flag.
    pub fn violations(violations: &[Violation]) -> Self {
        Self::Usage(list_fields(violations.iter().map(|found| (found.field, found.why.as_str()))))
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Client(ClientError::InvalidUrl { .. } | ClientError::InvalidToken) => {
                Exit::Usage
            }
            Self::NotFound(_) => Exit::NotFound,
            Self::Refused(_) => Exit::Refused,
            Self::Client(_) => Exit::Unreachable,
            Self::Status(status) => exit_of(status.code()),
            Self::Local { .. } | Self::Failed(_) => Exit::Failed,
            // `factoryctl … | head` has done what was asked.
            Self::OutputClosed => Exit::Done,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Client(ClientError::Unreachable { .. }) => {
                Some("start one with `factoryctl up`, or name yours with --url or FACTORY_URL")
            }
            Self::Status(status) => match status.code() {
                Code::Unauthenticated if status.message().is_empty() => {
                    Some("give the coordinator's token in FACTORY_AUTH_TOKEN or with --token-file")
                }
                Code::NotFound if status.message().contains("no task") => {
                    Some("`factoryctl status` lists the tasks")
                }
                Code::NotFound if status.message().contains("no message") => {
                    Some("`factoryctl messages` lists the messages")
                }
                Code::NotFound if status.message().contains("no handoff") => {
                    Some("`factoryctl handoffs` lists the handoffs")
                }
                Code::NotFound if status.message().contains("no worker") => {
                    Some("`factoryctl workers` lists the workers")
                }
                Code::Unavailable => Some("is the coordinator still running? try again in a moment"),
                Code::DeadlineExceeded => Some("the coordinator is slow to answer; try again"),
                Code::Unimplemented => Some("is that a factory coordinator, and of this release?"),
                _ => None,
            },
            _ => None,
        }
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Done,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::ResourceExhausted => Exit::Refused,
        Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Exit::Unreachable,
    }
}

fn describe(status: &Status) -> String {
    if let Some(details) = status.get_details_bad_request()
        && !details.field_violations.is_empty()
    {
        return list_fields(
            details.field_violations.iter().map(|found| (found.field.as_str(), found.description.as_str())),
        );
    }
    match (status.code(), status.message()) {
        (Code::Unauthenticated, "") => "the coordinator refused the token".to_owned(),
        // The coordinator's own words are for people; those of HTTP/2 are not.
        (Code::Unavailable, message) if status.source().is_none() && !message.is_empty() => {
            message.to_owned()
        }
        _ if connection_broke(status) => "the connection to the coordinator was lost".to_owned(),
        (code, "") => format!("the coordinator answered: {}", code.description()),
        (_, message) => message.to_owned(),
    }
}

fn list_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (index, (field, why)) in fields.enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{}: {why}", flag_of(field));
    }
    text
}

/// `tasks[0].max_attempts` is typed as `--max-attempts`.
fn flag_of(field: &str) -> String {
    match field.rsplit('.').next().unwrap_or(field) {
        "prompt" => "PROMPT".to_owned(),
        "argv" => "ARGV".to_owned(),
        "labels" => "--label".to_owned(),
        "task" | "tasks" => "TASK".to_owned(),
        "states" => "--state".to_owned(),
        "page_size" => "--limit".to_owned(),
        "attempt_number" => "--attempt".to_owned(),
        "after" => "--since".to_owned(),
        "budget_micro_usd" => "--budget-usd".to_owned(),
        name => format!("--{}", name.trim_end_matches("_ms").replace('_', "-")),
    }
}

/// Whether a call failed on its way, and may well succeed once the coordinator is
/// there again. A status made on this side has a source; none has that came over the wire.
pub fn connection_broke(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown) || status.source().is_some()
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    #[test]
    fn a_bad_request_is_told_in_flags() {
        let details = ErrorDetails::with_bad_request(vec![
            FieldViolation::new("tasks[0].base", "begins with `-`"),
            FieldViolation::new("tasks[0].max_attempts", "must lie between 1 and 100"),
            FieldViolation::new("after", "is 9, and the feed ends at 5"),
        ]);
        let error = CommandError::from(Status::with_error_details(
            Code::InvalidArgument,
            "the task cannot be accepted",
            details,
        ));
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(
            error.to_string(),
            "--base: begins with `-`\n--max-attempts: must lie between 1 and 100\n\
             --since: is 9, and the feed ends at 5"
        );
    }

    #[test]
    fn each_answer_has_its_documented_code() {
        for (code, exit) in [
            (Code::NotFound, Exit::NotFound),
            (Code::Unauthenticated, Exit::Refused),
            (Code::FailedPrecondition, Exit::Refused),
            (Code::AlreadyExists, Exit::Refused),
            (Code::Unavailable, Exit::Unreachable),
            (Code::InvalidArgument, Exit::Usage),
        ] {
            assert_eq!(CommandError::from(Status::new(code, "x")).exit(), exit);
        }
        assert_eq!(CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), Exit::Done);
    }
}
