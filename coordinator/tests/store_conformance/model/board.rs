//! What is said on the board, and whom it is told to: the rule, the store's verb, and the comparison.

use factory_coordinator::store::NewMessage;
use factory_domain::{MessageId, MessageType, Recipient, TaskId};
use uuid::Uuid;

use super::Reopen;
use super::protocol::{Answer, Model, Stands, Untold};
use super::store::UnderTest;

impl Model {
    /// A message to one is told to it while it has not ended; one to all, to those whose agents have
    /// begun and are wanted. Under a key used before nothing is said.
    pub fn say(&mut self, to: Option<usize>, key: Option<u8>) -> Answer {
        if let Some(earlier) = self.board.iter().position(|known| key.is_some() && *known == key) {
            return Answer::Said(earlier as u64 + 1);
        }
        self.board.push(key);
        let number = self.board.len() as u64;
        for (place, task) in self.tasks.iter_mut().enumerate() {
            let is_told = match to {
                Some(to) => to == place,
                None => {
                    task.tally.attempts > 0 && !matches!(task.stands, Stands::Given { unwanted: true, .. })
                }
            };
            if is_told && task.ended_at.is_none() {
                task.untold.push(Untold::Message(number));
            }
        }
        Answer::Said(number)
    }
}

impl<S: Reopen> UnderTest<S> {
    pub fn say(&self, to: Option<usize>, key: Option<u8>) -> Answer {
        let message = NewMessage {
            id: MessageId::from_uuid(Uuid::now_v7()),
            from: "user".into(),
            from_task: None,
            from_attempt: None,
            to: to.map_or(Recipient::All, |task| Recipient::Task(self.tasks[task])),
            kind: MessageType::Info,
            content: "x".into(),
            reply_to: None,
            key: key.map(|key| format!("key-{key}")),
        };
        Answer::Said(self.runtime.block_on(self.store().post(message, self.now)).expect("posted").number)
    }

    pub fn told(&self, task: TaskId) -> Answer {
        self.runtime.block_on(async {
            let cursor = self.store().notices(task, 0).await.expect("read").cursor;
            self.store().note_told(task, cursor).await.expect("noted");
        });
        Answer::Done
    }

    /// Each agent is to be told of what the model says, in that order, and of each thing once.
    pub async fn compare_inbox(&self, model: &Model, task: usize) {
        let inbox = self.store().notices(self.tasks[task], 0).await.expect("read").notices;
        let untold = &model.tasks[task].untold;
        assert_eq!(inbox.len(), untold.len(), "what task {task} is to be told");
        for (notice, wanted) in inbox.iter().zip(untold) {
            let begins = match wanted {
                Untold::Message(number) => format!("Message {number} "),
                Untold::Answer(question) => format!("Your question {} ", question + 1),
            };
            assert!(notice.text.starts_with(&begins), "{} is not {wanted:?}", notice.text);
        }
    }
}
