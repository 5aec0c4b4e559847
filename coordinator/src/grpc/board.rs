//! The message board: messages, handoffs, questions.

use std::sync::Arc;

use factory_proto::v1;
use factory_proto::v1::board_service_server::BoardService;
use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status};

use crate::app::App;

#[expect(dead_code, reason = "its handlers are about to come")]
pub struct Board(pub Arc<App>);

#[tonic::async_trait]
impl BoardService for Board {
    type FollowMessagesStream = BoxStream<'static, Result<v1::FollowMessagesResponse, Status>>;

    async fn post_message(
        &self,
        _request: Request<v1::PostMessageRequest>,
    ) -> Result<Response<v1::PostMessageResponse>, Status> {
        Err(Status::unimplemented("PostMessage is not served yet"))
    }

    async fn list_messages(
        &self,
        _request: Request<v1::ListMessagesRequest>,
    ) -> Result<Response<v1::ListMessagesResponse>, Status> {
        Err(Status::unimplemented("ListMessages is not served yet"))
    }

    async fn get_message(
        &self,
        _request: Request<v1::GetMessageRequest>,
    ) -> Result<Response<v1::GetMessageResponse>, Status> {
        Err(Status::unimplemented("GetMessage is not served yet"))
    }

    async fn get_thread(
        &self,
        _request: Request<v1::GetThreadRequest>,
    ) -> Result<Response<v1::GetThreadResponse>, Status> {
        Err(Status::unimplemented("GetThread is not served yet"))
    }

    async fn follow_messages(
        &self,
        _request: Request<v1::FollowMessagesRequest>,
    ) -> Result<Response<Self::FollowMessagesStream>, Status> {
        Err(Status::unimplemented("FollowMessages is not served yet"))
    }

    async fn create_handoff(
        &self,
        _request: Request<v1::CreateHandoffRequest>,
    ) -> Result<Response<v1::CreateHandoffResponse>, Status> {
        Err(Status::unimplemented("CreateHandoff is not served yet"))
    }

    async fn get_handoff(
        &self,
        _request: Request<v1::GetHandoffRequest>,
    ) -> Result<Response<v1::GetHandoffResponse>, Status> {
        Err(Status::unimplemented("GetHandoff is not served yet"))
    }

    async fn list_handoffs(
        &self,
        _request: Request<v1::ListHandoffsRequest>,
    ) -> Result<Response<v1::ListHandoffsResponse>, Status> {
        Err(Status::unimplemented("ListHandoffs is not served yet"))
    }

    async fn list_questions(
        &self,
        _request: Request<v1::ListQuestionsRequest>,
    ) -> Result<Response<v1::ListQuestionsResponse>, Status> {
        Err(Status::unimplemented("ListQuestions is not served yet"))
    }

    async fn answer(
        &self,
        _request: Request<v1::AnswerRequest>,
    ) -> Result<Response<v1::AnswerResponse>, Status> {
        Err(Status::unimplemented("Answer is not served yet"))
    }
}
