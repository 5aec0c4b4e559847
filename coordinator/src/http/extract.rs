//! What was sent, read; what cannot be read is a problem, as every error is.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::app::Error;

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// The query of the URL. A parameter that is a list may be given several times.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The parts of the path that are names.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let axum::Json(body) = axum::Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum_extra::extract::Query(query) =
            axum_extra::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(path) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

/// The header `Idempotency-Key`, by which a call that is made again finds what it made the first time. Empty: none.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header, names("Idempotency-Key"))]
pub struct IdempotencyKey(#[param(value_type = Option<String>, min_length = 1, max_length = 200)] pub String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const HEADER: &str = "Idempotency-Key";
        let mut sent = parts.headers.get_all(HEADER).iter();
        match (sent.next(), sent.next()) {
            (None, _) => Ok(Self(String::new())),
            (Some(key), None) => match key.to_str() {
                Ok(key) if !key.trim().is_empty() => Ok(Self(key.to_owned())),
                _ => Err(Error::invalid(HEADER, "must be printable ASCII, and not empty").into()),
            },
            (Some(_), Some(_)) => Err(Error::invalid(HEADER, "is there more than once").into()),
        }
    }
}

/// The length of a page that was asked for; what is left out is the list's own default.
pub fn page_size(limit: Option<u32>) -> Result<u32, Problem> {
    const MOST: u32 = 1000;
    match limit {
        None => Ok(0),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(limit) => {
            Err(Error::invalid("limit", format!("is {limit}; it must lie between 1 and {MOST}")).into())
        }
    }
}
