//! Repositories that have a name, and what lies on the workers' disks.

use async_trait::async_trait;
use factory_domain::{RepoSource, SessionId, Slug, Timestamp, WorkerId};
use serde::Serialize;

use super::job::{Tx, Verb};
use super::rows::{self, corrupt, to_json};
use super::statements::repos as statements;
use super::{SqliteStore, fleet};
use crate::store::StoreError;
use crate::store::repo::{
    AddedRepo, CopyEntry, CopyRow, DiskChange, Inventory, RepoAdded, RepoStore, WorktreeEntry,
    WorktreeFilter, WorktreeRow, identity,
};

#[async_trait]
impl RepoStore for SqliteStore {
    async fn add_repo(&self, repo: AddedRepo) -> Result<RepoAdded, StoreError> {
        self.write(Add { repo }).await
    }

    async fn remove_repo(&self, name: String) -> Result<bool, StoreError> {
        self.write(Remove { name }).await
    }

    async fn added_repos(&self) -> Result<Vec<AddedRepo>, StoreError> {
        let rows: Vec<RepoRow> = sqlx::query_as(statements::REPOS).fetch_all(&self.readers).await?;
        rows.into_iter().map(RepoRow::read).collect()
    }

    async fn keep_inventory(
        &self,
        worker: WorkerId,
        session: SessionId,
        inventory: Inventory,
    ) -> Result<bool, StoreError> {
        self.write(Keep { worker, session, inventory }).await
    }

    async fn note_on_disk(&self, worker: WorkerId, change: DiskChange) -> Result<(), StoreError> {
        self.write(Note { worker, change }).await
    }

    async fn repo_copies(&self, repo: Option<String>) -> Result<Vec<CopyRow>, StoreError> {
        let query = match repo {
            None => sqlx::query_as(statements::COPIES),
            Some(repo) => sqlx::query_as(statements::COPIES_OF).bind(repo),
        };
        let rows: Vec<Copied> = query.fetch_all(&self.readers).await?;
        rows.into_iter().map(Copied::read).collect()
    }

    async fn worktrees(&self, filter: WorktreeFilter) -> Result<Vec<WorktreeRow>, StoreError> {
        let rows: Vec<Checkout> = sqlx::query_as(statements::WORKTREES)
            .bind(filter.repo)
            .bind(filter.worker.map(|worker| worker.as_bytes().to_vec()))
            .bind(filter.branch)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(Checkout::read).collect()
    }

    async fn live_tasks_of_repos(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as(statements::LIVE_TASKS_OF_REPOS).fetch_all(&self.readers).await?;
        rows.into_iter().map(|(repo, count)| Ok((repo, rows::unsigned(count)?))).collect()
    }
}

struct Add {
    repo: AddedRepo,
}

impl Verb for Add {
    type Output = RepoAdded;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<RepoAdded, StoreError> {
        let AddedRepo { name, source, default_role, added_at } = &self.repo;
        let repo = source.identity();
        for (statement, bound) in [(statements::REPO_OF, &repo), (statements::REPO_NAMED, name)] {
            let found: Option<RepoRow> =
                sqlx::query_as(statement).bind(bound).fetch_optional(&mut *tx.connection).await?;
            if let Some(found) = found.map(RepoRow::read).transpose()? {
                let same = found.source.identity() == repo;
                return Ok(if same { RepoAdded::Known(found) } else { RepoAdded::NameTaken(found) });
            }
        }
        sqlx::query(statements::ADD_REPO)
            .bind(name)
            .bind(&repo)
            .bind(source.to_string())
            .bind(default_role.as_ref().map(Slug::as_str))
            .bind(added_at.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        Ok(RepoAdded::New)
    }
}

struct Remove {
    name: String,
}

impl Verb for Remove {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let removed =
            sqlx::query(statements::REMOVE_REPO).bind(&self.name).execute(&mut *tx.connection).await?;
        Ok(removed.rows_affected() == 1)
    }
}

/// With the identity of its repository, as a statement takes it.
#[derive(Serialize)]
struct Named<'e, T> {
    repo: String,
    #[serde(flatten)]
    entry: &'e T,
}

fn named<T: Serialize>(entries: &[T], source: impl Fn(&T) -> &str) -> String {
    let named = |entry| Named { repo: identity(source(entry)), entry };
    to_json(&entries.iter().map(named).collect::<Vec<_>>())
}

struct Keep {
    worker: WorkerId,
    session: SessionId,
    inventory: Inventory,
}

