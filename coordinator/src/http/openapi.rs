//! The document of all routes. Each handler says what it takes and answers; this is the rest of it.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi as Document, RefOr, Response, Schema};
use utoipa::{IntoResponses, Modify, OpenApi};

use super::problem::{Internal, Problem, Unauthorized, Unavailable};
use crate::app::App;

const DESCRIPTION: &str = "\
Many Claude Code agents in parallel, on a fleet.

- **Tasks** are named by id, by a prefix of it that only one has, or by their short number: `/api/tasks/42`.
- **Lists** are pages: `limit` says how long one is at most, and `next_page_token`, given back as `page_token` with the \
same filters, leads to the next. It is `null` on the last page.
- **Errors** are problems as RFC 9457 has them, `application/problem+json`.
- **Times** are RFC 3339 in UTC. Every field of an answer is always there; what there is not is `null`.
- **A token**, where the coordinator has one, is sent as `Authorization: Bearer TOKEN`.
- **`Idempotency-Key`**: a POST that creates may carry one. The same again with the same key finds what was made the \
first time.";

#[derive(OpenApi)]
#[openapi(
    info(title = "The factory", description = DESCRIPTION),
    components(schemas(Problem)),
    modifiers(&Token),
    security(("token" = []), ()),
    tags(
        (name = "tasks", description = "What agents are asked to do"),
        (name = "fleet", description = "Who does it"),
        (name = "questions", description = "What agents ask"),
        (name = "repos", description = "Where they work"),
        (name = "messages", description = "The board that agents and people share"),
        (name = "handoffs", description = "What tasks give one another"),
        (name = "workflows", description = "Steps by agents, one after the other"),
        (name = "memory", description = "What tasks have learned, for others"),
        (name = "library", description = "Roles and templates"),
        (name = "events", description = "What happens to tasks, live"),
    )
)]
struct Factory;

/// How a caller is known, where the coordinator has a token.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.take().unwrap_or_default();
        document.components =
            Some(ComponentsBuilder::from(components).security_scheme("token", scheme).build());
    }
}

/// The document without its routes.
pub fn document() -> Document {
    Factory::openapi()
}

/// What is true of every route, and need not be said at each.
pub fn complete(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            for (status, response) in
                [Unauthorized::responses(), Internal::responses(), Unavailable::responses()]
                    .into_iter()
                    .flatten()
            {
                operation.responses.responses.entry(status).or_insert(response);
            }
            operation.responses.responses.iter_mut().for_each(describe);
        }
    }
    for schema in document.components.iter_mut().flat_map(|components| components.schemas.values_mut()) {
        require_all(schema);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A name that no other has: `get_tasks_by_task_logs`.
fn operation_id(method: &str, path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != "api");
    parts.fold(method.to_owned(), |mut id, part| {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        id.push_str(if name.is_some() { "_by_" } else { "_" });
        id.push_str(&name.unwrap_or(part).replace(['-', '.'], "_"));
        id
    })
}

/// Every response has a description, if only what its status is called.
fn describe((status, response): (&String, &mut RefOr<Response>)) {
    if let RefOr::T(response) = response
        && response.description.is_empty()
    {
        let code = StatusCode::from_bytes(status.as_bytes()).ok();
        response.description =
            code.and_then(|code| code.canonical_reason()).unwrap_or("An answer").to_owned();
    }
}

/// What is answered has all its fields, always. (What is sent refuses unknown fields, which tells the two apart.)
fn require_all(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            let is_sent = matches!(
                object.additional_properties.as_deref(),
                Some(AdditionalProperties::FreeForm(false))
            );
            if !is_sent {
                object.required = object.properties.keys().cloned().collect();
            }
            object.properties.values_mut().for_each(require_all);
        }
        Schema::AllOf(parts) => parts.items.iter_mut().for_each(require_all),
        _ => {}
    }
}

/// Serves it at `/api/openapi.json`.
pub fn routes(document: &Document) -> Router<Arc<App>> {
    let json: Arc<str> = document.to_json().expect("a document of plain data").into();
    let serve = move || {
        let json = Arc::clone(&json);
        async move { ([(CONTENT_TYPE, "application/json")], json.to_string()) }
    };
    Router::new().route("/api/openapi.json", get(serve))
}
