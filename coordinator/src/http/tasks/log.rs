//! A task's log, in pages.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Error, TaskLogPlace};
use crate::http::extract::{Path, Query};
use crate::http::problem::{BadRequest, NotFound, Problem};
use crate::http::view::{Line, LineReader, LogCursor};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Lines of one page at most.
const MOST: u32 = 10_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Where to begin, as an earlier page's `next_since` said: `ATTEMPT:OFFSET`. Left out: at the first attempt's
    /// first line.
    #[param(value_type = Option<String>, pattern = "^([0-9]+:[0-9]+)?$")]
    since: Option<LogCursor>,
    /// The last so many lines instead, of the latest attempt that has any, or of `attempt`.
    #[param(minimum = 1, maximum = 10_000)]
    tail: Option<u32>,
    /// Of the attempt with this number alone.
    #[param(minimum = 1)]
    attempt: Option<u32>,
    /// 1000 when left out. There may be fewer lines on a page and more after it: see `at_end`.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
}

/// Lines of one attempt's log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogPage)]
struct Page {
    /// The attempt's number; `null`: none has a log yet.
    attempt: Option<u32>,
    lines: Vec<Line>,
    /// Where to read on: what comes later is after it.
    next_since: String,
    /// There is nothing more at the moment.
    at_end: bool,
    /// Nor will there be.
    complete: bool,
}

/// A page of a task's log, attempt by attempt.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}/logs",
    tag = "tasks",
    params(("task" = String, Path, description = "Id, a prefix of it, or number"), Wanted),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn read(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Problem> {
    let (place, limit) = wanted.read()?;
    let page = app.read_task_log(&task, place, wanted.attempt, limit).await?;
    let (attempt, offset) = page.next;
    let mut lines = LineReader::default();
    Ok(Json(Page {
        attempt: page.attempt,
        lines: page.records.into_iter().map(|record| lines.read(record)).collect(),
        next_since: LogCursor { attempt, offset }.to_string(),
        at_end: page.at_end,
        complete: page.complete,
    }))
}

impl Wanted {
    fn read(&self) -> Result<(TaskLogPlace, u32), Problem> {
        for (field, given) in [("tail", self.tail), ("limit", self.limit)] {
            if given.is_some_and(|lines| lines == 0 || lines > MOST) {
                return Err(Error::invalid(field, format!("must lie between 1 and {MOST}")).into());
            }
        }
        let place = match (self.since, self.tail) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid("tail", "cannot be given together with since").into());
            }
            (Some(since), None) => TaskLogPlace::From((since.attempt, since.offset)),
            (None, Some(tail)) => TaskLogPlace::Tail(tail),
            (None, None) => TaskLogPlace::From((self.attempt.unwrap_or(1), 0)),
        };
        Ok((place, self.limit.or(self.tail).unwrap_or_default()))
    }
}
