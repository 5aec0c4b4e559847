//! Files that agents take at work, and what tasks in the queue wait for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use factory_domain::{AttemptId, Capacity, Limits, Obstacle, PathPattern, TaskId, Timestamp};
use sqlx::SqlitePool;

use super::SqliteStore;
use super::admission::{self, AtWorkRow};
use super::job::{Tx, Verb};
use super::rows::{self, to_json};
use super::statements::admission as statements;
use crate::store::{FileInTheWay, FileLock, LockStore, Locking, QueuedTask, StoreError, Wait, WantedFiles};

#[async_trait]
impl LockStore for SqliteStore {
    async fn lock_files(&self, wanted: WantedFiles, now: Timestamp) -> Result<Locking, StoreError> {
        self.write(LockFiles { wanted, now }).await
    }

    async fn unlock_files(&self, attempt: AttemptId, paths: Vec<PathPattern>) -> Result<bool, StoreError> {
        self.write(UnlockFiles { attempt, paths }).await
    }

    async fn files_of(&self, task: TaskId) -> Result<Vec<FileLock>, StoreError> {
        files_of(&self.readers, task).await
    }

    async fn waits(
        &self,
        queued: Vec<QueuedTask>,
        connected: Arc<[Capacity]>,
        now: Timestamp,
    ) -> Result<HashMap<TaskId, Wait>, StoreError> {
        waits(&self.readers, &self.limits, &queued, &connected, now).await
    }
}

struct LockFiles {
    wanted: WantedFiles,
    now: Timestamp,
}

impl Verb for LockFiles {
    type Output = Locking;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Locking, StoreError> {
        let WantedFiles { attempt, ref paths, ref connected, .. } = self.wanted;
        let row: Option<AtWorkRow> = sqlx::query_as(statements::AT_WORK)
            .bind(&attempt.as_bytes()[..])
            .fetch_optional(&mut *tx.connection)
            .await?;
        let Some(row) = row else { return Ok(Locking::Over) };
        if !rows::attempt_state(&row.state)?.is_live() {
            return Ok(Locking::Over);
        }
        if row.repo.is_none() {
            return Ok(Locking::NoRepository);
        }
        if self.is_overtaken(tx).await? {
            return Ok(Locking::Overtaken);
        }
        let wish = row.wish(paths.clone())?;
        let limits = &tx.rules.limits;
        let classes = admission::queued_classes(tx.connection).await?;
        let connected: Vec<&Capacity> = connected.iter().collect();
        let line = admission::line(tx.connection, &classes, &connected).await?;
        let board = admission::board(tx.connection, limits, &line, self.now).await?;
        let in_the_way = board.files_in_the_way(&wish);
        if in_the_way.is_empty() {
            admission::take_files(tx, attempt, &wish.needs, true, self.now).await?;
            self.leave_the_line(tx).await?;
            return Ok(Locking::Granted);
        }
        if let Some(circle) = board.circle(&wish) {
            self.leave_the_line(tx).await?;
            let titles = admission::titles(tx.connection, &circle.iter().copied().collect()).await?;
            return Ok(Locking::Circle(circle.iter().filter_map(|task| titles.get(task).cloned()).collect()));
        }
        match self.wanted.until > self.now {
            true => self.join_the_line(tx).await?,
            false => self.leave_the_line(tx).await?,
        }
        Ok(Locking::Waits(tell(tx, in_the_way).await?))
    }
}

impl LockFiles {
    /// Whether a later call of the same attempt waits.
    async fn is_overtaken(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let WantedFiles { attempt, call, .. } = &self.wanted;
        let overtaken = sqlx::query_scalar(statements::LATER_WISH)
            .bind(&attempt.as_bytes()[..])
            .bind(&call.as_bytes()[..])
            .bind(self.now.as_millis())
            .fetch_one(&mut *tx.connection)
            .await?;
        Ok(overtaken)
    }

