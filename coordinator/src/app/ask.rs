//! An agent asks a person something, and waits a while for the answer.

use std::time::Duration;

use factory_domain::question::MAX_KEY;
use factory_domain::{Question, QuestionId, QuestionState};
use uuid::Uuid;

use super::{Acting, App, Error, FieldViolation};
use crate::store::{Asked, NewQuestion, QuestionEntry};

/// How long one call waits at most.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

impl App {
    /// Makes a question durable. The same `key` of the same attempt finds the first.
    pub async fn ask(&self, acting: &Acting, key: &str, question: Question) -> Result<QuestionEntry, Error> {
        check_key(key)?;
        let new = NewQuestion {
            id: QuestionId::from_uuid(Uuid::now_v7()),
            worker: acting.worker,
            task: acting.task,
            attempt: acting.attempt,
            key: key.to_owned(),
            question,
        };
        let Asked { question, applied } = self.store.ask(new, self.clock.now()).await?;
        if let Some(applied) = applied {
            tracing::info!(task = %acting.task, question = question.number, "an agent asks");
            self.settle(&applied);
            if let Some(deadline) = question.deadline_at {
                self.due.set(deadline);
            }
        }
        Ok(question)
    }

    /// The question as it stands once it is settled, or after `wait`.
    pub async fn await_answer(
        &self,
        acting: &Acting,
        id: QuestionId,
        wait: Duration,
    ) -> Result<QuestionEntry, Error> {
        let deadline = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            let told = self.told.notified();
            let question = self.store.question(id).await?.filter(|found| found.task == acting.task);
            let question = question.ok_or_else(|| Error::NoSuchQuestion(id.to_string()))?;
            if question.state != QuestionState::Open {
                return Ok(question);
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep_until(deadline) => return Ok(question),
                () = self.stopping.cancelled() => return Err(Error::Stopping),
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    let why = match key.len() {
        0 => "is empty".to_owned(),
        1..=MAX_KEY => return Ok(()),
        _ => format!("is longer than {MAX_KEY} bytes"),
    };
    Err(Error::Invalid(vec![FieldViolation::new("key", why)]))
}
