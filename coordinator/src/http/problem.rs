//! Errors as RFC 9457 has them.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::QueryRejection;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tonic::{Code, Status};
use utoipa::ToSchema;

use crate::app::{Error, FieldViolation};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    #[serde(skip)]
    code: StatusCode,
    /// What every problem of this kind is called.
    title: &'static str,
    status: u16,
    /// For people: the thing, the cause, the next step.
    detail: String,
    /// The fields that cannot be accepted, where it is about fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<BadField>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct BadField {
    field: String,
    detail: String,
}

impl Problem {
    fn new(code: StatusCode, detail: String) -> Self {
        let title = code.canonical_reason().unwrap_or("Error");
        Self { code, title, status: code.as_u16(), detail, errors: Vec::new() }
    }

    pub fn title(&self) -> &'static str {
        self.title
    }

    /// Whether the same may well be answered by the next coordinator, or by this one later.
    pub fn is_passing(&self) -> bool {
        self.code == StatusCode::SERVICE_UNAVAILABLE
    }

    /// A fault of this program's own.
    pub fn internal(detail: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail.to_owned())
    }
}

/// The kinds of errors are told apart in one place, where they become a gRPC status.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let errors = match &error {
            Error::Invalid(violations) => violations.iter().map(BadField::from).collect(),
            _ => Vec::new(),
        };
        let status = Status::from(error);
        Self { errors, ..Self::new(status_of(status.code()), status.message().to_owned()) }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<&FieldViolation> for BadField {
    fn from(violation: &FieldViolation) -> Self {
        Self { field: violation.field.clone(), detail: violation.why.clone() }
    }
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::INSUFFICIENT_STORAGE,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(&self)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        // For who shows it as a page.
        response.extensions_mut().insert(self);
        response
    }
}
