//! A job for the adapters' tests.

use factory_domain::{AgentKind, AttemptId, Brief, SpecDraft, TaskId};
use uuid::Uuid;

use super::{Conversation, Job};

pub fn job(agent: AgentKind, prompt: &str) -> Job {
    let argv = if agent == AgentKind::Command { vec!["true".to_owned()] } else { Vec::new() };
    let draft = SpecDraft { prompt: "x".to_owned(), agent: agent.to_string(), argv, ..SpecDraft::default() };
    let mut spec = draft.validate().expect("a good draft");
    spec.prompt = prompt.to_owned();
    Job {
        task: TaskId::from_uuid(Uuid::now_v7()),
        attempt: AttemptId::from_uuid(Uuid::now_v7()),
        attempt_number: 1,
        spec,
        workspace: std::env::temp_dir(),
        agent_home: "/nonexistent/agent-home".into(),
        conversation: Conversation::New { id: Uuid::new_v4(), note: None },
        traceparent: String::new(),
        brief: Brief::default(),
        notices: Vec::new(),
        access: None,
    }
}
