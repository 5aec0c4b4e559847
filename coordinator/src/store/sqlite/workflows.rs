//! Runs of workflows, and the steps each has come through.

use async_trait::async_trait;
use factory_domain::workflow::{Definition, WorkflowState};
use factory_domain::{BranchName, TaskId, Timestamp, WorkflowId};

use super::job::{Outcome, Tx, Verb};
use super::rows::{self, corrupt, from_json, to_json};
use super::statements::workflows as statements;
use super::submit::Submit;
use super::{SqliteStore, handoff, read};
use crate::store::workflow::{
    NewStep, NewWorkflow, PassedStep, StartError, StepEntry, StepPlace, StepWas, WorkflowEntry,
    WorkflowFilter, WorkflowStore,
};
use crate::store::{ResolveError, StoreError, SubmitError, Submitted};

#[async_trait]
impl WorkflowStore for SqliteStore {
    async fn start_workflow(&self, new: NewWorkflow, now: Timestamp) -> Result<WorkflowEntry, StartError> {
        self.write(Start { new, now }).await
    }

    async fn resolve_workflow(&self, name: &str) -> Result<WorkflowId, ResolveError> {
        if let Some(number) = read::as_number(name) {
            let id: Option<Vec<u8>> = sqlx::query_scalar(statements::WORKFLOW_BY_NUMBER)
                .bind(number)
                .fetch_optional(&self.readers)
                .await
                .map_err(StoreError::from)?;
            if let Some(id) = id {
                return Ok(rows::workflow_id(&id)?);
            }
        }
        let Some((first, last)) = read::as_prefix(name) else {
            return Err(ResolveError::NotFound(name.to_owned()));
        };
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(statements::WORKFLOWS_BETWEEN)
            .bind(&first.as_bytes()[..])
            .bind(&last.as_bytes()[..])
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::from)?;
        match &ids[..] {
            [] => Err(ResolveError::NotFound(name.to_owned())),
            [id] => Ok(rows::workflow_id(id)?),
            _ => Err(ResolveError::Ambiguous { name: name.to_owned() }),
        }
    }

    async fn workflow(&self, id: WorkflowId) -> Result<Option<WorkflowEntry>, StoreError> {
        let row: Option<WorkflowRow> = sqlx::query_as(statements::WORKFLOW)
            .bind(&id.as_bytes()[..])
            .fetch_optional(&self.readers)
            .await?;
        row.map(WorkflowRow::read).transpose()
    }

    async fn workflows(&self, filter: WorkflowFilter) -> Result<Vec<WorkflowEntry>, StoreError> {
        let before = filter.before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let rows: Vec<WorkflowRow> = sqlx::query_as(statements::WORKFLOWS)
            .bind(to_json(&filter.states))
            .bind(before)
            .bind(filter.limit)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(WorkflowRow::read).collect()
    }

    async fn open_workflows(&self) -> Result<Vec<WorkflowId>, StoreError> {
        let ids: Vec<Vec<u8>> =
            sqlx::query_scalar(statements::OPEN_WORKFLOWS).fetch_all(&self.readers).await?;
        ids.iter().map(|id| rows::workflow_id(id)).collect()
    }

    async fn workflow_steps(&self, id: WorkflowId) -> Result<Vec<StepEntry>, StoreError> {
        let rows: Vec<StepRow> = sqlx::query_as(statements::WORKFLOW_STEPS)
            .bind(&id.as_bytes()[..])
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(StepRow::read).collect()
    }

    async fn begin_step(&self, step: NewStep, now: Timestamp) -> Result<Option<Submitted>, SubmitError> {
        let NewStep { place, task, handoff } = step;
        self.write(BeginStep { place, submit: Submit { tasks: vec![task], now }, handoff, now }).await
    }

    async fn pass_step(&self, step: PassedStep, now: Timestamp) -> Result<bool, StoreError> {
        self.write(PassStep { step, now }).await
    }

    async fn end_workflow(
        &self,
        id: WorkflowId,
        state: WorkflowState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(End { id, state, now }).await
    }

    async fn wish_workflow_ended(&self, id: WorkflowId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(WishEnded { id, now }).await
    }
}

struct Start {
    new: NewWorkflow,
    now: Timestamp,
}

impl Verb for Start {
    type Output = WorkflowEntry;
    type Error = StartError;

    async fn run(&self, tx: &mut Tx<'_>) -> Outcome<Self> {
        let NewWorkflow { id, request, definition, branch, idempotency_key } = &self.new;
        if let Some(key) = idempotency_key
            && let Some(found) = of_key(tx, key).await?
        {
            return match found.request == *request && found.definition == *definition {
                true => Ok(found),
                false => Err(StartError::KeyReused { key: key.clone(), existing: found.id }),
            };
        }
        let row: WorkflowRow = sqlx::query_as(statements::START_WORKFLOW)
            .bind(&id.as_bytes()[..])
            .bind(definition.name.as_str())
            .bind(to_json(request))
            .bind(to_json(definition))
            .bind(idempotency_key)
            .bind(branch.as_str())
            .bind(self.now.as_millis())
            .fetch_one(&mut *tx.connection)
            .await
            .map_err(StoreError::from)?;
        Ok(row.read()?)
    }
}

