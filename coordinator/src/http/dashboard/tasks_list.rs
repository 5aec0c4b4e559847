//! `/tasks`: all tasks in pages, newest first, filtered; as a list, or as trees of parents and children.

mod tree;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::page::Frame;
use crate::app::{App, Error, ListRequest};
use crate::http::extract::Query;
use crate::http::problem::Problem;
use crate::http::view::{State as StateName, Status, Task};

/// Tasks on a page; as trees more, so that families are seldom cut.
const PAGE: u32 = 50;
const TREE_PAGE: u32 = 200;

/// Name, and what it narrows the list to.
const CHIPS: [(&str, Narrowed); 7] = [
    ("All", Narrowed { status: "", state: "" }),
    ("In progress", Narrowed { status: "in_progress", state: "" }),
    ("Waiting for answers", Narrowed { status: "", state: "waiting" }),
    ("Queued", Narrowed { status: "queued", state: "" }),
    ("Done", Narrowed { status: "done", state: "" }),
    ("Failed", Narrowed { status: "failed", state: "" }),
    ("Cancelled", Narrowed { status: "cancelled", state: "" }),
];

struct Narrowed {
    status: &'static str,
    state: &'static str,
}

impl Narrowed {
    /// How many of these it leaves; `None`: they are not counted.
    fn count(&self, counts: &[(String, u64)]) -> Option<u64> {
        let of_status = |state: StateName| self.status.is_empty() || state.status().as_str() == self.status;
        let leaves = |name: &str| {
            (self.state.is_empty() || self.state == name)
                && StateName::ALL.into_iter().any(|state| state.as_str() == name && of_status(state))
        };
        let left = counts.iter().filter(|(name, _)| leaves(name));
        (!counts.is_empty()).then(|| left.map(|(_, tasks)| tasks).sum())
    }
}

/// What the page is narrowed to: its query.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    status: String,
    state: String,
    repo: String,
    role: String,
    search: String,
    parent: String,
    workflow: String,
    tree: String,
    page_token: String,
}

#[derive(Serialize)]
struct Shown {
    filters: Filters,
    /// The filters as a query.
    query: String,
    chips: Vec<Chip>,
    /// The same list, as trees or not.
    other_view: String,
    rows: Vec<Row>,
    roles: Vec<String>,
    next_page_token: Option<String>,
    /// Something narrows the list.
    narrowed: bool,
}

/// A filter that is one click.
#[derive(Serialize)]
struct Chip {
    name: String,
    query: String,
    chosen: bool,
    /// How many there are of them.
    tasks: Option<u64>,
}

#[derive(Serialize)]
struct Row {
    task: Task,
    /// Below how many of its ancestors on this page it stands.
    depth: usize,
}

pub async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let as_tree = !filters.tree.is_empty();
    let page = app.list(filters.request()?).await?;
    let entries = if as_tree { tree::ordered(page.tasks) } else { tree::flat(page.tasks) };
    let row = |(depth, (task, waiting_for))| Row { task: Task::new(task, waiting_for), depth };
    let shelf = app.shelf().await?;
    let counts = counts(&app, &filters).await?;
    let shown = Shown {
        query: filters.query(),
        chips: chips(&filters, &counts),
        other_view: filters.with(|other| other.tree = if as_tree { String::new() } else { "1".to_owned() }),
        rows: entries.into_iter().map(row).collect(),
        roles: shelf.roles().map(|role| role.name.to_string()).collect(),
        next_page_token: Some(page.next_page_token).filter(|token| !token.is_empty()),
        narrowed: filters.narrows(),
        filters,
    };
    frame.page("tasks.html", "Tasks", shown)
}

impl Filters {
    fn request(&self) -> Result<ListRequest, Problem> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(ListRequest {
            states: self.states()?,
            repo: some(&self.repo),
            role: some(&self.role),
            search: some(&self.search),
            parent: some(&self.parent),
            workflow: some(&self.workflow),
            page_size: if self.tree.is_empty() { PAGE } else { TREE_PAGE },
            page_token: self.page_token.clone(),
            ..ListRequest::default()
        })
    }

    /// Those of the status, and of them those of the state; empty: all.
    fn states(&self) -> Result<Vec<&'static str>, Problem> {
        let no_such =
            |field, name: &str, what| Error::invalid(field, format!("`{name}` is no {what} of a task"));
        let mut states = match self.status.as_str() {
            "" => StateName::ALL.to_vec(),
            name => match Status::ALL.into_iter().find(|status| status.as_str() == name) {
                Some(status) => status.states().collect(),
                None => return Err(no_such("status", name, "status").into()),
            },
        };
        if !self.state.is_empty() {
            states.retain(|state| state.as_str() == self.state);
            if states.is_empty() {
                return Err(no_such("state", &self.state, "such state").into());
            }
        }
        let all = states.len() == StateName::ALL.len();
        Ok(if all { Vec::new() } else { states.into_iter().map(StateName::as_str).collect() })
    }

    /// Without the page.
    fn query(&self) -> String {
        let fields = [
            ("status", &self.status),
            ("state", &self.state),
            ("repo", &self.repo),
            ("role", &self.role),
            ("search", &self.search),
            ("parent", &self.parent),
            ("workflow", &self.workflow),
            ("tree", &self.tree),
        ];
        let given: Vec<_> = fields.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        // Texts alone, which can always be encoded.
        serde_urlencoded::to_string(given).unwrap_or_default()
    }

    /// The query of the first page, changed.
    fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut filters = self.clone();
        change(&mut filters);
        filters.query()
    }

    fn narrows(&self) -> bool {
        let views = Self { tree: self.tree.clone(), ..Self::default() };
        self.query() != views.query()
    }
}

/// By state; empty where something narrows the list that is not counted by.
async fn counts(app: &App, filters: &Filters) -> Result<Vec<(String, u64)>, Problem> {
    let by_state = Filters { status: String::new(), state: String::new(), ..filters.clone() };
    if by_state.narrows() {
        return Ok(Vec::new());
    }
    Ok(app.stats(None).await?.tasks.states)
}

fn chips(filters: &Filters, counts: &[(String, u64)]) -> Vec<Chip> {
    let chip = |(name, narrowed): &(&'static str, Narrowed)| Chip {
        name: (*name).to_owned(),
        query: filters.with(|filters| {
            filters.status = narrowed.status.to_owned();
            filters.state = narrowed.state.to_owned();
        }),
        chosen: filters.status == narrowed.status && filters.state == narrowed.state,
        tasks: narrowed.count(counts),
    };
    let mut chips: Vec<_> = CHIPS.iter().map(chip).collect();
    // A state that has no chip of its own, but was asked for.
    if !chips.iter().any(|chip| chip.chosen) {
        chips.push(Chip { name: filters.state.clone(), query: filters.query(), chosen: true, tasks: None });
    }
    chips
}
