//! Accepting tasks: all of a call or none. Calls that waited together are written together.

use std::collections::{HashMap, HashSet};

use factory_domain::{Brief, DependencyPolicy, Links, TaskId, TaskSpec, TaskState, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::dependencies::{self, Waiting};
use super::handoff;
use super::job::{Outcome, Tx, Verb};
use super::moves;
use super::rows::{self, to_json};
use super::statements;
use crate::store::{NewTask, StoreError, SubmitError, Submitted};

pub(super) struct Submit {
    pub tasks: Vec<NewTask>,
    pub now: Timestamp,
}

/// Bytes written by one statement at most, or about so many: what it is given is copied a few times.
const SET: usize = 4 * 1024 * 1024;
/// Bytes a task takes beside its prompt, or about so many.
const TASK: usize = 1024;

/// A task known under an idempotency key.
struct Known {
    id: TaskId,
    digest: [u8; 32],
}

#[derive(Serialize)]
struct TaskAdded<'t> {
    id: TaskId,
    /// Known once `class` has an id.
    placement: i64,
    #[serde(skip)]
    class: String,
    priority: i32,
    repo: Option<String>,
    spec: String,
    digest: String,
    key: Option<&'t str>,
    retry_of: Option<TaskId>,
    parent: Option<TaskId>,
    goes_on_from: Option<TaskId>,
    on_failed_dependency: DependencyPolicy,
    held: bool,
    state: &'static str,
    traceparent: &'t str,
    at: Timestamp,
    prompt: &'t str,
    /// Null where there is nothing to add.
    brief: Option<String>,
}

impl Verb for Submit {
    type Output = Vec<Submitted>;
    type Error = SubmitError;

    async fn run(&self, tx: &mut Tx<'_>) -> Outcome<Self> {
        let outcome = run_set(std::slice::from_ref(self), tx).await?.pop();
        outcome.unwrap_or_else(|| Err(rows::corrupt("a submit had no outcome").into()))
    }

    async fn run_set(calls: &[Self], tx: &mut Tx<'_>) -> Result<Vec<Outcome<Self>>, StoreError> {
        let mut outcomes = Vec::with_capacity(calls.len());
        let mut rest = calls;
        while !rest.is_empty() {
            let (set, after) = rest.split_at(fit(rest));
            outcomes.extend(run_set(set, tx).await?);
            rest = after;
        }
        Ok(outcomes)
    }
}

/// Whether all its tasks are there already, by their keys.
pub(super) async fn all_known(call: &Submit, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let set = Set::of(std::slice::from_ref(call), tx).await?;
    let known = |key: &String| set.known.contains_key(key);
    Ok(call.tasks.iter().all(|task| task.idempotency_key.as_ref().is_some_and(known)))
}

/// How many of `calls`, at least one, go into one statement.
fn fit(calls: &[Submit]) -> usize {
    let mut bytes = 0;
    let fitting = calls.iter().take_while(|call| {
        bytes += call.tasks.iter().map(|task| TASK + task.spec.prompt.len()).sum::<usize>();
        bytes <= SET
    });
    fitting.count().max(1)
}

async fn run_set(calls: &[Submit], tx: &mut Tx<'_>) -> Result<Vec<Outcome<Submit>>, StoreError> {
    let mut set = Set::of(calls, tx).await?;
    // A refused call leaves nothing in the set, and its neighbours go on.
    let plans: Vec<_> = calls.iter().map(|call| set.plan(call)).collect();
    let numbers = set.write(tx).await?;
    let submitted = |Planned { id, existed }| match numbers.get(&id) {
        Some(&number) => Ok(Submitted { id, number, existed }),
        None => Err(rows::corrupt(format_args!("task {id} was written and is not there"))),
    };
    plans
        .into_iter()
        .map(|plan| match plan {
            Ok(tasks) => Ok(Ok(tasks.into_iter().map(submitted).collect::<Result<_, _>>()?)),
            Err(refused) => Ok(Err(refused)),
        })
        .collect()
}

/// The task that one of a call comes down to, and whether it was there before.
struct Planned {
    id: TaskId,
    existed: bool,
}

/// What is to be written, call by call in their order.
#[derive(Default)]
struct Set<'t> {
    known: HashMap<String, Known>,
    numbers: HashMap<TaskId, u64>,
    added: Vec<TaskAdded<'t>>,
    /// Those of them that wait for others.
    waiting: Vec<Waiting>,
}

