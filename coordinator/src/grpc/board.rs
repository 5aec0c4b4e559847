//! The message board: messages, handoffs, questions.

use std::sync::Arc;

use factory_domain::Recipient;
use factory_proto::convert::message_types;
use factory_proto::v1;
use factory_proto::v1::board_service_server::BoardService;
use futures_util::stream::{self, BoxStream};
use tonic::{Request, Response, Status};

use super::{questions, stream_to_client};
use crate::app::{
    App, Error, HandoffsRequest, MessagesRequest, QuestionsRequest, WantedHandoff, WantedMessage,
};
use crate::store::{HandoffEntry, HandoffTo, MessageEntry};

pub struct Board(pub Arc<App>);

#[tonic::async_trait]
impl BoardService for Board {
    type FollowMessagesStream = BoxStream<'static, Result<v1::FollowMessagesResponse, Status>>;

    async fn post_message(
        &self,
        request: Request<v1::PostMessageRequest>,
    ) -> Result<Response<v1::PostMessageResponse>, Status> {
        let v1::PostMessageRequest { message, idempotency_key } = request.into_inner();
        let mut message = message.ok_or_else(|| Error::invalid("message", "is missing"))?;
        let (from, task) = (std::mem::take(&mut message.from), std::mem::take(&mut message.task));
        let posted = self.0.post_message(wanted_message(message, idempotency_key)?, from, task).await?;
        Ok(Response::new(v1::PostMessageResponse { message: Some(message_view(posted.thing)) }))
    }

    async fn list_messages(
        &self,
        request: Request<v1::ListMessagesRequest>,
    ) -> Result<Response<v1::ListMessagesResponse>, Status> {
        let v1::ListMessagesRequest { task, types, to, from, search, page_size, page_token } =
            request.into_inner();
        let types = message_types(&types).map_err(Error::from)?;
        let page =
            self.0.messages(MessagesRequest { task, types, to, from, search, page_size, page_token }).await?;
        let messages = page.messages.into_iter().map(message_view).collect();
        Ok(Response::new(v1::ListMessagesResponse { messages, next_page_token: page.next_page_token }))
    }

    async fn get_message(
        &self,
        request: Request<v1::GetMessageRequest>,
    ) -> Result<Response<v1::GetMessageResponse>, Status> {
        let message = self.0.message(&request.get_ref().message).await?;
        Ok(Response::new(v1::GetMessageResponse { message: Some(message_view(message)) }))
    }

    async fn get_thread(
        &self,
        request: Request<v1::GetThreadRequest>,
    ) -> Result<Response<v1::GetThreadResponse>, Status> {
        let thread = self.0.thread(&request.get_ref().message).await?;
        Ok(Response::new(v1::GetThreadResponse { messages: thread.into_iter().map(message_view).collect() }))
    }

    async fn follow_messages(
        &self,
        request: Request<v1::FollowMessagesRequest>,
    ) -> Result<Response<Self::FollowMessagesStream>, Status> {
        let v1::FollowMessagesRequest { after, task, types } = request.into_inner();
        let types = message_types(&types).map_err(Error::from)?;
        let follower = self.0.follow_messages(after, &task, types).await?;
        let messages = stream::try_unfold(follower, |mut follower| async move {
            let message = Some(message_view(follower.next().await?));
            Ok(Some((v1::FollowMessagesResponse { message }, follower)))
        });
        Ok(Response::new(stream_to_client(&self.0, messages)))
    }

    async fn create_handoff(
        &self,
        request: Request<v1::CreateHandoffRequest>,
    ) -> Result<Response<v1::CreateHandoffResponse>, Status> {
        let v1::CreateHandoffRequest { handoff, idempotency_key } = request.into_inner();
        let mut handoff = handoff.ok_or_else(|| Error::invalid("handoff", "is missing"))?;
        let from = std::mem::take(&mut handoff.from_task);
        let kept = self.0.create_handoff(wanted_handoff(handoff, idempotency_key), &from).await?;
        Ok(Response::new(v1::CreateHandoffResponse { handoff: Some(handoff_view(kept.thing)) }))
    }

    async fn get_handoff(
        &self,
        request: Request<v1::GetHandoffRequest>,
    ) -> Result<Response<v1::GetHandoffResponse>, Status> {
        let handoff = self.0.handoff(&request.get_ref().handoff).await?;
        Ok(Response::new(v1::GetHandoffResponse { handoff: Some(handoff_view(handoff)) }))
    }

