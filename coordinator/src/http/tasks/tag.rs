//! The tag of an answer: who has seen it need not be told again.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::http::problem::Problem;
use crate::http::view::TaskDetail;

/// Sends a task, or that it is as the caller knows it. The tag is a weak one: the feed's cursor moves with every
/// task, and is left out of it.
pub fn answer(headers: &HeaderMap, detail: &TaskDetail) -> Result<Response, Problem> {
    let tag = tag_of(detail)?;
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|list| list.split(',')).map(str::trim).any(|one| one == "*" || one == tag);
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { Json(detail).into_response() };
    let tag = HeaderValue::try_from(tag).map_err(|_| Problem::internal("the answer could not be tagged"))?;
    response.headers_mut().insert(ETAG, tag);
    // To be kept, and asked about before each use.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn tag_of(detail: &TaskDetail) -> Result<String, Problem> {
    let said = serde_json::to_vec(&detail.without_cursor())
        .map_err(|error| Problem::internal(&format!("the task could not be written as JSON: {error}")))?;
    Ok(format!("W/\"{}\"", hex::encode(&Sha256::digest(said)[..16])))
}
