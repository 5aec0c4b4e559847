//! Decisions of the domain, written down: the one way by which a task or an attempt changes its state.
//!
//! A verb loads [`Standing`]s, asks [`factory_domain::transition`], and gives
//! what was decided to [`write`]. That is set-wise: however many tasks move, it
//! is one statement for the attempts, one for the tasks, one for the feed. Each
//! checks again, in its `WHERE`, what the decision was based on.

mod written;

use std::collections::{BTreeMap, HashMap, HashSet};

use factory_domain::{
    AttemptId, AttemptState, Continuation, Decision, Event, Outcome, Preference, Rejected, RetryPolicy,
    Settled, Standing, TaskId, TaskState, Timestamp, Waits, WorkerId, affinity, transition,
};
use serde::Serialize;

use self::written::{AttemptAdded, AttemptMoved, EventAdded, TaskMoved};
use super::dependencies::{self, Cause, Ended};
use super::family;
use super::job::Tx;
use super::questions;
use super::rows::{self, StateColumns, to_json};
use super::statements;
use crate::store::{Applied, StoreError};

/// A task as the domain looks at it, and what its rows say of it.
pub(super) struct Loaded {
    pub task: TaskId,
    pub standing: Standing,
    pub goes_on_from: Option<TaskId>,
    parent: Option<TaskId>,
    /// Where the work of its last attempt lies, if there is any.
    prefer_worker: Option<WorkerId>,
    /// Until when others leave it to that worker.
    prefer_until: Option<Timestamp>,
    attempt: Option<(AttemptId, AttemptState)>,
}

#[derive(sqlx::FromRow)]
struct StandingRow {
    id: Vec<u8>,
    max_attempts: u32,
    prefer_worker: Option<Vec<u8>>,
    prefer_until: Option<i64>,
    open_questions: u32,
    held: bool,
    open_dependencies: u32,
    goes_on_from: Option<Vec<u8>>,
    parent_id: Option<Vec<u8>>,
    #[sqlx(flatten)]
    columns: StateColumns,
}

/// Those of `tasks` that there are.
pub(super) async fn load(tx: &mut Tx<'_>, tasks: &[TaskId]) -> Result<HashMap<TaskId, Loaded>, StoreError> {
    let rows: Vec<StandingRow> =
        sqlx::query_as(statements::STANDINGS).bind(to_json(&tasks)).fetch_all(&mut *tx.connection).await?;
    let mut loaded = HashMap::with_capacity(rows.len());
    for row in rows {
        let task = rows::task_id(&row.id)?;
        let policy = RetryPolicy {
            max_attempts: row.max_attempts,
            max_infrastructure_failures: tx.rules.max_infrastructure_failures,
            backoff: tx.rules.backoff,
        };
        let (state, tally) = (row.columns.read()?, row.columns.tally());
        let waits = Waits { held: row.held, dependencies: row.open_dependencies };
        let standing = Standing { state, tally, policy, open_questions: row.open_questions, waits };
        let id = row.columns.attempt_id.as_deref().map(rows::attempt_id).transpose()?;
        let attempt = id.zip(row.columns.attempt_state()?);
        let prefer_worker = row.prefer_worker.as_deref().map(rows::worker_id).transpose()?;
        let prefer_until = row.prefer_until.map(Timestamp::from_millis);
        let goes_on_from = row.goes_on_from.as_deref().map(rows::task_id).transpose()?;
        let parent = row.parent_id.as_deref().map(rows::task_id).transpose()?;
        let loaded_task =
            Loaded { task, standing, goes_on_from, parent, prefer_worker, prefer_until, attempt };
        loaded.insert(task, loaded_task);
    }
    Ok(loaded)
}

/// Moves in one statement at most: a report can be large, and what a statement is given is copied a few times.
const SET: usize = 64;

/// `verbs` in their order, cut into sets in which no task comes twice: in one [`write`] it moves once.
pub(super) fn sets<V>(verbs: &[V], task: impl Fn(&V) -> TaskId) -> Vec<&[V]> {
    let (mut sets, mut rest) = (Vec::new(), verbs);
    while !rest.is_empty() {
        let mut tasks = HashSet::new();
        let fitting = rest.iter().take(SET).take_while(|verb| tasks.insert(task(verb))).count();
        let (set, after) = rest.split_at(fitting);
        sets.push(set);
        rest = after;
    }
    sets
}

