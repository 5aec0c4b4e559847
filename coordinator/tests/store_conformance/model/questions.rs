//! What agents ask: the model's rules, and the same steps taken by a real store.

use std::time::Duration;

use factory_coordinator::store::{AnswerError, AskError, NewAnswer, NewQuestion, WhichQuestion};
use factory_domain::{Question, QuestionId, Timestamp};
use uuid::Uuid;

use super::Reopen;
use super::protocol::{Answer, Asked, Model, Refused, Stands, Untold};
use super::steps::Named;
use super::store::{UnderTest, attempt_id, worker_id};

impl Model {
    /// Asked by the holder of the live attempt; the same key of the same attempt asks once.
    pub fn ask(&mut self, worker: usize, named: Named, key: u8, within: Option<Duration>) -> Answer {
        let attempt = &self.attempts[named.attempt];
        let live = matches!(self.tasks[named.task].stands, Stands::Given { attempt, .. } if attempt == named.attempt);
        if (attempt.task, attempt.worker, live) != (named.task, worker, true) {
            return Answer::Refused(Refused::Superseded);
        }
        let same = |known: &Asked| (known.attempt, known.key) == (named.attempt, key);
        if let Some(known) = self.questions.iter().position(same) {
            return Answer::Asked(known);
        }
        let deadline = within.map(|within| self.now.after(within));
        self.questions.push(Asked { task: named.task, attempt: named.attempt, key, deadline, open: true });
        self.tell(named.task, Some(named.attempt), "asked");
        Answer::Asked(self.questions.len() - 1)
    }

    /// Once, and only while its task goes on.
    pub fn answer_question(&mut self, question: usize) -> Answer {
        if !self.questions[question].open {
            return Answer::Refused(Refused::Settled);
        }
        self.settle_question(question);
        Answer::Moved(self.state(self.questions[question].task))
    }

    /// Whom nobody answered in time is told that, in the order of their deadlines.
    pub fn expire_questions(&mut self) -> usize {
        let mut due: Vec<(Timestamp, usize)> =
            self.deadlines().filter(|(deadline, _)| *deadline <= self.now).collect();
        due.sort_unstable();
        due.iter().for_each(|(_, question)| self.settle_question(*question));
        due.len()
    }

    /// Of the questions that are open.
    pub fn deadlines(&self) -> impl Iterator<Item = (Timestamp, usize)> + '_ {
        let open = self.questions.iter().enumerate().filter(|(_, asked)| asked.open);
        open.filter_map(|(question, asked)| Some((asked.deadline?, question)))
    }

    pub fn open_questions(&self, task: usize) -> usize {
        self.questions.iter().filter(|asked| asked.open && asked.task == task).count()
    }

    /// A task that has ended asks nothing any more.
    pub fn withdraw_questions(&mut self, task: usize) {
        self.questions.iter_mut().filter(|asked| asked.task == task).for_each(|asked| asked.open = false);
    }

    /// The agent is to be told, and a task that waited for nothing else goes on.
    fn settle_question(&mut self, question: usize) {
        self.questions[question].open = false;
        let task = self.questions[question].task;
        self.tasks[task].untold.push(Untold::Answer(question));
        if self.tasks[task].stands == Stands::Waiting && self.open_questions(task) == 0 {
            self.stand(task, Stands::Queued);
        }
        self.tell(task, None, "answered");
    }
}

fn question_id(question: usize) -> QuestionId {
    QuestionId::from_uuid(Uuid::from_u128(5 << 64 | question as u128))
}

impl<S: Reopen> UnderTest<S> {
    pub fn ask(&mut self, worker: usize, named: Named, key: u8, within: Option<Duration>) -> Answer {
        let question = Question::new("Left or right?", &[], None, within).expect("it can be asked");
        let new = NewQuestion {
            id: question_id(self.questions),
            worker: worker_id(worker),
            task: self.tasks[named.task],
            attempt: attempt_id(named.attempt),
            key: format!("key-{key}"),
            question,
        };
        match self.runtime.block_on(self.store().ask(new, self.now)) {
            Ok(asked) => {
                let place = usize::try_from(asked.question.number - 1).expect("one of few");
                assert_eq!(asked.applied.is_some(), place == self.questions, "asked anew or found");
                self.questions = self.questions.max(place + 1);
                Answer::Asked(place)
            }
            Err(AskError::NotYours(_)) => Answer::Refused(Refused::Superseded),
            Err(error) => panic!("{error}"),
        }
    }

    pub fn answer_question(&self, task: usize, question: usize) -> Answer {
        let answer = NewAnswer {
            task: self.tasks[task],
            question: WhichQuestion::Id(question_id(question)),
            text: "left".into(),
            by: "someone".into(),
        };
        match self.runtime.block_on(self.store().answer(answer, self.now)) {
            Ok(answered) => Answer::Moved(answered.applied.state.name()),
            Err(AnswerError::Settled(_)) => Answer::Refused(Refused::Settled),
            Err(error) => panic!("{error}"),
        }
    }
}
