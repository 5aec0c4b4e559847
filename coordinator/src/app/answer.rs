//! Someone answers what an agent asked, and looks what there is to answer.

use factory_domain::QuestionId;

use super::{App, Error};
use crate::store::{Answered, NewAnswer, QuestionEntry, QuestionFilter, WhichQuestion};

const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;
/// Bytes of a name that people give themselves.
const MAX_NAME: usize = 200;

#[derive(Debug, Default)]
pub struct QuestionsRequest {
    /// Id, prefix or number; `None`: of all tasks.
    pub task: Option<String>,
    /// Those that are settled as well, newest first.
    pub all: bool,
    /// 0: the default.
    pub page_size: u32,
    /// Empty: the first page.
    pub page_token: String,
}

#[derive(Debug)]
pub struct QuestionsPage {
    pub questions: Vec<QuestionEntry>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl App {
    /// Answers an open question of a task; `question`: its id or number, or empty where it is the only
    /// one. Once this returns the agent is told, or is on its way back to be.
    pub async fn answer(
        &self,
        task: &str,
        question: &str,
        text: String,
        by: &str,
    ) -> Result<QuestionEntry, Error> {
        let by = by.trim();
        if by.len() > MAX_NAME || by.chars().any(char::is_control) {
            return Err(Error::invalid("by", format!("must be one line of at most {MAX_NAME} bytes")));
        }
        let by = if by.is_empty() { "someone" } else { by }.to_owned();
        let (task, question) = (self.store.resolve(task).await?, which(question)?);
        let answer = NewAnswer { task, question, text, by };
        let Answered { question, applied } = self.store.answer(answer, self.clock.now()).await?;
        tracing::info!(task = %applied.task, question = question.number, "a question is answered");
        self.settle(&applied);
        Ok(question)
    }

    /// Answers an open question, whichever task it is of; by id or number.
    pub async fn answer_question(&self, name: &str, text: String, by: &str) -> Result<QuestionEntry, Error> {
        let question = self.question(name).await?;
        self.answer(&question.task.to_string(), &question.id.to_string(), text, by).await
    }

    /// By id or number.
    pub async fn question(&self, name: &str) -> Result<QuestionEntry, Error> {
        let found = match name.parse::<u64>() {
            Ok(number) => {
                let beyond = Some(number.saturating_add(1));
                let filter = QuestionFilter { task: None, all: true, beyond, limit: 1 };
                self.store.questions(filter).await?.pop().filter(|found| found.number == number)
            }
            Err(_) => match name.parse() {
                Ok(id) => self.store.question(id).await?,
                Err(_) => None,
            },
        };
        found.ok_or_else(|| Error::UnknownQuestion(name.to_owned()))
    }

    pub async fn questions(&self, request: QuestionsRequest) -> Result<QuestionsPage, Error> {
        let task = match request.task {
            Some(name) => Some(self.store.resolve(&name).await?),
            None => None,
        };
        let limit = match request.page_size {
            0 => DEFAULT_PAGE,
            size if size <= MAX_PAGE => size,
            size => return Err(Error::invalid("page_size", format!("is {size}; at most {MAX_PAGE}"))),
        };
        let beyond = match request.page_token.as_str() {
            "" => None,
            token => {
                Some(token.parse().map_err(|_| Error::invalid("page_token", "is from no earlier page"))?)
            }
        };
        let filter = QuestionFilter { task, all: request.all, beyond, limit: limit + 1 };
        let mut questions = self.store.questions(filter).await?;
        let more = questions.len() > limit as usize;
        questions.truncate(limit as usize);
        let last = questions.last().filter(|_| more);
        let next_page_token = last.map(|last| last.number.to_string()).unwrap_or_default();
        Ok(QuestionsPage { questions, next_page_token })
    }
}

fn which(name: &str) -> Result<WhichQuestion, Error> {
    if name.is_empty() {
        return Ok(WhichQuestion::Only);
    }
    if let Ok(number) = name.parse() {
        return Ok(WhichQuestion::Number(number));
    }
    let id: Result<QuestionId, _> = name.parse();
    id.map(WhichQuestion::Id).map_err(|_| Error::invalid("question", "is neither a number nor an id"))
}
