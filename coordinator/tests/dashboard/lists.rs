//! `/tasks`: filters, pages, trees, and texts that would like to be more than texts.

use factory_proto::v1;
use reqwest::StatusCode;

use crate::browser::Browser;
use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};

/// Titles that try to become markup, template code, or to turn the page's text around.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "\u{202e}gnp.exe",
    "\"><img src=x onerror=alert(1)>",
];

fn titled(title: &str) -> v1::TaskSpec {
    v1::TaskSpec { title: title.to_owned(), ..prompt("Go") }
}

#[tokio::test]
async fn titles_are_texts_whatever_they_hold() {
    let factory = Factory::start().await;
    factory.try_submit(HOSTILE.map(titled).to_vec()).await.expect("accepted");
    let page = Browser::of(&factory.coordinator).get("/tasks").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    page.lacks("<script>");
    page.lacks("<img src=x");
    page.shows("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;");
    page.shows("{{ 7 * 7 }}{% raw %}");
    // Turned around within its own element, and nowhere else.
    page.shows("<bdi>\u{202e}gnp.exe</bdi>");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_page_of_very_many_tasks_is_short_and_leads_to_the_next() {
    const TASKS: usize = 10_000;
    let factory = Factory::start().await;
    for _ in 0..TASKS / 1000 {
        factory.try_submit(vec![titled("One of many"); 1000]).await.expect("accepted");
    }
    let browser = Browser::of(&factory.coordinator);
    let first = browser.get("/tasks").await;
    assert_eq!(first.html.matches("<tr id=\"task-").count(), 50);
    first.shows("id=\"task-10000\"");
    assert!(first.html.len() < 200_000, "{} bytes", first.html.len());
    let older = first.html.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let older = older.expect("a next page").replace("&#x2f;", "/").replace("&amp;", "&");
    let second = browser.get(&older).await;
    second.shows("id=\"task-9950\"");
    second.lacks("id=\"task-9951\"");
    second.shows(">Newest</a>");
    let tree = browser.get("/tasks?tree=1").await;
    assert_eq!(tree.html.matches("<tr id=\"task-").count(), 200);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_list_is_narrowed_and_keeps_what_it_is_narrowed_to() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    for (title, report) in [("Went well", succeeded(0)), ("Went wrong", failed("agent_error", 0))] {
        factory.submit(v1::TaskSpec { max_attempts: Some(1), ..titled(title) }).await;
        let offer = worker.run().await;
        worker.report(&offer, report).await;
    }
    factory.submit(titled("To come")).await;
    let browser = Browser::of(&factory.coordinator);
    for (query, shown, hidden) in [
        ("status=done", "Went well", ["Went wrong", "To come"]),
        ("status=failed", "Went wrong", ["Went well", "To come"]),
        ("state=queued", "To come", ["Went well", "Went wrong"]),
    ] {
        let page = browser.get(&format!("/tasks?{query}")).await;
        page.shows(shown);
        hidden.iter().for_each(|title| page.lacks(title));
        page.shows("aria-current=\"true\"");
    }
    let failed = browser.get("/tasks?status=failed").await;
    failed.shows("It broke");
    failed.shows("action=\"/tasks/2/retry\"");
    browser.get("/tasks?role=coder").await.shows("No task matches");
    for wrong in ["status=lost", "state=sleeping", "status=done&state=queued", "page_token=x", "parent=9"] {
        let page = browser.get(&format!("/tasks?{wrong}")).await;
        assert!(page.status.is_client_error(), "{wrong}: {}", page.status);
        page.shows("Go back</a>");
        page.shows("<html");
    }
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn children_stand_below_their_parents() {
    let factory = Factory::start().await;
    factory.submit(titled("Parent")).await;
    factory.submit(titled("Bystander")).await;
    for title in ["First child", "Second child"] {
        let task =
            v1::NewTask { spec: Some(titled(title)), parent: "1".to_owned(), ..v1::NewTask::default() };
        soon(factory.client.tasks().submit(v1::SubmitRequest { tasks: vec![task] })).await.expect("accepted");
    }
    let browser = Browser::of(&factory.coordinator);
    let order = |html: &str| -> Vec<String> {
        let rows = html.split("<tr id=\"task-").skip(1);
        rows.filter_map(|row| row.split('"').next()).map(str::to_owned).collect()
    };
    assert_eq!(order(&browser.get("/tasks").await.html), ["4", "3", "2", "1"]);
    let tree = browser.get("/tasks?tree=1").await;
    assert_eq!(order(&tree.html), ["2", "1", "3", "4"]);
    assert_eq!(tree.html.matches("class=\"indent\"").count(), 2);
    assert_eq!(order(&browser.get("/tasks?parent=1").await.html), ["4", "3"]);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn where_there_is_nothing_the_page_says_how_to_begin() {
    let factory = Factory::start().await;
    let page = Browser::of(&factory.coordinator).get("/tasks").await;
    page.shows("No tasks yet");
    page.shows("factoryctl submit");
    factory.coordinator.shutdown().await;
}
