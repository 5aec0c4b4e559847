//! What agents ask: asked under the fence of their attempt, and settled once.

use factory_domain::question::{self, BY_DEADLINE, Settled};
use factory_domain::{Event, QuestionId, QuestionState, TaskId, Timestamp};
use serde::Deserialize;
use sqlx::SqlitePool;

use super::inbox;
use super::job::{Tx, Verb};
use super::lease::fenced;
use super::moves::{self, Move};
use super::rows::{self, to_json};
use super::statements::questions as statements;
use crate::store::{
    AnswerError, Answered, Applied, AskError, Asked, NewAnswer, NewQuestion, QuestionEntry, QuestionFilter,
    StoreError, WhichQuestion,
};

#[derive(sqlx::FromRow)]
pub(super) struct QuestionRow {
    id: Vec<u8>,
    number: i64,
    task_id: Vec<u8>,
    task_number: i64,
    task_title: String,
    attempt_id: Vec<u8>,
    state: String,
    text: String,
    options: String,
    default_answer: Option<String>,
    deadline_at: Option<i64>,
    asked_at: i64,
    settled_at: Option<i64>,
    answer: Option<String>,
    answered_by: Option<String>,
}

impl QuestionRow {
    fn read(self) -> Result<QuestionEntry, StoreError> {
        Ok(QuestionEntry {
            id: QuestionId::from_slice(&self.id).map_err(rows::corrupt)?,
            number: rows::unsigned(self.number)?,
            task: rows::task_id(&self.task_id)?,
            task_number: rows::unsigned(self.task_number)?,
            task_title: self.task_title,
            attempt: rows::attempt_id(&self.attempt_id)?,
            state: self.state.parse().map_err(rows::corrupt)?,
            text: self.text,
            options: rows::from_json(&self.options, "options")?,
            default_answer: self.default_answer,
            deadline_at: self.deadline_at.map(Timestamp::from_millis),
            asked_at: Timestamp::from_millis(self.asked_at),
            settled_at: self.settled_at.map(Timestamp::from_millis),
            answer: self.answer,
            answered_by: self.answered_by,
        })
    }
}

pub(super) struct Ask {
    pub new: NewQuestion,
    pub now: Timestamp,
}

impl Verb for Ask {
    type Output = Asked;
    type Error = AskError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Asked, AskError> {
        let NewQuestion { id, worker, task, attempt, ref key, .. } = self.new;
        let row = fenced(tx, &[attempt]).await?.remove(&attempt);
        if !row.is_some_and(|row| row.task == task && row.worker == worker) {
            return Err(AskError::NotYours(attempt));
        }
        let from = moves::load(tx, &[task]).await?.remove(&task);
        let mut from = from.ok_or(AskError::NotYours(attempt))?;
        if from.standing.state.lease().is_none_or(|lease| lease.attempt != attempt) {
            return Err(AskError::NotYours(attempt));
        }
        let before: Option<QuestionRow> = sqlx::query_as(statements::ASKED_BEFORE)
            .bind(&attempt.as_bytes()[..])
            .bind(key)
            .fetch_optional(&mut *tx.connection)
            .await
            .map_err(StoreError::from)?;
        if let Some(before) = before {
            return Ok(Asked { question: before.read()?, applied: None });
        }
        from.standing.open_questions += 1;
        let asked = Move::decide(from, Event::Asked { attempt, question: id }, self.now);
        let asked = asked.map_err(|_| AskError::NotYours(attempt))?;
        self.enter(tx).await?;
        let applied = moves::write(tx, vec![asked]).await?.pop();
        let applied = applied.ok_or_else(|| rows::corrupt("a question left no trace"))?;
        Ok(Asked { question: entered(tx, id).await?, applied: Some(applied) })
    }
}

