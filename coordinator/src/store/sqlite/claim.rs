//! Offering queued tasks to a worker.

use std::collections::HashMap;

use factory_domain::{
    AttemptId, Continuation, Event, Outcome, Past, Requirements, TaskId, Timestamp, WorkerId, continuation,
    schedule,
};
use serde::Serialize;

use super::job::{Tx, Verb};
use super::moves::{self, Loaded, Move};
use super::rows::{self, to_json};
use super::statements;
use crate::store::{Claim, Claimed, StoreError};

pub(super) struct ClaimTasks {
    pub claim: Claim,
    pub now: Timestamp,
}

impl Verb for ClaimTasks {
    type Output = Vec<Claimed>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Claimed>, StoreError> {
        let Claim { worker, session, ref attempt_ids, .. } = self.claim;
        if self.slots() == 0 || !super::fleet::may_claim(tx, worker, session).await? {
            return Ok(Vec::new());
        }
        let chosen = self.choose(tx).await?;
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let mut loaded = moves::load(tx, &chosen).await?;
        let mut continued = continued(tx, loaded.values()).await?;
        let mut offers = Vec::with_capacity(chosen.len());
        for (task, &attempt) in chosen.iter().zip(attempt_ids) {
            let from = loaded.remove(task).ok_or_else(|| gone(*task))?;
            let offer = Move::decide(from, Event::Offered { attempt, worker }, self.now);
            let offer = offer.map_err(|why| rows::corrupt(format_args!("queued task {task}: {why}")))?;
            offers.push(offer.continuing(continued.get(task).cloned()));
        }
        moves::write(tx, offers, self.now).await?;
        let mut claimed = read(tx, &chosen).await?;
        for one in &mut claimed {
            one.continues = continued.remove(&one.task);
        }
        Ok(claimed)
    }
}

/// A class of tasks that the worker can take.
#[derive(Serialize)]
struct ClassMet {
    id: i64,
    /// Others that can, too, and take those that prefer them.
    left_to: Vec<WorkerId>,
}

impl ClaimTasks {
    fn slots(&self) -> usize {
        self.claim
            .attempt_ids
            .len()
            .min(usize::try_from(self.claim.capacity.free_slots).unwrap_or(usize::MAX))
    }

    /// The best of every class this worker can take, merged by rank. Each class
    /// is read from the front of its own index, so that neither ended tasks nor
    /// queued ones of other classes cost anything.
    async fn choose(&self, tx: &mut Tx<'_>) -> Result<Vec<TaskId>, StoreError> {
        let classes: Vec<(i64, String)> =
            sqlx::query_as(statements::QUEUED_PLACEMENTS).fetch_all(&mut *tx.connection).await?;
        let mut met = Vec::with_capacity(classes.len());
        for (id, requirements) in classes {
            let requirements: Requirements = rows::from_json(&requirements, "requirements")?;
            if requirements.met_by(&self.claim.capacity) {
                let able = self.claim.left_to.iter().filter(|(_, other)| requirements.met_by(other));
                met.push(ClassMet { id, left_to: able.map(|(worker, _)| *worker).collect() });
            }
        }
        if met.is_empty() {
            return Ok(Vec::new());
        }
        let mut candidates: Vec<(Vec<u8>, i64, i32)> = sqlx::query_as(statements::CANDIDATES)
            .bind(to_json(&met))
            .bind(to_json(&self.claim.except))
            .bind(i64::try_from(self.slots()).unwrap_or(i64::MAX))
            .bind(self.now.as_millis())
            .fetch_all(&mut *tx.connection)
            .await?;
        candidates.sort_by_key(|&(_, number, priority)| schedule::rank(priority, number.unsigned_abs()));
        candidates.truncate(self.slots());
        candidates.iter().map(|(id, ..)| rows::task_id(id)).collect()
    }
}

#[derive(sqlx::FromRow)]
struct PastRow {
    task_id: Vec<u8>,
    id: Vec<u8>,
    worker_id: Vec<u8>,
    outcome: Option<String>,
}

/// What the next attempts of those tasks go on from that were tried before.
async fn continued(
    tx: &mut Tx<'_>,
    tasks: impl Iterator<Item = &Loaded>,
) -> Result<HashMap<TaskId, Continuation>, StoreError> {
    let tried: Vec<TaskId> =
        tasks.filter(|task| task.standing.tally.attempts > 0).map(|task| task.task).collect();
    if tried.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<PastRow> = sqlx::query_as(statements::PAST_ATTEMPTS)
        .bind(to_json(&tried))
        .fetch_all(&mut *tx.connection)
        .await?;
    let mut histories: HashMap<TaskId, Vec<Past>> = HashMap::new();
    for row in rows {
        let outcome = row.outcome.map(|json| rows::from_json::<Outcome>(&json, "outcome")).transpose()?;
        let (attempt, worker) = (rows::attempt_id(&row.id)?, rows::worker_id(&row.worker_id)?);
        histories.entry(rows::task_id(&row.task_id)?).or_default().push(Past { attempt, worker, outcome });
    }
    Ok(histories.into_iter().filter_map(|(task, history)| Some((task, continuation(&history)?))).collect())
}

#[derive(sqlx::FromRow)]
struct ClaimedRow {
    id: Vec<u8>,
    number: i64,
    spec: String,
    prompt: String,
    traceparent: String,
    attempt_id: Vec<u8>,
    attempts: u32,
}

async fn read(tx: &mut Tx<'_>, tasks: &[TaskId]) -> Result<Vec<Claimed>, StoreError> {
    let rows: Vec<ClaimedRow> =
        sqlx::query_as(statements::CLAIMED).bind(to_json(&tasks)).fetch_all(&mut *tx.connection).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Claimed {
                task: rows::task_id(&row.id)?,
                number: rows::unsigned(row.number)?,
                attempt: AttemptId::from_slice(&row.attempt_id).map_err(rows::corrupt)?,
                attempt_number: row.attempts,
                spec: rows::spec(&row.spec, row.prompt)?,
                traceparent: row.traceparent,
                continues: None,
            })
        })
        .collect()
}

fn gone(task: TaskId) -> StoreError {
    rows::corrupt(format_args!("task {task} is in the queue and is not there"))
}
