//! Checkpoints: what another attempt needs to go on from this one, brought to the coordinator at
//! intervals while the agent runs, and once more with the report where it did not succeed.
//!
//! The conversation is copied before the workspace is read, so that what the agent remembers having done
//! is there; what it did in between it finds done. Each has a number of its own, also one that
//! came to nothing: a number, once given out, never names two things.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use factory_domain::{Checkpoint, Snapshot};
use factory_proto::client::{Client, ClientConfig};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::assignment::Place;
use super::now;
use super::run::Work;
use crate::agents::{Agent, Job};
use crate::blocking;
use crate::checkpoint::{Bounds, DirectorySnapshots, LeftOut};
use crate::git::{Git, GitError};
use crate::outbox::{self, Enclosure, EnclosureKind, Owner};
use crate::spool::write_atomically;
use crate::uplink::Trouble;

/// Takes the checkpoints of one attempt.
pub(super) struct Checkpoints {
    agent: Arc<dyn Agent>,
    job: Job,
    place: Place,
    owner: Owner,
    /// Of the attempt's own, in its spool.
    directory: PathBuf,
    known: Known,
}

/// What the coordinator has, and the number given out last.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Known {
    number: u32,
    snapshot: Option<Snapshot>,
    /// SHA-256, in hexadecimal digits.
    transcript: Option<String>,
}

