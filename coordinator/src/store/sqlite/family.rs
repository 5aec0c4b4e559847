//! A task and its children: what a parent is told, and what befalls all of them.

use async_trait::async_trait;
use factory_domain::family::{Bounds, EndedChild};
use factory_domain::{AttemptId, Event, Progress, Rejected, TaskId, Timestamp};

use super::SqliteStore;
use super::dependencies::Ended;
use super::inbox;
use super::job::{Tx, Verb};
use super::moves::{self, Move};
use super::rows::{self, StateColumns, to_json};
use super::statements::family as statements;
use super::submit::{self, Submit};
use crate::store::{
    Applied, CancelError, CancelledFamily, FamilyStore, NewTask, Relative, StoreError, SubmitError, Submitted,
};

#[derive(sqlx::FromRow)]
struct ChildRow {
    parent_id: Vec<u8>,
    number: i64,
    title: String,
    #[sqlx(flatten)]
    state: StateColumns,
    report: Option<String>,
}

/// Puts the ends of children where their parents' agents find them.
pub(super) async fn tell_parents(tx: &mut Tx<'_>, ended: &[Ended]) -> Result<(), StoreError> {
    let children: Vec<TaskId> = ended.iter().filter(|one| one.is_child).map(|one| one.task).collect();
    let Some(now) = ended.iter().map(|one| one.cause.at).max().filter(|_| !children.is_empty()) else {
        return Ok(());
    };
    let rows: Vec<ChildRow> = sqlx::query_as(statements::ENDED_CHILDREN)
        .bind(to_json(&children))
        .fetch_all(&mut *tx.connection)
        .await?;
    let entries = rows.into_iter().map(ChildRow::entry).collect::<Result<Vec<_>, _>>()?;
    inbox::add(tx, &entries, now).await
}

impl ChildRow {
    fn entry(self) -> Result<inbox::Entry, StoreError> {
        let (state, report) = (self.state.read()?, rows::report(self.report.as_deref())?);
        let child = EndedChild {
            number: rows::unsigned(self.number)?,
            title: &self.title,
            state: &state,
            report: report.as_ref(),
        };
        Ok(inbox::Entry::new(rows::task_id(&self.parent_id)?, &child.notice()))
    }
}

pub(super) struct SubmitChild {
    pub submit: Submit,
    pub bounds: Bounds,
}

impl SubmitChild {
    pub(super) fn of(child: NewTask, bounds: Bounds, now: Timestamp) -> Self {
        Self { submit: Submit { tasks: vec![child], now }, bounds }
    }

    async fn refuse_too_many(&self, tx: &mut Tx<'_>) -> Result<(), SubmitError> {
        for child in &self.submit.tasks {
            let Some(parent) = child.links.parent else { continue };
            let (above, live): (u32, u32) = sqlx::query_as(statements::ROOM_FOR_CHILDREN)
                .bind(&parent.as_bytes()[..])
                .fetch_one(&mut *tx.connection)
                .await
                .map_err(StoreError::from)?;
            if above + 1 > self.bounds.depth {
                return Err(SubmitError::TooDeep { most: self.bounds.depth });
            }
            if live >= self.bounds.live_children {
                return Err(SubmitError::TooManyChildren { live });
            }
        }
        Ok(())
    }
}

impl Verb for SubmitChild {
    type Output = Submitted;
    type Error = SubmitError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Submitted, SubmitError> {
        if !submit::all_known(&self.submit, tx).await? {
            self.refuse_too_many(tx).await?;
        }
        let submitted = self.submit.run(tx).await?.pop();
        submitted.ok_or_else(|| rows::corrupt("a child was submitted and is not there").into())
    }
}

pub(super) struct Cancel {
    pub task: TaskId,
    pub with_children: bool,
    pub now: Timestamp,
}

