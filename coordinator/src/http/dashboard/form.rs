//! Forms as browsers send them.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let axum::Form(form) = axum::Form::from_request(request, state).await?;
        Ok(Self(form))
    }
}
