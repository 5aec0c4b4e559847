//! What agents ask and say, and what people answer.

use factory_proto::v1;
use reqwest::StatusCode;

use crate::browser::Browser;
use crate::setup::{Factory, Worker, prompt, soon};

const HOSTILE: &str = "<img src=x onerror=alert(1)> {{ 7 * 7 }}";

async fn ask(worker: &Worker, offer: &v1::Offer, text: &str, options: &[&str]) {
    let attempt = v1::AttemptRef {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
    };
    let request = v1::AskRequest {
        attempt: Some(attempt),
        key: text.to_owned(),
        text: text.to_owned(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        ..Default::default()
    };
    soon(worker.client().agents().ask(request)).await.expect("asked");
}

#[tokio::test]
async fn questions_are_answered_by_a_button_or_in_words_from_either_page() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    browser.get("/questions").await.shows("No agent waits for an answer");
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    ask(&worker, &offer, "Left or right?", &["left", "right"]).await;
    ask(&worker, &offer, HOSTILE, &[]).await;
    for path in ["/questions", "/tasks/1"] {
        let page = browser.get(path).await;
        page.shows("<button name=\"option\" value=\"left\">");
        page.lacks("<img src=x");
        page.shows("action=\"/questions/2/answer\"");
    }
    let answered =
        browser.post("/tasks/1", "/questions/1/answer", &[("task", "1"), ("option", "left")]).await;
    assert_eq!(answered.to(), "/tasks/1");
    let answered =
        browser.post("/questions", "/questions/2/answer", &[("task", "1"), ("text", HOSTILE)]).await;
    assert_eq!(answered.to(), "/questions");
    let page = browser.get("/questions").await;
    page.shows("No agent waits for an answer");
    page.shows("Left or right?");
    page.lacks("<img src=x");
    let twice =
        browser.post("/questions", "/questions/1/answer", &[("task", "1"), ("option", "right")]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn messages_are_posted_once_answered_in_their_thread_and_found() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    browser.get("/messages").await.shows("Nobody has said anything yet");
    let draft = [("content", HOSTILE), ("type", "info"), ("to", "all"), ("key", "k1"), ("from", "ada")];
    assert_eq!(browser.post("/messages", "/messages", &draft).await.to(), "/messages#message-1");
    assert_eq!(browser.post("/messages", "/messages", &draft).await.to(), "/messages#message-1");
    let reply = [("content", "Agreed"), ("type", "status"), ("reply_to", "1"), ("key", "k2")];
    assert_eq!(browser.post("/messages/1", "/messages", &reply).await.to(), "/messages/1#message-2");

    let board = browser.get("/messages").await;
    board.shows("1 reply");
    board.shows("<bdi>ada</bdi>");
    board.lacks("<img src=x");
    let thread = browser.get("/messages/2").await;
    thread.shows("id=\"message-1\"");
    thread.shows("Agreed");
    thread.lacks("<img src=x");
    let found = browser.get("/messages?search=agreed&type=status").await;
    found.shows("id=\"message-2\"");
    found.lacks("id=\"message-1\"");
    browser.get("/messages?search=nowhere").await.shows("No message is like that");
    assert_eq!(browser.get("/messages?type=nonsense").await.status, StatusCode::BAD_REQUEST);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_posted_is_shown_again_as_it_was_typed() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let draft = [("content", "keep <this>"), ("type", "info"), ("to", "Not A Role"), ("key", "k1")];
    let page = browser.post("/messages", "/messages", &draft).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    page.shows("class=\"error\"");
    page.shows("keep &lt;this&gt;");
    page.shows("value=\"Not A Role\"");
    let away = [("content", "x"), ("type", "info"), ("reply_to", "1/../../evil"), ("key", "k2")];
    assert_eq!(browser.post("/messages", "/messages", &away).await.status, StatusCode::NOT_FOUND);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn the_board_is_read_in_pages() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    for number in 0..60 {
        let (content, key) = (format!("Message {number}"), format!("k{number}"));
        let draft = [("content", content.as_str()), ("type", "info"), ("key", key.as_str())];
        browser.post("/messages", "/messages", &draft).await;
    }
    let page = browser.get("/messages?type=info").await;
    assert_eq!(page.html.matches("<article").count(), 50);
    let next = page.html.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let next = next.expect("a next page").replace("&amp;", "&").replace("&#x2f;", "/");
    let page = browser.get(&next).await;
    assert_eq!(page.html.matches("<article").count(), 10);
    page.shows("Newest");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn what_was_handed_on_and_said_is_shown_with_the_task_too() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    browser.get("/handoffs").await.shows("Nothing was handed on yet");
    factory.submit(prompt("Work")).await;
    let handoff = v1::NewHandoff {
        from_task: "1".to_owned(),
        context: HOSTILE.to_owned(),
        artifacts: vec!["src/<b>.rs".to_owned()],
        ..Default::default()
    };
    let request = v1::CreateHandoffRequest { handoff: Some(handoff), ..Default::default() };
    soon(factory.client.board().create_handoff(request)).await.expect("kept");
    let draft = [("content", HOSTILE), ("type", "error"), ("to", "task:1"), ("key", "k1")];
    browser.post("/messages", "/messages", &draft).await;
    for path in ["/handoffs", "/handoffs?task=1", "/tasks/1"] {
        let page = browser.get(path).await;
        page.shows("whatever depends on it");
        page.shows("&lt;img src=x");
        page.lacks("<img src=x");
    }
    browser.get("/tasks/1").await.shows("id=\"message-1\"");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_workflow_is_started_by_the_form_shown_step_by_step_and_cancelled() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let list = browser.get("/workflows").await;
    list.shows("No workflow yet");
    list.shows("<option value=\"code_review\"");
    let bad = [("name", "code_review"), ("description", "keep <this>"), ("agent", "nobody"), ("key", "k1")];
    let page = browser.post("/workflows", "/workflows", &bad).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    page.shows("class=\"error\"");
    page.shows("keep &lt;this&gt;");
    let good = [("name", "code_review"), ("description", HOSTILE), ("agent", "scripted"), ("key", "k2")];
    assert_eq!(browser.post("/workflows", "/workflows", &good).await.to(), "/workflows/1");
    assert_eq!(browser.post("/workflows", "/workflows", &good).await.to(), "/workflows/1");
    let page = browser.get("/workflows/1").await;
    page.shows("Round 1");
    page.shows("step-ahead");
    page.shows("then back to");
    page.lacks("<img src=x");
    assert_eq!(browser.post("/workflows/1", "/workflows/1/cancel", &[]).await.to(), "/workflows/1");
    let page = browser.get("/workflows?state=running").await;
    page.lacks("<img src=x");
    assert_eq!(browser.get("/workflows?state=nonsense").await.status, StatusCode::BAD_REQUEST);
    factory.coordinator.shutdown().await;
}
