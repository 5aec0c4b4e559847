//! Handing on: what one task gives another.

use factory_domain::board::{MAX_ARTIFACT, MAX_ARTIFACTS, MAX_CONTEXT};
use factory_domain::{BranchName, Deliver, HandoffId, Slug, TaskSpec};
use uuid::Uuid;

use super::page::Page;
use super::post_message::{check_key, check_text, key_used, keyed};
use super::{Acting, App, Error, Once};
use crate::store::{AttemptEntry, HandoffEntry, HandoffFilter, HandoffName, HandoffTo, NewHandoff};

/// A handoff as it was asked for.
#[derive(Debug)]
pub struct WantedHandoff {
    /// The task or the role it is for; both empty: whatever depends on the task it comes from.
    pub to_task: String,
    pub to_role: String,
    pub context: String,
    pub artifacts: Vec<String>,
    /// Empty: none is known.
    pub branch: String,
    /// Empty: none.
    pub key: String,
}

#[derive(Debug)]
pub struct HandoffsRequest {
    /// Both narrow the list where they are not empty.
    pub task: String,
    pub workflow: String,
    /// 0: the default.
    pub page_size: u32,
    /// Empty: the first page.
    pub page_token: String,
}

#[derive(Debug)]
pub struct HandoffsPage {
    pub handoffs: Vec<HandoffEntry>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl App {
    /// Hands on in the name of the task `from`.
    pub async fn create_handoff(
        &self,
        wanted: WantedHandoff,
        from: &str,
    ) -> Result<Once<HandoffEntry>, Error> {
        if from.is_empty() {
            return Err(Error::invalid("handoff.from_task", "is missing"));
        }
        let from_task = self.store.resolve(from).await?;
        let (task, _) = self.task(from_task).await?;
        let delivered = task.report.and_then(|report| report.branch).map(String::from);
        let branch = read_branch(&wanted.branch)?.or(delivered);
        let key = keyed("", &wanted.key);
        let to = self.read_to(&wanted).await?;
        self.hand_off(NewHandoff {
            id: HandoffId::from_uuid(Uuid::now_v7()),
            from_task,
            from_attempt: None,
            to,
            workflow: None,
            context: wanted.context,
            artifacts: wanted.artifacts,
            branch,
            key,
        })
        .await
    }

    /// Hands on in the name of an agent. Its worker may say which branch the work is on.
    pub async fn hand_off_as_agent(
        &self,
        acting: &Acting,
        wanted: WantedHandoff,
    ) -> Result<HandoffEntry, Error> {
        let (task, _) = self.task(acting.task).await?;
        let attempt = self.store.attempt(acting.attempt).await?;
        let branch = match read_branch(&wanted.branch)? {
            None => attempt.and_then(|attempt| branch_of(&task.spec, &attempt)),
            given => given,
        };
        let key = keyed(&acting.attempt.to_string(), &wanted.key);
        let to = self.read_to(&wanted).await?;
        let new = NewHandoff {
            id: HandoffId::from_uuid(Uuid::now_v7()),
            from_task: acting.task,
            from_attempt: Some(acting.attempt),
            to,
            workflow: None,
            context: wanted.context,
            artifacts: wanted.artifacts,
            branch,
            key,
        };
        Ok(self.hand_off(new).await?.thing)
    }

    async fn hand_off(&self, handoff: NewHandoff) -> Result<Once<HandoffEntry>, Error> {
        let wanted = handoff.clone();
        let kept = self.store.hand_off(handoff, self.clock.now()).await?;
        self.told.notify_waiters();
        let existed = kept.id != wanted.id;
        // The branch may be another by now: it is the task's where nobody says.
        let same = kept.from.id == wanted.from_task
            && kept.to == wanted.to
            && kept.context == wanted.context
            && kept.artifacts == wanted.artifacts;
        if existed && !same {
            return Err(key_used(wanted.key, "handoff", kept.number));
        }
        Ok(Once { thing: kept, existed })
    }

    /// Whom it is for, once the rest of it is known to be well.
    async fn read_to(&self, wanted: &WantedHandoff) -> Result<HandoffTo, Error> {
        check_text("handoff.context", &wanted.context, MAX_CONTEXT)?;
        check_key(&wanted.key)?;
        check_artifacts(&wanted.artifacts)?;
        match (wanted.to_task.as_str(), wanted.to_role.as_str()) {
            ("", "") => Ok(HandoffTo::Dependents),
            ("", role) => match Slug::parse(role) {
                Ok(role) => Ok(HandoffTo::Role(role)),
                Err(error) => Err(Error::invalid("handoff.to_role", error)),
            },
            (task, "") => Ok(HandoffTo::Task(self.store.resolve(task).await?)),
            _ => Err(Error::invalid("handoff.to_role", "cannot be given together with to_task")),
        }
    }

    /// By id or number.
    pub async fn handoff(&self, name: &str) -> Result<HandoffEntry, Error> {
        let missing = || Error::NoSuchHandoff(name.to_owned());
        let wanted = match name.parse() {
            Ok(number) => HandoffName::Number(number),
            Err(_) => HandoffName::Id(name.parse().map_err(|_| missing())?),
        };
        self.store.handoff(wanted).await?.ok_or_else(missing)
    }

    /// Newest first, in pages.
    pub async fn handoffs(&self, request: HandoffsRequest) -> Result<HandoffsPage, Error> {
        let filters = (&request.task, &request.workflow);
        let page = Page::read(request.page_size, &request.page_token, &filters)?;
        let workflow = match request.workflow.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|error| Error::invalid("workflow", error))?),
        };
        let task = self.named_task(&request.task).await?;
        let filter = HandoffFilter { task, workflow, before: page.before, limit: page.limit() };
        let mut handoffs = self.store.handoffs(filter).await?;
        let text = |handoff: &HandoffEntry| {
            handoff.context.len() + handoff.artifacts.iter().map(String::len).sum::<usize>()
        };
        let next_page_token = page.cut(&mut handoffs, text, |handoff| handoff.number);
        Ok(HandoffsPage { handoffs, next_page_token })
    }
}

fn check_artifacts(artifacts: &[String]) -> Result<(), Error> {
    let field = "handoff.artifacts";
    if artifacts.len() > MAX_ARTIFACTS {
        return Err(Error::invalid(field, format!("are {}; at most {MAX_ARTIFACTS}", artifacts.len())));
    }
    let bad =
        |name: &&String| name.is_empty() || name.len() > MAX_ARTIFACT || name.chars().any(char::is_control);
    match artifacts.iter().find(bad) {
        Some(_) => Err(Error::invalid(
            field,
            format!("hold one that is empty, longer than {MAX_ARTIFACT} bytes, or has a control character"),
        )),
        None => Ok(()),
    }
}

fn read_branch(name: &str) -> Result<Option<String>, Error> {
    match name {
        "" => Ok(None),
        name => match BranchName::parse(name) {
            Ok(branch) => Ok(Some(branch.into())),
            Err(error) => Err(Error::invalid("handoff.branch", error)),
        },
    }
}

/// The branch that an attempt delivers, where that is known before its end: one that goes on from
/// another may go on on that one's branch, which only its worker knows.
fn branch_of(spec: &TaskSpec, attempt: &AttemptEntry) -> Option<String> {
    if spec.repo.is_none() || spec.deliver == Deliver::None {
        return None;
    }
    match &spec.branch {
        Some(branch) => Some(branch.clone().into()),
        None if attempt.continues.is_some() => None,
        None => Some(BranchName::for_attempt(&attempt.id.short(), &spec.title).into()),
    }
}