async fn of_key(tx: &mut Tx<'_>, key: &str) -> Result<Option<WorkflowEntry>, StoreError> {
    let row: Option<WorkflowRow> =
        sqlx::query_as(statements::WORKFLOW_OF_KEY).bind(key).fetch_optional(&mut *tx.connection).await?;
    row.map(WorkflowRow::read).transpose()
}

struct BeginStep {
    place: StepPlace,
    submit: Submit,
    handoff: Option<crate::store::NewHandoff>,
    now: Timestamp,
}

impl Verb for BeginStep {
    type Output = Option<Submitted>;
    type Error = SubmitError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Submitted>, SubmitError> {
        if !is_next(tx, &self.place).await? {
            return Ok(None);
        }
        let submitted = self.submit.run(tx).await?.pop();
        let submitted = submitted.ok_or_else(|| corrupt("a step's task was not submitted"))?;
        record(tx, &self.place, Some(submitted.id), None, self.now).await?;
        if let Some(handoff) = &self.handoff {
            handoff::keep(tx, handoff, self.now).await?;
        }
        Ok(Some(submitted))
    }
}

struct PassStep {
    step: PassedStep,
    now: Timestamp,
}

impl Verb for PassStep {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let PassedStep { place, why } = &self.step;
        let next = is_next(tx, place).await?;
        if next {
            record(tx, place, None, Some(why), self.now).await?;
        }
        Ok(next)
    }
}

/// Whether the workflow stands where the decision to go on was made.
async fn is_next(tx: &mut Tx<'_>, place: &StepPlace) -> Result<bool, StoreError> {
    let steps: Option<i64> = sqlx::query_scalar(statements::STEPS_OF_GOING_WORKFLOW)
        .bind(&place.workflow.as_bytes()[..])
        .fetch_optional(&mut *tx.connection)
        .await?;
    Ok(steps == i64::try_from(place.position).ok())
}

async fn record(
    tx: &mut Tx<'_>,
    place: &StepPlace,
    task: Option<TaskId>,
    passed_over: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let small = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(statements::ADD_STEP)
        .bind(&place.workflow.as_bytes()[..])
        .bind(small(place.position))
        .bind(small(place.step))
        .bind(place.iteration)
        .bind(task.as_ref().map(|task| &task.as_bytes()[..]))
        .bind(passed_over)
        .execute(&mut *tx.connection)
        .await?;
    sqlx::query(statements::WORKFLOW_GOES_ON)
        .bind(&place.workflow.as_bytes()[..])
        .bind(place.iteration)
        .bind(now.as_millis())
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

struct End {
    id: WorkflowId,
    state: WorkflowState,
    now: Timestamp,
}

impl Verb for End {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let ended = sqlx::query(statements::END_WORKFLOW)
            .bind(&self.id.as_bytes()[..])
            .bind(self.state.name())
            .bind(self.state.failure())
            .bind(self.now.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        Ok(ended.rows_affected() == 1)
    }
}

struct WishEnded {
    id: WorkflowId,
    now: Timestamp,
}

impl Verb for WishEnded {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let wished = sqlx::query(statements::WISH_WORKFLOW_ENDED)
            .bind(&self.id.as_bytes()[..])
            .bind(self.now.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        Ok(wished.rows_affected() == 1)
    }
}

#[derive(sqlx::FromRow)]
struct WorkflowRow {
    number: i64,
    id: Vec<u8>,
    request: String,
    definition: String,
    branch: String,
    state: String,
    failure: Option<String>,
    cancel_wished: bool,
    iteration: u32,
    started_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
}

impl WorkflowRow {
    fn read(self) -> Result<WorkflowEntry, StoreError> {
        let definition: Definition = from_json(&self.definition, "definition")?;
        let state = WorkflowState::from_parts(&self.state, self.failure);
        Ok(WorkflowEntry {
            id: rows::workflow_id(&self.id)?,
            number: rows::unsigned(self.number)?,
            request: from_json(&self.request, "request")?,
            definition,
            branch: BranchName::parse(&self.branch).map_err(corrupt)?,
            state: state.ok_or_else(|| corrupt(format_args!("unknown workflow state `{}`", self.state)))?,
            cancel_wished: self.cancel_wished,
            iteration: self.iteration,
            started_at: Timestamp::from_millis(self.started_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            ended_at: self.ended_at.map(Timestamp::from_millis),
        })
    }
}

#[derive(sqlx::FromRow)]
struct StepRow {
    step: i64,
    iteration: u32,
    task_id: Option<Vec<u8>>,
    passed_over: Option<String>,
}

impl StepRow {
    fn read(self) -> Result<StepEntry, StoreError> {
        let what = match (self.task_id, self.passed_over) {
            (Some(task), None) => StepWas::Begun(rows::task_id(&task)?),
            (None, Some(why)) => StepWas::PassedOver(why),
            _ => return Err(corrupt("a workflow's step was neither begun nor passed over")),
        };
        Ok(StepEntry { step: rows::unsigned(self.step)?, iteration: self.iteration, what })
    }
}
