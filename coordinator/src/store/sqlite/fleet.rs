//! Workers: their sessions, what they offer, when they were seen.

use factory_domain::{SessionId, Timestamp, WorkerId};

use super::job::{Tx, Verb};
use super::rows::{self, to_json};
use super::statements;
use crate::store::{AgentFound, HeldEntry, StoreError, WorkerEntry, WorkerRow};

/// Whether this is the worker's newest session; what an older one says is not heard.
pub(super) async fn is_newest(
    tx: &mut Tx<'_>,
    worker: WorkerId,
    session: SessionId,
) -> Result<bool, StoreError> {
    let newest: Option<(Vec<u8>,)> = sqlx::query_as(statements::NEWEST_SESSION)
        .bind(&worker.as_bytes()[..])
        .fetch_optional(&mut *tx.connection)
        .await?;
    Ok(newest.is_some_and(|(newest,)| newest == session.as_bytes()))
}

/// Whether this session may be given a lease: the worker's newest, and the worker is not draining.
pub(super) async fn may_claim(
    tx: &mut Tx<'_>,
    worker: WorkerId,
    session: SessionId,
) -> Result<bool, StoreError> {
    let may: Option<bool> = sqlx::query_scalar(statements::MAY_CLAIM)
        .bind(&worker.as_bytes()[..])
        .bind(&session.as_bytes()[..])
        .fetch_optional(&mut *tx.connection)
        .await?;
    Ok(may.unwrap_or(false))
}

pub(super) async fn seen(
    tx: &mut Tx<'_>,
    worker: WorkerId,
    free_disk: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(statements::SEEN)
        .bind(&worker.as_bytes()[..])
        .bind(now.as_millis())
        .bind(bytes(free_disk))
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// Sizes beyond what SQLite counts to are as good as the largest it can.
pub(super) fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(super) struct Register {
    pub worker: WorkerEntry,
    pub now: Timestamp,
}

impl Verb for Register {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let worker = &self.worker;
        sqlx::query(statements::ENTER_WORKER)
            .bind(&worker.id.as_bytes()[..])
            .bind(&worker.session.as_bytes()[..])
            .bind(&worker.name)
            .bind(&worker.version)
            .bind(to_json(&worker.labels))
            .bind(to_json(&worker.agents))
            .bind(worker.slots)
            .bind(bytes(worker.free_disk))
            .bind(self.now.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

/// Begins a drain, or ends it.
pub(super) struct SetDrain {
    pub worker: WorkerId,
    /// Since when, and when what still runs is handed over; `None` ends it.
    pub drain: Option<(Timestamp, Option<Timestamp>)>,
}

impl Verb for SetDrain {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let statement = match self.drain {
            Some(_) => statements::DRAIN_WORKER,
            None => statements::RESUME_WORKER,
        };
        let mut query = sqlx::query(statement).bind(&self.worker.as_bytes()[..]);
        if let Some((since, hand_over_at)) = self.drain {
            query = query.bind(since.as_millis()).bind(hand_over_at.map(Timestamp::as_millis));
        }
        let found = query.execute(&mut *tx.connection).await?;
        Ok(found.rows_affected() == 1)
    }
}

pub(super) struct NoteDecline {
    pub worker: WorkerId,
    pub why: String,
}

impl Verb for NoteDecline {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        sqlx::query(statements::NOTE_DECLINE)
            .bind(&self.worker.as_bytes()[..])
            .bind(&self.why)
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

/// Gives every live lease one full term from `now`.
pub(super) struct GrantFullTerm {
    pub now: Timestamp,
}

impl Verb for GrantFullTerm {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let terms = tx.rules.terms;
        sqlx::query(statements::FULL_TERM)
            .bind(self.now.after(terms.offer).as_millis())
            .bind(self.now.after(terms.lease).as_millis())
            .bind(self.now.after(terms.lost_after).as_millis())
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct FleetRow {
    id: Vec<u8>,
    session_id: Vec<u8>,
    name: String,
    version: String,
    labels: String,
    agents: String,
    slots: u32,
    free_disk: i64,
    registered_at: i64,
    last_seen_at: i64,
    last_decline: Option<String>,
    draining_since: Option<i64>,
    hand_over_at: Option<i64>,
    busy: u32,
}

impl FleetRow {
    pub(super) fn read(self) -> Result<WorkerRow, StoreError> {
        Ok(WorkerRow {
            entry: WorkerEntry {
                id: rows::worker_id(&self.id)?,
                session: SessionId::from_slice(&self.session_id).map_err(rows::corrupt)?,
                name: self.name,
                version: self.version,
                labels: rows::from_json(&self.labels, "labels")?,
                agents: rows::from_json::<Vec<AgentFound>>(&self.agents, "agents")?,
                slots: self.slots,
                free_disk: rows::unsigned(self.free_disk)?,
            },
            busy: self.busy,
            registered_at: Timestamp::from_millis(self.registered_at),
            last_seen_at: Timestamp::from_millis(self.last_seen_at),
            last_decline: self.last_decline,
            draining_since: self.draining_since.map(Timestamp::from_millis),
            hand_over_at: self.hand_over_at.map(Timestamp::from_millis),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct HeldRow {
    id: Vec<u8>,
    number: u32,
    state: String,
    task_id: Vec<u8>,
    task_number: i64,
    title: String,
    offered_at: i64,
    started_at: Option<i64>,
}

impl HeldRow {
    pub(super) fn read(self) -> Result<HeldEntry, StoreError> {
        Ok(HeldEntry {
            attempt: rows::attempt_id(&self.id)?,
            number: self.number,
            state: rows::attempt_state(&self.state)?,
            task: rows::task_id(&self.task_id)?,
            task_number: rows::unsigned(self.task_number)?,
            title: self.title,
            offered_at: Timestamp::from_millis(self.offered_at),
            started_at: self.started_at.map(Timestamp::from_millis),
        })
    }
}
