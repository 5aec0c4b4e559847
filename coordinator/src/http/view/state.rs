//! Where a task stands, by name: in full, and by the five names that are enough for many.

use std::str::FromStr;

use factory_domain::TaskState;
use serde::Serialize;
use utoipa::ToSchema;

/// Where a task stands, in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TaskState)]
pub enum State {
    Blocked,
    Queued,
    Leased,
    Running,
    Cancelling,
    Parked,
    Waiting,
    Succeeded,
    Failed,
    Cancelled,
}

/// By five names: all that has not begun is queued, and all that has, and has not ended, is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TaskStatus)]
pub enum Status {
    Queued,
    InProgress,
    Done,
    Failed,
    Cancelled,
}

impl State {
    /// In the order a task may pass them.
    pub const ALL: [Self; 10] = [
        Self::Blocked,
        Self::Queued,
        Self::Leased,
        Self::Running,
        Self::Cancelling,
        Self::Parked,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As the domain has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Parked => "parked",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub const fn status(self) -> Status {
        match self {
            Self::Blocked | Self::Queued | Self::Parked => Status::Queued,
            Self::Leased | Self::Running | Self::Cancelling | Self::Waiting => Status::InProgress,
            Self::Succeeded => Status::Done,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

impl Status {
    pub const ALL: [Self; 5] = [Self::Queued, Self::InProgress, Self::Done, Self::Failed, Self::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The states it stands for.
    pub fn states(self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(move |state| state.status() == self)
    }
}

impl From<&TaskState> for State {
    fn from(state: &TaskState) -> Self {
        match state {
            TaskState::Blocked => Self::Blocked,
            TaskState::Queued => Self::Queued,
            TaskState::Leased { .. } => Self::Leased,
            TaskState::Running { .. } => Self::Running,
            TaskState::Cancelling { .. } => Self::Cancelling,
            TaskState::Parked { .. } => Self::Parked,
            TaskState::Waiting => Self::Waiting,
            TaskState::Succeeded { .. } => Self::Succeeded,
            TaskState::Failed { .. } => Self::Failed,
            TaskState::Cancelled { .. } => Self::Cancelled,
        }
    }
}

/// No state has this name.
#[derive(Debug)]
pub struct NoSuchState;

impl FromStr for State {
    type Err = NoSuchState;

    fn from_str(name: &str) -> Result<Self, NoSuchState> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or(NoSuchState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_domains() {
        assert_eq!(State::ALL.map(State::as_str), TaskState::NAMES);
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.as_str());
        }
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).expect("JSON"), status.as_str());
            assert!(status.states().all(|state| state.status() == status));
        }
    }
}
