//! Tasks in pages, newest first.

use factory_domain::{Labels, RepoSource};

use super::page::Page;
use super::{App, Error};
use crate::store::{ListFilter, TaskEntry};

#[derive(Debug, Default)]
pub struct ListRequest {
    /// State names; empty: all.
    pub states: Vec<&'static str>,
    pub repo: Option<String>,
    pub labels: Labels,
    pub role: Option<String>,
    /// The session elsewhere that dispatched all of them.
    pub session: Option<String>,
    /// The parent of all of them, by id, prefix or number.
    pub parent: Option<String>,
    /// The workflow that all of them are steps of, by id, prefix or number.
    pub workflow: Option<String>,
    /// Words that title, prompt, branch or issue must have.
    pub search: Option<String>,
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
        let ListRequest { states, repo, labels, role, session, parent, workflow, search, .. } = &request;
        let filters = (states, repo, labels, role, session, parent, workflow, search);
        let page = Page::read(request.page_size, &request.page_token, &filters)?;
        let workflow = match &request.workflow {
            Some(workflow) => Some(self.resolve_workflow(workflow).await?),
            None => None,
        };
        let parent = match &request.parent {
            Some(parent) => Some(self.store.resolve(parent).await?),
            None => None,
        };
        let repo = request.repo.as_deref().map(|repo| self.read_repo(repo)).transpose()?;
        let filter = ListFilter {
            states: request.states,
            repo: repo.as_ref().map(RepoSource::identity),
            labels: request.labels,
            role: request.role,
            session: request.session,
            parent,
            workflow,
            search: request.search,
            before: page.before,
            limit: page.limit(),
        };
        let mut tasks = self.store.list(filter).await?;
        let next_page_token = page.cut(&mut tasks, text, |task| task.number);
        let waiting_for = self.waiting_for(&tasks).await?;
        Ok(ListPage { tasks: tasks.into_iter().zip(waiting_for).collect(), next_page_token, cursor })
    }
}

/// Bytes of the texts that can be long.
fn text(task: &TaskEntry) -> usize {
    let argv: usize = task.spec.argv.iter().map(String::len).sum();
    let report = task.report.as_ref().map_or(0, |report| {
        let commits: usize = report.commits.iter().map(|commit| commit.id.len() + commit.subject.len()).sum();
        report.result_text.len() + commits
    });
    argv + report
}
