//! What a worker says of the attempts it holds: heartbeats and reports, both fenced by the worker's id.

use std::collections::{BTreeMap, HashMap};

use factory_domain::{AttemptId, AttemptState, Contact, Event, TaskId, TaskState, Timestamp, WorkerId};

use super::fleet;
use super::job::{Outcome, Tx, Verb};
use super::moves::{self, Loaded, Move, ReportText};
use super::rows::{self, to_json};
use super::statements;
use crate::store::{Held, Holding, Renewal, Reported, ReportedAttempt, StoreError};

/// An attempt as the fence looks at it.
pub(super) struct Fenced {
    pub task: TaskId,
    pub worker: WorkerId,
    state: AttemptState,
    report_digest: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct FencedRow {
    id: Vec<u8>,
    task_id: Vec<u8>,
    worker_id: Vec<u8>,
    state: String,
    report_digest: Option<Vec<u8>>,
}

pub(super) async fn fenced(
    tx: &mut Tx<'_>,
    attempts: &[AttemptId],
) -> Result<HashMap<AttemptId, Fenced>, StoreError> {
    let rows: Vec<FencedRow> =
        sqlx::query_as(statements::HELD).bind(to_json(&attempts)).fetch_all(&mut *tx.connection).await?;
    rows.into_iter()
        .map(|row| {
            let attempt = Fenced {
                task: rows::task_id(&row.task_id)?,
                worker: rows::worker_id(&row.worker_id)?,
                state: rows::attempt_state(&row.state)?,
                report_digest: row.report_digest,
            };
            Ok((rows::attempt_id(&row.id)?, attempt))
        })
        .collect()
}

pub(super) struct Renew {
    pub renewal: Renewal,
    pub now: Timestamp,
}

impl Verb for Renew {
    type Output = Vec<(AttemptId, Holding)>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<(AttemptId, Holding)>, StoreError> {
        let Renewal { worker, session, ref held, free_disk } = self.renewal;
        // A worker names each attempt once; a repeated one counts once.
        let named: BTreeMap<AttemptId, Held> = held.iter().map(|held| (held.attempt, *held)).collect();
        if !fleet::is_newest(tx, worker, session).await? {
            return Ok(named.into_keys().map(|attempt| (attempt, Holding::Superseded)).collect());
        }
        fleet::seen(tx, worker, free_disk, self.now).await?;
        self.verdicts(tx, &named).await
    }
}

impl Renew {
    async fn verdicts(
        &self,
        tx: &mut Tx<'_>,
        named: &BTreeMap<AttemptId, Held>,
    ) -> Result<Vec<(AttemptId, Holding)>, StoreError> {
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let attempts: Vec<AttemptId> = named.keys().copied().collect();
        let rows = fenced(tx, &attempts).await?;
        let ours = |held: &Held| {
            rows.get(&held.attempt).is_some_and(|row| {
                row.task == held.task && row.worker == self.renewal.worker && row.state.is_live()
            })
        };
        let tasks: Vec<TaskId> = named.values().filter(|held| ours(held)).map(|held| held.task).collect();
        let mut loaded = moves::load(tx, &tasks).await?;
        let (mut verdicts, mut extended, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for held in named.values() {
            let Some(from) = ours(held).then(|| loaded.remove(&held.task)).flatten() else {
                verdicts.push((held.attempt, Holding::Superseded));
                continue;
            };
            verdicts.push((held.attempt, holding(&from)));
            match word(held, &from) {
                Some(event) => moved.push(self.decide(from, event)?),
                None => extended.push(held.attempt),
            }
        }
        self.extend(tx, &extended).await?;
        moves::write(tx, moved).await?;
        Ok(verdicts)
    }

    fn decide(&self, from: Loaded, event: Event) -> Result<Move, StoreError> {
        let task = from.task;
        Move::decide(from, event, self.now)
            .map_err(|why| rows::corrupt(format_args!("held attempt of task {task}: {why}")))
    }

    async fn extend(&self, tx: &mut Tx<'_>, attempts: &[AttemptId]) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        // An offer not accepted yet is named by nobody who runs it: its own deadline stays.
        sqlx::query(statements::EXTEND)
            .bind(to_json(&attempts))
            .bind(self.now.after(tx.rules.terms.lease).as_millis())
            .bind(&self.renewal.worker.as_bytes()[..])
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

fn holding(from: &Loaded) -> Holding {
    match from.standing.state {
        TaskState::Cancelling { .. } => Holding::Cancel,
        _ => Holding::CarryOn,
    }
}

/// What the heartbeat itself tells of the task. A start that was not heard of also regains contact.
fn word(held: &Held, from: &Loaded) -> Option<Event> {
    let state = &from.standing.state;
    let attempt = held.attempt;
    let contact = state.lease()?.contact;
    match (state, contact) {
        (_, Contact::Offered) => None,
        (TaskState::Leased { .. }, _) if held.started => Some(Event::Started { attempt }),
        (_, Contact::Unreachable { .. }) => Some(Event::ContactRegained { attempt }),
        _ => None,
    }
}

pub(super) struct AcceptReport {
    pub reported: ReportedAttempt,
    pub now: Timestamp,
}

impl Verb for AcceptReport {
    type Output = Reported;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Reported, StoreError> {
        let outcome = run_set(std::slice::from_ref(self), tx).await?.pop();
        outcome.ok_or_else(|| rows::corrupt("a report had no outcome"))
    }

    async fn run_set(verbs: &[Self], tx: &mut Tx<'_>) -> Result<Vec<Outcome<Self>>, StoreError> {
        let mut outcomes = Vec::with_capacity(verbs.len());
        for set in moves::sets(verbs, |verb| verb.reported.task) {
            outcomes.extend(run_set(set, tx).await?.into_iter().map(Ok));
        }
        Ok(outcomes)
    }
}

/// Reports of as many tasks.
async fn run_set(verbs: &[AcceptReport], tx: &mut Tx<'_>) -> Result<Vec<Reported>, StoreError> {
    let attempts: Vec<AttemptId> = verbs.iter().map(|verb| verb.reported.attempt).collect();
    let rows = fenced(tx, &attempts).await?;
    let tasks: Vec<TaskId> = verbs.iter().map(|verb| verb.reported.task).collect();
    let mut loaded = moves::load(tx, &tasks).await?;
    let decided = verbs.iter().map(|verb| {
        let from = loaded.remove(&verb.reported.task);
        verb.decide(rows.get(&verb.reported.attempt), from)
    });
    let answers = moves::write_decided(tx, decided.collect()).await?;
    Ok(answers
        .into_iter()
        .map(|answer| answer.map_or_else(Reported::from, |it| Reported::Accepted(it.into())))
        .collect())
}

/// Why a report moves nothing.
enum NotTaken {
    Duplicate,
    Superseded,
}

impl From<NotTaken> for Reported {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Duplicate => Self::Duplicate,
            NotTaken::Superseded => Self::Superseded,
        }
    }
}

impl AcceptReport {
    /// The move that the report is, or what is answered where it moves nothing.
    fn decide(&self, row: Option<&Fenced>, from: Option<Loaded>) -> Result<Move, NotTaken> {
        let ReportedAttempt { worker, task, attempt, digest, ref report } = self.reported;
        let row = row.filter(|row| row.task == task && row.worker == worker).ok_or(NotTaken::Superseded)?;
        if row.report_digest.as_deref() == Some(&digest[..]) {
            return Err(NotTaken::Duplicate);
        }
        let ended = Event::Ended { attempt, outcome: report.outcome.clone() };
        // The domain's own fence: what is not the live attempt, or was never accepted, ends nothing.
        let one =
            from.and_then(|from| Move::decide(from, ended, self.now).ok()).ok_or(NotTaken::Superseded)?;
        Ok(one.with_report(ReportText { json: to_json(report), digest }))
    }
}
