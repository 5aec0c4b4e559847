//! Tasks in pages, newest first.

use factory_domain::Labels;
use sha2::{Digest, Sha256};

use super::{App, Error};
use crate::store::{ListFilter, TaskEntry};

const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 1000;
/// Bytes of the texts on one page, about: a page of tasks with long results is a shorter one.
const MAX_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub struct ListRequest {
    /// State names; empty: all.
    pub states: Vec<&'static str>,
    pub repo: Option<String>,
    pub labels: Labels,
    pub role: Option<String>,
    /// The parent of all of them, by id, prefix or number.
    pub parent: Option<String>,
    /// 0: the default.
    pub page_size: u32,
    /// Empty: the first page.
    pub page_token: String,
}

#[derive(Debug)]
pub struct ListPage {
    /// Each with why no worker takes it, where it waits for one.
    pub tasks: Vec<(TaskEntry, Option<String>)>,
    /// Empty on the last page.
    pub next_page_token: String,
    pub cursor: u64,
}

impl App {
    pub async fn list(&self, request: ListRequest) -> Result<ListPage, Error> {
        let cursor = *self.store.feed().borrow();
        let filters = fingerprint(&request);
        let before = match request.page_token.as_str() {
            "" => None,
            token => Some(read_token(token, &filters).ok_or_else(|| {
                Error::invalid("page_token", "is not from an earlier page with the same filters")
            })?),
        };
        let size = match request.page_size {
            0 => DEFAULT_PAGE,
            size if size <= MAX_PAGE => size,
            size => return Err(Error::invalid("page_size", format!("is {size}; at most {MAX_PAGE}"))),
        };
        let parent = match &request.parent {
            Some(parent) => Some(self.store.resolve(parent).await?),
            None => None,
        };
        let filter = ListFilter {
            states: request.states,
            repo: request.repo,
            labels: request.labels,
            role: request.role,
            parent,
            before,
            limit: size + 1,
        };
        let mut tasks = self.store.list(filter).await?;
        let fitting = how_many_fit(&tasks).min(size as usize);
        let more = tasks.len() > fitting;
        tasks.truncate(fitting);
        let next_page_token = match tasks.last() {
            Some(last) if more => format!("{filters}{}", last.number),
            _ => String::new(),
        };
        let waiting_for = self.waiting_for(&tasks);
        Ok(ListPage { tasks: tasks.into_iter().zip(waiting_for).collect(), next_page_token, cursor })
    }
}

/// One at least, so that a list comes to its end.
fn how_many_fit(tasks: &[TaskEntry]) -> usize {
    let mut bytes = 0;
    let fitting = tasks.iter().take_while(|task| {
        bytes += weight(task);
        bytes <= MAX_BYTES
    });
    fitting.count().max(1)
}

fn weight(task: &TaskEntry) -> usize {
    let argv: usize = task.spec.argv.iter().map(String::len).sum();
    let report = task.report.as_ref().map_or(0, |report| {
        let commits: usize = report.commits.iter().map(|commit| commit.id.len() + commit.subject.len()).sum();
        report.result_text.len() + commits
    });
    argv + report + 1024
}

/// A token begins with this, so that one page's token is not taken for another list's.
fn fingerprint(request: &ListRequest) -> String {
    let ListRequest { states, repo, labels, role, parent, .. } = request;
    let filters = format!("{states:?} {repo:?} {labels:?} {role:?} {parent:?}");
    format!("{}-", hex::encode(&Sha256::digest(filters)[..4]))
}

fn read_token(token: &str, filters: &str) -> Option<u64> {
    token.strip_prefix(filters)?.parse().ok()
}
