//! Why there are no vectors.

use reqwest::StatusCode;

/// The address is left out of what `reqwest` says: it may hold what is nobody's business.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error(
        "the client of the embeddings endpoint cannot be set up; are the host's CA certificates installed?"
    )]
    Setup(#[source] reqwest::Error),
    #[error("the embeddings endpoint cannot be reached, or broke off")]
    Unreachable(#[source] reqwest::Error),
    #[error("the embeddings endpoint answered {status}: {said}")]
    Refused { status: StatusCode, said: String },
    #[error("the embeddings endpoint's answer cannot be used: {0}")]
    Malformed(String),
}

impl EmbedError {
    pub(super) fn setup(error: reqwest::Error) -> Self {
        Self::Setup(error.without_url())
    }

    /// It is about what was sent, not about the endpoint: the same again would be refused again.
    pub fn is_about_the_texts(&self) -> bool {
        let Self::Refused { status, .. } = self else { return false };
        [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY]
            .contains(status)
    }
}

impl From<reqwest::Error> for EmbedError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}