    async fn list_handoffs(
        &self,
        request: Request<v1::ListHandoffsRequest>,
    ) -> Result<Response<v1::ListHandoffsResponse>, Status> {
        let v1::ListHandoffsRequest { task, workflow, page_size, page_token } = request.into_inner();
        let page = self.0.handoffs(HandoffsRequest { task, workflow, page_size, page_token }).await?;
        let handoffs = page.handoffs.into_iter().map(handoff_view).collect();
        Ok(Response::new(v1::ListHandoffsResponse { handoffs, next_page_token: page.next_page_token }))
    }

    async fn list_questions(
        &self,
        request: Request<v1::ListQuestionsRequest>,
    ) -> Result<Response<v1::ListQuestionsResponse>, Status> {
        let v1::ListQuestionsRequest { all, task, page_size, page_token } = request.into_inner();
        let task = Some(task).filter(|task| !task.is_empty());
        let page = self.0.questions(QuestionsRequest { task, all, page_size, page_token }).await?;
        Ok(Response::new(v1::ListQuestionsResponse {
            questions: page.questions.into_iter().map(questions::view).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn answer(
        &self,
        request: Request<v1::AnswerRequest>,
    ) -> Result<Response<v1::AnswerResponse>, Status> {
        let v1::AnswerRequest { task, question, text, by } = request.into_inner();
        let question = self.0.answer(&task, &question, text, &by).await?;
        Ok(Response::new(v1::AnswerResponse { question: Some(questions::view(question)) }))
    }
}

/// All of it but who sends it.
pub(super) fn wanted_message(message: v1::NewMessage, key: String) -> Result<WantedMessage, Error> {
    let kind = v1::MessageType::try_from(message.r#type).map_err(|_| {
        Error::invalid("message.type", format!("{} is not a type of message", message.r#type))
    })?;
    Ok(WantedMessage {
        to: message.to,
        kind: kind.into(),
        content: message.content,
        reply_to: message.reply_to,
        key,
    })
}

pub(super) fn wanted_handoff(handoff: v1::NewHandoff, key: String) -> WantedHandoff {
    WantedHandoff {
        to_task: handoff.to_task,
        to_role: handoff.to_role,
        context: handoff.context,
        artifacts: handoff.artifacts,
        branch: handoff.branch,
        key,
    }
}

pub(super) fn message_view(entry: MessageEntry) -> v1::Message {
    let to_task_id = match &entry.to {
        Recipient::Task(task) => task.to_string(),
        _ => String::new(),
    };
    v1::Message {
        to: entry.recipient(),
        to_task_id,
        id: entry.id.to_string(),
        number: entry.number,
        at_ms: entry.at.as_millis(),
        from: entry.from,
        from_task_id: entry.from_task.map(|task| task.id.to_string()).unwrap_or_default(),
        from_task_number: entry.from_task.map_or(0, |task| task.number),
        from_attempt_id: entry.from_attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        r#type: v1::MessageType::from(entry.kind).into(),
        content: entry.content,
        reply_to: entry.reply_to.map(|message| message.id.to_string()).unwrap_or_default(),
        thread_id: entry.thread.map(|message| message.id.to_string()).unwrap_or_default(),
        replies: entry.replies,
        reply_to_number: entry.reply_to.map_or(0, |message| message.number),
        thread_number: entry.thread.map_or(0, |message| message.number),
    }
}

pub(super) fn handoff_view(entry: HandoffEntry) -> v1::Handoff {
    let (to_task_id, to_role) = match entry.to {
        HandoffTo::Task(task) => (task.to_string(), String::new()),
        HandoffTo::Role(role) => (String::new(), role.into()),
        HandoffTo::Dependents => (String::new(), String::new()),
    };
    v1::Handoff {
        id: entry.id.to_string(),
        number: entry.number,
        at_ms: entry.at.as_millis(),
        from_task_id: entry.from.id.to_string(),
        from_task_number: entry.from.number,
        from_attempt_id: entry.from_attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        from_role: entry.from_role.unwrap_or_default(),
        to_task_id,
        to_task_number: entry.to_number.unwrap_or_default(),
        to_role,
        workflow_id: entry.workflow.map(|(workflow, _)| workflow.to_string()).unwrap_or_default(),
        iteration: entry.workflow.map_or(0, |(_, iteration)| iteration),
        context: entry.context,
        artifacts: entry.artifacts,
        branch: entry.branch.unwrap_or_default(),
    }
}
