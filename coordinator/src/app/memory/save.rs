//! Something learned, by an agent, a person or a program.

use factory_domain::{MemoryDraft, MemoryId, TaskId};
use uuid::Uuid;

use crate::app::{Acting, App, Error, FieldViolation, Once};
use crate::store::{MemoryEntry, NewMemory};

/// Bytes.
const MAX_KEY: usize = 200;

/// A memory as it was given.
#[derive(Debug)]
pub struct Learned {
    pub draft: MemoryDraft,
    /// Empty: each call saves, unless the same is there already.
    pub key: String,
}

impl App {
    /// Keeps it, or answers with the one that says the same. `task` is an id, a prefix or a number,
    /// or empty: what the memory does not say of itself is the task's.
    pub async fn save_memory(&self, learned: Learned, task: &str) -> Result<Once<MemoryEntry>, Error> {
        let task = if task.is_empty() { None } else { Some(self.store.resolve(task).await?) };
        let key = Some(learned.key).filter(|key| !key.is_empty());
        self.keep_memory(learned.draft, key, task).await
    }

    /// What an agent has learned. Its key means the same only within its attempt.
    pub async fn save_memory_of(&self, acting: &Acting, learned: Learned) -> Result<MemoryEntry, Error> {
        let key = (!learned.key.is_empty()).then(|| format!("{}/{}", acting.attempt, learned.key));
        Ok(self.keep_memory(learned.draft, key, Some(acting.task)).await?.thing)
    }

    async fn keep_memory(
        &self,
        mut draft: MemoryDraft,
        key: Option<String>,
        task: Option<TaskId>,
    ) -> Result<Once<MemoryEntry>, Error> {
        if key.as_ref().is_some_and(|key| key.len() > MAX_KEY || key.chars().any(char::is_control)) {
            let why = format!("is longer than {MAX_KEY} bytes, or holds a control character");
            return Err(Error::invalid("idempotency_key", why));
        }
        if let Some(task) = task {
            self.add_what_is_the_tasks(&mut draft, task).await?;
        }
        let mut memory = draft.validate(task).map_err(|found| {
            let of_memory =
                |v: factory_domain::Violation| FieldViolation::new(format!("memory.{}", v.field), v.why);
            Error::Invalid(found.into_iter().map(of_memory).collect())
        })?;
        if let Some(repo) = memory.scope.repo.take() {
            let meant = self.repos.resolve(repo).map_err(|error| Error::invalid("memory.repo", error))?;
            memory.scope.repo = Some(meant.canonical());
        }
        let new = NewMemory { id: MemoryId::from_uuid(Uuid::now_v7()), memory, idempotency_key: key };
        let saved = self.store.save_memory(new, self.clock.now()).await?;
        if !saved.existed {
            self.remembered.notify_one();
            tracing::info!(memory = saved.entry.number, kind = %saved.entry.memory.kind, "memory saved");
        }
        Ok(Once { thing: saved.entry, existed: saved.existed })
    }

    async fn add_what_is_the_tasks(&self, draft: &mut MemoryDraft, task: TaskId) -> Result<(), Error> {
        let entry = self.store.task(task).await?.ok_or_else(|| Error::NoSuchTask(task.to_string()))?;
        let spec = entry.spec;
        let add = |field: &mut String, of_task: Option<String>| {
            if field.is_empty() {
                *field = of_task.unwrap_or_default();
            }
        };
        add(&mut draft.repo, spec.repo.map(String::from));
        add(&mut draft.project, spec.project);
        add(&mut draft.role, spec.role.map(String::from));
        Ok(())
    }
}
