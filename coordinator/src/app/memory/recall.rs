//! What a task is told of what others have learned, when it begins.

use std::collections::HashMap;
use std::time::Duration;

use factory_domain::memory::briefing::{Told, briefing};
use factory_domain::memory::rank::{Found, Leaning, for_task};
use factory_domain::memory::words::query_terms;
use factory_domain::{Conversation, Notice, Scope, TaskSpec, Timestamp};

use crate::app::{App, Error};
use crate::store::{Claimed, MemoryEntry, MemoryFilter, Within};

/// Memories looked at, of which the best few are told.
const CANDIDATES: u32 = 30;
/// For the vector of what a task is about: its offer waits for that, where an endpoint is configured.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a prompt that are looked at: what it is about stands at its beginning.
const MAX_PROMPT: usize = 4 * 1024;

impl App {
    /// The memories an attempt begins with. `None` where none fit, where its agent goes on in a
    /// conversation that was told them, and where the task is of no repository and no project.
    /// They are an aid: where they cannot be read, the attempt begins without.
    pub(in crate::app) async fn recall(&self, claimed: &Claimed) -> Option<Notice> {
        let resumes =
            claimed.continues.as_ref().is_some_and(|past| past.conversation == Conversation::Resume);
        let scope = Scope::of_task(&claimed.spec).filter(|_| !resumes)?;
        match self.recall_within(&claimed.spec, scope).await {
            Ok(notice) => notice,
            Err(error) => {
                let error = anyhow::Error::new(error);
                tracing::warn!(task = %claimed.task, %error, "a task begins without memories");
                None
            }
        }
    }

    async fn recall_within(&self, spec: &TaskSpec, scope: Scope) -> Result<Option<Notice>, Error> {
        let filter =
            MemoryFilter { within: Within::For(scope), limit: CANDIDATES, ..MemoryFilter::default() };
        let about = about(spec);
        let by_words = self.store.search_memories(query_terms(&about), filter.clone()).await?;
        let nearest = self.nearest(&about, filter, PATIENCE).await?.unwrap_or_default();
        if by_words.is_empty() && nearest.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let leaning = self.leaning(spec).await;
        let order = for_task(&found(&by_words, now), &found(&nearest, now), &leaning);
        let all: HashMap<u64, &MemoryEntry> =
            by_words.iter().chain(&nearest).map(|(entry, _)| (entry.number, entry)).collect();
        Ok(briefing(order.iter().filter_map(|number| Some(told(all.get(number)?, now)))))
    }

    /// A role that is not in the library any more prefers nothing.
    async fn leaning(&self, spec: &TaskSpec) -> Leaning {
        let Some(role) = &spec.role else { return Leaning::default() };
        let shelf = self.library.shelf().await;
        let kinds =
            shelf.as_ref().and_then(|shelf| Some(shelf.role(role.as_str()).ok()?.memory_kinds.clone()));
        Leaning { kinds: kinds.unwrap_or_default(), role: Some(role.clone()) }
    }
}

/// What a task is about, what tells most first.
fn about(spec: &TaskSpec) -> String {
    let touches: Vec<String> = spec.touches.iter().map(ToString::to_string).collect();
    let prompt = &spec.prompt[..spec.prompt.floor_char_boundary(MAX_PROMPT)];
    format!("{}\n{}\n{prompt}", spec.title, touches.join("\n"))
}

fn found(ranking: &[(MemoryEntry, f64)], now: Timestamp) -> Vec<Found<'_>> {
    let found = ranking.iter().map(|(entry, score)| Found {
        number: entry.number,
        score: *score,
        kind: entry.memory.kind,
        role: entry.memory.role.as_ref(),
        is_summary: entry.memory.is_summary,
        age: now.since(entry.at),
    });
    found.collect()
}

fn told(entry: &MemoryEntry, now: Timestamp) -> Told<'_> {
    let memory = &entry.memory;
    Told {
        number: entry.number,
        kind: memory.kind,
        content: &memory.content,
        age: now.since(entry.at),
        task_number: entry.task_number,
        role: memory.role.as_ref(),
    }
}
