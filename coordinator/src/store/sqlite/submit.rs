//! Accepting tasks: all of a call or none.

use std::collections::HashMap;

use factory_domain::{TaskId, TaskSpec, TaskState, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::moves::{self, EventAdded};
use super::rows::{self, to_json};
use super::statements;
use super::writer::{Tx, Verb};
use crate::store::{NewTask, StoreError, SubmitError, Submitted};

pub(super) struct Submit {
    pub tasks: Vec<NewTask>,
    pub now: Timestamp,
}

/// A task known under an idempotency key.
struct Known {
    id: TaskId,
    digest: [u8; 32],
}

#[derive(Serialize)]
struct TaskAdded<'t> {
    id: TaskId,
    requirements: String,
    priority: i32,
    repo: Option<String>,
    spec: String,
    digest: String,
    key: Option<&'t str>,
    retry_of: Option<TaskId>,
    traceparent: &'t str,
    prompt: &'t str,
}

impl Verb for Submit {
    type Output = Vec<Submitted>;
    type Error = SubmitError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Submitted>, SubmitError> {
        let (mut known, mut numbers) = self.keys_in_use(tx).await?;
        let mut added = Vec::with_capacity(self.tasks.len());
        // The task each one asked for comes down to, and whether it was there before.
        let mut answers = Vec::with_capacity(self.tasks.len());
        for (index, task) in self.tasks.iter().enumerate() {
            let digest = digest(&task.spec);
            if let Some(key) = &task.idempotency_key {
                if let Some(earlier) = known.get(key) {
                    if earlier.digest != digest {
                        return Err(SubmitError::KeyReused { index, key: key.clone(), existing: earlier.id });
                    }
                    answers.push((earlier.id, true));
                    continue;
                }
                known.insert(key.clone(), Known { id: task.id, digest });
            }
            answers.push((task.id, false));
            added.push(TaskAdded::of(task, &digest));
        }
        numbers.extend(add(tx, &added, self.now).await?);
        answers
            .into_iter()
            .map(|(id, existed)| match numbers.get(&id) {
                Some(&number) => Ok(Submitted { id, number, existed }),
                None => Err(rows::corrupt(format_args!("task {id} was written and is not there")).into()),
            })
            .collect()
    }
}

impl Submit {
    /// What stands under the keys this call brings, and the numbers of those tasks.
    async fn keys_in_use(
        &self,
        tx: &mut Tx<'_>,
    ) -> Result<(HashMap<String, Known>, HashMap<TaskId, u64>), StoreError> {
        let keys: Vec<&str> = self.tasks.iter().filter_map(|task| task.idempotency_key.as_deref()).collect();
        let (mut known, mut numbers) = (HashMap::new(), HashMap::new());
        if keys.is_empty() {
            return Ok((known, numbers));
        }
        let found: Vec<(String, Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(statements::KEYS_IN_USE)
            .bind(to_json(&keys))
            .fetch_all(&mut *tx.connection)
            .await?;
        for (key, id, number, digest) in found {
            let id = rows::task_id(&id)?;
            let digest = digest.try_into().map_err(|_| rows::corrupt("a spec digest is not 32 bytes"))?;
            numbers.insert(id, rows::unsigned(number)?);
            known.insert(key, Known { id, digest });
        }
        Ok((known, numbers))
    }
}

/// Writes new tasks, queued, and answers with their numbers.
async fn add(
    tx: &mut Tx<'_>,
    added: &[TaskAdded<'_>],
    now: Timestamp,
) -> Result<HashMap<TaskId, u64>, StoreError> {
    if added.is_empty() {
        return Ok(HashMap::new());
    }
    let json = to_json(&added);
    sqlx::query(statements::ADD_PLACEMENTS).bind(&json).execute(&mut *tx.connection).await?;
    let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(statements::ADD_TASKS)
        .bind(&json)
        .bind(now.as_millis())
        .fetch_all(&mut *tx.connection)
        .await?;
    sqlx::query(statements::ADD_PROMPTS).bind(&json).execute(&mut *tx.connection).await?;
    let state = to_json(&TaskState::Queued);
    let events: Vec<EventAdded> =
        added.iter().map(|task| EventAdded::submitted(task.id, state.clone())).collect();
    moves::append(tx, &events, now).await?;
    rows.into_iter().map(|(id, number)| Ok((rows::task_id(&id)?, rows::unsigned(number)?))).collect()
}

impl<'t> TaskAdded<'t> {
    fn of(task: &'t NewTask, digest: &[u8; 32]) -> Self {
        // The prompt is the one part that can be large: kept apart, so that lists do not load it.
        let spec = TaskSpec { prompt: String::new(), ..task.spec.clone() };
        Self {
            id: task.id,
            requirements: to_json(&spec.requirements()),
            priority: spec.priority,
            repo: spec.repo.as_ref().map(ToString::to_string),
            spec: to_json(&spec),
            digest: hex::encode(digest),
            key: task.idempotency_key.as_deref(),
            retry_of: task.retry_of,
            traceparent: &task.traceparent,
            prompt: &task.spec.prompt,
        }
    }
}

fn digest(spec: &TaskSpec) -> [u8; 32] {
    Sha256::digest(to_json(spec)).into()
}
