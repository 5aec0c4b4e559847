//! `/tasks/{task}`: all there is to one task.

mod changes;
mod family;
mod log;
mod moves;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use factory_domain::{TaskId, TaskSpec, Usage};
use serde::Serialize;

use super::graph::Graph;
use super::page::Frame;
use crate::app::{App, AttemptDetail, HandoffsRequest, MessagesRequest, QuestionsRequest};
use crate::http::extract::Path;
use crate::http::problem::Problem;
use crate::http::view::{Handoff, Message, Question, TaskDetail};
use changes::Changed;
use family::Family;
use timeline::Timeline;

/// Questions of one task that are shown: the newest.
const QUESTIONS: u32 = 50;
/// Messages and handoffs of one task that are shown: the newest.
const SAID: u32 = 10;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/tasks/{task}", get(show))
        .route("/tasks/{task}/diff", get(changes::show))
        .route("/tasks/{task}/log.txt", get(log::download))
        .route("/tasks/{task}/cancel", post(moves::cancel))
        .route("/tasks/{task}/release", post(moves::release))
        .route("/tasks/{task}/retry", post(moves::retry))
}

#[derive(Serialize)]
struct Page {
    task: TaskDetail,
    /// It has ended.
    over: bool,
    limits: Vec<(&'static str, String)>,
    timeline: Timeline,
    spent: Spent,
    changed: Option<Changed>,
    questions: Vec<Question>,
    messages: Vec<Message>,
    handoffs: Vec<Handoff>,
    family: Family,
    graph: Option<Graph>,
    retry_of: Option<u64>,
    retried_as: Option<u64>,
    goes_on_from: Option<u64>,
    workflow: Option<Workflow>,
}

/// What all of its attempts have used.
#[derive(Debug, Default, Serialize)]
struct Spent {
    cost_usd: f64,
    turns: u64,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
}

/// The one it is a step of.
#[derive(Serialize)]
struct Workflow {
    number: u64,
    name: String,
}

async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let detail = app.get(&name).await?;
    let (id, number) = (detail.task.id, detail.task.number);
    let workflow = match detail.task.workflow {
        Some(workflow) => {
            let workflow = app.workflow(&workflow.to_string()).await?.workflow;
            Some(Workflow { number: workflow.number, name: workflow.definition.name.to_string() })
        }
        None => None,
    };
    let all = QuestionsRequest {
        task: Some(id.to_string()),
        all: true,
        page_size: QUESTIONS,
        ..QuestionsRequest::default()
    };
    let questions = app.questions(all).await?.questions;
    let related = family::read(&app, id).await?;
    let title = format!("#{number} {}", detail.task.spec.title);
    let page = Page {
        over: detail.task.state.is_terminal(),
        limits: limits(&detail.task.spec),
        timeline: Timeline::read(&app, &detail.task).await?,
        spent: Spent::of(&detail.attempts),
        changed: changes::summary(&app, id, &detail.attempts).await?,
        questions: questions.into_iter().map(Question::from).collect(),
        messages: messages(&app, id).await?,
        handoffs: handoffs(&app, id).await?,
        graph: related.graph(number),
        family: related,
        retry_of: number_of(&app, detail.task.retry_of).await?,
        retried_as: number_of(&app, detail.task.retried_as).await?,
        goes_on_from: number_of(&app, detail.task.goes_on_from).await?,
        workflow,
        task: detail.into(),
    };
    frame.page("task.html", &title, page)
}

async fn messages(app: &App, task: TaskId) -> Result<Vec<Message>, Problem> {
    let request = MessagesRequest {
        task: task.to_string(),
        types: Vec::new(),
        to: String::new(),
        from: String::new(),
        search: String::new(),
        page_size: SAID,
        page_token: String::new(),
    };
    Ok(app.messages(request).await?.messages.into_iter().map(Message::from).collect())
}

async fn handoffs(app: &App, task: TaskId) -> Result<Vec<Handoff>, Problem> {
    let request = HandoffsRequest {
        task: task.to_string(),
        workflow: String::new(),
        page_size: SAID,
        page_token: String::new(),
    };
    Ok(app.handoffs(request).await?.handoffs.into_iter().map(Handoff::from).collect())
}

async fn number_of(app: &App, task: Option<TaskId>) -> Result<Option<u64>, Problem> {
    match task {
        Some(task) => Ok(Some(app.number_of(task).await?)),
        None => Ok(None),
    }
}

impl Spent {
    fn of(attempts: &[AttemptDetail]) -> Self {
        let mut spent = Self::default();
        let reports = attempts.iter().filter_map(|attempt| attempt.entry.report.as_ref());
        reports.for_each(|report| spent.add(&report.usage));
        spent
    }

    fn add(&mut self, usage: &Usage) {
        self.cost_usd += usage.cost_micro_usd as f64 / 1e6;
        self.turns += u64::from(usage.turns);
        self.input_tokens += usage.input_tokens;
        self.output_tokens += usage.output_tokens;
        self.cache_read_tokens += usage.cache_read_tokens;
        self.cache_write_tokens += usage.cache_write_tokens;
    }
}

/// The bounds that were set, as names and values.
fn limits(spec: &TaskSpec) -> Vec<(&'static str, String)> {
    let time = |limit: Option<Duration>| limit.map(|limit| format!("{} s", limit.as_secs()));
    let usd = spec.budget_micro_usd.map(|most| format!("${:.2}", most as f64 / 1e6));
    let limits = [
        ("Timeout", time(spec.timeout)),
        ("Idle timeout", time(spec.idle_timeout)),
        ("Budget", usd),
        ("Token budget", spec.budget_tokens.map(|most| most.to_string())),
        ("Turns", spec.max_turns.map(|most| most.to_string())),
        ("Directory", spec.directory.clone()),
        ("Project", spec.project.clone()),
        ("Submitter", spec.submitter.clone()),
    ];
    limits.into_iter().filter_map(|(name, limit)| limit.map(|limit| (name, limit))).collect()
}
