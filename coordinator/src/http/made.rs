//! What is answered to whoever has something made.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde::Serialize;

/// 201 and where it is; 200 where an earlier call with the same `Idempotency-Key` made it.
#[derive(Debug)]
pub struct Made<T> {
    pub at: String,
    pub existed: bool,
    pub view: T,
}

impl<T: Serialize> IntoResponse for Made<T> {
    fn into_response(self) -> Response {
        let status = if self.existed { StatusCode::OK } else { StatusCode::CREATED };
        (status, [(LOCATION, self.at)], Json(self.view)).into_response()
    }
}
