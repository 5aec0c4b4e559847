//! What agents ask: durable, answered once, and what the answer sets going.

use std::time::Duration;

use factory_coordinator::store::{
    AnswerError, Answered, AskError, Asked, Claimed, NewAnswer, NewQuestion, QuestionEntry, QuestionFilter,
    Store, WhichQuestion,
};
use factory_domain::{
    AttemptState, CancelReason, Event, FailureReason, NoticeKind, Outcome, Preference, Question, QuestionId,
    QuestionState, SpecDraft, TaskId, TaskState, Timestamp,
};
use uuid::Uuid;

use crate::bench::{Worker, apply, at, draft, failed, limited_until, state, story, submit};

const HOUR: Duration = Duration::from_secs(3600);

fn question(text: &str) -> Question {
    Question::new(text, &[], None, None).expect("it can be asked")
}

fn choice(options: &[&str], default_answer: Option<&str>) -> Question {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    Question::new("Which?", &options, default_answer, default_answer.map(|_| HOUR)).expect("it can be asked")
}

fn new(worker: &Worker, claimed: &Claimed, key: &str, question: Question) -> NewQuestion {
    NewQuestion {
        id: QuestionId::from_uuid(Uuid::now_v7()),
        worker: worker.id,
        task: claimed.task,
        attempt: claimed.attempt,
        key: key.to_owned(),
        question,
    }
}

async fn ask(
    store: &dyn Store,
    worker: &Worker,
    claimed: &Claimed,
    key: &str,
    question: Question,
) -> QuestionEntry {
    let Asked { question, applied } =
        store.ask(new(worker, claimed, key, question), at(1)).await.expect("asked");
    assert!(applied.is_some(), "it is a new one");
    question
}

fn to(task: TaskId, question: WhichQuestion, text: &str) -> NewAnswer {
    NewAnswer { task, question, text: text.to_owned(), by: "ada".to_owned() }
}

async fn answer(store: &dyn Store, open: &QuestionEntry, text: &str, now: Timestamp) -> Answered {
    let by_number = WhichQuestion::Number(open.number);
    store.answer(to(open.task, by_number, text), now).await.expect("answered")
}

/// Ends the turn of an agent that asked.
async fn ends_its_turn(store: &dyn Store, worker: &Worker, claimed: &Claimed) {
    store.report(worker.reports(claimed, Outcome::Asked), at(2)).await.expect("heard");
    let attempt = store.attempt(claimed.attempt).await.expect("read").expect("there");
    assert_eq!(attempt.state, AttemptState::Asked);
}

async fn told(store: &dyn Store, task: TaskId) -> Vec<String> {
    let notices = store.notices(task, 0).await.expect("read").notices;
    assert!(notices.iter().all(|notice| notice.kind == NoticeKind::Answer));
    notices.into_iter().map(|notice| notice.text).collect()
}

async fn open_questions(store: &dyn Store, task: TaskId) -> u32 {
    store.task(task).await.expect("read").expect("there").open_questions
}

async fn reread(store: &dyn Store, question: &QuestionEntry) -> QuestionEntry {
    store.question(question.id).await.expect("read").expect("there")
}

pub async fn a_question_is_asked_once_and_told_in_the_feed(store: &dyn Store) {
    let task = submit(store, SpecDraft { title: "Paint it".into(), ..draft("x") }).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let first = ask(store, &worker, &claimed, "k", choice(&["red", "blue"], Some("2"))).await;
    assert_eq!((first.number, first.task_number, first.task_title.as_str()), (1, 1, "Paint it"));
    assert_eq!((first.state, first.asked_at, first.settled_at), (QuestionState::Open, at(1), None));
    assert_eq!((first.deadline_at, first.default_answer.as_deref()), (Some(at(3601)), Some("blue")));
    assert_eq!(store.next_due().await.expect("read"), Some(at(60)), "the lease comes first");

    let again = store.ask(new(&worker, &claimed, "k", question("Which?")), at(5)).await.expect("found");
    assert_eq!((&again.question, again.applied.is_none()), (&first, true));
    let second = ask(store, &worker, &claimed, "l", question("And why?")).await;
    assert_eq!((second.number, open_questions(store, task).await), (2, 2));

    assert_eq!(state(store, task).await, "running", "the agent works on");
    assert_eq!(story(store, task).await[4..], ["asked", "asked"]);
    let events = store.events_after(0, &[task], 100).await.expect("read");
    let details: Vec<_> = events.into_iter().filter_map(|event| event.detail).collect();
    assert_eq!(details, ["question 1: Which? [red | blue]", "question 2: And why?"]);
}

