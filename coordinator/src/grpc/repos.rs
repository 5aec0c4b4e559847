//! `RepoService`.

use std::sync::Arc;

use factory_proto::v1;
use factory_proto::v1::repo_service_server::RepoService;
use tonic::{Request, Response, Status};

use super::view;
use crate::app::{
    App, CopyView, RepoView, WantedRepo, WantedWorktree, WhichWorktree, WorktreeView, WorktreesRequest,
};
use crate::store::{CopyEntry, WorktreeKind};

pub struct Repos(pub Arc<App>);

#[tonic::async_trait]
impl RepoService for Repos {
    async fn add_repo(
        &self,
        request: Request<v1::AddRepoRequest>,
    ) -> Result<Response<v1::AddRepoResponse>, Status> {
        let v1::AddRepoRequest { repo, name, default_role, unchecked, clone } = request.into_inner();
        let (repo, existed) =
            self.0.add_repo(WantedRepo { repo, name, default_role, unchecked, clone }).await?;
        Ok(Response::new(v1::AddRepoResponse { repo: Some(repo_view(repo)), existed }))
    }

    async fn list_repos(
        &self,
        _: Request<v1::ListReposRequest>,
    ) -> Result<Response<v1::ListReposResponse>, Status> {
        let repos = self.0.repos().await?.into_iter().map(repo_view).collect();
        Ok(Response::new(v1::ListReposResponse { repos }))
    }

    async fn get_repo(
        &self,
        request: Request<v1::GetRepoRequest>,
    ) -> Result<Response<v1::GetRepoResponse>, Status> {
        let repo = self.0.repo(&request.get_ref().repo).await?;
        Ok(Response::new(v1::GetRepoResponse { repo: Some(repo_view(repo)) }))
    }

    async fn sync_repo(
        &self,
        request: Request<v1::SyncRepoRequest>,
    ) -> Result<Response<v1::SyncRepoResponse>, Status> {
        let v1::SyncRepoRequest { repo, workers } = request.into_inner();
        let synced = self.0.sync_repo(&repo, &workers).await?;
        let failed = synced.failed.into_iter().map(|failure| v1::SyncFailure {
            worker_id: failure.worker.worker.to_string(),
            worker_name: failure.worker.name,
            message: failure.why.to_string(),
        });
        Ok(Response::new(v1::SyncRepoResponse {
            failed: failed.collect(),
            repo: Some(repo_view(synced.repo)),
        }))
    }

    async fn remove_repo(
        &self,
        request: Request<v1::RemoveRepoRequest>,
    ) -> Result<Response<v1::RemoveRepoResponse>, Status> {
        let gone = self.0.remove_repo(&request.get_ref().repo).await?;
        Ok(Response::new(v1::RemoveRepoResponse {
            removed: gone.removed.into_iter().map(copy_view).collect(),
            left: gone.left.into_iter().map(copy_view).collect(),
        }))
    }

    async fn list_worktrees(
        &self,
        request: Request<v1::ListWorktreesRequest>,
    ) -> Result<Response<v1::ListWorktreesResponse>, Status> {
        let v1::ListWorktreesRequest { repo, worker, branch } = request.into_inner();
        let worktrees = self.0.worktrees(WorktreesRequest { repo, worker, branch }).await?;
        let worktrees = worktrees.into_iter().map(worktree_view).collect();
        Ok(Response::new(v1::ListWorktreesResponse { worktrees }))
    }

    async fn add_worktree(
        &self,
        request: Request<v1::AddWorktreeRequest>,
    ) -> Result<Response<v1::AddWorktreeResponse>, Status> {
        let v1::AddWorktreeRequest { repo, branch, base, worker } = request.into_inner();
        let (worktree, existed) = self.0.add_worktree(WantedWorktree { repo, branch, base, worker }).await?;
        Ok(Response::new(v1::AddWorktreeResponse { worktree: Some(worktree_view(worktree)), existed }))
    }

    async fn get_worktree(
        &self,
        request: Request<v1::GetWorktreeRequest>,
    ) -> Result<Response<v1::GetWorktreeResponse>, Status> {
        let v1::GetWorktreeRequest { repo, branch, worker } = request.into_inner();
        let worktree = self.0.worktree(&WhichWorktree { repo, branch, worker }).await?;
        Ok(Response::new(v1::GetWorktreeResponse { worktree: Some(worktree_view(worktree)) }))
    }

    async fn remove_worktree(
        &self,
        request: Request<v1::RemoveWorktreeRequest>,
    ) -> Result<Response<v1::RemoveWorktreeResponse>, Status> {
        let v1::RemoveWorktreeRequest { repo, branch, worker, force } = request.into_inner();
        let which = WhichWorktree { repo, branch, worker };
        let worktree = self.0.remove_worktree(&which, force).await?;
        Ok(Response::new(v1::RemoveWorktreeResponse { worktree: Some(worktree_view(worktree)) }))
    }
}

fn repo_view(repo: RepoView) -> v1::Repo {
    v1::Repo {
        default_branch: repo.default_branch().unwrap_or_default().to_owned(),
        name: repo.name,
        source: repo.source.to_string(),
        configured: repo.configured,
        default_role: repo.default_role.map(String::from).unwrap_or_default(),
        added_at_ms: view::millis(repo.added_at),
        copies: repo.copies.into_iter().map(copy_view).collect(),
        worktrees: repo.worktrees,
        live_tasks: repo.live_tasks,
    }
}

fn copy_view(CopyView { row, connected }: CopyView) -> v1::RepoCopy {
    let CopyEntry { source, fetched_at, bytes, default_branch, head, error } = row.entry;
    v1::RepoCopy {
        worker_id: row.worker.to_string(),
        worker_name: row.worker_name,
        source,
        fetched_at_ms: view::millis(fetched_at),
        bytes,
        default_branch,
        head,
        error,
        connected,
    }
}

fn state_named(name: &str) -> v1::TaskState {
    let name = format!("TASK_STATE_{}", name.to_ascii_uppercase());
    v1::TaskState::from_str_name(&name).unwrap_or_default()
}

fn worktree_view(WorktreeView { row, connected }: WorktreeView) -> v1::Worktree {
    let kind = match row.entry.kind {
        WorktreeKind::Attempt => v1::WorktreeKind::Attempt,
        WorktreeKind::Kept => v1::WorktreeKind::Kept,
        WorktreeKind::ByHand => v1::WorktreeKind::ByHand,
    };
    let (task_number, task_state) = match row.task {
        Some((number, state)) => (number, state_named(&state)),
        None => (0, v1::TaskState::Unspecified),
    };
    let text = |id: Option<String>| id.unwrap_or_default();
    v1::Worktree {
        worker_id: row.worker.to_string(),
        worker_name: row.worker_name,
        repo: row.entry.source,
        path: row.entry.path,
        branch: row.entry.branch,
        kind: kind.into(),
        task_id: text(row.entry.task.map(|id| id.to_string())),
        task_number,
        task_state: task_state.into(),
        attempt_id: text(row.entry.attempt.map(|id| id.to_string())),
        head: row.entry.head,
        uncommitted: row.entry.uncommitted,
        unsaved_commits: row.entry.unsaved_commits,
        bytes: row.entry.bytes,
        made_at_ms: row.entry.made_at.as_millis(),
        seen_at_ms: row.entry.seen_at.as_millis(),
        connected,
    }
}
