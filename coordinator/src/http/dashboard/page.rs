//! Rendering: the templates, what all pages are given, and the headers they are sent with.

use std::sync::{Arc, LazyLock};

use axum::extract::FromRequestParts;
use axum::response::{Html, IntoResponse, Response};
use axum_extra::extract::CookieJar;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, merge_maps};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use super::{filters, theme};
use crate::app::{App, QuestionsRequest};
use crate::auth::Session;
use crate::http::problem::Problem;

/// Everything from here, nothing inline, framed by nobody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Open questions that the frame counts; more are that many and a plus.
const MOST_COUNTED: u32 = 99;

/// Name and text. Names end in `.html`, so that what is put into them is escaped.
const TEMPLATES: &[(&str, &str)] = &[
    ("fleet.html", include_str!("../../../dashboard/templates/fleet.html")),
    ("graph.html", include_str!("../../../dashboard/templates/graph.html")),
    ("graph_svg.html", include_str!("../../../dashboard/templates/graph_svg.html")),
    ("handoff_parts.html", include_str!("../../../dashboard/templates/handoff_parts.html")),
    ("handoffs.html", include_str!("../../../dashboard/templates/handoffs.html")),
    ("layout.html", include_str!("../../../dashboard/templates/layout.html")),
    ("login.html", include_str!("../../../dashboard/templates/login.html")),
    ("macros.html", include_str!("../../../dashboard/templates/macros.html")),
    ("message_parts.html", include_str!("../../../dashboard/templates/message_parts.html")),
    ("messages.html", include_str!("../../../dashboard/templates/messages.html")),
    ("problem.html", include_str!("../../../dashboard/templates/problem.html")),
    ("questions.html", include_str!("../../../dashboard/templates/questions.html")),
    ("repos.html", include_str!("../../../dashboard/templates/repos.html")),
    ("submit.html", include_str!("../../../dashboard/templates/submit.html")),
    ("task.html", include_str!("../../../dashboard/templates/task.html")),
    ("task_diff.html", include_str!("../../../dashboard/templates/task_diff.html")),
    ("task_parts.html", include_str!("../../../dashboard/templates/task_parts.html")),
    ("tasks.html", include_str!("../../../dashboard/templates/tasks.html")),
    ("thread.html", include_str!("../../../dashboard/templates/thread.html")),
    ("workflow.html", include_str!("../../../dashboard/templates/workflow.html")),
    ("workflows.html", include_str!("../../../dashboard/templates/workflows.html")),
    ("worktree_remove.html", include_str!("../../../dashboard/templates/worktree_remove.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the syntax of this program's templates"));
    filters::add(&mut environment);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).expect("a template of this program");
    }
    environment
});

/// What stands around every page. A handler takes it before all else, so that the page's cursor is that of a feed
/// read before its content.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// The feed's; `None`: there is nothing to follow.
    cursor: Option<u64>,
    /// Seconds since the epoch.
    now: i64,
    version: &'static str,
    /// dark, light; `None`: as the system has it.
    theme: Option<&'static str>,
    /// The first part of the path: which of the header's links leads here.
    section: String,
    open_questions: usize,
    most_counted: u32,
    /// Whether there is a session to sign out of.
    has_session: bool,
}

impl FromRequestParts<Arc<App>> for Frame {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let mut frame = Self::around(parts, app);
        frame.cursor = Some(app.cursor());
        let open = QuestionsRequest { page_size: MOST_COUNTED + 1, ..QuestionsRequest::default() };
        frame.open_questions = app.questions(open).await?.questions.len();
        Ok(frame)
    }
}

impl Frame {
    /// Around a page that follows nothing, such as one which says that something is wrong.
    pub fn around(parts: &Parts, app: &App) -> Self {
        let section = parts.uri.path().split('/').nth(1).unwrap_or_default().to_owned();
        Self {
            cursor: None,
            now: filters::seconds(app.clock.now()),
            version: env!("CARGO_PKG_VERSION"),
            theme: theme::chosen(&CookieJar::from_headers(&parts.headers)),
            section,
            open_questions: 0,
            most_counted: MOST_COUNTED,
            has_session: parts.extensions.get::<Session>().is_some(),
        }
    }

    /// A page: which template, what it is about, and what is on it.
    pub fn page(&self, template: &str, title: &str, content: impl Serialize) -> Result<Response, Problem> {
        self.page_as(StatusCode::OK, template, title, content)
    }

    /// The same with a status of its own: a form with errors, say.
    pub fn page_as(
        &self,
        status: StatusCode,
        template: &str,
        title: &str,
        content: impl Serialize,
    ) -> Result<Response, Problem> {
        let page = context! { title, ..merge_maps([Value::from(Serde(self)), Value::from(Serde(content))]) };
        let html = ENVIRONMENT.get_template(template).and_then(|template| template.render(page));
        let html = html.map_err(|error| {
            tracing::error!(template, error = format!("{error:#}"), "a page could not be rendered");
            Problem::internal("this page could not be rendered; the coordinator's log says why")
        })?;
        let mut response = (status, Html(html)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
