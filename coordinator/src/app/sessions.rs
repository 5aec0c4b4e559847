//! Tasks that a session elsewhere dispatches, and reporting back to it how they ended.

use factory_domain::family::EndedChild;
use factory_domain::{DependencyPolicy, MessageId, MessageType, Recipient, RepoSource, SpecDraft, TaskId};
use uuid::Uuid;

use super::list::ListPage;
use super::{App, Error, FieldViolation, ListRequest, Wanted};
use crate::store::{NewMessage, Submitted, TaskEntry};

/// Who the factory is on the message board.
const FACTORY: &str = "factory";
/// Events looked at at once.
const BATCH: u64 = 500;
/// Events that may be looked at again after a restart, where none of them ended a dispatched task.
const NOTED_EVERY: u64 = 10_000;

/// Work as a session hands it out. Empty texts: not given.
#[derive(Debug, Default)]
pub struct WantedDispatch {
    /// A task by its number or id, or any name of a session elsewhere.
    pub parent_session: String,
    /// URL of an issue; it also tells the repository, where none is given.
    pub issue: String,
    pub branch: String,
    pub task: String,
    pub agent: String,
    pub repo: String,
    pub role: String,
    pub idempotency_key: String,
}

/// How far ended tasks have been looked at. A hint: what counts is the cursor in the store.
#[derive(Debug, Default)]
pub struct ReportedBack {
    looked_up_to: u64,
    noted: u64,
}

impl App {
    /// Submits it as a task of the session's, which is told of its end on the message board.
    pub async fn dispatch_worker(
        &self,
        wanted: WantedDispatch,
        traceparent: &str,
    ) -> Result<Submitted, Error> {
        if wanted.parent_session.trim().is_empty() {
            return Err(Error::invalid(
                "parentSession",
                "is empty: name a task, or the session to report back to",
            ));
        }
        let parent = self.parent_task(&wanted.parent_session).await?;
        let repo = if wanted.repo.is_empty() { self.repo_of_issue(&wanted.issue)? } else { wanted.repo };
        let draft = SpecDraft {
            prompt: wanted.task,
            agent: wanted.agent,
            repo,
            branch: wanted.branch,
            issue: wanted.issue,
            role: wanted.role,
            session: wanted.parent_session,
            ..SpecDraft::default()
        };
        let spec = draft.validate().map_err(|found| {
            let field = |field| match field {
                "prompt" => "task",
                "session" => "parentSession",
                other => other,
            };
            Error::Invalid(found.into_iter().map(|v| FieldViolation::new(field(v.field), v.why)).collect())
        })?;
        let wanted = Wanted {
            spec,
            idempotency_key: wanted.idempotency_key,
            name: String::new(),
            after: Vec::new(),
            on_failed_dependency: DependencyPolicy::default(),
            parent: parent.map(|parent| parent.to_string()).unwrap_or_default(),
            goes_on_from: String::new(),
            hold: false,
        };
        Ok(self.submit(vec![wanted], traceparent).await?.remove(0))
    }

    /// Those that the session dispatched, newest first.
    pub async fn dispatched_by(
        &self,
        session: String,
        page_size: u32,
        page_token: String,
    ) -> Result<ListPage, Error> {
        self.list(ListRequest { session: Some(session), page_size, page_token, ..ListRequest::default() })
            .await
    }

    /// What is no number and no id is a name that the session has for itself.
    async fn parent_task(&self, session: &str) -> Result<Option<TaskId>, Error> {
        let is_task = session.bytes().all(|byte| byte.is_ascii_digit()) || session.parse::<TaskId>().is_ok();
        if is_task { Ok(Some(self.store.resolve(session).await?)) } else { Ok(None) }
    }

    /// `https://host/owner/name/issues/42` is of `owner/name` there.
    fn repo_of_issue(&self, issue: &str) -> Result<String, Error> {
        let missing = || Error::invalid("repo", "is missing, and the issue's URL does not tell it: name one");
        let (_, rest) = issue.split_once("://").ok_or_else(missing)?;
        let mut parts = rest.split('/');
        let host = parts.next().ok_or_else(missing)?;
        let (Some(owner), Some(name)) = (parts.next(), parts.next()) else { return Err(missing()) };
        let slug = format!("{owner}/{name}");
        if !matches!(RepoSource::parse(&slug), Ok(RepoSource::Slug { .. })) {
            return Err(missing());
        }
        Ok(if host == "github.com" { slug } else { format!("https://{host}/{slug}.git") })
    }

    /// Reports what has ended since the last time, each task once whatever is in between.
    pub(crate) async fn report_back(&self, progress: &mut ReportedBack) -> Result<(), Error> {
        if progress.noted == 0 {
            let noted = self.store.reported_back_up_to().await?;
            *progress = ReportedBack { looked_up_to: noted, noted };
        }
        let end = *self.store.feed().borrow();
        while progress.looked_up_to < end && !self.stopping.is_cancelled() {
            let up_to = end.min(progress.looked_up_to + BATCH);
            let ended = self.store.dispatched_ended_between(progress.looked_up_to, up_to).await?;
            for task in &ended {
                self.store.post(message(task), self.clock.now()).await?;
                self.told.notify_waiters();
            }
            if !ended.is_empty() || up_to - progress.noted >= NOTED_EVERY {
                self.store.note_reported_back(up_to).await?;
                progress.noted = up_to;
            }
            progress.looked_up_to = up_to;
        }
        Ok(())
    }
}

/// Posted once, by its key: a crash between the post and the note of it costs nothing.
fn message(task: &TaskEntry) -> NewMessage {
    let ended = EndedChild {
        number: task.number,
        title: &task.spec.title,
        state: &task.state,
        report: task.report.as_ref(),
    };
    let session = task.spec.session.as_deref().unwrap_or_default();
    let to = task.parent.map_or(Recipient::User, |(parent, _)| Recipient::Task(parent));
    NewMessage {
        id: MessageId::from_uuid(Uuid::now_v7()),
        from: FACTORY.to_owned(),
        from_task: Some(task.id),
        from_attempt: None,
        to,
        kind: MessageType::Status,
        content: format!("To {session}: {}", ended.story()),
        reply_to: None,
        key: Some(format!("dispatched/{}", task.id)),
    }
}