pub async fn only_the_live_attempt_asks(store: &dyn Store) {
    submit(store, draft("x")).await;
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let claimed = worker.run_one(store, at(0)).await;
    let foreign = store.ask(new(&other, &claimed, "k", question("May I?")), at(1)).await;
    assert!(matches!(foreign, Err(AskError::NotYours(_))), "{foreign:?}");
    let elsewhere = submit(store, draft("y")).await;
    let crossed = NewQuestion { task: elsewhere, ..new(&worker, &claimed, "k", question("May I?")) };
    assert!(matches!(store.ask(crossed, at(1)).await, Err(AskError::NotYours(_))));
    store.report(worker.reports(&claimed, Outcome::Succeeded), at(2)).await.expect("heard");
    let late = store.ask(new(&worker, &claimed, "k", question("May I?")), at(3)).await;
    assert!(matches!(late, Err(AskError::NotYours(_))), "{late:?}");
    assert_eq!(open_questions(store, claimed.task).await, 0);
}

pub async fn an_answer_sends_a_waiting_task_back_to_where_its_work_is(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let open = ask(store, &worker, &claimed, "k", question("Left or right?")).await;
    ends_its_turn(store, &worker, &claimed).await;
    assert_eq!(state(store, task).await, "waiting");
    assert!(worker.claim(store, 1, at(3)).await.is_empty(), "nobody is given what waits");
    assert_eq!(store.workers().await.expect("read")[0].busy, 0, "and it holds no slot");
    assert_eq!(store.live_count().await.expect("counted"), 1);
    assert_eq!(store.next_due().await.expect("read"), None, "it waits for ever");

    let Answered { question, applied } = answer(store, &open, " left ", at(4)).await;
    assert_eq!((question.state, question.settled_at), (QuestionState::Answered, Some(at(4))));
    assert_eq!((question.answer.as_deref(), question.answered_by.as_deref()), (Some("left"), Some("ada")));
    assert_eq!(applied.state, TaskState::Queued);
    let kept = Preference { worker: worker.id, until: at(19) };
    assert_eq!(applied.prefers, Some(kept), "its conversation lies there");
    assert_eq!(store.task(task).await.expect("read").expect("there").prefers, Some(kept));
    let notices = told(store, task).await;
    assert!(notices[0].contains("> Left or right?") && notices[0].contains("> left"), "{notices:?}");

    let next = worker.run_one(store, at(5)).await;
    let continues = next.continues.expect("it goes on");
    assert_eq!(continues.from, claimed.attempt);
    assert_eq!(continues.because, "it asked something and ended its turn");
    let tally = store.task(task).await.expect("read").expect("there").tally;
    assert_eq!((tally.agent_failures, tally.infrastructure_failures), (0, 0), "it cost nothing");
    let details = store.events_after(0, &[task], 100).await.expect("read");
    let answered = details.iter().find(|event| event.kind == "answered").expect("told");
    assert_eq!(answered.detail.as_deref(), Some("question 1, by ada: left"));
}

pub async fn an_answer_to_an_agent_at_work_is_put_in_its_inbox(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let open = ask(store, &worker, &claimed, "k", question("Left or right?")).await;
    let applied = answer(store, &open, "left", at(2)).await.applied;
    assert_eq!((applied.state.name(), applied.prefers), ("running", None));
    assert_eq!(told(store, task).await.len(), 1);
    store.report(worker.reports(&claimed, Outcome::Succeeded), at(3)).await.expect("heard");
    assert_eq!(state(store, task).await, "succeeded");
}

pub async fn an_answer_that_comes_while_the_agent_ends_its_turn_is_not_waited_for(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let open = ask(store, &worker, &claimed, "k", question("Left or right?")).await;
    answer(store, &open, "left", at(1)).await;
    ends_its_turn(store, &worker, &claimed).await;
    assert_eq!(state(store, task).await, "queued");
    let prefers = store.task(task).await.expect("read").expect("there").prefers;
    assert_eq!(prefers, Some(Preference { worker: worker.id, until: at(17) }));
    assert_eq!(told(store, task).await.len(), 1, "the next attempt is told");
}

