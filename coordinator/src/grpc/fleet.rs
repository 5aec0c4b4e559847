//! `FleetService`.

use std::sync::Arc;
use std::time::Duration;

use factory_proto::v1;
use factory_proto::v1::fleet_service_server::FleetService;
use tonic::{Request, Response, Status};

use super::view;
use crate::app::App;

pub struct Fleet(pub Arc<App>);

#[tonic::async_trait]
impl FleetService for Fleet {
    async fn list_workers(
        &self,
        _: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let workers = self.0.workers().await?.into_iter().map(view::worker).collect();
        let disk_warning = self.0.disk_warning().unwrap_or_default();
        Ok(Response::new(v1::ListWorkersResponse { workers, disk_warning }))
    }

    async fn get_worker(
        &self,
        request: Request<v1::GetWorkerRequest>,
    ) -> Result<Response<v1::GetWorkerResponse>, Status> {
        let (worker, attempts) = view::worker_detail(self.0.worker(&request.get_ref().worker).await?);
        Ok(Response::new(v1::GetWorkerResponse { worker: Some(worker), attempts }))
    }

    async fn drain_worker(
        &self,
        request: Request<v1::DrainWorkerRequest>,
    ) -> Result<Response<v1::DrainWorkerResponse>, Status> {
        let v1::DrainWorkerRequest { worker, hand_over_after_ms } = request.into_inner();
        let hand_over_after = hand_over_after_ms.map(Duration::from_millis);
        let (worker, attempts) = view::worker_detail(self.0.drain_worker(&worker, hand_over_after).await?);
        Ok(Response::new(v1::DrainWorkerResponse { worker: Some(worker), attempts }))
    }

    async fn resume_worker(
        &self,
        request: Request<v1::ResumeWorkerRequest>,
    ) -> Result<Response<v1::ResumeWorkerResponse>, Status> {
        let (worker, _) = view::worker_detail(self.0.resume_worker(&request.get_ref().worker).await?);
        Ok(Response::new(v1::ResumeWorkerResponse { worker: Some(worker) }))
    }
}
