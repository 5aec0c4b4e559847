use factory_domain as domain;
use serde::Serialize;
use utoipa::ToSchema;

use super::utc;
use crate::store::QuestionEntry;

/// What an agent asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Question {
    id: String,
    /// Counted from 1 over all of them.
    number: u64,
    task_id: String,
    task_number: u64,
    task_title: String,
    attempt_id: String,
    state: QuestionState,
    text: String,
    /// Where there are any, an answer is one of them.
    options: Vec<String>,
    /// The answer where nobody gives one in time.
    default_answer: Option<String>,
    deadline_at: Option<String>,
    answer: Option<String>,
    answered_by: Option<String>,
    asked_at: String,
    /// When it was answered, expired or was withdrawn.
    answered_at: Option<String>,
}

/// Withdrawn: its task has ended.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum QuestionState {
    Open,
    Answered,
    Expired,
    Withdrawn,
}

impl From<domain::QuestionState> for QuestionState {
    fn from(state: domain::QuestionState) -> Self {
        match state {
            domain::QuestionState::Open => Self::Open,
            domain::QuestionState::Answered => Self::Answered,
            domain::QuestionState::Expired => Self::Expired,
            domain::QuestionState::Withdrawn => Self::Withdrawn,
        }
    }
}

impl From<QuestionEntry> for Question {
    fn from(entry: QuestionEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            task_id: entry.task.to_string(),
            task_number: entry.task_number,
            task_title: entry.task_title,
            attempt_id: entry.attempt.to_string(),
            state: entry.state.into(),
            text: entry.text,
            options: entry.options,
            default_answer: entry.default_answer,
            deadline_at: entry.deadline_at.map(utc),
            answer: entry.answer,
            answered_by: entry.answered_by,
            asked_at: utc(entry.asked_at),
            answered_at: entry.settled_at.map(utc),
        }
    }
}
