//! After the agent: its work is saved, brought where it belongs, and reported.

use std::path::{Path, PathBuf};

use factory_domain::{Deliver, Delivery, Failure, FailureReason, Leftovers, Outcome, Report};

use super::assignment::{Place, Progress};
use super::machine::Input;
use super::now;
use super::run::{Findings, Work, worker_error};
use crate::delivery;
use crate::git::without_credentials;
use crate::outbox::{self, Enclosure, EnclosureKind};
use crate::workspace;
use crate::worktree::{Fate, Worktree};

impl Work {
    /// Reads what the agent did into files of the spool. What cannot be saved stays where it is.
    pub async fn save(&mut self, outcome: &Outcome) -> Input {
        // Before anything is committed for the report.
        let unmerged = if *outcome == Outcome::Succeeded { self.left_unmerged().await } else { None };
        let succeeded = *outcome == Outcome::Succeeded && unmerged.is_none();
        if !succeeded {
            // Before anything is committed for the report: whoever goes on finds things as they were.
            self.last_checkpoint().await;
        } else if self.assignment.spec.keep_session {
            self.keep_conversation().await;
        }
        let saved = match self.assignment.place().cloned() {
            Some(Place::Worktree(worktree)) => self.save_commits(&worktree, succeeded).await,
            Some(Place::Directory { path }) => self.save_files(&path).await,
            None => Ok(()),
        };
        Input::Saved { failed: self.keep_if_failed(saved).await.or(unmerged) }
    }

    async fn save_commits(&mut self, worktree: &Worktree, succeeded: bool) -> Result<(), String> {
        let journal = self.journal().await.map_err(text)?;
        let out = self.out_dir().map_err(text)?;
        let spec = &self.assignment.spec;
        let wish = match spec.leftovers {
            // They go with the worktree, unless another attempt goes on in it.
            Leftovers::Discard if !succeeded => Leftovers::Keep,
            wish => wish,
        };
        let work = worktree.finish(wish, &spec.title, &out).await.map_err(text)?;
        if wish == spec.leftovers && (work.leftovers.files > 0 || !work.leftovers.nested.is_empty()) {
            journal.note(work.leftovers.to_string());
        }
        self.findings.keep = wish == spec.leftovers && work.leftovers.fate == Fate::Kept;
        if self.findings.keep {
            journal.note(format!("the worktree stays at {}", worktree.path.display()));
        }
        self.enclose(EnclosureKind::Patch, work.patch.clone());
        self.findings.work = Some(work);
        Ok(())
    }

    async fn save_files(&mut self, path: &Path) -> Result<(), String> {
        let left = workspace::files_left(path).await.map_err(text)?;
        if left.left_out > 0 {
            let journal = self.journal().await.map_err(text)?;
            journal.note(format!(
                "{} more file(s) were left, and are not kept: links, or beyond the bounds",
                left.left_out
            ));
        }
        for file in left.files {
            let name = file.path.to_string_lossy().into_owned();
            self.findings.enclosures.push(Enclosure {
                kind: EnclosureKind::File,
                name,
                path: path.join(file.path),
            });
        }
        Ok(())
    }

    /// Brings the commits to the origin where `push`, and the task wants that; else into a bundle.
    pub async fn deliver(&mut self, push: bool) -> Input {
        let delivered = match self.assignment.place().cloned() {
            Some(Place::Worktree(worktree)) => self.deliver_commits(&worktree, push).await,
            _ => Ok(()),
        };
        let failed = self.keep_if_failed(delivered).await;
        if let Some(place) = self.assignment.place().cloned() {
            let keep = self.findings.keep;
            if let Err(error) = self.progress(Progress::Saved { place, keep }).await {
                tracing::warn!(%error, "that the work is saved cannot be written down; it will be saved again");
            }
        }
        Input::Delivered { failed }
    }