impl<'t> Set<'t> {
    /// Begins with what stands under the keys these calls bring.
    async fn of(calls: &[Submit], tx: &mut Tx<'_>) -> Result<Self, StoreError> {
        let tasks = calls.iter().flat_map(|call| &call.tasks);
        let keys: Vec<&str> = tasks.filter_map(|task| task.idempotency_key.as_deref()).collect();
        let mut set = Self::default();
        if keys.is_empty() {
            return Ok(set);
        }
        let found: Vec<(String, Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(statements::KEYS_IN_USE)
            .bind(to_json(&keys))
            .fetch_all(&mut *tx.connection)
            .await?;
        for (key, id, number, digest) in found {
            let id = rows::task_id(&id)?;
            let digest = digest.try_into().map_err(|_| rows::corrupt("a spec digest is not 32 bytes"))?;
            set.numbers.insert(id, rows::unsigned(number)?);
            set.known.insert(key, Known { id, digest });
        }
        Ok(set)
    }

    /// Takes a call in, all of it or nothing.
    fn plan(&mut self, call: &'t Submit) -> Result<Vec<Planned>, SubmitError> {
        let (mut planned, mut added) = (Vec::with_capacity(call.tasks.len()), Vec::new());
        let mut fresh: HashMap<&str, Known> = HashMap::new();
        // Tasks of the call that were there before: others of it may name them by their new ids.
        let mut before = HashMap::new();
        for (index, task) in call.tasks.iter().enumerate() {
            let digest = digest(&task.spec, task.links.hold);
            if let Some(key) = task.idempotency_key.as_deref() {
                if let Some(earlier) = self.known.get(key).or_else(|| fresh.get(key)) {
                    if earlier.digest != digest {
                        let (key, existing) = (key.to_owned(), earlier.id);
                        return Err(SubmitError::KeyReused { index, key, existing });
                    }
                    before.insert(task.id, earlier.id);
                    planned.push(Planned { id: earlier.id, existed: true });
                    continue;
                }
                fresh.insert(key, Known { id: task.id, digest });
            }
            planned.push(Planned { id: task.id, existed: false });
            added.push((task, digest));
        }
        self.known.extend(fresh.into_iter().map(|(key, task)| (key.to_owned(), task)));
        for (task, digest) in added {
            let links = links(task, &before);
            self.added.push(TaskAdded::of(task, &links, &digest, call.now));
            if !links.after.is_empty() {
                self.waiting.push(Waiting { task: task.id, after: links.after, at: call.now });
            }
        }
        Ok(planned)
    }

    /// Writes the new tasks, queued or blocked, and answers with the numbers of all.
    async fn write(mut self, tx: &mut Tx<'_>) -> Result<HashMap<TaskId, u64>, StoreError> {
        if self.added.is_empty() {
            return Ok(self.numbers);
        }
        let classes: Vec<String> =
            self.added.iter_mut().map(|task| std::mem::take(&mut task.class)).collect();
        let ids = tx.placements.ids(tx.connection, &classes).await?;
        for (task, id) in self.added.iter_mut().zip(ids) {
            task.placement = id;
        }
        let entered: Vec<(Vec<u8>, i64, i64)> = sqlx::query_as(statements::ADD_TASKS)
            .bind(to_json(&self.added))
            .fetch_all(&mut *tx.connection)
            .await?;
        for (id, number, cursor) in entered {
            self.numbers.insert(rows::task_id(&id)?, rows::unsigned(number)?);
            tx.cursor = tx.cursor.max(rows::unsigned(cursor)?);
        }
        self.block(tx).await?;
        Ok(self.numbers)
    }

    /// Enters what the new tasks wait for. What has ended already may let them go, or end them, at once.
    async fn block(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        dependencies::add(tx, &self.waiting).await?;
        let waiting: Vec<TaskId> = self.waiting.iter().map(|one| one.task).collect();
        let now = self.waiting.iter().map(|one| one.at).max().unwrap_or_default();
        handoff::hand_to_dependents(tx, &waiting, now).await?;
        let blocked = self.waiting.iter().map(|one| (one.task, one.at)).collect();
        let moves = moves::of_blocked(tx, &blocked).await?;
        moves::write(tx, moves).await?;
        Ok(())
    }
}

/// How a new task stands to others, once it is known which of its call were there `before`.
fn links(task: &NewTask, before: &HashMap<TaskId, TaskId>) -> Links {
    let mut links = task.links.clone();
    if before.is_empty() {
        return links;
    }
    let found = |id: TaskId| before.get(&id).copied().unwrap_or(id);
    let mut seen = HashSet::from([task.id]);
    links.after = links.after.into_iter().map(found).filter(|&needs| seen.insert(needs)).collect();
    links.parent = links.parent.map(found);
    links.goes_on_from = links.goes_on_from.map(found);
    links
}

impl<'t> TaskAdded<'t> {
    fn of(task: &'t NewTask, links: &Links, digest: &[u8; 32], at: Timestamp) -> Self {
        // The prompt is the one part that can be large: kept apart, so that lists do not load it.
        let spec = TaskSpec { prompt: String::new(), ..task.spec.clone() };
        let waits = links.hold || !links.after.is_empty();
        let state = if waits { TaskState::Blocked } else { TaskState::Queued };
        Self {
            id: task.id,
            placement: 0,
            class: to_json(&spec.class()),
            priority: spec.priority,
            repo: spec.repo.as_ref().map(factory_domain::RepoSource::identity),
            spec: to_json(&spec),
            digest: hex::encode(digest),
            key: task.idempotency_key.as_deref(),
            retry_of: task.retry_of,
            parent: links.parent,
            goes_on_from: links.goes_on_from,
            on_failed_dependency: links.on_failed_dependency,
            held: links.hold,
            state: state.name(),
            traceparent: &task.traceparent,
            at,
            prompt: &task.spec.prompt,
            brief: (task.brief != Brief::default()).then(|| to_json(&task.brief)),
        }
    }
}

/// One that is held is another task than one that is not.
fn digest(spec: &TaskSpec, hold: bool) -> [u8; 32] {
    let digest = Sha256::new_with_prefix(to_json(spec));
    if hold { digest.chain_update("held") } else { digest }.finalize().into()
}
