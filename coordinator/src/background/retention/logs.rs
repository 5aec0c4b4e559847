//! Logs: what is on disk, held against what the store knows of its attempts.

use std::collections::HashMap;

use factory_domain::retention::{Because, Keep, Left, Worth, removals};
use factory_domain::{AttemptId, Timestamp};

use super::artifacts::Told;
use super::{BATCH, Removed};
use crate::app::{App, Error};
use crate::logs::LogOnDisk;

/// The logs there are.
#[derive(Default)]
struct Survey {
    /// Those of ended tasks, and whose each is.
    left: Vec<Left>,
    attempts: Vec<AttemptId>,
    /// Of all tasks.
    bytes: u64,
    /// Noted as removed before, and still there.
    leftovers: Vec<LogOnDisk>,
    /// Of attempts that are not known.
    strangers: u64,
}

pub(super) async fn sweep(app: &App, keep: Keep, now: Timestamp, told: &mut Told) -> Result<Removed, Error> {
    let survey = survey(app).await?;
    told.strangers("logs", survey.strangers);
    let mut removed = Removed::default();
    for log in survey.leftovers {
        app.logs.remove(log.attempt).await?;
        removed.add(log.bytes);
    }
    let chosen = removals(&survey.left, survey.bytes, keep, now);
    for batch in chosen.chunks(BATCH) {
        if app.stopping.is_cancelled() {
            return Ok(removed);
        }
        let lines: Vec<(AttemptId, u64, Because)> = batch
            .iter()
            .map(|(index, because)| (survey.attempts[*index], survey.left[*index].bytes, *because))
            .collect();
        let noted = app.store.prune_logs(lines, now).await?;
        for (index, _) in batch.iter().filter(|(index, _)| noted.contains(&survey.attempts[*index])) {
            app.fences.forget(survey.left[*index].task);
            app.logs.remove(survey.attempts[*index]).await?;
            removed.add(survey.left[*index].bytes);
        }
    }
    Ok(removed)
}

async fn survey(app: &App) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    for batch in app.logs.on_disk().await?.chunks(BATCH) {
        let mut logs: HashMap<_, _> = batch.iter().map(|log| (log.attempt, *log)).collect();
        let attempts: Vec<AttemptId> = logs.keys().copied().collect();
        for standing in app.store.log_standings(&attempts).await? {
            let Some(log) = logs.remove(&standing.attempt) else { continue };
            if standing.pruned {
                survey.leftovers.push(log);
                continue;
            }
            survey.bytes += log.bytes;
            if let Some(ended_at) = standing.ended_at {
                let task = standing.task;
                survey.left.push(Left { task, ended_at, bytes: log.bytes, worth: Worth::Record });
                survey.attempts.push(log.attempt);
            }
        }
        survey.strangers += logs.len() as u64;
    }
    Ok(survey)
}
