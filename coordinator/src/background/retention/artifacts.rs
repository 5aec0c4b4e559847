//! Artifacts: the rows, the files, and what there is of one without the other.

use std::collections::{HashMap, HashSet};

use factory_domain::retention::{Because, Keep, Left, removals};
use factory_domain::{AttemptId, Timestamp};

use super::{BATCH, Removed};
use crate::app::{App, Error};
use crate::artifacts::{ArtifactError, Folder};
use crate::store::{ArtifactKey, KeptArtifact, PrunedItem};

/// Rows read at once.
const PAGE: u32 = 1000;
/// Lost artifacts that are named, of those found at once; a disk that is not mounted loses them all.
const NAMED: usize = 10;

/// What was told already: each finding is told of once.
#[derive(Default)]
pub(super) struct Told {
    missing: HashSet<ArtifactKey>,
    strangers: HashMap<&'static str, u64>,
    crowded: bool,
}

/// The artifacts that are kept.
#[derive(Default)]
struct Survey {
    /// Those of ended tasks, and their keys.
    left: Vec<Left>,
    keys: Vec<ArtifactKey>,
    /// Of all tasks.
    bytes: u64,
    /// How many of an attempt are there as files.
    present: HashMap<AttemptId, u32>,
    missing: HashSet<ArtifactKey>,
}

pub(super) async fn sweep(app: &App, keep: Keep, now: Timestamp, told: &mut Told) -> Result<Removed, Error> {
    let survey = survey(app).await?;
    told.missing(app, &survey.missing).await?;
    let chosen = removals(&survey.left, survey.bytes, keep, now);
    let mut removed = Removed::default();
    for batch in chosen.chunks(BATCH) {
        if app.stopping.is_cancelled() {
            return Ok(removed);
        }
        let lines: Vec<(ArtifactKey, Because)> =
            batch.iter().map(|(index, because)| (survey.keys[*index].clone(), *because)).collect();
        let _naming = app.artifacts.name_none().await;
        let noted = app.store.prune_artifacts(lines, now).await?;
        let noted_of = batch.iter().filter(|(index, _)| noted.contains(&survey.keys[*index]));
        noted_of.for_each(|(index, _)| removed.add(survey.left[*index].bytes));
        app.artifacts.remove(noted).await?;
    }
    told.crowded(survey.bytes - removed.bytes, keep);
    let mut strangers = 0;
    for folder in app.artifacts.folders().await? {
        if app.stopping.is_cancelled() {
            return Ok(removed);
        }
        if folder.files > survey.present.get(&folder.attempt).copied().unwrap_or_default() {
            match clear(app, folder, keep, now).await? {
                Some(bytes) => bytes.into_iter().for_each(|bytes| removed.add(bytes)),
                None => strangers += 1,
            }
        }
    }
    told.strangers("artifacts", strangers);
    Ok(removed)
}

async fn survey(app: &App) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let mut after: Option<ArtifactKey> = None;
    loop {
        let page = app.store.kept_artifacts(after.as_ref(), PAGE).await?;
        let keys: Vec<ArtifactKey> = page.iter().map(|kept| kept.entry.key()).collect();
        let Some(last) = keys.last() else { return Ok(survey) };
        after = Some(last.clone());
        let missing: HashSet<ArtifactKey> = app.artifacts.missing(keys.clone()).await?.into_iter().collect();
        for (key, KeptArtifact { entry, left }) in keys.into_iter().zip(page) {
            if missing.contains(&key) {
                survey.missing.insert(key);
                continue;
            }
            survey.bytes += entry.bytes;
            *survey.present.entry(entry.attempt).or_default() += 1;
            if let Some(left) = left {
                survey.left.push(left);
                survey.keys.push(key);
            }
        }
    }
}

/// Removes the files of one attempt that no row names and nobody will name, and says how large
/// each was; `None`: the attempt is not known. See the module above for why none is lost by it.
async fn clear(app: &App, folder: Folder, keep: Keep, now: Timestamp) -> Result<Option<Vec<u64>>, Error> {
    let Some(attempt) = app.store.attempt(folder.attempt).await? else { return Ok(None) };
    let task = app.store.task(attempt.task).await?;
    let ended_at = task.and_then(|task| task.ended_at);
    let expired = ended_at.zip(keep.age).is_some_and(|(ended_at, age)| now.since(ended_at) >= age);

    let _naming = app.artifacts.name_none().await;
    let named: Vec<ArtifactKey> =
        app.store.artifacts(attempt.id).await?.iter().map(|entry| entry.key()).collect();
    let pruned = app.store.pruned(attempt.id).await?.into_iter().filter_map(|pruned| match pruned.item {
        PrunedItem::Artifact(key) => Some(key),
        PrunedItem::Log => None,
    });
    let never_named = {
        let known = named.iter().cloned().chain(pruned).collect();
        app.artifacts.unnamed(attempt.id, known).await?
    };
    let settled = attempt.report.is_some() || expired;
    let files = app.artifacts.unnamed(attempt.id, named).await?.into_iter();
    let (paths, sizes): (Vec<_>, Vec<_>) = files
        .filter(|file| !never_named.contains(file) || (settled && !file.is_bundle))
        .map(|file| (file.path, file.bytes))
        .unzip();
    app.artifacts.remove_files(paths).await?;
    Ok(Some(sizes))
}

impl Told {
    #[cfg(test)]
    pub(super) fn lost(&self) -> usize {
        self.missing.len()
    }

    /// Says of each artifact once that its file is gone.
    async fn missing(&mut self, app: &App, missing: &HashSet<ArtifactKey>) -> Result<(), Error> {
        let mut lost = 0;
        self.missing.retain(|key| missing.contains(key));
        for key in missing {
            if self.missing.contains(key) {
                continue;
            }
            // It may have been removed in good order since the row was read.
            let kept = app.store.artifacts(key.attempt).await?;
            if !kept.iter().any(|entry| entry.key() == *key) {
                continue;
            }
            if let Err(error @ ArtifactError::Missing { .. }) =
                app.artifacts.open_read(key.attempt, key.kind, &key.name).await
            {
                lost += 1;
                if lost <= NAMED {
                    tracing::error!(%error, "an artifact is lost");
                }
                self.missing.insert(key.clone());
            }
        }
        if lost > NAMED {
            tracing::error!(artifacts = lost - NAMED, "and so many more: is a disk not mounted?");
        }
        Ok(())
    }

    /// Says once, and when their number changes, that there are files of attempts nobody knows.
    pub(super) fn strangers(&mut self, what: &'static str, attempts: u64) {
        if self.strangers.insert(what, attempts).unwrap_or_default() != attempts && attempts > 0 {
            tracing::warn!(
                attempts,
                "there are {what} of attempts that the database does not know; they are left alone, since it \
                 may be older than they are: if it is the right one, remove them by hand"
            );
        }
    }

    /// Says once that what may not be removed is more than there should be.
    fn crowded(&mut self, bytes: u64, keep: Keep) {
        let crowded = keep.bytes.is_some_and(|most| bytes > most);
        if crowded && !self.crowded {
            tracing::warn!(
                bytes,
                "artifacts take more than --max-artifacts-gib: the rest is of tasks that have not ended, \
                 or the only copy of its work"
            );
        }
        self.crowded = crowded;
    }
}