impl Verb for Cancel {
    type Output = CancelledFamily;
    type Error = CancelError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CancelledFamily, CancelError> {
        let before = live_descendants(tx, self.task).await?;
        let mut tasks = vec![self.task];
        if self.with_children {
            tasks.extend(&before);
        }
        let mut loaded = moves::load(tx, &tasks).await?;
        let own = loaded.remove(&self.task).ok_or(CancelError::NoSuchTask(self.task))?;
        let own = Move::decide(own, Event::CancelRequested, self.now);
        let children = before.iter().filter_map(|child| {
            // One that has ended, or is being ended, has no need of it.
            Move::decide(loaded.remove(child)?, Event::CancelRequested, self.now).ok()
        });
        let (task, children) = self.write(tx, own, children.collect()).await?;
        let live = live_descendants(tx, self.task).await?.len();
        let count = |tasks: usize| u32::try_from(tasks).unwrap_or(u32::MAX);
        Ok(CancelledFamily { task, children, cancelled: count(before.len() - live), live: count(live) })
    }
}

type Written = (Result<Applied, Rejected>, Vec<Applied>);

impl Cancel {
    async fn write(
        &self,
        tx: &mut Tx<'_>,
        own: Result<Move, Rejected>,
        children: Vec<Move>,
    ) -> Result<Written, StoreError> {
        let (own, refused) = match own {
            Ok(own) => (Some(own), None),
            Err(why) => (None, Some(why)),
        };
        let mut written = moves::write(tx, own.into_iter().chain(children).collect()).await?.into_iter();
        let task = match refused {
            Some(why) => Err(why),
            None => Ok(written.next().ok_or_else(|| rows::corrupt("a cancel left no trace"))?),
        };
        Ok((task, written.collect()))
    }
}

async fn live_descendants(tx: &mut Tx<'_>, task: TaskId) -> Result<Vec<TaskId>, StoreError> {
    let rows: Vec<(Vec<u8>,)> = sqlx::query_as(statements::LIVE_DESCENDANTS)
        .bind(&task.as_bytes()[..])
        .fetch_all(&mut *tx.connection)
        .await?;
    rows.iter().map(|(id,)| rows::task_id(id)).collect()
}

pub(super) struct NoteProgress {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub progress: Progress,
}

impl Verb for NoteProgress {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let noted = sqlx::query(statements::NOTE_PROGRESS)
            .bind(&self.task.as_bytes()[..])
            .bind(&self.attempt.as_bytes()[..])
            .bind(to_json(&self.progress))
            .execute(&mut *tx.connection)
            .await?;
        Ok(noted.rows_affected() == 1)
    }
}

#[async_trait]
impl FamilyStore for SqliteStore {
    async fn submit_child(
        &self,
        child: NewTask,
        bounds: Bounds,
        now: Timestamp,
    ) -> Result<Submitted, SubmitError> {
        self.write(SubmitChild::of(child, bounds, now)).await
    }

    async fn cancel(
        &self,
        task: TaskId,
        with_children: bool,
        now: Timestamp,
    ) -> Result<CancelledFamily, CancelError> {
        self.write(Cancel { task, with_children, now }).await
    }

    async fn note_progress(
        &self,
        task: TaskId,
        attempt: AttemptId,
        progress: Progress,
    ) -> Result<bool, StoreError> {
        self.write(NoteProgress { task, attempt, progress }).await
    }

    async fn related(&self, tasks: Vec<TaskId>, most: u32) -> Result<Vec<Relative>, StoreError> {
        let rows: Vec<RelativeRow> = sqlx::query_as(statements::RELATED)
            .bind(to_json(&tasks))
            .bind(i64::from(most))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(RelativeRow::read).collect()
    }
}

#[derive(sqlx::FromRow)]
struct RelativeRow {
    id: Vec<u8>,
    number: i64,
    title: String,
    state: String,
    parent_id: Option<Vec<u8>>,
    after: String,
}

impl RelativeRow {
    fn read(self) -> Result<Relative, StoreError> {
        Ok(Relative {
            id: rows::task_id(&self.id)?,
            number: rows::unsigned(self.number)?,
            title: self.title,
            state: self.state,
            parent: self.parent_id.as_deref().map(rows::task_id).transpose()?,
            after: rows::from_json(&self.after, "after")?,
        })
    }
}