pub async fn a_task_waits_until_its_last_question_is_answered(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let first = ask(store, &worker, &claimed, "k", question("Left or right?")).await;
    let second = ask(store, &worker, &claimed, "l", question("Fast or slow?")).await;
    ends_its_turn(store, &worker, &claimed).await;
    match store.answer(to(task, WhichQuestion::Only, "left"), at(3)).await {
        Err(AnswerError::Several(numbers)) => assert_eq!(numbers, [1, 2]),
        other => panic!("{other:?}"),
    }
    let applied = answer(store, &second, "slow", at(3)).await.applied;
    assert_eq!((applied.state, applied.prefers), (TaskState::Waiting, None));
    assert_eq!(open_questions(store, task).await, 1);
    let applied = store.answer(to(task, WhichQuestion::Only, "left"), at(4)).await.expect("answered").applied;
    assert_eq!(applied.state, TaskState::Queued);
    assert_eq!(applied.prefers.map(|kept| kept.worker), Some(worker.id), "it was not forgotten in between");
    let notices = told(store, task).await;
    assert!(notices[0].contains("Fast") && notices[1].contains("Left"), "as they came: {notices:?}");
    assert_eq!(reread(store, &first).await.answer.as_deref(), Some("left"));
}

pub async fn a_question_is_answered_once_and_by_its_options(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let none = store.answer(to(task, WhichQuestion::Only, "red"), at(1)).await;
    assert!(matches!(none, Err(AnswerError::NoneOpen)), "{none:?}");
    let open = ask(store, &worker, &claimed, "k", choice(&["red", "blue"], None)).await;
    let by_id = WhichQuestion::Id(open.id);
    let refused = store.answer(to(task, by_id, "green"), at(1)).await.expect_err("none of them");
    assert!(refused.to_string().contains("1) red, 2) blue"), "{refused}");
    assert_eq!(reread(store, &open).await, open, "nothing has changed");

    let answered = store.answer(to(task, by_id, "2"), at(1)).await.expect("by its number");
    assert_eq!(answered.question.answer.as_deref(), Some("blue"));
    let again = store.answer(to(task, by_id, "red"), at(2)).await.expect_err("it is answered");
    assert_eq!(again.to_string(), "question 1 is answered already, by ada: blue");
    let other = submit(store, draft("y")).await;
    for which in [by_id, WhichQuestion::Number(1), WhichQuestion::Number(9)] {
        let stranger = store.answer(to(other, which, "red"), at(2)).await;
        assert!(matches!(stranger, Err(AnswerError::NoSuchQuestion(_))), "{stranger:?}");
    }
    assert_eq!(told(store, task).await.len(), 1);
}

pub async fn a_deadline_answers_by_the_default_or_says_that_nobody_did(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let with = ask(store, &worker, &claimed, "k", choice(&["red", "blue"], Some("red"))).await;
    let without = Question { deadline: Some(HOUR * 2), ..question("Why?") };
    let without = ask(store, &worker, &claimed, "l", without).await;
    ends_its_turn(store, &worker, &claimed).await;
    assert_eq!(store.next_due().await.expect("read"), Some(at(3601)));
    assert!(store.apply_due(at(3600)).await.expect("applied").is_empty());

    let applied = store.apply_due(at(3601)).await.expect("applied");
    assert_eq!((applied.len(), applied[0].state.name()), (1, "waiting"));
    let expired = reread(store, &with).await;
    assert_eq!(expired.state, QuestionState::Expired);
    assert_eq!((expired.answer.as_deref(), expired.answered_by.as_deref()), (Some("red"), Some("deadline")));
    let late = store.answer(to(task, WhichQuestion::Id(with.id), "blue"), at(3602)).await;
    assert!(matches!(late, Err(AnswerError::Settled(_))), "{late:?}");

    let applied = store.apply_due(at(9999)).await.expect("applied");
    assert_eq!((applied.len(), applied[0].state.name()), (1, "queued"));
    assert_eq!(reread(store, &without).await.answer, None);
    assert_eq!(store.next_due().await.expect("read"), None);
    let notices = told(store, task).await;
    assert!(notices[0].contains("is the answer:\n\n> red"), "{notices:?}");
    assert!(notices[1].contains("nobody will"), "{notices:?}");
}