/// A checkpoint ready to be handed over.
pub(super) struct Parcel {
    pub checkpoint: Checkpoint,
    pub files: Vec<Enclosure>,
    pub left_out: LeftOut,
    transcript: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CheckpointError {
    #[error("the workspace cannot be saved: {0}")]
    Snapshot(#[from] GitError),
    #[error("the conversation, or what is known of earlier checkpoints, cannot be read or written: {0}")]
    Disk(#[from] io::Error),
    #[error("the coordinator did not take it: {}", .0.full())]
    Upload(#[from] Trouble),
}

impl Work {
    /// `None` where no attempt could go on from this one: its agent has no conversations, or no workspace.
    pub(super) fn checkpoints(&self) -> io::Result<Option<Checkpoints>> {
        let Some(place) = self.assignment.place().cloned() else { return Ok(None) };
        let agent = self.host.crew.adapter(self.assignment.spec.agent);
        let Some(agent) = agent.filter(|agent| agent.conversations().is_some()) else { return Ok(None) };
        let directory = self.checkpoint_dir();
        std::fs::create_dir_all(&directory)?;
        let known = match std::fs::read(known_path(&directory)) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Known::default(),
            Err(error) => return Err(error),
        };
        let owner =
            Owner { worker: self.host.worker, task: self.assignment.task, attempt: self.assignment.attempt };
        Ok(Some(Checkpoints { agent: Arc::clone(agent), job: self.job()?, place, owner, directory, known }))
    }

    /// In the spool, gone with it.
    pub(super) fn checkpoint_dir(&self) -> PathBuf {
        self.spool.path().join("checkpoint")
    }

    /// Brings checkpoints to the coordinator until the agent has ended.
    pub(super) fn keep_checkpoints(&self, ended: CancellationToken) -> impl Future<Output = ()> + use<> {
        let checkpoints = self.checkpoints();
        let (interval, coordinator) = (self.host.config.checkpoint_interval, self.host.coordinator());
        // What was gone on from is to be had from this attempt from now on.
        let goes_on = self.assignment.past.is_some();
        async move {
            match checkpoints {
                Ok(Some(mut checkpoints)) => {
                    let at_once = goes_on && checkpoints.known.number == 0;
                    checkpoints.run(interval, at_once, coordinator, &ended).await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "no checkpoints are taken while the agent runs"),
            }
        }
    }

    /// Makes the last one ready to go with the report of an attempt that did not succeed. The report has
    /// the work as well, so that trouble here is told and no more.
    pub(super) async fn last_checkpoint(&mut self) {
        match self.take_last().await {
            Ok(None) => {}
            Ok(Some(parcel)) => {
                self.findings.enclosures.extend(parcel.files);
                self.findings.checkpoint = Some(parcel.checkpoint);
                if !parcel.left_out.is_empty() {
                    self.note(parcel.left_out.to_string()).await;
                }
            }
            Err(error) => self.note(format!("no last checkpoint could be taken: {error}")).await,
        }
    }

    /// Makes the conversation ready to go with the report of an attempt that succeeded. Its work is
    /// delivered: another task that goes on from it begins with what is on the branch.
    pub(super) async fn keep_conversation(&mut self) {
        let taken = match self.checkpoints() {
            Ok(Some(mut checkpoints)) => checkpoints.take_conversation().await,
            Ok(None) => return,
            Err(error) => Err(error.into()),
        };
        match taken {
            Ok(None) => {}
            Ok(Some(parcel)) => {
                self.findings.enclosures.extend(parcel.files);
                self.findings.checkpoint = Some(parcel.checkpoint);
            }
            Err(error) => self.note(format!("the conversation could not be kept: {error}")).await,
        }
    }

    async fn take_last(&self) -> Result<Option<Parcel>, CheckpointError> {
        let Some(mut checkpoints) = self.checkpoints()? else { return Ok(None) };
        if let Place::Worktree(worktree) = &checkpoints.place {
            // Where a worker's restart cut the saving short, they were committed already.
            worktree.reopen_leftovers(&self.assignment.spec.title).await?;
        }
        checkpoints.take().await
    }
}

fn known_path(directory: &Path) -> PathBuf {
    directory.join("known.json")
}

impl Checkpoints {
    /// Brings one to the coordinator after each interval, until the agent has `ended`; `at_once`: the
    /// first without waiting. One that fails is made up for by the next.
    pub async fn run(
        &mut self,
        interval: Duration,
        at_once: bool,
        coordinator: ClientConfig,
        ended: &CancellationToken,
    ) {
        if interval.is_zero() {
            return;
        }
        let mut pause = if at_once { Duration::ZERO } else { interval };
        while ended.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            pause = interval;
            // On the heap only while one is taken.
            if let Err(error) = Box::pin(self.take_and_hand_over(&coordinator, ended)).await {
                tracing::warn!(%error, "a checkpoint came to nothing; the next one is due in {interval:?}");
            }
        }
    }

    /// One that is being taken when the agent ends is taken to its end: the last one uses the same files
    /// and git's locks on them. Its way to the coordinator is cut short, since the last goes there as well.
    async fn take_and_hand_over(
        &mut self,
        coordinator: &ClientConfig,
        ended: &CancellationToken,
    ) -> Result<(), CheckpointError> {
        let Some(parcel) = self.take().await? else { return Ok(()) };
        ended.run_until_cancelled(self.hand_over(parcel, coordinator)).await.unwrap_or(Ok(()))
    }

    async fn hand_over(&mut self, parcel: Parcel, coordinator: &ClientConfig) -> Result<(), CheckpointError> {
        // Seldom enough for a connection each: attempts that only run cost none.
        let client = Client::connect(coordinator.clone()).await.map_err(Trouble::from)?;
        for file in &parcel.files {
            self.owner.hand_over(&client, file).await?;
        }
        self.owner.checkpoint(&client, parcel.checkpoint.clone()).await?;
        tracing::info!(number = parcel.checkpoint.number, "checkpoint taken");
        self.known.snapshot = parcel.checkpoint.snapshot;
        self.known.transcript = parcel.transcript;
        self.write_down().await.map_err(CheckpointError::Disk)
    }

    /// Makes one ready, under a new number. `None`: nothing has changed since the last.
    pub async fn take(&mut self) -> Result<Option<Parcel>, CheckpointError> {
        let transcript = self.copy_transcript().await?;
        let (snapshot, left_out) = self.snapshot().await?;
        if snapshot == self.known.snapshot && transcript == self.known.transcript {
            return Ok(None);
        }
        self.parcel(transcript, snapshot, left_out).await.map(Some)
    }

    /// The conversation alone; `None`: there is none.
    async fn take_conversation(&mut self) -> Result<Option<Parcel>, CheckpointError> {
        match self.copy_transcript().await? {
            Some(transcript) => self.parcel(Some(transcript), None, LeftOut::default()).await.map(Some),
            None => Ok(None),
        }
    }

    async fn parcel(
        &mut self,
        transcript: Option<String>,
        snapshot: Option<Snapshot>,
        left_out: LeftOut,
    ) -> Result<Parcel, CheckpointError> {
        // Before anything is sent by this number.
        self.known.number += 1;
        self.write_down().await?;
        let number = self.known.number;
        let mut files = Vec::new();
        let mut enclose = |kind, path| files.push(Enclosure { kind, name: number.to_string(), path });
        let bundle = match &snapshot {
            Some(snapshot) => self.bundle(snapshot).await?,
            None => None,
        };
        // Without a bundle the workspace is as it was at the start.
        let snapshot = bundle.as_ref().and(snapshot);
        if let Some(bundle) = bundle {
            enclose(EnclosureKind::CheckpointWork, bundle);
        }
        if transcript.is_some() {
            enclose(EnclosureKind::CheckpointTranscript, self.transcript_path());
        }
        let branch = match &self.place {
            Place::Worktree(worktree) => Some(worktree.branch.clone()),
            Place::Directory { .. } => None,
        };
        let checkpoint = Checkpoint {
            number,
            taken_at: now(),
            agent_session: Some(self.job.conversation.id().to_string()),
            branch,
            snapshot,
            has_transcript: transcript.is_some(),
        };
        Ok(Parcel { checkpoint, files, left_out, transcript })
    }

    fn transcript_path(&self) -> PathBuf {
        self.directory.join("transcript")
    }

    /// Copies the conversation and says what it is now. `None`: there is none yet.
    async fn copy_transcript(&self) -> io::Result<Option<String>> {
        let (agent, job, to) = (Arc::clone(&self.agent), self.job.clone(), self.transcript_path());
        let copying = blocking::run(move || {
            let from = agent.conversations().map(|has| has.find(&job)).transpose()?.flatten();
            from.map(|from| std::fs::copy(from, &to)).transpose()
        });
        if copying.await?.is_none() {
            return Ok(None);
        }
        let (_, sha256) = outbox::measure(&self.transcript_path()).await?;
        Ok(Some(hex::encode(sha256)))
    }

    /// The workspace as it is now: what is known of it where it has not changed.
    async fn snapshot(&self) -> Result<(Option<Snapshot>, LeftOut), GitError> {
        let previous = self.known.snapshot.as_ref();
        let taken = match &self.place {
            Place::Worktree(worktree) => {
                worktree.snapshot(&self.directory, Bounds::default(), previous).await?
            }
            Place::Directory { path } => {
                self.directory_snapshots(path).snapshot(Bounds::default(), previous).await?
            }
        };
        Ok(match taken {
            Some(taken) => (Some(taken.snapshot), taken.left_out),
            None => (self.known.snapshot.clone(), LeftOut::default()),
        })
    }

    async fn bundle(&self, snapshot: &Snapshot) -> Result<Option<PathBuf>, GitError> {
        match &self.place {
            Place::Worktree(worktree) => worktree.bundle_snapshot(snapshot, &self.directory).await,
            Place::Directory { path } => self.directory_snapshots(path).bundle_snapshot(snapshot).await,
        }
    }

    fn directory_snapshots(&self, path: &Path) -> DirectorySnapshots {
        DirectorySnapshots::new(Git::new(), path, &self.directory, self.owner.attempt)
    }

    async fn write_down(&self) -> io::Result<()> {
        let (path, json) = (known_path(&self.directory), serde_json::to_vec(&self.known)?);
        blocking::run(move || write_atomically(&path, &json)).await
    }
}
