//! `FleetService`.

use std::sync::Arc;

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
        Ok(Response::new(v1::ListWorkersResponse { workers }))
    }
}
