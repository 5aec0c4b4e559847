//! Rendering: the templates, what all pages are given, and the headers they are sent with.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::http::problem::Problem;

/// Everything from here, nothing inline, framed by nobody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Name and text. Names end in `.html`, so that what is put into them is escaped.
const TEMPLATES: &[(&str, &str)] = &[
    ("layout.html", include_str!("../../../dashboard/templates/layout.html")),
    ("fleet.html", include_str!("../../../dashboard/templates/fleet.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the syntax of this program's templates"));
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).expect("a template of this program");
    }
    environment
});

/// A page: which template, what it is about, and the feed's cursor when that was read.
pub fn render(
    template: &str,
    title: &str,
    cursor: u64,
    content: impl Serialize,
) -> Result<Response, Problem> {
    let version = env!("CARGO_PKG_VERSION");
    let page = context! { title, cursor, version, ..Value::from(Serde(content)) };
    let html = ENVIRONMENT.get_template(template).and_then(|template| template.render(page));
    let html = html.map_err(|error| {
        tracing::error!(template, error = format!("{error:#}"), "a page could not be rendered");
        Problem::internal("this page could not be rendered; the coordinator's log says why")
    })?;
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