impl Verb for Keep {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        if !fleet::is_newest(tx, self.worker, self.session).await? {
            return Ok(false);
        }
        let Inventory { copies, worktrees } = &self.inventory;
        for forget in [statements::FORGET_COPIES, statements::FORGET_WORKTREES] {
            execute(tx, forget, self.worker, None).await?;
        }
        let copies = named(copies, |copy| &copy.source);
        let worktrees = named(worktrees, |worktree| &worktree.source);
        execute(tx, statements::KEEP_COPIES, self.worker, Some(&copies)).await?;
        execute(tx, statements::KEEP_WORKTREES, self.worker, Some(&worktrees)).await?;
        Ok(true)
    }
}

struct Note {
    worker: WorkerId,
    change: DiskChange,
}

impl Verb for Note {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let (statement, bound) = match &self.change {
            DiskChange::Copy(copy) => {
                (statements::KEEP_COPIES, named(std::slice::from_ref(copy), |copy| &copy.source))
            }
            DiskChange::Worktree(worktree) => {
                let one = std::slice::from_ref(worktree);
                (statements::KEEP_WORKTREES, named(one, |worktree| &worktree.source))
            }
            DiskChange::CopyGone(source) => (statements::FORGET_COPY, source.clone()),
            DiskChange::WorktreeGone(path) => (statements::FORGET_WORKTREE, path.clone()),
        };
        execute(tx, statement, self.worker, Some(&bound)).await
    }
}

async fn execute(
    tx: &mut Tx<'_>,
    statement: &'static str,
    worker: WorkerId,
    bound: Option<&str>,
) -> Result<(), StoreError> {
    let mut query = sqlx::query(statement).bind(worker.as_bytes().to_vec());
    if let Some(bound) = bound {
        query = query.bind(bound);
    }
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct RepoRow {
    name: String,
    source: String,
    default_role: Option<String>,
    added_at: i64,
}

impl RepoRow {
    fn read(self) -> Result<AddedRepo, StoreError> {
        Ok(AddedRepo {
            name: self.name,
            source: RepoSource::parse(&self.source).map_err(corrupt)?,
            default_role: self.default_role.as_deref().map(Slug::parse).transpose().map_err(corrupt)?,
            added_at: Timestamp::from_millis(self.added_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct Copied {
    worker_id: Vec<u8>,
    worker_name: String,
    repo: String,
    source: String,
    fetched_at: Option<i64>,
    bytes: i64,
    default_branch: String,
    head: String,
    error: String,
}

impl Copied {
    fn read(self) -> Result<CopyRow, StoreError> {
        Ok(CopyRow {
            worker: rows::worker_id(&self.worker_id)?,
            worker_name: self.worker_name,
            repo: self.repo,
            entry: CopyEntry {
                source: self.source,
                fetched_at: self.fetched_at.map(Timestamp::from_millis),
                bytes: rows::unsigned(self.bytes)?,
                default_branch: self.default_branch,
                head: self.head,
                error: self.error,
            },
        })
    }
}

#[derive(sqlx::FromRow)]
struct Checkout {
    worker_id: Vec<u8>,
    worker_name: String,
    repo: String,
    path: String,
    source: String,
    branch: String,
    kind: String,
    task_id: Option<Vec<u8>>,
    task_number: Option<i64>,
    task_state: Option<String>,
    attempt_id: Option<Vec<u8>>,
    head: String,
    uncommitted: u32,
    unsaved_commits: u32,
    bytes: i64,
    made_at: i64,
    seen_at: i64,
}

impl Checkout {
    fn read(self) -> Result<WorktreeRow, StoreError> {
        let number = self.task_number.map(rows::unsigned).transpose()?;
        Ok(WorktreeRow {
            worker: rows::worker_id(&self.worker_id)?,
            worker_name: self.worker_name,
            repo: self.repo,
            task: number.zip(self.task_state),
            entry: WorktreeEntry {
                path: self.path,
                source: self.source,
                branch: self.branch,
                kind: rows::from_name(&self.kind, "kind of a worktree")?,
                task: self.task_id.as_deref().map(rows::task_id).transpose()?,
                attempt: self.attempt_id.as_deref().map(rows::attempt_id).transpose()?,
                head: self.head,
                uncommitted: self.uncommitted,
                unsaved_commits: self.unsaved_commits,
                bytes: rows::unsigned(self.bytes)?,
                made_at: Timestamp::from_millis(self.made_at),
                seen_at: Timestamp::from_millis(self.seen_at),
            },
        })
    }
}