/// One decided event of one task.
pub(super) struct Move {
    at: Timestamp,
    from: Loaded,
    event: Event,
    decision: Decision,
    /// It is to happen only if the deadline or wake time really has passed.
    because_due: bool,
    report: Option<ReportText>,
    continues: Option<Continuation>,
}

pub(super) struct ReportText {
    pub json: String,
    pub digest: [u8; 32],
}

impl Move {
    pub(super) fn decide(from: Loaded, event: Event, at: Timestamp) -> Result<Self, Rejected> {
        let decision = transition(&from.standing, &event, at)?;
        Ok(Self { at, from, event, decision, because_due: false, report: None, continues: None })
    }

    pub(super) fn because_due(mut self) -> Self {
        self.because_due = true;
        self
    }

    /// For an offer: what the attempt goes on from.
    pub(super) fn continuing(mut self, continues: Option<Continuation>) -> Self {
        self.continues = continues;
        self
    }

    pub(super) fn with_report(mut self, report: ReportText) -> Self {
        self.report = Some(report);
        self
    }
}

/// Writes `moves` down, at most one for each task, and says what follows: also for those that waited
/// for a task which ends by it, and for those that waited for them, wave by wave.
pub(super) async fn write(tx: &mut Tx<'_>, moves: Vec<Move>) -> Result<Vec<Applied>, StoreError> {
    let causes = moves.iter().enumerate().map(|(place, one)| Cause { place, at: one.at });
    let mut ended: Vec<Ended> = moves.iter().zip(causes).filter_map(|(one, by)| one.ends(by)).collect();
    let mut written = write_set(tx, moves).await?;
    while !ended.is_empty() {
        family::tell_parents(tx, &ended).await?;
        let waited = dependencies::settle(tx, &ended).await?;
        let moves = of_blocked(tx, &waited.iter().map(|(task, cause)| (*task, cause.at)).collect()).await?;
        ended = moves.iter().filter_map(|one| one.ends(waited[&one.from.task])).collect();
        for applied in write_set(tx, moves).await? {
            written[waited[&applied.task].place].followed.push(applied);
        }
    }
    Ok(written)
}

/// What befalls those of `tasks` that are blocked and no longer have to wait, each at its time.
pub(super) async fn of_blocked(
    tx: &mut Tx<'_>,
    tasks: &BTreeMap<TaskId, Timestamp>,
) -> Result<Vec<Move>, StoreError> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let verdicts = dependencies::verdicts(tx, &tasks.keys().copied().collect::<Vec<_>>()).await?;
    if verdicts.is_empty() {
        return Ok(Vec::new());
    }
    let settled: Vec<TaskId> = verdicts.iter().map(|(task, _)| *task).collect();
    let mut loaded = load(tx, &settled).await?;
    let decided = verdicts.into_iter().map(|(task, event)| {
        let from = loaded.remove(&task);
        let from = from.ok_or_else(|| rows::corrupt(format_args!("blocked task {task} is not there")))?;
        let one = Move::decide(from, event, tasks[&task]);
        one.map_err(|why| rows::corrupt(format_args!("blocked task {task}: {why}")))
    });
    decided.collect()
}

