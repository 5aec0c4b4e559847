//! What a task is given of those it waited for: their branches to start from, and word of how they ended.

use std::collections::HashSet;
use std::fmt::Write as _;

use factory_domain::{Delivery, Notice, NoticeKind, RepoSource, Settled, TaskId, TaskState, Upstream};

use super::{App, Error};
use crate::store::{Claimed, TaskEntry};

/// Characters of closing words told, of all tasks together and of each.
const WORDS: usize = 12_000;
const FEWEST: usize = 200;
const MOST: usize = 1500;

impl App {
    /// Those that the task waited for or goes on from, and where they carry no work into its repository,
    /// those behind them: what two tasks did reaches the third also through one that only looked.
    pub(super) async fn foundations(&self, claimed: &Claimed) -> Result<Foundations, Error> {
        let mut seen = HashSet::from([claimed.task]);
        let mut found = Foundations {
            repo: claimed.spec.repo.as_ref().map(RepoSource::identity),
            goes_on_from: claimed.goes_on_from,
            ..Foundations::default()
        };
        let mut looked_at = vec![claimed.task];
        while !looked_at.is_empty() {
            let needed = self.store.needed_by(std::mem::take(&mut looked_at)).await?;
            let new: Vec<TaskEntry> = needed.into_iter().filter(|needed| seen.insert(needed.id)).collect();
            looked_at.extend(new.iter().filter(|needed| found.is_passed_through(needed)).map(|one| one.id));
            if found.direct.is_empty() {
                found.direct = new;
            } else {
                found.behind.extend(new);
            }
        }
        Ok(found)
    }
}

/// What a task stands on.
#[derive(Debug, Default)]
pub(super) struct Foundations {
    /// The task's own repository, whichever way it is written.
    repo: Option<String>,
    goes_on_from: Option<TaskId>,
    direct: Vec<TaskEntry>,
    behind: Vec<TaskEntry>,
}

impl Foundations {
    /// In the order in which their branches are merged.
    pub fn upstreams(&self) -> Vec<Upstream> {
        let all = self.direct.iter().chain(&self.behind);
        let counted = all.filter(|task| is_done(task) || self.goes_on_from == Some(task.id));
        counted.filter_map(|task| self.work_of(task)).collect()
    }

    /// One about each of those that the task itself waited for.
    pub fn notices(&self) -> Vec<Notice> {
        let words = (WORDS / self.direct.len().max(1)).clamp(FEWEST, MOST);
        let notice = |task| Notice { kind: NoticeKind::Dependency, text: self.told(task, words) };
        self.direct.iter().map(notice).collect()
    }

    /// A task that ended well and has nothing of its own to start from.
    fn is_passed_through(&self, task: &TaskEntry) -> bool {
        let is_skipped = Settled::of(&task.state) == Some(Settled::Skipped);
        is_skipped || (is_done(task) && self.work_of(task).is_none())
    }

    /// The commits of a task, where they are of the same repository.
    fn work_of(&self, task: &TaskEntry) -> Option<Upstream> {
        let report = task.report.as_ref()?;
        let (newest, branch) = (report.commits.first()?, report.branch.as_ref()?);
        let attempt = match &task.state {
            TaskState::Succeeded { attempt } | TaskState::Failed { attempt, .. } => *attempt,
            _ => return None,
        };
        let kept = report.delivery != Delivery::None;
        (kept && self.repo.is_some() && task.spec.repo.as_ref().map(RepoSource::identity) == self.repo).then(
            || Upstream {
                task: task.id,
                number: task.number,
                title: task.spec.title.clone(),
                attempt,
                branch: branch.to_string(),
                commit: newest.id.clone(),
                pushed: report.delivery == Delivery::Pushed,
            },
        )
    }

    /// For the agent. No line begins with a small letter: to the scripted agent it is prose.
    fn told(&self, task: &TaskEntry, words: usize) -> String {
        let mut text = format!("Task {}, \"{}\", ended before yours began: ", task.number, task.spec.title);
        // Writing to a String cannot fail.
        let _ = match &task.state {
            TaskState::Succeeded { .. } => write!(text, "it succeeded. {}", self.whereabouts(task)),
            TaskState::Failed { failure, .. } => {
                write!(text, "it failed ({failure}). Your working directory does not have its work.")
            }
            state => write!(text, "it was {}. Your working directory has nothing of it.", state.name()),
        };
        let said = task.report.as_ref().map(|report| report.result_text.trim()).unwrap_or_default();
        if !said.is_empty() {
            let _ = write!(text, "\nIts closing words:\n{}", quoted(said, words));
        }
        text
    }

    fn whereabouts(&self, task: &TaskEntry) -> String {
        if let Some(Upstream { branch, commit, .. }) = self.work_of(task) {
            // A workspace gone on with may be from before that.
            let is_sure = self.goes_on_from.is_none_or(|from| from == task.id);
            return match is_sure {
                true => {
                    format!("Its work, branch {branch} at commit {commit}, is part of what you start from.")
                }
                false => {
                    format!("Its work is branch {branch} at commit {commit}: merge it where you lack it.")
                }
            };
        }
        let branch = task.report.as_ref().and_then(|report| report.branch.as_ref());
        match (branch, &task.spec.repo) {
            (Some(branch), Some(repo)) => {
                format!("Its work is on branch {branch} of {repo}; your working directory does not have it.")
            }
            _ => "It changed no files of a repository.".to_owned(),
        }
    }
}

fn is_done(task: &TaskEntry) -> bool {
    matches!(task.state, TaskState::Succeeded { .. })
}

/// As a quotation in Markdown, cut after so many characters.
fn quoted(words: &str, most: usize) -> String {
    let mut kept: String = words.chars().take(most).collect();
    if kept.len() < words.len() {
        kept.push('…');
    }
    kept.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}
