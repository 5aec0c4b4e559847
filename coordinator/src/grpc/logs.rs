//! `LogService`.

use std::sync::Arc;

use factory_proto::v1;
use factory_proto::v1::log_service_server::LogService;
use futures_util::stream::{self, BoxStream};
use tonic::{Request, Response, Status};

use super::stream_to_client;
use crate::app::{App, LogPlace};

pub struct Logs(pub Arc<App>);

#[tonic::async_trait]
impl LogService for Logs {
    type FollowStream = BoxStream<'static, Result<v1::FollowLogResponse, Status>>;

    async fn read(
        &self,
        request: Request<v1::ReadLogRequest>,
    ) -> Result<Response<v1::ReadLogResponse>, Status> {
        let v1::ReadLogRequest { task, attempt_number, offset, tail, limit } = request.into_inner();
        let place = tail.map_or(LogPlace::From(offset), LogPlace::Tail);
        let page = self.0.read_log(&task, attempt_number, place, limit).await?;
        Ok(Response::new(v1::ReadLogResponse {
            records: page.records,
            attempt_number: page.attempt_number,
            next_offset: page.next_offset,
            complete: page.complete,
            at_end: page.at_end,
        }))
    }

    async fn follow(
        &self,
        request: Request<v1::FollowLogRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let v1::FollowLogRequest { task, from, attempt_number } = request.into_inner();
        let from = from.unwrap_or_default();
        let follower = self.0.follow_log(&task, (from.attempt_number, from.offset), attempt_number).await?;
        let pages = stream::try_unfold(follower, |mut follower| async move {
            let page = follower.next().await?;
            Ok(page.map(|(attempt_number, records)| {
                (v1::FollowLogResponse { attempt_number, records }, follower)
            }))
        });
        Ok(Response::new(stream_to_client(&self.0, pages)))
    }
}
