//! What agents ask, from the asking to the next attempt that is told.

use factory_proto::client::Client;
use factory_proto::v1;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::setup::{Factory, Worker, hello, prompt, soon, succeeded};

fn attempt(worker: &Worker, offer: &v1::Offer) -> Option<v1::AttemptRef> {
    Some(v1::AttemptRef {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
    })
}

fn question(worker: &Worker, offer: &v1::Offer, key: &str) -> v1::AskRequest {
    v1::AskRequest {
        attempt: attempt(worker, offer),
        key: key.to_owned(),
        text: "Left or right?".to_owned(),
        options: vec!["left".to_owned(), "right".to_owned()],
        ..Default::default()
    }
}

async fn ask(worker: &Worker, request: v1::AskRequest) -> Result<v1::Question, Status> {
    let response = soon(worker.client().agents().ask(request)).await?;
    Ok(response.into_inner().question.expect("a question"))
}

async fn await_answer(
    worker: &Worker,
    offer: &v1::Offer,
    id: &str,
    wait_ms: u64,
) -> Result<v1::Question, Status> {
    let request =
        v1::AwaitAnswerRequest { attempt: attempt(worker, offer), question_id: id.to_owned(), wait_ms };
    Ok(soon(worker.client().agents().await_answer(request)).await?.into_inner().question.expect("a question"))
}

async fn answer(client: &Client, task: &str, question: &str, text: &str) -> Result<v1::Question, Status> {
    let request = v1::AnswerRequest {
        task: task.to_owned(),
        question: question.to_owned(),
        text: text.to_owned(),
        by: "ada".to_owned(),
    };
    Ok(soon(client.board().answer(request)).await?.into_inner().question.expect("a question"))
}

async fn list(client: &Client, all: bool) -> Vec<v1::Question> {
    let request = v1::ListQuestionsRequest { all, ..Default::default() };
    soon(client.board().list_questions(request)).await.expect("a list").into_inner().questions
}

fn asked() -> v1::Report {
    v1::Report { outcome: v1::OutcomeKind::Asked.into(), ..succeeded(0) }
}

#[tokio::test]
async fn an_agent_that_waits_hears_the_answer_at_once() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Go")).await;
    let offer = worker.run().await;
    let open = ask(&worker, question(&worker, &offer, "k")).await.expect("asked");
    assert_eq!((open.number, open.state(), open.task_number), (1, v1::QuestionState::Open, 1));
    assert_eq!(list(&factory.client, false).await, std::slice::from_ref(&open));
    assert_eq!(factory.get("1").await.task.expect("a task").open_questions, 1);

    let unanswered = await_answer(&worker, &offer, &open.id, 1).await.expect("as it stands");
    assert_eq!(unanswered.state(), v1::QuestionState::Open);
    let waiting = await_answer(&worker, &offer, &open.id, 600_000);
    let answering = answer(&factory.client, "1", "", "2");
    let (heard, answered) = tokio::join!(waiting, answering);
    let heard = heard.expect("heard");
    assert_eq!((heard.answer.as_str(), heard.answered_by.as_str()), ("right", "ada"));
    assert_eq!(heard, answered.expect("answered"));
    assert!(list(&factory.client, false).await.is_empty());
    assert_eq!(list(&factory.client, true).await, [heard]);
}

#[tokio::test]
async fn a_task_waits_through_a_restart_and_goes_on_with_the_answer() {
    let factory = Factory::start().await;
    let words = hello(Uuid::now_v7());
    let mut worker = Worker::connect_as(&factory.client, words.clone()).await.expect("welcome");
    factory.submit(prompt("Go")).await;
    let offer = worker.run().await;
    ask(&worker, question(&worker, &offer, "k")).await.expect("asked");
    worker.report(&offer, asked()).await;
    assert_eq!(factory.state("1").await, v1::TaskState::Waiting);
    let late = ask(&worker, question(&worker, &offer, "l")).await.expect_err("it has ended its turn");
    assert_eq!(late.code(), Code::FailedPrecondition, "{late}");
    drop(worker);

    let factory = factory.restart().await;
    assert_eq!(factory.state("1").await, v1::TaskState::Waiting);
    let refused = answer(&factory.client, "1", "1", "straight on").await.expect_err("no such option");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("1) left, 2) right"), "{refused}");
    answer(&factory.client, "1", "", "left").await.expect("answered");
    let again = answer(&factory.client, "1", "1", "right").await.expect_err("answered before");
    assert_eq!(again.code(), Code::FailedPrecondition);
    assert!(again.message().contains("by ada: left"), "{again}");

    let mut worker = Worker::connect_as(&factory.client, words).await.expect("welcome");
    let next = worker.run().await;
    let continues = next.continues.clone().expect("it goes on");
    assert_eq!(continues.attempt_id, offer.attempt_id);
    let brief = next.brief.clone().expect("a brief");
    assert_eq!(brief.notices.len(), 1);
    assert_eq!(brief.notices[0].kind(), v1::NoticeKind::Answer);
    assert!(brief.notices[0].text.contains("> left"), "{}", brief.notices[0].text);
    worker.report(&next, succeeded(0)).await;
    assert_eq!(factory.state("1").await, v1::TaskState::Succeeded);
}

#[tokio::test]
async fn a_deadline_sends_a_waiting_task_on_by_itself() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Go")).await;
    let offer = worker.run().await;
    let request = v1::AskRequest {
        default_answer: "right".to_owned(),
        deadline_ms: 30,
        ..question(&worker, &offer, "k")
    };
    let open = ask(&worker, request).await.expect("asked");
    assert_eq!(open.deadline_at_ms, open.asked_at_ms + 30);
    let expired = await_answer(&worker, &offer, &open.id, 600_000).await.expect("told");
    assert_eq!((expired.state(), expired.answer.as_str()), (v1::QuestionState::Expired, "right"));
    assert_eq!(expired.answered_by, "deadline");

    let request = v1::AskRequest { deadline_ms: 300, ..question(&worker, &offer, "l") };
    ask(&worker, request).await.expect("asked");
    worker.report(&offer, asked()).await;
    let next = worker.run().await;
    let notices = next.brief.expect("a brief").notices;
    assert!(notices[0].text.contains("> right") && notices[1].text.contains("nobody will"), "{notices:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_said_by_field() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Go")).await;
    let offer = worker.run().await;
    for (wrong, field) in [
        (v1::AskRequest { text: " ".to_owned(), ..question(&worker, &offer, "k") }, "text"),
        (question(&worker, &offer, ""), "key"),
        (
            v1::AskRequest { default_answer: "up".to_owned(), ..question(&worker, &offer, "k") },
            "default_answer",
        ),
        (v1::AskRequest { attempt: None, ..question(&worker, &offer, "k") }, "attempt"),
    ] {
        let refused = ask(&worker, wrong).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(field), "{refused}");
    }
    let unknown = answer(&factory.client, "1", "7", "left").await.expect_err("there is none");
    assert_eq!(unknown.code(), Code::NotFound);
    let none = answer(&factory.client, "1", "", "left").await.expect_err("there is none");
    assert_eq!(none.code(), Code::FailedPrecondition);
}
