//! Errors as RFC 9457 has them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{FormRejection, JsonRejection, PathRejection};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::QueryRejection;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode, Uri};
use serde::Serialize;
use tonic::{Code, Status};
use utoipa::openapi::{Content, Ref, RefOr, Response as Described};
use utoipa::{IntoResponses, ToSchema};

use crate::app::{Error, FieldViolation};

const CONTENT: &str = "application/problem+json";

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    #[serde(skip)]
    code: StatusCode,
    /// What every problem of this kind is called.
    title: &'static str,
    status: u16,
    /// For people: the thing, the cause, the next step.
    detail: String,
    /// The fields that cannot be accepted; empty where it is not about fields.
    errors: Vec<BadField>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BadField {
    field: String,
    detail: String,
}

impl Problem {
    pub fn new(code: StatusCode, detail: String) -> Self {
        let title = code.canonical_reason().unwrap_or("Error");
        Self { code, title, status: code.as_u16(), detail, errors: Vec::new() }
    }

    pub fn code(&self) -> StatusCode {
        self.code
    }

    pub fn title(&self) -> &'static str {
        self.title
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the same may well be answered by the next coordinator, or by this one later.
    pub fn is_passing(&self) -> bool {
        self.code == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Of a body whose fields stand, over gRPC, in a `part` of the message, such as `memory.`.
    pub fn of_body(error: Error, part: &str) -> Self {
        Self::naming(error, |field| field.strip_prefix(part).unwrap_or(field).to_owned())
    }

    /// Of a field that is called otherwise over gRPC.
    pub fn renamed(error: Error, there: &str, here: &str) -> Self {
        Self::naming(error, |field| if field == there { here } else { field }.to_owned())
    }

    fn naming(error: Error, name: impl Fn(&str) -> String) -> Self {
        let Error::Invalid(mut violations) = error else { return error.into() };
        for violation in &mut violations {
            violation.field = name(&violation.field);
        }
        Error::Invalid(violations).into()
    }

    /// A fault of this program's own.
    pub fn internal(detail: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail.to_owned())
    }

    /// There is nothing at this address.
    pub async fn no_such_route(uri: Uri) -> Self {
        let path = uri.path().escape_debug().to_string();
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is nothing at {path}; /api/openapi.json lists all routes"),
        )
    }

    /// There is no page at this address.
    pub fn no_such_page(uri: &Uri) -> Self {
        let path = uri.path().escape_debug().to_string();
        Self::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))
    }

    /// There is, but not for this method.
    pub async fn no_such_method(method: http::Method, uri: Uri) -> Self {
        let path = uri.path().escape_debug().to_string();
        let detail = format!("{path} does not take {method}; the header Allow says what it takes");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
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

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Self {
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
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        // For who shows it as a page.
        response.extensions_mut().insert(self);
        response
    }
}

/// The refusals that a handler names in its `responses(…)`, each by its status.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:literal: $words:literal;)+) => {
        $(
            $(#[$doc])*
            pub enum $name {}

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Described>> {
                    BTreeMap::from([($status.to_owned(), described($words).into())])
                }
            }
        )+
    };
}

refusals! {
    /// The query or the path cannot be read, or the domain does not accept what was sent.
    BadRequest = "400": "Something that was sent cannot be accepted: `detail` says what, `errors` which fields.";
    Unauthorized = "401": "The coordinator asks for a token, and none or another was sent.";
    NotFound = "404": "What is named is not there, or several are meant.";
    Conflict = "409": "It cannot be, as things stand.";
    TooLarge = "413": "The body is larger than 2 MiB.";
    UnsupportedMedia = "415": "The body is not said to be `application/json`.";
    Unprocessable = "422": "The body is JSON, but not of this shape: an unknown field, or one of another type.";
    Internal = "500": "A fault of the coordinator's own, which its log tells of.";
    Unavailable = "503": "The coordinator is stopping; ask again soon.";
    DiskFull = "507": "The coordinator's disk is full: nothing was changed, and it can be asked again.";
}

/// What can be wrong with a body of JSON, beside a bad request.
pub enum BadJson {}

impl IntoResponses for BadJson {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let all = [TooLarge::responses(), UnsupportedMedia::responses(), Unprocessable::responses()];
        all.into_iter().flatten().collect()
    }
}

fn described(words: &str) -> Described {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let mut response = Described::new(words);
    response.content.insert(CONTENT.to_owned(), problem.into());
    response
}
