//! What agents do beside their own work, forwarded by their workers. The attempt is the fence.

use std::sync::Arc;
use std::time::Duration;

use factory_domain::PathPattern;
use factory_domain::draft::MAX_NAMED;
use factory_domain::memory::UnknownMemoryKind;
use factory_proto::v1;
use factory_proto::v1::agent_service_server::AgentService;
use tonic::{Request, Response, Status};

use super::{board, children, memory, questions, tasks, view};
use crate::app::{Acting, App, Error, FieldViolation, MemoryQuery, Reading};

pub struct Agents(pub Arc<App>);

impl Agents {
    /// Who speaks, once it is known that they may.
    async fn acting(&self, attempt: Option<v1::AttemptRef>) -> Result<Acting, Error> {
        let v1::AttemptRef { worker_id, task_id, attempt_id } =
            attempt.ok_or_else(|| Error::invalid("attempt", "is missing"))?;
        let worker = factory_proto::convert::worker_id(&worker_id)?;
        let task = factory_proto::convert::task_id(&task_id)?;
        let attempt = factory_proto::convert::attempt_id(&attempt_id)?;
        self.0.acting(worker, task, attempt).await
    }
}

/// Every bad one is named.
fn patterns(paths: &[String]) -> Result<Vec<PathPattern>, Error> {
    if paths.len() > MAX_NAMED {
        return Err(Error::invalid("paths", format!("must be at most {MAX_NAMED}")));
    }
    let (mut patterns, mut violations) = (Vec::with_capacity(paths.len()), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        match PathPattern::parse(path) {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => violations.push(FieldViolation::new(format!("paths[{index}]"), why)),
        }
    }
    if violations.is_empty() { Ok(patterns) } else { Err(Error::Invalid(violations)) }
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn ask(&self, request: Request<v1::AskRequest>) -> Result<Response<v1::AskResponse>, Status> {
        let mut request = request.into_inner();
        let acting = self.acting(request.attempt.take()).await?;
        let (key, question) = questions::read(request)?;
        let question = self.0.ask(&acting, &key, question).await?;
        Ok(Response::new(v1::AskResponse { question: Some(questions::view(question)) }))
    }

    async fn await_answer(
        &self,
        request: Request<v1::AwaitAnswerRequest>,
    ) -> Result<Response<v1::AwaitAnswerResponse>, Status> {
        let v1::AwaitAnswerRequest { attempt, question_id, wait_ms } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let id = question_id.parse().map_err(|error| Error::invalid("question_id", error))?;
        let question = self.0.await_answer(&acting, id, Duration::from_millis(wait_ms)).await?;
        Ok(Response::new(v1::AwaitAnswerResponse { question: Some(questions::view(question)) }))
    }

    async fn post_message(
        &self,
        request: Request<v1::AgentPostMessageRequest>,
    ) -> Result<Response<v1::AgentPostMessageResponse>, Status> {
        let v1::AgentPostMessageRequest { attempt, key, message } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let message = message.ok_or_else(|| Error::invalid("message", "is missing"))?;
        let posted = self.0.post_as_agent(&acting, board::wanted_message(message, key)?).await?;
        Ok(Response::new(v1::AgentPostMessageResponse { message: Some(board::message_view(posted)) }))
    }

    async fn read_messages(
        &self,
        request: Request<v1::AgentReadMessagesRequest>,
    ) -> Result<Response<v1::AgentReadMessagesResponse>, Status> {
        let v1::AgentReadMessagesRequest { attempt, unread, search, thread, limit } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let reading = match (unread, thread.as_str()) {
            (true, _) => Reading::Unread,
            (false, "") => Reading::Newest { search },
            (false, _) => Reading::Thread(thread),
        };
        let found = self.0.read_messages(&acting, reading, limit).await?;
        let messages = found.into_iter().map(board::message_view).collect();
        Ok(Response::new(v1::AgentReadMessagesResponse { messages }))
    }

    async fn handoff(
        &self,
        request: Request<v1::AgentHandoffRequest>,
    ) -> Result<Response<v1::AgentHandoffResponse>, Status> {
        let v1::AgentHandoffRequest { attempt, key, handoff } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let handoff = handoff.ok_or_else(|| Error::invalid("handoff", "is missing"))?;
        let kept = self.0.hand_off_as_agent(&acting, board::wanted_handoff(handoff, key)).await?;
        Ok(Response::new(v1::AgentHandoffResponse { handoff: Some(board::handoff_view(kept)) }))
    }

    async fn submit_task(
        &self,
        request: Request<v1::AgentSubmitTaskRequest>,
    ) -> Result<Response<v1::AgentSubmitTaskResponse>, Status> {
        let trace = tasks::trace_of(request.metadata());
        let v1::AgentSubmitTaskRequest { attempt, key, task } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let task = children::submit(&self.0, &acting, &key, task, &trace).await?;
        Ok(Response::new(v1::AgentSubmitTaskResponse { task: Some(task) }))
    }

    async fn task_status(
        &self,
        request: Request<v1::AgentTaskStatusRequest>,
    ) -> Result<Response<v1::AgentTaskStatusResponse>, Status> {
        let v1::AgentTaskStatusRequest { attempt, tasks } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let found = self.0.tasks_of_agent(&acting, &tasks).await?;
        let tasks = found.into_iter().map(|(task, waiting_for)| view::task(task, waiting_for)).collect();
        Ok(Response::new(v1::AgentTaskStatusResponse { tasks }))
    }

    async fn lock_files(
        &self,
        request: Request<v1::LockFilesRequest>,
    ) -> Result<Response<v1::LockFilesResponse>, Status> {
        let v1::LockFilesRequest { attempt, paths, wait_ms } = request.into_inner();
        let acting = self.acting(attempt).await?;
        if paths.is_empty() {
            return Err(Error::invalid("paths", "names no files").into());
        }
        let (paths, wait) = (patterns(&paths)?, Duration::from_millis(wait_ms));
        Ok(Response::new(view::locked(self.0.lock_files(&acting, paths, wait).await?)))
    }

    async fn unlock_files(
        &self,
        request: Request<v1::UnlockFilesRequest>,
    ) -> Result<Response<v1::UnlockFilesResponse>, Status> {
        let v1::UnlockFilesRequest { attempt, paths } = request.into_inner();
        let acting = self.acting(attempt).await?;
        self.0.unlock_files(&acting, patterns(&paths)?).await?;
        Ok(Response::new(v1::UnlockFilesResponse {}))
    }

    async fn memory_search(
        &self,
        request: Request<v1::AgentMemorySearchRequest>,
    ) -> Result<Response<v1::AgentMemorySearchResponse>, Status> {
        let v1::AgentMemorySearchRequest { attempt, query, everywhere, kinds, limit } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let kinds = kinds.iter().map(|kind| kind.parse()).collect::<Result<_, _>>();
        let kinds = kinds.map_err(|error: UnknownMemoryKind| Error::invalid("kinds", error))?;
        let query = MemoryQuery { query, kinds, limit, ..MemoryQuery::default() };
        let ranked = self.0.search_memories_for(&acting, query, everywhere).await?;
        let hits = ranked.hits.into_iter().map(memory::hit).collect();
        Ok(Response::new(v1::AgentMemorySearchResponse { hits }))
    }

    async fn memory_save(
        &self,
        request: Request<v1::AgentMemorySaveRequest>,
    ) -> Result<Response<v1::AgentMemorySaveResponse>, Status> {
        let v1::AgentMemorySaveRequest { attempt, key, memory } = request.into_inner();
        let acting = self.acting(attempt).await?;
        // Its task is the attempt's, whatever stands there.
        let (learned, _) = memory::learned(memory, key)?;
        let entry = self.0.save_memory_of(&acting, learned).await?;
        Ok(Response::new(v1::AgentMemorySaveResponse { memory: Some(memory::view(entry)) }))
    }

    async fn report_progress(
        &self,
        request: Request<v1::ReportProgressRequest>,
    ) -> Result<Response<v1::ReportProgressResponse>, Status> {
        let v1::ReportProgressRequest { attempt, text, percent } = request.into_inner();
        let acting = self.acting(attempt).await?;
        self.0.report_progress(&acting, &text, percent).await?;
        Ok(Response::new(v1::ReportProgressResponse {}))
    }

    async fn notices(
        &self,
        request: Request<v1::NoticesRequest>,
    ) -> Result<Response<v1::NoticesResponse>, Status> {
        let v1::NoticesRequest { attempt, told_up_to, wait_ms } = request.into_inner();
        let acting = self.acting(attempt).await?;
        let found = self.0.notices(&acting, told_up_to, Duration::from_millis(wait_ms)).await?;
        Ok(Response::new(v1::NoticesResponse {
            notices: found.notices.into_iter().map(Into::into).collect(),
            cursor: found.cursor,
        }))
    }
}
