//! Asking people.

use std::time::Duration;

use factory_domain::{Notice, NoticeKind, QuestionId};
use factory_proto::v1;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, MetaObject, RequestMetaObject};
use rmcp::{schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::{Tools, with_news};
use crate::mcp::link::Trouble;
use crate::mcp::words;

/// In the result of `ask_user`, for programs: the agent is to end its turn.
pub const WAITING: &str = "factory/waiting";
const LONGEST_WAIT: Duration = Duration::from_secs(600);

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct AskUser {
    /// The question, in Markdown, with all that is needed to decide it: whoever answers does not see your work.
    /// Say what you found, what the choices are and which one you would take.
    question: String,
    /// For a choice: 2 to 20 short answers to choose from. Leave out where any answer will do.
    #[serde(default)]
    options: Vec<String>,
    /// What counts as the answer when the deadline has passed. Needs `deadline_minutes`.
    #[serde(default)]
    default: Option<String>,
    /// After so many minutes nobody is waited for any more. Leave out to wait for as long as it takes.
    #[serde(default)]
    deadline_minutes: Option<u32>,
}

/// What came of a question while the agent waited.
enum Asked {
    Closed(v1::Question),
    Open(v1::Question),
}

#[tool_router(router = questions, vis = "pub(super)")]
impl Tools {
    /// Ask the people you work for a question, and get their answer.
    ///
    /// Use it only where you cannot find out or decide by yourself and a wrong guess would cost much: requirements
    /// that contradict each other, a choice between products, something destructive, missing access. Do not ask for
    /// permission to go on, nor what the code, its history or memory_search can tell.
    ///
    /// Returns the answer when it comes within about a minute. Otherwise it tells you to end your turn: do so at
    /// once, and you are resumed in this same conversation when the answer is there, even days later. Where you
    /// have several questions, ask them one after the other before you end your turn.
    ///
    /// Example: {"question": "The importer drops rows without a date (1,204 of 90,000). Keep them?", "options":
    /// ["drop them", "keep them with no date"]}
    #[tool(annotations(title = "Ask the user", open_world_hint = true))]
    async fn ask_user(
        &self,
        Parameters(asked): Parameters<AskUser>,
        meta: RequestMetaObject,
    ) -> CallToolResult {
        let until = Instant::now() + self.seat.ask_wait();
        let question = self.once("ask_user", &asked, &meta, async |key| self.ask(&asked, key).await).await;
        let came = match question {
            Ok(question) => self.wait_for_answer(question, until).await,
            Err(trouble) => Err(trouble),
        };
        match came {
            Ok(Asked::Closed(question)) => self.tell_answer(question).await,
            Ok(Asked::Open(question)) => self.tell_to_wait(&question).await,
            Err(trouble) => self.answer(Err(trouble)).await,
        }
    }
}

impl Tools {
    async fn ask(&self, asked: &AskUser, key: String) -> Result<v1::Question, Trouble> {
        let request = v1::AskRequest {
            attempt: self.seat.attempt(),
            key,
            text: asked.question.clone(),
            options: asked.options.clone(),
            default_answer: asked.default.clone().unwrap_or_default(),
            deadline_ms: asked.deadline_minutes.map_or(0, |minutes| u64::from(minutes) * 60_000),
        };
        let asked = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.ask(request).await }
        });
        asked.await?.question.ok_or_else(|| Trouble::Refused("the answer names no question".to_owned()))
    }

    async fn wait_for_answer(&self, asked: v1::Question, until: Instant) -> Result<Asked, Trouble> {
        let id = id_of(&asked)?;
        let mut question = asked;
        while question.state() == v1::QuestionState::Open {
            let wait = until.saturating_duration_since(Instant::now()).min(LONGEST_WAIT);
            if wait.is_zero() {
                return Ok(Asked::Open(question));
            }
            question = match self.seat.question(id, wait).await {
                // It is asked; whether it is answered is found out later.
                Err(Trouble::Unreachable) => return Ok(Asked::Open(question)),
                found => found?,
            };
        }
        Ok(Asked::Closed(question))
    }

    async fn tell_answer(&self, question: v1::Question) -> CallToolResult {
        self.seat.look_for_news().await;
        let news = self.seat.news().await;
        let is_news = |notice: &Notice| {
            notice.kind == NoticeKind::Answer && notice.text.contains(question.answer.trim())
        };
        let said = if !question.answer.is_empty() && news.iter().any(is_news) {
            format!("Question {} is answered.", question.number)
        } else {
            words::closed_question(&question)
        };
        with_news(Ok(said), &news)
    }

    async fn tell_to_wait(&self, question: &v1::Question) -> CallToolResult {
        let noted = match id_of(question) {
            Ok(id) => self.seat.has_asked(id).await.map_err(|error| Trouble::Disk(error.to_string())),
            Err(trouble) => Err(trouble),
        };
        let mut result = self.answer(noted.map(|()| words::open_question(question))).await;
        let meta = json!({ (WAITING): question.number });
        result.meta = meta.as_object().cloned().map(MetaObject);
        result
    }
}

fn id_of(question: &v1::Question) -> Result<QuestionId, Trouble> {
    question.id.parse().map_err(|_| Trouble::Refused("the coordinator's answer names no question".to_owned()))
}
