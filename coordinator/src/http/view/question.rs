use serde::Serialize;
use utoipa::ToSchema;

use super::utc;
use crate::store::QuestionEntry;

#[derive(Debug, Serialize, ToSchema)]
pub struct Question {
    id: String,
    number: u64,
    task_id: String,
    task_number: u64,
    task_title: String,
    /// open, answered, expired, withdrawn.
    state: &'static str,
    text: String,
    options: Vec<String>,
    /// What becomes the answer when the deadline has passed.
    default_answer: Option<String>,
    deadline_at: Option<String>,
    answer: Option<String>,
    answered_by: Option<String>,
    asked_at: String,
    answered_at: Option<String>,
}

impl From<QuestionEntry> for Question {
    fn from(entry: QuestionEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            task_id: entry.task.to_string(),
            task_number: entry.task_number,
            task_title: entry.task_title,
            state: entry.state.as_str(),
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
