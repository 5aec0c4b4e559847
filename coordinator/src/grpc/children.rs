//! Tasks that agents submit: read as anyone's, with their parent's word for what they leave open.

use factory_domain::{AgentKind, TaskSpec};
use factory_proto::v1;

use super::{tasks, view};
use crate::app::{Acting, App, Error};

pub async fn submit(
    app: &App,
    acting: &Acting,
    key: &str,
    task: Option<v1::NewTask>,
    trace: &str,
) -> Result<v1::Submitted, Error> {
    let mut task = task.ok_or_else(|| Error::invalid("task", "is missing"))?;
    let parent = app.spec_of(acting).await?;
    if let Some(spec) = &mut task.spec {
        if spec.trust_repo && !parent.trust_repo {
            return Err(Error::invalid("task.spec.trust_repo", "is not for an agent to say"));
        }
        inherit(spec, parent);
    }
    let wanted = tasks::read_wanted(vec![task])?.remove(0);
    Ok(view::submitted(app.submit_child(acting, key, wanted, trace).await?))
}

/// What a child leaves open is as its parent has it: its agent, repository, project, submitter and priority.
fn inherit(child: &mut v1::TaskSpec, parent: TaskSpec) {
    let or = |own: &mut String, parents: Option<String>| {
        if own.is_empty() {
            *own = parents.unwrap_or_default();
        }
    };
    // A program is no agent that a prompt could be put to.
    if parent.agent != AgentKind::Command {
        or(&mut child.agent, Some(parent.agent.to_string()));
    }
    or(&mut child.repo, parent.repo.map(String::from));
    or(&mut child.project, parent.project);
    or(&mut child.submitter, parent.submitter);
    if child.priority == 0 {
        child.priority = parent.priority;
    }
}
