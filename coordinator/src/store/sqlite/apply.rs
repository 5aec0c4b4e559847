//! One event of one task, and the events that time itself brings.

use factory_domain::{AttemptState, Event, ReturnReason, TaskId, Timestamp};

use super::job::{Outcome, Tx, Verb};
use super::moves::{self, Move};
use super::questions;
use super::rows;
use super::statements;
use crate::store::{Applied, ApplyError, StoreError};

pub(super) struct Apply {
    pub task: TaskId,
    pub event: Event,
    pub now: Timestamp,
}

impl Verb for Apply {
    type Output = Applied;
    type Error = ApplyError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Applied, ApplyError> {
        let applied = run_set(std::slice::from_ref(self), tx).await?.pop();
        applied.unwrap_or_else(|| Err(rows::corrupt("an event had no outcome").into()))
    }

    async fn run_set(verbs: &[Self], tx: &mut Tx<'_>) -> Result<Vec<Outcome<Self>>, StoreError> {
        let mut outcomes = Vec::with_capacity(verbs.len());
        for set in moves::sets(verbs, |verb| verb.task) {
            outcomes.extend(run_set(set, tx).await?);
        }
        Ok(outcomes)
    }
}

/// Events of as many tasks.
async fn run_set(verbs: &[Apply], tx: &mut Tx<'_>) -> Result<Vec<Outcome<Apply>>, StoreError> {
    let tasks: Vec<TaskId> = verbs.iter().map(|verb| verb.task).collect();
    let mut loaded = moves::load(tx, &tasks).await?;
    let decided = verbs.iter().map(|Apply { task, event, now }| {
        let from = loaded.remove(task).ok_or(ApplyError::NoSuchTask(*task))?;
        Ok(Move::decide(from, event.clone(), *now)?)
    });
    moves::write_decided(tx, decided.collect()).await
}

/// Tasks moved in one transaction at most, so that others get their turn.
pub(super) const DUE_BATCH: u32 = 500;

/// What is due, up to [`DUE_BATCH`] each of attempts and of parked tasks; then of questions.
pub(super) struct ApplyDue {
    pub now: Timestamp,
}

impl Verb for ApplyDue {
    type Output = Vec<Applied>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Applied>, StoreError> {
        let mut due = self.due_attempts(tx).await?;
        due.extend(self.due_parked(tx).await?);
        let tasks: Vec<TaskId> = due.iter().map(|(task, _)| *task).collect();
        if tasks.is_empty() {
            // Apart from the rest, since one task may be due by both, and moves once in a write.
            return questions::expire(tx, self.now, DUE_BATCH).await;
        }
        let mut loaded = moves::load(tx, &tasks).await?;
        let mut decided = Vec::with_capacity(due.len());
        for (task, event) in due {
            let from = loaded.remove(&task);
            let from = from.ok_or_else(|| rows::corrupt(format_args!("due task {task} is not there")))?;
            let one = Move::decide(from, event, self.now);
            let one = one.map_err(|why| rows::corrupt(format_args!("due task {task}: {why}")))?;
            decided.push(one.because_due());
        }
        moves::write(tx, decided).await
    }
}

impl ApplyDue {
    async fn due_attempts(&self, tx: &mut Tx<'_>) -> Result<Vec<(TaskId, Event)>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>, String)> = sqlx::query_as(statements::DUE_ATTEMPTS)
            .bind(self.now.as_millis())
            .bind(DUE_BATCH)
            .fetch_all(&mut *tx.connection)
            .await?;
        rows.into_iter()
            .map(|(attempt, task, state)| {
                let attempt = rows::attempt_id(&attempt)?;
                let event = match rows::attempt_state(&state)? {
                    AttemptState::Offered => Event::Returned { attempt, why: ReturnReason::Lapsed },
                    AttemptState::Unreachable => Event::Lost { attempt },
                    _ => Event::ContactLost { attempt },
                };
                Ok((rows::task_id(&task)?, event))
            })
            .collect()
    }

    async fn due_parked(&self, tx: &mut Tx<'_>) -> Result<Vec<(TaskId, Event)>, StoreError> {
        let rows: Vec<(Vec<u8>,)> = sqlx::query_as(statements::DUE_PARKED)
            .bind(self.now.as_millis())
            .bind(DUE_BATCH)
            .fetch_all(&mut *tx.connection)
            .await?;
        rows.iter().map(|(task,)| Ok((rows::task_id(task)?, Event::Woken))).collect()
    }
}