async fn write_set(tx: &mut Tx<'_>, moves: Vec<Move>) -> Result<Vec<Applied>, StoreError> {
    if moves.is_empty() {
        return Ok(Vec::new());
    }
    let (mut added, mut moved, mut tasks, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in &moves {
        match one.event {
            Event::Offered { worker, .. } => added.extend(AttemptAdded::of(one, worker, tx)),
            _ => moved.extend(AttemptMoved::of(one, tx)?),
        }
        tasks.push(TaskMoved::of(one));
        events.push(EventAdded::of(one));
    }
    if !added.is_empty() {
        run(tx, statements::ADD_ATTEMPTS, &added).await?;
    }
    if !moved.is_empty() {
        run(tx, statements::MOVE_ATTEMPTS, &moved).await?;
    }
    run(tx, statements::MOVE_TASKS, &tasks).await?;
    append(tx, &events).await?;
    questions::withdraw(tx, &moves).await?;
    Ok(moves.into_iter().map(Move::applied).collect())
}

/// Writes down those that were decided; those that were refused keep their place.
pub(super) async fn write_decided<E>(
    tx: &mut Tx<'_>,
    decided: Vec<Result<Move, E>>,
) -> Result<Vec<Result<Applied, E>>, StoreError> {
    let mut moves = Vec::with_capacity(decided.len());
    let places: Vec<Result<(), E>> =
        decided.into_iter().map(|one| one.map(|decided| moves.push(decided))).collect();
    let mut applied = write(tx, moves).await?.into_iter();
    let answer = |place: Result<(), E>| match place {
        Ok(()) => applied.next().map(Ok).ok_or_else(|| rows::corrupt("a move left no trace")),
        Err(refused) => Ok(Err(refused)),
    };
    places.into_iter().map(answer).collect()
}

/// Appends to the feed.
async fn append(tx: &mut Tx<'_>, events: &[EventAdded]) -> Result<(), StoreError> {
    let last = run(tx, statements::ADD_EVENTS, events).await?;
    tx.cursor = rows::unsigned(last)?;
    Ok(())
}

/// Runs a set-wise statement, which must touch a row for each of `rows`, and answers with the last row's id.
async fn run<T: Serialize + Sync>(
    tx: &mut Tx<'_>,
    statement: &'static str,
    rows: &[T],
) -> Result<i64, StoreError> {
    let done = sqlx::query(statement).bind(to_json(&rows)).execute(&mut *tx.connection).await?;
    if done.rows_affected() == rows.len() as u64 {
        return Ok(done.last_insert_rowid());
    }
    // One writer, one transaction: only a fault in this program or another
    // program's hand in the database can bring this about.
    let (touched, wanted) = (done.rows_affected(), rows.len());
    Err(StoreError::Corrupt(format!("a fenced write touched {touched} rows of {wanted}")))
}

impl Move {
    /// The worker that a task's row names from now on, and until when it is kept for that one.
    fn kept(&self) -> (Option<WorkerId>, Option<Timestamp>) {
        let Loaded { standing, prefer_worker, prefer_until, .. } = &self.from;
        match &self.decision.state {
            // Such as a question of several that is answered: nothing has come of it yet.
            same if *same == standing.state => (*prefer_worker, *prefer_until),
            TaskState::Parked { .. } | TaskState::Waiting => {
                (affinity::preferred(standing, &self.event), None)
            }
            _ => match self.preference() {
                Some(Preference { worker, until }) => (Some(worker), Some(until)),
                None => (None, None),
            },
        }
    }

    /// A task that wakes, or whose agent has its answer, is kept for the worker where its work is. Nothing
    /// else that befalls a task leaves it kept: whoever declines it, or lets its offer lapse, has had its turn.
    fn preference(&self) -> Option<Preference> {
        if self.decision.state != TaskState::Queued || self.from.standing.state == TaskState::Queued {
            return None;
        }
        let worker = match &self.event {
            Event::Woken | Event::Answered { .. } => self.from.prefer_worker,
            Event::Ended { outcome: Outcome::Asked, .. } => {
                affinity::preferred(&self.from.standing, &self.event)
            }
            _ => None,
        };
        Some(Preference { worker: worker?, until: self.at.after(affinity::KEPT_FOR) })
    }

    /// The task that ended by it and leaves questions, if one does, and when.
    pub(super) fn leaves_questions(&self) -> Option<(TaskId, Timestamp)> {
        let ended = self.decision.state.is_terminal() && self.from.standing.open_questions > 0;
        ended.then_some((self.from.task, self.at))
    }

    fn applied(self) -> Applied {
        let prefers = self.preference();
        let Decision { state, effects, .. } = self.decision;
        Applied {
            task: self.from.task,
            parent: self.from.parent,
            event: self.event,
            state,
            effects,
            prefers,
            followed: Vec::new(),
        }
    }

    /// What it means to those that wait for the task, if it ends by it.
    fn ends(&self, cause: Cause) -> Option<Ended> {
        let settled = Settled::of(&self.decision.state)?;
        Some(Ended { task: self.from.task, settled, is_child: self.from.parent.is_some(), cause })
    }
}
