//! One attempt at the endpoint: who it is, what it has not been told, which of its calls have no answer yet.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factory_domain::{AttemptId, BranchName, Notice, NoticeKind, Notices, QuestionId};
use factory_proto::convert::notice_from_wire;
use factory_proto::v1;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::access::Secret;
use super::asked;
use super::endpoint::Who;
use super::link::{Link, Trouble};
use super::mailbox::Mailbox;
use crate::blocking;
use crate::spool::SpoolDir;
use crate::uplink;

/// How long the coordinator is asked to wait for something to tell.
const LISTEN: Duration = Duration::from_secs(50);
/// How long an agent with news is kept waiting for more of it.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// How long the last word on what an agent was told may take.
const LAST_WORD: Duration = Duration::from_secs(3);

/// Everything done through a seat is done for its attempt, whatever a call says.
pub struct Seat {
    attempt: v1::AttemptRef,
    id: AttemptId,
    secret: Secret,
    spool: SpoolDir,
    link: Arc<Link>,
    mailbox: Mailbox,
    /// Up to where the coordinator knows that the agent was told.
    acknowledged: AtomicU64,
    /// News is fetched as it comes; otherwise when the agent calls, so that one that never does costs nothing.
    listens: bool,
    branch: Option<BranchName>,
    ask_wait: Duration,
    /// Keys of calls that may have been done, by what was called.
    unanswered: Mutex<HashMap<String, String>>,
    /// Guards the note of what was asked.
    asked: Arc<Mutex<()>>,
}

impl Seat {
    pub(super) fn new(
        attempt: v1::AttemptRef,
        secret: Secret,
        spool: SpoolDir,
        link: Arc<Link>,
        who: &Who,
        ask_wait: Duration,
    ) -> Self {
        Self {
            attempt,
            id: spool.attempt(),
            secret,
            spool,
            link,
            mailbox: Mailbox::new(who.told),
            acknowledged: AtomicU64::new(0),
            listens: who.listens,
            branch: who.branch.clone(),
            ask_wait,
            unanswered: Mutex::default(),
            asked: Arc::default(),
        }
    }

    pub fn id(&self) -> AttemptId {
        self.id
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// For every request: who speaks.
    pub fn attempt(&self) -> Option<v1::AttemptRef> {
        Some(self.attempt.clone())
    }

    /// The branch of its work; `None` without a repository.
    pub fn branch(&self) -> Option<&BranchName> {
        self.branch.as_ref()
    }

    pub fn link(&self) -> &Link {
        &self.link
    }

    /// How long a question is waited for before the agent is told to end its turn.
    pub fn ask_wait(&self) -> Duration {
        self.ask_wait
    }

    /// What the agent is told now.
    pub async fn news(&self) -> Vec<Notice> {
        // What is held may have been joined by more, which is only to be had once it has been told.
        if !self.listens || self.mailbox.is_held() {
            let _ = tokio::time::timeout(LAST_LOOK, self.look_for_news()).await;
        }
        self.mailbox.take()
    }

    /// Looks for news now, and leaves it at that where there is trouble: it comes later then.
    pub async fn look_for_news(&self) {
        let _ = self.listen(Duration::ZERO).await;
    }

    /// Keeps the mailbox filled until `ended`, and tells the coordinator what the agent was told.
    pub async fn keep_informed(&self, ended: &CancellationToken) {
        if self.listens {
            ended.run_until_cancelled(self.keep_listening()).await;
        }
        ended.cancelled().await;
        let told = self.mailbox.told() > self.acknowledged.load(Ordering::Relaxed);
        // What it was told last may not have been said yet: the next attempt would be told again.
        if told && tokio::time::timeout(LAST_WORD, self.listen(Duration::ZERO)).await.is_err() {
            tracing::warn!("the coordinator does not know what the agent was told last");
        }
    }

    async fn keep_listening(&self) {
        let mut pauses = uplink::pauses();
        loop {
            self.mailbox.empty().await;
            match self.listen(LISTEN).await {
                Ok(()) => pauses = uplink::pauses(),
                // The attempt goes on until its worker is told that it is over.
                Err(Trouble::Superseded | Trouble::NotOffered) => return,
                Err(trouble) => {
                    tracing::warn!(%trouble, "what the agent is to be told cannot be had; trying again");
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                }
            }
        }
    }

    async fn listen(&self, wait: Duration) -> Result<(), Trouble> {
        let told_up_to = self.mailbox.told();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let request = v1::NoticesRequest { attempt: self.attempt(), told_up_to, wait_ms };
        let found = self.link.call(wait, |mut agents| {
            let request = request.clone();
            async move { agents.notices(request).await }
        });
        let v1::NoticesResponse { notices, cursor } = found.await?;
        self.acknowledged.fetch_max(told_up_to, Ordering::Relaxed);
        let notices = notices.into_iter().filter_map(notice_from_wire).collect();
        self.mailbox.put(told_up_to, Notices { notices, cursor });
        Ok(())
    }

    /// Posts a message under a key that makes it one, however often it is posted.
    pub async fn post(&self, key: String, message: v1::NewMessage) -> Result<v1::Message, Trouble> {
        let request = v1::AgentPostMessageRequest { attempt: self.attempt(), key, message: Some(message) };
        let posted = self.link.call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.post_message(request).await }
        });
        posted.await?.message.ok_or_else(|| Trouble::Refused("the answer names no message".to_owned()))
    }

    /// The key under which a call is done once. A call made again, after one of which nothing is known, has
    /// the key of that one.
    pub fn key(&self, call: &str) -> String {
        self.unanswered().remove(call).unwrap_or_else(|| Uuid::new_v4().to_string())
    }

    /// Nothing is known of the call made under this key.
    pub fn leave_open(&self, call: String, key: String) {
        self.unanswered().insert(call, key);
    }

    fn unanswered(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent is about to be told to end its turn for this question.
    pub async fn has_asked(&self, question: QuestionId) -> io::Result<()> {
        let (guard, spool) = (Arc::clone(&self.asked), self.spool.clone());
        blocking::run(move || {
            let _guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
            asked::note(&spool, question)
        })
        .await
    }

    /// Whether an agent that has ended its turn did so to wait: for an answer that is not there, or that it has not
    /// been told. Where the coordinator cannot say, it waits: at worst it is resumed for nothing.
    pub async fn waits_for_answer(&self) -> bool {
        let spool = self.spool.clone();
        let asked = match blocking::run(move || asked::read(&spool)).await {
            Ok(asked) => asked,
            Err(error) => {
                tracing::error!(%error, "what the agent asked cannot be read; its turn counts as its last");
                return false;
            }
        };
        for question in &asked {
            match self.question(*question, Duration::ZERO).await {
                Ok(question) if question.state() != v1::QuestionState::Open => {}
                Ok(_) | Err(Trouble::Unreachable) => return true,
                Err(trouble) => tracing::warn!(%trouble, %question, "what became of a question is not known"),
            }
        }
        !asked.is_empty() && {
            self.look_for_news().await;
            self.mailbox.holds(NoticeKind::Answer)
        }
    }

    /// A question as it stands once it is closed, or after so long.
    pub async fn question(&self, question: QuestionId, wait: Duration) -> Result<v1::Question, Trouble> {
        let request = v1::AwaitAnswerRequest {
            attempt: self.attempt(),
            question_id: question.to_string(),
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        };
        let awaited = self.link.call(wait, |mut agents| {
            let request = request.clone();
            async move { agents.await_answer(request).await }
        });
        awaited.await?.question.ok_or_else(|| Trouble::Refused("the answer names no question".to_owned()))
    }
}