    async fn deliver_commits(&mut self, worktree: &Worktree, push: bool) -> Result<(), String> {
        let journal = self.journal().await.map_err(text)?;
        let wish = self.assignment.spec.deliver;
        let how = if push { wish } else { Deliver::None };
        let delivered =
            delivery::deliver(worktree, how, &self.out_dir().map_err(text)?).await.map_err(text)?;
        self.findings.delivery = match delivered.delivery {
            Delivery::Bundled { .. } if how != wish => {
                Delivery::Bundled { why: "the attempt did not end its task".to_owned() }
            }
            delivery => delivery,
        };
        match &self.findings.delivery {
            Delivery::None => {}
            Delivery::Pushed => {
                let origin = without_credentials(&worktree.source.to_string());
                journal.note(format!("branch {} delivered to {origin}", worktree.branch));
            }
            Delivery::Bundled { why } => journal.note(format!("commits kept as a bundle: {why}")),
        }
        self.enclose(EnclosureKind::Bundle, delivered.bundle);
        Ok(())
    }

    fn enclose(&mut self, kind: EnclosureKind, file: Option<PathBuf>) {
        if let Some(path) = file {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.findings.enclosures.push(Enclosure { kind, name, path });
        }
    }

    /// Work that is nowhere else must not go with its workspace.
    async fn keep_if_failed(&mut self, saved: Result<(), String>) -> Option<Failure> {
        let error = saved.err()?;
        self.findings.keep = true;
        let place = self.assignment.place().map(|place| place.path().display().to_string());
        let message = format!(
            "the agent's work could not be saved ({error}); it is still on the worker, at {}",
            place.unwrap_or_default()
        );
        self.note(message.clone()).await;
        Some(worker_error(message))
    }

    /// Puts the report on disk, trying for as long as it takes: an end nobody hears of is none.
    pub async fn write_report(&mut self, outcome: Outcome) {
        self.sweep().await;
        self.tell_crew(&outcome).await;
        let mut pauses = crate::uplink::pauses();
        loop {
            let written = match self.journal().await {
                Ok(journal) => {
                    let report = self.report(outcome.clone(), journal.records());
                    let Findings { enclosures, checkpoint, .. } = &self.findings;
                    outbox::write(self.spool.clone(), report, enclosures.clone(), checkpoint.clone()).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = written else { return };
            tracing::error!(%error, "the report cannot be written; trying again");
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Before anyone hears of the end: the next task should not be given to an agent that gets no answer.
    async fn tell_crew(&self, outcome: &Outcome) {
        let (crew, agent, attempt) = (&self.host.crew, self.assignment.spec.agent, self.assignment.attempt);
        match outcome {
            Outcome::Failed { failure } if failure.reason == FailureReason::AuthFailed => {
                crew.login_refused(agent, attempt, &failure.message, now()).await;
            }
            Outcome::Succeeded | Outcome::Asked => crew.login_accepted(agent),
            Outcome::Limited { until, .. } => {
                crew.login_accepted(agent);
                crew.hold_back(agent, *until, now());
            }
            _ => {}
        }
        crew.give_back(agent, attempt);
    }

    fn report(&self, outcome: Outcome, log_records: u64) -> Report {
        let findings = &self.findings;
        let conclusion = findings.conclusion.clone();
        let structured_output = conclusion.as_ref().and_then(|it| it.structured_output.clone());
        let (result_text, usage, agent_session) = conclusion
            .map(|conclusion| (conclusion.result_text, conclusion.usage, conclusion.agent_session))
            .unwrap_or_default();
        let worktree = match self.assignment.place() {
            Some(Place::Worktree(worktree)) => Some(worktree),
            _ => None,
        };
        let commits = findings.work.as_ref().map(|work| work.commits.clone()).unwrap_or_default();
        Report {
            outcome,
            result_text,
            usage,
            agent_session,
            exit_code: findings.exit_code,
            base_commit: worktree.map(|worktree| worktree.base_commit.clone()),
            branch: worktree.filter(|_| !commits.is_empty()).map(|worktree| worktree.branch.clone()),
            commits,
            diff_stat: findings.work.as_ref().map(|work| work.diff_stat).unwrap_or_default(),
            delivery: findings.delivery.clone(),
            log_records,
            structured_output,
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
