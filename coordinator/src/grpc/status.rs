//! The one place where an error becomes a `Status`.

use std::error::Error as _;

use factory_proto::convert::InvalidMessage;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::app::{Error, JobError, RepoJobFailure};
use crate::artifacts::ArtifactError;
use crate::library::Unusable;
use crate::logs::LogError;
use crate::store::StoreError;

/// Statuses travel in headers, which have a bound: a longer message is cut, in bytes.
const MAX_MESSAGE: usize = 1000;
const MAX_VIOLATIONS: usize = 20;

/// The status a caller gets: the standard code, a message for people, and google.rpc
/// details where there are any. What is our own trouble is logged here, with its causes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = clip(error.to_string());
        let code = code_of(&error);
        match error {
            Error::Invalid(violations) => {
                let mut details = ErrorDetails::new();
                for violation in violations.into_iter().take(MAX_VIOLATIONS) {
                    details.add_bad_request_violation(violation.field, clip(violation.why));
                }
                Self::with_error_details(code, message, details)
            }
            Error::KeyReused { existing, .. } => {
                let details = ErrorDetails::with_resource_info("task", existing.to_string(), "", &message);
                Self::with_error_details(code, message, details)
            }
            error => {
                if matches!(code, Code::Internal | Code::ResourceExhausted) {
                    log_with_causes(&error);
                }
                Self::new(code, message)
            }
        }
    }
}

/// A message that does not say what it must.
impl From<InvalidMessage> for Error {
    fn from(error: InvalidMessage) -> Self {
        match error {
            InvalidMessage::Missing(field) => Self::invalid(field, "is missing"),
            InvalidMessage::Invalid { field, why } => Self::invalid(field, why),
        }
    }
}

fn clip(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE));
        text.push('…');
    }
    text
}

fn code_of(error: &Error) -> Code {
    match error {
        Error::Invalid(_) | Error::AmbiguousTask(_) | Error::NoSuchPlace { .. } => Code::InvalidArgument,
        Error::NoSuchWorkflow(_)
        | Error::NoSuchTask(_)
        | Error::NotKin(_)
        | Error::NoSuchAttempt { .. }
        | Error::NoSuchArtifact { .. }
        | Error::NoSuchQuestion(_)
        | Error::UnknownQuestion(_)
        | Error::Removed(_) => Code::NotFound,
        Error::NoSuchMessage(_) | Error::NoSuchHandoff(_) => Code::NotFound,
        Error::NoSuchRepo(_) | Error::NoSuchWorktree { .. } => Code::NotFound,
        Error::RepoNameTaken { .. } => Code::AlreadyExists,
        Error::RepoInUse { .. } | Error::WorktreeInUse { .. } | Error::WorktreeRefused(_) => {
            Code::FailedPrecondition
        }
        Error::RepoJob(error) => job_code(error),
        Error::NoCheckpoint(_) | Error::CheckpointFileMissing { .. } => Code::NotFound,
        // Names are given freely: one that several have finds none of them.
        Error::NoSuchWorker(_) | Error::AmbiguousWorker { .. } => Code::NotFound,
        Error::Library(Unusable::Unknown { .. }) => Code::NotFound,
        Error::WorkflowKeyReused { .. } | Error::KeyUsed { .. } => Code::AlreadyExists,
        Error::WorkflowHasEnded { .. } => Code::FailedPrecondition,
        Error::KeyReused { .. } => Code::AlreadyExists,
        Error::Library(Unusable::Broken { .. }) => Code::FailedPrecondition,
        Error::NotAnswered(_)
        | Error::HasEnded { .. }
        | Error::HasNotEnded { .. }
        | Error::NeedsRetryFirst { .. }
        | Error::TooDeep { .. }
        | Error::TooManyChildren { .. }
        | Error::Protocol { .. }
        | Error::NotYours(_) => Code::FailedPrecondition,
        Error::Silent(_) => Code::DeadlineExceeded,
        Error::SessionOver => Code::Aborted,
        Error::Stopping | Error::Store(StoreError::Closed) => Code::Unavailable,
        Error::Store(StoreError::Full { .. }) => Code::ResourceExhausted,
        Error::Store(_) => Code::Internal,
        Error::Logs(LogError::Full { .. }) => Code::ResourceExhausted,
        Error::Logs(LogError::NotConsecutive { .. } | LogError::TooLong { .. }) => Code::InvalidArgument,
        Error::Logs(LogError::Closed) => Code::Unavailable,
        Error::Logs(_) => Code::Internal,
        Error::Artifacts(error) => artifact_code(error),
        Error::ReadArtifact(_) => Code::Internal,
    }
}

/// UNAVAILABLE is the coordinator's own absence, and is tried again by clients without a word.
fn job_code(error: &JobError) -> Code {
    match error {
        JobError::Failed { kind: RepoJobFailure::NotFound, .. } => Code::NotFound,
        JobError::Lost(_) | JobError::TooSlow { .. } => Code::Aborted,
        JobError::NobodyThere | JobError::Away(_) | JobError::TooOld(_) | JobError::Failed { .. } => {
            Code::FailedPrecondition
        }
    }
}

fn artifact_code(error: &ArtifactError) -> Code {
    match error {
        ArtifactError::TooLarge { .. } => Code::InvalidArgument,
        // What came is not what was announced: the same upload can be sent again.
        ArtifactError::WrongLength { .. } | ArtifactError::WrongDigest { .. } => Code::DataLoss,
        ArtifactError::Missing { .. } => Code::NotFound,
        ArtifactError::Full { .. } => Code::ResourceExhausted,
        ArtifactError::Io { .. } => Code::Internal,
        ArtifactError::Stopping => Code::Unavailable,
    }
}

fn log_with_causes(error: &Error) {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    tracing::error!(%error, causes = causes.join(": "), "a call failed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::FieldViolation;

    #[test]
    fn a_bad_field_is_named_in_the_details() {
        let status = Status::from(Error::invalid("tasks[2].prompt", "is empty"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let bad = status.get_details_bad_request().expect("details");
        assert_eq!(bad.field_violations[0].field, "tasks[2].prompt");
    }

    #[test]
    fn a_status_fits_in_a_header_whatever_was_sent() {
        let long = "ж".repeat(100_000);
        let many = (0..1000).map(|n| FieldViolation::new(format!("tasks[{n}].agent"), &long)).collect();
        for error in [Error::NoSuchTask(long), Error::Invalid(many)] {
            let status = Status::from(error);
            let size = status.message().len() + status.details().len();
            assert!(size < 24 * (MAX_MESSAGE + 100), "{size}");
        }
    }
}
