//! What an agent has not been told yet, held on the worker so that asking for it costs no call.
//!
//! The coordinator counts as told what a later call's `told_up_to` covers. So a notice waits here until it has
//! been handed to the agent, and only then does the cursor that is told move on: a worker that dies in between
//! tells it again, and none is lost.

use std::sync::{Mutex, MutexGuard, PoisonError};

use factory_domain::{Notice, NoticeKind, Notices};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Mailbox {
    content: Mutex<Content>,
    /// What was held has been handed over.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Content {
    /// The agent has been told all up to here.
    told: u64,
    held: Option<Notices>,
}

impl Mailbox {
    /// The agent begins with what comes up to `cursor`.
    pub fn new(cursor: u64) -> Self {
        Self { content: Mutex::new(Content { told: cursor, held: None }), emptied: Notify::new() }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn told(&self) -> u64 {
        self.content().told
    }

    /// Takes in what the coordinator answered to `told`. An answer to an older question has been overtaken.
    pub fn put(&self, told: u64, notices: Notices) {
        let mut content = self.content();
        let known = content.held.as_ref().map_or(content.told, |held| held.cursor);
        if content.told == told && notices.cursor > known && !notices.notices.is_empty() {
            content.held = Some(notices);
        }
    }

    /// What the agent is told now; it counts as told from here on.
    pub fn take(&self) -> Vec<Notice> {
        let mut content = self.content();
        let Some(held) = content.held.take() else { return Vec::new() };
        content.told = held.cursor;
        self.emptied.notify_one();
        held.notices
    }

    /// Whether there is something to hand over.
    pub fn is_held(&self) -> bool {
        self.content().held.is_some()
    }

    /// Whether something of this kind waits to be handed over.
    pub fn holds(&self, kind: NoticeKind) -> bool {
        let content = self.content();
        content.held.as_ref().is_some_and(|held| held.notices.iter().any(|notice| notice.kind == kind))
    }

    /// Waits until nothing is held.
    pub async fn empty(&self) {
        while self.content().held.is_some() {
            self.emptied.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices(texts: &[&str], cursor: u64) -> Notices {
        let notice = |text: &&str| Notice { kind: NoticeKind::Message, text: (*text).to_owned() };
        Notices { notices: texts.iter().map(notice).collect(), cursor }
    }

    fn taken(mailbox: &Mailbox) -> Vec<String> {
        mailbox.take().into_iter().map(|notice| notice.text).collect()
    }

    #[test]
    fn each_notice_is_handed_over_once_however_answers_cross() {
        let mailbox = Mailbox::new(3);
        mailbox.put(3, notices(&["a"], 4));
        // Asked at the same time, and answered with more.
        mailbox.put(3, notices(&["a", "b"], 5));
        mailbox.put(3, notices(&["a"], 4));
        assert_eq!(taken(&mailbox), ["a", "b"]);
        assert_eq!(mailbox.told(), 5);
        // Asked before they were handed over.
        mailbox.put(3, notices(&["a", "b"], 5));
        assert!(taken(&mailbox).is_empty());
    }

    #[test]
    fn an_answer_without_notices_tells_nothing() {
        let mailbox = Mailbox::new(0);
        mailbox.put(0, notices(&[], 7));
        assert!(taken(&mailbox).is_empty());
        assert_eq!(mailbox.told(), 0);
    }

    #[tokio::test]
    async fn whoever_asks_for_more_waits_until_the_agent_has_what_there_is() {
        let mailbox = Mailbox::new(0);
        mailbox.empty().await;
        mailbox.put(0, notices(&["a"], 1));
        let ((), taken) = tokio::join!(mailbox.empty(), async { taken(&mailbox) });
        assert_eq!(taken, ["a"]);
    }
}
