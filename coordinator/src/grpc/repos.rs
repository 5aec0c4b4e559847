//! `RepoService`.

use std::sync::Arc;

use factory_proto::v1;
use factory_proto::v1::repo_service_server::RepoService;
use tonic::{Request, Response, Status};

use crate::app::App;

pub struct Repos(#[expect(dead_code, reason = "no verb is there yet")] pub Arc<App>);

#[tonic::async_trait]
impl RepoService for Repos {
    async fn add_repo(
        &self,
        _: Request<v1::AddRepoRequest>,
    ) -> Result<Response<v1::AddRepoResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn list_repos(
        &self,
        _: Request<v1::ListReposRequest>,
    ) -> Result<Response<v1::ListReposResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn get_repo(
        &self,
        _: Request<v1::GetRepoRequest>,
    ) -> Result<Response<v1::GetRepoResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn sync_repo(
        &self,
        _: Request<v1::SyncRepoRequest>,
    ) -> Result<Response<v1::SyncRepoResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn remove_repo(
        &self,
        _: Request<v1::RemoveRepoRequest>,
    ) -> Result<Response<v1::RemoveRepoResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn list_worktrees(
        &self,
        _: Request<v1::ListWorktreesRequest>,
    ) -> Result<Response<v1::ListWorktreesResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn add_worktree(
        &self,
        _: Request<v1::AddWorktreeRequest>,
    ) -> Result<Response<v1::AddWorktreeResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn get_worktree(
        &self,
        _: Request<v1::GetWorktreeRequest>,
    ) -> Result<Response<v1::GetWorktreeResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }

    async fn remove_worktree(
        &self,
        _: Request<v1::RemoveWorktreeRequest>,
    ) -> Result<Response<v1::RemoveWorktreeResponse>, Status> {
        Err(Status::unimplemented("repositories"))
    }
}
