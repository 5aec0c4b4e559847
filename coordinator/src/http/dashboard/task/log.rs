//! A task's log as plain text, whole.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde::Deserialize;

use crate::app::{App, Error, LogPlace};
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;

#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// Number of the attempt; left out: the latest that has lines.
    attempt: Option<u32>,
}

struct Reading {
    app: Arc<App>,
    task: String,
    attempt: Option<u32>,
    offset: u64,
}

/// What the agent printed, as it is there by now.
pub async fn download(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let first = app.read_log(&task, wanted.attempt, LogPlace::From(0), 1).await?;
    let attempt = Some(first.attempt_number).filter(|number| *number > 0);
    let name = format!("attachment; filename=\"log-{}.txt\"", first.attempt_number);
    let reading = Reading { app, task, attempt, offset: 0 };
    let body = Body::from_stream(stream::try_unfold(reading, Reading::next));
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, body).into_response())
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        let page = self.app.read_log(&self.task, self.attempt, LogPlace::From(self.offset), 0).await?;
        if page.records.is_empty() {
            return Ok(None);
        }
        let mut text = Vec::new();
        for record in page.records {
            text.extend_from_slice(&record.data);
            if !record.continues {
                text.push(b'\n');
            }
        }
        self.offset = page.next_offset;
        Ok(Some((text.into(), self)))
    }
}
