//! What an attempt is, on disk before anything is done for it, so that a restarted worker knows it again.

use std::io;
use std::path::{Path, PathBuf};

use factory_domain::{AttemptId, Brief, Continuation, Notices, TaskId, TaskSpec, Timestamp, Upstream};
use factory_proto::convert::{self, InvalidMessage};
use factory_proto::v1;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::continuity::Past;
use crate::agents::Conversation;
use crate::spool::SpoolDir;
use crate::worktree::Worktree;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    pub task: TaskId,
    pub attempt: AttemptId,
    /// Counted from 1 within the task.
    pub attempt_number: u32,
    pub spec: TaskSpec,
    /// W3C trace context; may be empty.
    pub traceparent: String,
    /// The agent's conversation: one that an earlier attempt had, or chosen before the start so that it
    /// is known whatever happens.
    pub session: Uuid,
    /// By the offer.
    #[serde(default)]
    pub continues: Option<Continuation>,
    /// What was found of the attempt that this one goes on from; `None`: it goes on from none, or has
    /// not looked yet.
    #[serde(default)]
    pub past: Option<Past>,
    /// What the agent is given beside its task.
    #[serde(default)]
    pub brief: Brief,
    #[serde(default)]
    pub notices: Notices,
    /// The tasks it starts from, in the order in which their branches are merged.
    #[serde(default)]
    pub upstreams: Vec<Upstream>,
    /// How far the work has come, for what a restart must know.
    pub progress: Progress,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum Progress {
    Accepted,
    /// A workspace may be there, half made.
    Preparing,
    Prepared {
        place: Place,
    },
    /// The agent was started, or was just about to be.
    Started {
        place: Place,
        /// By this host's clock.
        at_time: Timestamp,
    },
    Saved {
        place: Place,
        /// The place stays after the attempt: there are changes in it that were not committed.
        keep: bool,
    },
}

/// Where the agent works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Place {
    Worktree(Box<Worktree>),
    Directory { path: PathBuf },
}

impl Place {
    pub fn path(&self) -> &Path {
        match self {
            Self::Worktree(worktree) => &worktree.path,
            Self::Directory { path } => path,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidOffer {
    #[error("the offer cannot be read: {0}")]
    Message(#[from] InvalidMessage),
    #[error("the offered task is not valid here: {}", .0.join("; "))]
    Spec(Vec<String>),
}

impl Assignment {
    pub fn from_offer(offer: v1::Offer) -> Result<Self, InvalidOffer> {
        let spec = offer.spec.ok_or(InvalidMessage::Missing("spec"))?;
        let spec = convert::spec_from_wire(spec).map_err(|violations| {
            InvalidOffer::Spec(
                violations.into_iter().map(|found| format!("{} {}", found.field, found.why)).collect(),
            )
        })?;
        let (brief, notices) = convert::brief_from_wire(offer.brief.unwrap_or_default());
        let upstreams = offer.upstreams.into_iter().map(Upstream::try_from);
        Ok(Self {
            brief,
            notices,
            upstreams: upstreams.collect::<Result<_, _>>()?,
            task: convert::task_id(&offer.task_id)?,
            attempt: convert::attempt_id(&offer.attempt_id)?,
            attempt_number: offer.attempt_number,
            spec,
            traceparent: offer.traceparent,
            session: Uuid::new_v4(),
            continues: offer.continues.map(Continuation::try_from).transpose()?,
            past: None,
            progress: Progress::Accepted,
        })
    }

    pub fn write(&self, spool: &SpoolDir) -> io::Result<()> {
        spool.write(&spool.assignment_path(), &serde_json::to_vec(self)?)
    }

    pub fn read(spool: &SpoolDir) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(spool.assignment_path())?)?)
    }

    /// The conversation as the agent is to have it.
    pub fn conversation(&self) -> Conversation {
        let id = self.session;
        let workspace = self.place().map(Place::path).unwrap_or(Path::new("."));
        match &self.past {
            // What it remembers is another task: this one is told to it as well.
            Some(past) if past.remembers && past.of_another_task => {
                let task = self.brief.prompt.as_deref().unwrap_or(&self.spec.prompt);
                Conversation::Resumed { id, note: format!("{}\n\n{task}", past.note(workspace)) }
            }
            Some(past) if past.remembers => Conversation::Resumed { id, note: past.note(workspace) },
            past => Conversation::New { id, note: past.as_ref().map(|past| past.note(workspace)) },
        }
    }

    /// The workspace, once there is one.
    pub fn place(&self) -> Option<&Place> {
        match &self.progress {
            Progress::Accepted | Progress::Preparing => None,
            Progress::Prepared { place }
            | Progress::Started { place, .. }
            | Progress::Saved { place, .. } => Some(place),
        }
    }
}