pub async fn what_ends_a_task_withdraws_its_questions(store: &dyn Store) {
    let (cancelled, succeeded) = (submit(store, draft("x")).await, submit(store, draft("y")).await);
    let worker = Worker::register(store, &[]).await;
    let mut asked = Vec::new();
    for _ in 0..2 {
        let claimed = worker.run_one(store, at(0)).await;
        asked.push((ask(store, &worker, &claimed, "k", choice(&["a"], Some("a"))).await, claimed));
    }
    ends_its_turn(store, &worker, &asked[0].1).await;
    apply(store, cancelled, Event::CancelRequested, at(5)).await;
    let entry = store.task(cancelled).await.expect("read").expect("there");
    assert_eq!(entry.state, TaskState::Cancelled { because: CancelReason::Requested });
    // An agent that got on without its answer.
    store.report(worker.reports(&asked[1].1, Outcome::Succeeded), at(5)).await.expect("heard");
    assert_eq!(state(store, succeeded).await, "succeeded");

    for (question, claimed) in &asked {
        let withdrawn = reread(store, question).await;
        assert_eq!((withdrawn.state, withdrawn.settled_at), (QuestionState::Withdrawn, Some(at(5))));
        assert_eq!(open_questions(store, claimed.task).await, 0);
        let late = store.answer(to(claimed.task, WhichQuestion::Id(question.id), "a"), at(6)).await;
        assert_eq!(
            late.expect_err("refused").to_string(),
            format!("question {} is withdrawn: its task has ended", question.number)
        );
    }
    assert!(store.apply_due(at(99_999)).await.expect("applied").is_empty());
}

pub async fn a_question_outlives_the_attempt_that_asked(store: &dyn Store) {
    let task = submit(store, SpecDraft { max_attempts: Some(5), ..draft("x") }).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    let open = ask(store, &worker, &claimed, "k", question("Left or right?")).await;
    store.report(worker.reports(&claimed, failed(FailureReason::AgentError)), at(2)).await.expect("heard");
    assert_eq!((state(store, task).await, open_questions(store, task).await), ("parked", 1));
    // An answer wakes nobody before the time; the worker where the work lies is not forgotten for it.
    assert_eq!(answer(store, &open, "left", at(3)).await.applied.state.name(), "parked");
    let wake = store.next_due().await.expect("read").expect("a wake time");
    let woken = store.apply_due(wake).await.expect("applied");
    assert_eq!(woken[0].prefers.map(|kept| kept.worker), Some(worker.id));
    assert_eq!(told(store, task).await.len(), 1);

    // One that was lost had asked as well: the next one's own end is judged by both questions.
    let second = worker.run_one(store, wake).await;
    let lost = ask(store, &worker, &second, "k", question("Fast or slow?")).await;
    store.apply_due(wake.after(HOUR)).await.expect("unreachable");
    let lost_at = wake.after(HOUR * 2);
    assert_eq!(store.apply_due(lost_at).await.expect("lost")[0].state.name(), "parked");
    let wake = store.next_due().await.expect("read").expect("a wake time");
    store.apply_due(wake).await.expect("woken");
    let third = worker.run_one(store, wake).await;
    let late = Worker { ..worker };
    store.report(late.reports(&third, Outcome::Asked), wake).await.expect("heard");
    assert_eq!(state(store, task).await, "waiting");
    assert_eq!(answer(store, &lost, "slow", wake).await.applied.state.name(), "queued");
}

pub async fn questions_are_listed_in_pages(store: &dyn Store) {
    let tasks = [submit(store, draft("x")).await, submit(store, draft("y")).await];
    let worker = Worker::register(store, &[]).await;
    for task in tasks {
        let claimed = worker.run_one(store, at(0)).await;
        assert_eq!(claimed.task, task);
        for key in ["k", "l"] {
            ask(store, &worker, &claimed, key, question("Well?")).await;
        }
        store.report(worker.reports(&claimed, limited_until(9)), at(2)).await.expect("heard");
    }
    store.answer(to(tasks[0], WhichQuestion::Number(1), "yes"), at(3)).await.expect("answered");
    let list = async |all, task, beyond, limit| -> Vec<u64> {
        let filter = QuestionFilter { task, all, beyond, limit };
        let found = store.questions(filter).await.expect("read");
        found.into_iter().map(|question| question.number).collect()
    };
    assert_eq!(list(false, None, None, 2).await, [2, 3], "open ones, oldest first");
    assert_eq!(list(false, None, Some(3), 2).await, [4]);
    assert_eq!(list(true, None, None, 3).await, [4, 3, 2], "all, newest first");
    assert_eq!(list(true, None, Some(2), 3).await, [1]);
    assert_eq!(list(false, Some(tasks[0]), None, 9).await, [2]);
    assert_eq!(list(true, Some(tasks[0]), None, 9).await, [2, 1]);
}
