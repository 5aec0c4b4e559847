//! Questions as JSON.

use factory_proto::v1;
use serde::Serialize;

use super::some;
use crate::render::question::state_name;
use crate::render::units::rfc3339;

#[derive(Debug, Serialize)]
pub struct QuestionView<'q> {
    id: &'q str,
    number: u64,
    state: &'static str,
    task_id: &'q str,
    task_number: u64,
    task_title: &'q str,
    attempt_id: &'q str,
    text: &'q str,
    options: &'q [String],
    default_answer: Option<&'q str>,
    deadline_at: Option<String>,
    asked_at: Option<String>,
    answered_at: Option<String>,
    answer: Option<&'q str>,
    answered_by: Option<&'q str>,
}

impl<'q> From<&'q v1::Question> for QuestionView<'q> {
    fn from(question: &'q v1::Question) -> Self {
        Self {
            id: &question.id,
            number: question.number,
            state: state_name(question.state()),
            task_id: &question.task_id,
            task_number: question.task_number,
            task_title: &question.task_title,
            attempt_id: &question.attempt_id,
            text: &question.text,
            options: &question.options,
            default_answer: some(&question.default_answer),
            deadline_at: rfc3339(question.deadline_at_ms),
            asked_at: rfc3339(question.asked_at_ms),
            answered_at: rfc3339(question.answered_at_ms),
            answer: some(&question.answer),
            answered_by: some(&question.answered_by),
        }
    }
}