impl Ask {
    async fn enter(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let NewQuestion { id, task, attempt, ref key, ref question, .. } = self.new;
        let deadline_at = question.deadline.map(|deadline| self.now.after(deadline).as_millis());
        sqlx::query(statements::ADD_QUESTION)
            .bind(&id.as_bytes()[..])
            .bind(&task.as_bytes()[..])
            .bind(&attempt.as_bytes()[..])
            .bind(key)
            .bind(self.now.as_millis())
            .bind(&question.text)
            .bind(to_json(&question.options))
            .bind(&question.default_answer)
            .bind(deadline_at)
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

async fn find(tx: &mut Tx<'_>, id: QuestionId) -> Result<Option<QuestionEntry>, StoreError> {
    let row: Option<QuestionRow> = sqlx::query_as(statements::QUESTION)
        .bind(&id.as_bytes()[..])
        .fetch_optional(&mut *tx.connection)
        .await?;
    row.map(QuestionRow::read).transpose()
}

async fn entered(tx: &mut Tx<'_>, id: QuestionId) -> Result<QuestionEntry, StoreError> {
    find(tx, id)
        .await?
        .ok_or_else(|| rows::corrupt(format_args!("question {id} was written and is not there")))
}

pub(super) struct Answer {
    pub answer: NewAnswer,
    pub now: Timestamp,
}

impl Verb for Answer {
    type Output = Answered;
    type Error = AnswerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Answered, AnswerError> {
        let open = self.which(tx).await?;
        let answer = question::choose(&open.options, &self.answer.text)?;
        let (id, by) = (open.id, self.answer.by.as_str());
        let applied = settle(tx, &open, Settled::Answered { answer: &answer, by }, self.now).await?;
        Ok(Answered { question: entered(tx, id).await?, applied })
    }
}

impl Answer {
    /// The open question that is meant.
    async fn which(&self, tx: &mut Tx<'_>) -> Result<QuestionEntry, AnswerError> {
        let task = self.answer.task;
        let (found, name) = match self.answer.question {
            WhichQuestion::Only => return only_open(tx, task).await,
            WhichQuestion::Id(id) => (find(tx, id).await?, id.to_string()),
            WhichQuestion::Number(number) => (by_number(tx, number).await?, number.to_string()),
        };
        match found.filter(|found| found.task == task) {
            Some(open) if open.state == QuestionState::Open => Ok(open),
            Some(settled) => Err(AnswerError::Settled(Box::new(settled))),
            None => Err(AnswerError::NoSuchQuestion(name)),
        }
    }
}

async fn only_open(tx: &mut Tx<'_>, task: TaskId) -> Result<QuestionEntry, AnswerError> {
    let rows: Vec<QuestionRow> = sqlx::query_as(statements::OPEN_QUESTIONS_OF)
        .bind(&task.as_bytes()[..])
        .fetch_all(&mut *tx.connection)
        .await
        .map_err(StoreError::from)?;
    let mut open = rows.into_iter().map(QuestionRow::read).collect::<Result<Vec<_>, _>>()?;
    match open.len() {
        0 => Err(AnswerError::NoneOpen),
        1 => Ok(open.remove(0)),
        _ => Err(AnswerError::Several(open.iter().map(|open| open.number).collect())),
    }
}

async fn by_number(tx: &mut Tx<'_>, number: u64) -> Result<Option<QuestionEntry>, StoreError> {
    let row: Option<QuestionRow> = sqlx::query_as(statements::QUESTION_BY_NUMBER)
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .fetch_optional(&mut *tx.connection)
        .await?;
    row.map(QuestionRow::read).transpose()
}

/// Settles an open question: its row, what the agent is told, and the task that may have waited for it.
async fn settle(
    tx: &mut Tx<'_>,
    open: &QuestionEntry,
    settled: Settled<'_>,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let (state, answer, by) = match settled {
        Settled::Answered { answer, by } => (QuestionState::Answered, Some(answer), Some(by)),
        Settled::Expired { default_answer } => {
            (QuestionState::Expired, default_answer, default_answer.map(|_| BY_DEADLINE))
        }
    };
    let done = sqlx::query(statements::SETTLE_QUESTION)
        .bind(&open.id.as_bytes()[..])
        .bind(state.as_str())
        .bind(now.as_millis())
        .bind(answer)
        .bind(by)
        .execute(&mut *tx.connection)
        .await?;
    let broken =
        |why: &str| rows::corrupt(format_args!("open question {} of task {}: {why}", open.number, open.task));
    if done.rows_affected() != 1 {
        return Err(broken("it is not open"));
    }
    // Its own row no longer counts.
    let from = moves::load(tx, &[open.task]).await?.remove(&open.task);
    let from = from.ok_or_else(|| broken("it has no task"))?;
    let answered = Move::decide(from, Event::Answered { question: open.id }, now)
        .map_err(|why| broken(&why.to_string()))?;
    let applied = moves::write(tx, vec![answered]).await?.pop();
    let notice = question::notice(open.number, &open.text, settled);
    inbox::add(tx, &[inbox::Entry::new(open.task, &notice)], now).await?;
    applied.ok_or_else(|| broken("its answer left no trace"))
}

/// Settles the questions whose deadline has passed, `limit` at most.
pub(super) async fn expire(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Applied>, StoreError> {
    let due: Vec<QuestionRow> = sqlx::query_as(statements::DUE_QUESTIONS)
        .bind(now.as_millis())
        .bind(limit)
        .fetch_all(&mut *tx.connection)
        .await?;
    let mut applied = Vec::with_capacity(due.len());
    for row in due {
        let open = row.read()?;
        let settled = Settled::Expired { default_answer: open.default_answer.as_deref() };
        applied.push(settle(tx, &open, settled, now).await?);
    }
    Ok(applied)
}

/// Nobody needs to answer for a task that has ended.
pub(super) async fn withdraw(tx: &mut Tx<'_>, moves: &[Move]) -> Result<(), StoreError> {
    let ended: Vec<(TaskId, Timestamp)> = moves.iter().filter_map(Move::leaves_questions).collect();
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query(statements::WITHDRAW_QUESTIONS).bind(to_json(&ended)).execute(&mut *tx.connection).await?;
    Ok(())
}

pub(super) async fn question(
    readers: &SqlitePool,
    id: QuestionId,
) -> Result<Option<QuestionEntry>, StoreError> {
    let row: Option<QuestionRow> =
        sqlx::query_as(statements::QUESTION).bind(&id.as_bytes()[..]).fetch_optional(readers).await?;
    row.map(QuestionRow::read).transpose()
}

pub(super) async fn questions(
    readers: &SqlitePool,
    filter: QuestionFilter,
) -> Result<Vec<QuestionEntry>, StoreError> {
    let QuestionFilter { task, all, beyond, limit } = filter;
    let (statement, first) = match (all, task) {
        (false, None) => (statements::OPEN_QUESTIONS, 0),
        (false, Some(_)) => (statements::OPEN_QUESTIONS_OF_PAGE, 0),
        (true, None) => (statements::ALL_QUESTIONS, i64::MAX),
        (true, Some(_)) => (statements::ALL_QUESTIONS_OF, i64::MAX),
    };
    let beyond = beyond.map_or(first, |number| i64::try_from(number).unwrap_or(i64::MAX));
    let mut query = sqlx::query_as(statement).bind(beyond).bind(limit);
    if let Some(task) = task {
        query = query.bind(task.as_bytes().to_vec());
    }
    let rows: Vec<QuestionRow> = query.fetch_all(readers).await?;
    rows.into_iter().map(QuestionRow::read).collect()
}

/// A question as an event of the feed tells of it.
#[derive(Deserialize)]
struct Told {
    number: u64,
    text: String,
    options: Vec<String>,
    answer: Option<String>,
    by: Option<String>,
}

/// What the feed says of a question asked or settled, in a sentence for people.
pub(super) fn told(json: &str, event: &Event) -> Result<String, StoreError> {
    let Told { number, text, options, answer, by } = rows::from_json(json, "question")?;
    Ok(match (event, answer.zip(by)) {
        (Event::Answered { .. }, Some((answer, by))) => format!("question {number}, by {by}: {answer}"),
        (Event::Answered { .. }, None) => format!("question {number}: nobody answered before its deadline"),
        _ if options.is_empty() => format!("question {number}: {text}"),
        _ => format!("question {number}: {text} [{}]", options.join(" | ")),
    })
}