    async fn join_the_line(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let WantedFiles { attempt, paths, call, until, .. } = &self.wanted;
        sqlx::query(statements::WISH_FILES)
            .bind(&attempt.as_bytes()[..])
            .bind(&call.as_bytes()[..])
            .bind(to_json(paths))
            .bind(until.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }

    async fn leave_the_line(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let WantedFiles { attempt, call, .. } = &self.wanted;
        sqlx::query(statements::DROP_WISH)
            .bind(&attempt.as_bytes()[..])
            .bind(&call.as_bytes()[..])
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

/// Obstacles as agents are told of them.
async fn tell(tx: &mut Tx<'_>, obstacles: Vec<Obstacle>) -> Result<Vec<FileInTheWay>, StoreError> {
    let tasks: HashSet<TaskId> = obstacles.iter().map(Obstacle::by).collect();
    let titles = admission::titles(tx.connection, &tasks).await?;
    let taken: Vec<(Vec<u8>, String, i64)> =
        sqlx::query_as(statements::TAKEN_SINCE).bind(to_json(&tasks)).fetch_all(&mut *tx.connection).await?;
    let mut since: HashMap<(TaskId, String), Timestamp> = HashMap::new();
    for (task, pattern, at) in taken {
        since.insert((rows::task_id(&task)?, pattern), Timestamp::from_millis(at));
    }
    let told = obstacles.into_iter().filter_map(|obstacle| match obstacle {
        Obstacle::File { path, by, held } => {
            let since = since.get(&(by, path.as_str().to_owned())).copied().filter(|_| held);
            Some(FileInTheWay { path, by: titles.get(&by)?.clone(), since })
        }
        Obstacle::Key { .. } => None,
    });
    Ok(told.collect())
}

struct UnlockFiles {
    attempt: AttemptId,
    paths: Vec<PathPattern>,
}

impl Verb for UnlockFiles {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let given_back = sqlx::query(statements::UNLOCK_FILES)
            .bind(&self.attempt.as_bytes()[..])
            .bind(to_json(&self.paths))
            .execute(&mut *tx.connection)
            .await?;
        Ok(given_back.rows_affected() > 0)
    }
}

async fn files_of(readers: &SqlitePool, task: TaskId) -> Result<Vec<FileLock>, StoreError> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as(statements::FILE_LOCKS).bind(&task.as_bytes()[..]).fetch_all(readers).await?;
    let read = |(path, since): (String, i64)| {
        let path = PathPattern::parse(&path).map_err(rows::corrupt)?;
        Ok(FileLock { path, since: Timestamp::from_millis(since) })
    };
    rows.into_iter().map(read).collect()
}

/// What those of `queued` wait for that wait for more than a worker. Where nothing asks for it, nothing is read.
async fn waits(
    readers: &SqlitePool,
    limits: &Limits,
    queued: &[QueuedTask],
    connected: &[Capacity],
    now: Timestamp,
) -> Result<HashMap<TaskId, Wait>, StoreError> {
    let exclusive = queued.iter().any(|task| task.class.exclusive);
    if queued.is_empty() || !(exclusive || limits.count_classes()) {
        return Ok(HashMap::new());
    }
    let mut reader = readers.acquire().await?;
    let running = admission::running(&mut reader).await?;
    let classes = admission::queued_classes(&mut reader).await?;
    let line = admission::line(&mut reader, &classes, &connected.iter().collect::<Vec<_>>()).await?;
    let board = admission::board(&mut reader, limits, &line, now).await?;
    let mut waits = HashMap::new();
    let mut obstacles = Vec::new();
    for QueuedTask { class, wish } in queued {
        match limits.reached(class, &running) {
            Some(reached) => drop(waits.insert(wish.task, Wait::Limit(reached))),
            None => obstacles.extend(board.obstacle(wish, |_| true).map(|obstacle| (wish.task, obstacle))),
        }
    }
    let titles = admission::titles(&mut reader, &obstacles.iter().map(|(_, it)| it.by()).collect()).await?;
    for (task, obstacle) in obstacles {
        let by = titles.get(&obstacle.by()).cloned();
        let by = by.ok_or_else(|| rows::corrupt("a task that has something for itself is not there"))?;
        let wait = match obstacle {
            Obstacle::File { path, held, .. } => Wait::File { path, held, by },
            Obstacle::Key { key, limit, .. } => Wait::Key { key, limit, by },
        };
        waits.insert(task, wait);
    }
    Ok(waits)
}
