//! What agents ask people.

use async_trait::async_trait;
use factory_domain::question::NotAnAnswer;
use factory_domain::{AttemptId, Question, QuestionId, QuestionState, TaskId, Timestamp, WorkerId};

use super::{Applied, StoreError};

#[async_trait]
pub trait QuestionStore: Send + Sync {
    /// Makes a question durable, and tells the feed. The attempt must be live and that worker's. The
    /// same key of the same attempt finds the first.
    async fn ask(&self, new: NewQuestion, now: Timestamp) -> Result<Asked, AskError>;

    /// Answers an open question, once: the agent's inbox has the answer, and a task that waited for no
    /// other is queued again.
    async fn answer(&self, answer: NewAnswer, now: Timestamp) -> Result<Answered, AnswerError>;

    async fn question(&self, id: QuestionId) -> Result<Option<QuestionEntry>, StoreError>;

    async fn questions(&self, filter: QuestionFilter) -> Result<Vec<QuestionEntry>, StoreError>;
}

#[derive(Debug, Clone)]
pub struct NewQuestion {
    /// Minted by the caller.
    pub id: QuestionId,
    pub worker: WorkerId,
    pub task: TaskId,
    pub attempt: AttemptId,
    pub key: String,
    pub question: Question,
}

#[derive(Debug, Clone)]
pub struct Asked {
    pub question: QuestionEntry,
    /// `None`: it was asked before.
    pub applied: Option<Applied>,
}

#[derive(Debug, Clone)]
pub struct NewAnswer {
    pub task: TaskId,
    pub question: WhichQuestion,
    /// Where there are options, one of them or its number.
    pub text: String,
    /// For people.
    pub by: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichQuestion {
    /// The task's only open one.
    Only,
    Id(QuestionId),
    Number(u64),
}

#[derive(Debug, Clone)]
pub struct Answered {
    pub question: QuestionEntry,
    pub applied: Applied,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionEntry {
    pub id: QuestionId,
    /// Counted from 1 over all questions.
    pub number: u64,
    pub task: TaskId,
    pub task_number: u64,
    pub task_title: String,
    pub attempt: AttemptId,
    pub state: QuestionState,
    pub text: String,
    /// Empty: any answer.
    pub options: Vec<String>,
    pub default_answer: Option<String>,
    pub deadline_at: Option<Timestamp>,
    pub asked_at: Timestamp,
    /// When it was answered, expired or was withdrawn.
    pub settled_at: Option<Timestamp>,
    pub answer: Option<String>,
    /// For people; [`factory_domain::question::BY_DEADLINE`] where the default became the answer.
    pub answered_by: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct QuestionFilter {
    /// Of one task only.
    pub task: Option<TaskId>,
    /// Those that are settled as well, newest first; else only open ones, oldest first.
    pub all: bool,
    /// The number at which the page before ended.
    pub beyond: Option<u64>,
    pub limit: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("attempt {0} is not this worker's, or is no longer open")]
    NotYours(AttemptId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the task has no question `{0}`")]
    NoSuchQuestion(String),
    #[error("the task has no open question")]
    NoneOpen,
    #[error("the task has several open questions ({}); say which", listed(.0))]
    Several(Vec<u64>),
    #[error("question {} is {}{}", .0.number, .0.state, how(.0))]
    Settled(Box<QuestionEntry>),
    #[error("the answer {0}")]
    NotAnAnswer(#[from] NotAnAnswer),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn listed(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn how(question: &QuestionEntry) -> String {
    match (&question.answer, &question.answered_by) {
        (Some(answer), Some(by)) => format!(" already, by {by}: {answer}"),
        _ if question.state == QuestionState::Expired => ": its deadline passed".to_owned(),
        _ => ": its task has ended".to_owned(),
    }
}
