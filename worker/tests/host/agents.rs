//! The tests' coordinator, as agents come to it through their workers.

use std::sync::Arc;

use factory_proto::v1;
use factory_proto::v1::agent_service_server::AgentService;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::coordinator::Service;

/// What agents did, and what they are to be told.
#[derive(Default)]
pub struct Agents {
    pub posted: Vec<v1::AgentPostMessageRequest>,
    pub asked: Vec<v1::AskRequest>,
    /// Of every question.
    pub answer: Option<String>,
    /// Not told yet; the cursor of each is its place, counted from 1.
    pub notices: Vec<v1::Notice>,
    pub told_up_to: u64,
    /// Calls still to be lost on the way back.
    pub lose_answers: u32,
}

pub struct Handle(pub Arc<Service>);

impl Handle {
    fn change<T>(&self, change: impl FnOnce(&mut Agents) -> T) -> T {
        self.0.change(|state| change(&mut state.agents))
    }

    fn question(&self, asked: &v1::AskRequest, number: u64) -> v1::Question {
        let answer = self.change(|agents| agents.answer.clone());
        let state = if answer.is_some() { v1::QuestionState::Answered } else { v1::QuestionState::Open };
        v1::Question {
            id: format!("00000000-0000-7000-8000-{number:012}"),
            number,
            state: state.into(),
            text: asked.text.clone(),
            answer: answer.unwrap_or_default(),
            answered_by: "ada".into(),
            ..v1::Question::default()
        }
    }

    /// Waits until `find` finds something in the state, at most so long.
    async fn wait<T>(&self, wait_ms: u64, find: impl Fn(&mut Agents) -> Option<T>) -> Option<T> {
        let mut changes: watch::Receiver<()> = self.0.changes();
        let found = async {
            loop {
                changes.mark_unchanged();
                // Looking is no change.
                if let Some(found) = self.0.look(|state| find(&mut state.agents)) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(std::time::Duration::from_millis(wait_ms), found).await.ok().flatten()
    }
}

fn not_served<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in these tests"))
}

#[tonic::async_trait]
impl AgentService for Handle {
    async fn ask(&self, request: Request<v1::AskRequest>) -> Result<Response<v1::AskResponse>, Status> {
        let asked = request.into_inner();
        let number = self.change(|agents| {
            agents.asked.push(asked.clone());
            agents.asked.len() as u64
        });
        Ok(Response::new(v1::AskResponse { question: Some(self.question(&asked, number)) }))
    }

    async fn await_answer(
        &self,
        request: Request<v1::AwaitAnswerRequest>,
    ) -> Result<Response<v1::AwaitAnswerResponse>, Status> {
        let v1::AwaitAnswerRequest { question_id, wait_ms, .. } = request.into_inner();
        self.wait(wait_ms, |agents| agents.answer.clone()).await;
        let number: u64 = question_id[24..].parse().map_err(|_| Status::not_found("no such question"))?;
        let asked = self.change(|agents| agents.asked[number as usize - 1].clone());
        Ok(Response::new(v1::AwaitAnswerResponse { question: Some(self.question(&asked, number)) }))
    }

    async fn post_message(
        &self,
        request: Request<v1::AgentPostMessageRequest>,
    ) -> Result<Response<v1::AgentPostMessageResponse>, Status> {
        let request = request.into_inner();
        let (number, lost) = self.change(|agents| {
            agents.posted.push(request.clone());
            let lost = agents.lose_answers > 0;
            agents.lose_answers = agents.lose_answers.saturating_sub(1);
            (agents.posted.len() as u64, lost)
        });
        if lost {
            return Err(Status::unavailable("on the way down"));
        }
        let said = request.message.unwrap_or_default();
        let message = v1::Message { number, to: said.to, content: said.content, ..v1::Message::default() };
        Ok(Response::new(v1::AgentPostMessageResponse { message: Some(message) }))
    }

    async fn notices(
        &self,
        request: Request<v1::NoticesRequest>,
    ) -> Result<Response<v1::NoticesResponse>, Status> {
        let v1::NoticesRequest { told_up_to, wait_ms, .. } = request.into_inner();
        self.change(|agents| agents.told_up_to = agents.told_up_to.max(told_up_to));
        let since = told_up_to as usize;
        let found = self.wait(wait_ms, |agents| {
            (agents.notices.len() > since).then(|| (agents.notices[since..].to_vec(), agents.notices.len()))
        });
        let (notices, cursor) = found.await.unwrap_or((Vec::new(), since));
        Ok(Response::new(v1::NoticesResponse { notices, cursor: cursor as u64 }))
    }

    async fn read_messages(
        &self,
        _: Request<v1::AgentReadMessagesRequest>,
    ) -> Result<Response<v1::AgentReadMessagesResponse>, Status> {
        not_served()
    }

    async fn handoff(
        &self,
        _: Request<v1::AgentHandoffRequest>,
    ) -> Result<Response<v1::AgentHandoffResponse>, Status> {
        not_served()
    }

    async fn submit_task(
        &self,
        _: Request<v1::AgentSubmitTaskRequest>,
    ) -> Result<Response<v1::AgentSubmitTaskResponse>, Status> {
        not_served()
    }

    async fn task_status(
        &self,
        _: Request<v1::AgentTaskStatusRequest>,
    ) -> Result<Response<v1::AgentTaskStatusResponse>, Status> {
        not_served()
    }

    async fn lock_files(
        &self,
        _: Request<v1::LockFilesRequest>,
    ) -> Result<Response<v1::LockFilesResponse>, Status> {
        not_served()
    }

    async fn unlock_files(
        &self,
        _: Request<v1::UnlockFilesRequest>,
    ) -> Result<Response<v1::UnlockFilesResponse>, Status> {
        not_served()
    }

    async fn memory_search(
        &self,
        _: Request<v1::AgentMemorySearchRequest>,
    ) -> Result<Response<v1::AgentMemorySearchResponse>, Status> {
        not_served()
    }

    async fn memory_save(
        &self,
        _: Request<v1::AgentMemorySaveRequest>,
    ) -> Result<Response<v1::AgentMemorySaveResponse>, Status> {
        not_served()
    }

    async fn report_progress(
        &self,
        _: Request<v1::ReportProgressRequest>,
    ) -> Result<Response<v1::ReportProgressResponse>, Status> {
        not_served()
    }
}
