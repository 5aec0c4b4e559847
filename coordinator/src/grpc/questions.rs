//! Questions, between the wire and the use cases.

use std::time::Duration;

use factory_domain::{Question, QuestionState, Timestamp};
use factory_proto::v1;

use crate::app::{Error, FieldViolation};
use crate::store::QuestionEntry;

/// What an agent asks, and the key by which it is known again.
pub fn read(request: v1::AskRequest) -> Result<(String, Question), Error> {
    let v1::AskRequest { key, text, options, default_answer, deadline_ms, .. } = request;
    let default_answer = Some(default_answer.as_str()).filter(|answer| !answer.is_empty());
    let deadline = (deadline_ms > 0).then(|| Duration::from_millis(deadline_ms));
    let question = Question::new(&text, &options, default_answer, deadline).map_err(|violations| {
        Error::Invalid(violations.into_iter().map(|v| FieldViolation::new(v.field, v.why)).collect())
    })?;
    Ok((key, question))
}

pub fn view(entry: QuestionEntry) -> v1::Question {
    let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_millis);
    v1::Question {
        id: entry.id.to_string(),
        number: entry.number,
        task_id: entry.task.to_string(),
        task_number: entry.task_number,
        task_title: entry.task_title,
        attempt_id: entry.attempt.to_string(),
        state: state(entry.state).into(),
        text: entry.text,
        options: entry.options,
        default_answer: entry.default_answer.unwrap_or_default(),
        deadline_at_ms: millis(entry.deadline_at),
        asked_at_ms: entry.asked_at.as_millis(),
        answered_at_ms: millis(entry.settled_at),
        answer: entry.answer.unwrap_or_default(),
        answered_by: entry.answered_by.unwrap_or_default(),
    }
}

fn state(state: QuestionState) -> v1::QuestionState {
    match state {
        QuestionState::Open => v1::QuestionState::Open,
        QuestionState::Answered => v1::QuestionState::Answered,
        QuestionState::Expired => v1::QuestionState::Expired,
        QuestionState::Withdrawn => v1::QuestionState::Withdrawn,
    }
}
