//! Offering queued tasks to a worker.

use std::collections::HashMap;

use factory_domain::continuation::taken_up;
use factory_domain::{AttemptId, Brief, Continuation, Event, Outcome, Past, TaskId, Timestamp, continuation};

use super::admission;
use super::job::{self, Tx, Verb};
use super::moves::{self, Loaded, Move};
use super::queue::Queue;
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
        let claimed = run_set(std::slice::from_ref(self), tx).await?.pop();
        claimed.ok_or_else(|| rows::corrupt("a claim had no outcome"))
    }

    async fn run_set(verbs: &[Self], tx: &mut Tx<'_>) -> Result<Vec<job::Outcome<Self>>, StoreError> {
        Ok(run_set(verbs, tx).await?.into_iter().map(Ok).collect())
    }
}

/// One after the other they choose; what they chose is offered as one.
async fn run_set(claims: &[ClaimTasks], tx: &mut Tx<'_>) -> Result<Vec<Vec<Claimed>>, StoreError> {
    let mut queue = Queue::look(claims, tx).await?;
    let mut chosen = Vec::with_capacity(claims.len());
    for claim in claims {
        chosen.push(queue.choose(claim, tx).await?);
    }
    let all: Vec<TaskId> = chosen.iter().flatten().copied().collect();
    if all.is_empty() {
        return Ok(chosen.iter().map(|_| Vec::new()).collect());
    }
    let mut loaded = moves::load(tx, &all).await?;
    let mut continued = continued(tx, loaded.values()).await?;
    let mut offers = Vec::with_capacity(all.len());
    for (ClaimTasks { claim, now }, tasks) in claims.iter().zip(&chosen) {
        for (task, &attempt) in tasks.iter().zip(&claim.attempt_ids) {
            let from = loaded.remove(task).ok_or_else(|| gone(*task))?;
            let offer = Move::decide(from, Event::Offered { attempt, worker: claim.worker }, *now);
            let offer = offer.map_err(|why| rows::corrupt(format_args!("queued task {task}: {why}")))?;
            offers.push(offer.continuing(continued.get(task).cloned()));
        }
    }
    moves::write(tx, offers).await?;
    let claimed = read(tx, &all).await?;
    if let Some(ClaimTasks { now, .. }) = claims.first() {
        admission::take(tx, &claimed, *now).await?;
    }
    let mut claimed = claimed.into_iter().map(|mut one| {
        one.continues = continued.remove(&one.task);
        one
    });
    Ok(chosen.iter().map(|tasks| claimed.by_ref().take(tasks.len()).collect()).collect())
}

impl ClaimTasks {
    pub(super) fn slots(&self) -> usize {
        self.claim
            .attempt_ids
            .len()
            .min(usize::try_from(self.claim.capacity.free_slots).unwrap_or(usize::MAX))
    }
}

#[derive(sqlx::FromRow)]
struct PastRow {
    task_id: Vec<u8>,
    id: Vec<u8>,
    worker_id: Vec<u8>,
    outcome: Option<String>,
}

/// What the next attempts of those tasks go on from that were tried before, or go on from another.
async fn continued(
    tx: &mut Tx<'_>,
    tasks: impl Iterator<Item = &Loaded>,
) -> Result<HashMap<TaskId, Continuation>, StoreError> {
    let (mut tried, mut from) = (Vec::new(), Vec::new());
    for task in tasks {
        if task.standing.tally.attempts > 0 {
            tried.push(task.task);
        }
        from.extend(task.goes_on_from.map(|other| (task.task, other)));
    }
    let own = histories(tx, &tried).await?;
    let own = own.into_iter().filter_map(|(task, history)| Some((task, continuation(&history)?)));
    let mut continued: HashMap<TaskId, Continuation> = own.collect();
    // Until it has come to an agent of its own.
    from.retain(|(task, _)| !continued.contains_key(task));
    let others = histories(tx, &from.iter().map(|(_, other)| *other).collect::<Vec<_>>()).await?;
    for (task, other) in from {
        let taken = others.get(&other).and_then(|history| taken_up(history));
        continued.extend(taken.map(|taken| (task, taken)));
    }
    Ok(continued)
}

/// The attempts that came to an agent, by their tasks.
async fn histories(tx: &mut Tx<'_>, tasks: &[TaskId]) -> Result<HashMap<TaskId, Vec<Past>>, StoreError> {
    if tasks.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<PastRow> = sqlx::query_as(statements::PAST_ATTEMPTS)
        .bind(to_json(&tasks))
        .fetch_all(&mut *tx.connection)
        .await?;
    let mut histories: HashMap<TaskId, Vec<Past>> = HashMap::new();
    for row in rows {
        let outcome = row.outcome.map(|json| rows::from_json::<Outcome>(&json, "outcome")).transpose()?;
        let (attempt, worker) = (rows::attempt_id(&row.id)?, rows::worker_id(&row.worker_id)?);
        histories.entry(rows::task_id(&row.task_id)?).or_default().push(Past { attempt, worker, outcome });
    }
    Ok(histories)
}

#[derive(sqlx::FromRow)]
struct ClaimedRow {
    id: Vec<u8>,
    number: i64,
    spec: String,
    prompt: String,
    brief: Option<String>,
    traceparent: String,
    attempt_id: Vec<u8>,
    attempts: u32,
    goes_on_from: Option<Vec<u8>>,
    waited: bool,
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
                brief: row
                    .brief
                    .map_or_else(|| Ok(Brief::default()), |json| rows::from_json(&json, "brief"))?,
                traceparent: row.traceparent,
                continues: None,
                goes_on_from: row.goes_on_from.as_deref().map(rows::task_id).transpose()?,
                waited: row.waited,
            })
        })
        .collect()
}

fn gone(task: TaskId) -> StoreError {
    rows::corrupt(format_args!("task {task} is in the queue and is not there"))
}
