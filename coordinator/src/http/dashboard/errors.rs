//! Problems as pages, for browsers: the same words, and a way back.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Uri};
use serde::Serialize;
use tonic::Status;

use super::back::Back;
use super::page::Frame;
use crate::app::App;
use crate::http::problem::Problem;

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    back: &'a str,
}

/// What a browser is answered as a problem, it is shown as a page.
pub async fn as_pages(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !wants_a_page(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let (frame, back) = (Frame::around(&parts, &app), Back::of(&parts));
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let shown = Shown { problem: &problem, back: back.place_or("/") };
    let page = frame.page_as(response.status(), "problem.html", problem.title(), shown);
    let mut page = page.unwrap_or_else(Problem::into_response);
    // What else was said stays said: which methods there are, how to sign in.
    for (name, value) in response.headers() {
        if !page.headers().contains_key(name) && name != CONTENT_LENGTH {
            page.headers_mut().append(name, value.clone());
        }
    }
    page
}

/// For whatever is at no address of REST, gRPC or the dashboard.
pub async fn nothing_here(uri: Uri, headers: HeaderMap) -> Response {
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Status::unimplemented("there is no such service or method").into_http();
    }
    Problem::no_such_page(&uri).into_response()
}

/// Browsers name HTML among what they accept; programs seldom do.
pub fn wants_a_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("text/html"))
}
