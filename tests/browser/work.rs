//! A day at the dashboard: submit, follow, answer, cancel, see what waits for what, drain, post.

use factory_proto::v1::{NewMessage, PostMessageRequest};
use factory_tests::harness::{soon, task};

use crate::stage::{Stage, scripted};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_submitted_followed_and_answered_in_the_browser() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    browser.click("a[href='/tasks/new']").await;
    browser.is_at("/tasks/new").await;
    let script = "say The first words\nask: Shall I go on?\nwrite made.txt by hand\ncommit Make it\nsay The last words";
    browser.write("#prompt", script).await;
    browser.write("#title", "Made in a browser").await;
    browser.write("#repo", &stage.origin.source()).await;
    let agent = browser.find("#agent").await;
    soon("a choice", agent.select_by_label("scripted")).await.expect("the agent is there");
    browser.click("main form .primary").await;

    browser.is_at("/tasks/1").await;
    browser.says("h1", "Made in a browser").await;
    browser.says("#log-lines", "The first words").await;
    browser.says("#task-state .question", "Shall I go on?").await;
    browser.says("#nav .count", "1").await;
    browser.write(".question textarea", "By all means").await;
    browser.click(".question .primary").await;
    browser.says("#task-head .state", "succeeded").await;
    browser.says("#log-lines", "The last words").await;
    browser
        .until(
            "no question",
            "!document.querySelector('.question') && !document.querySelector('#nav .count')",
        )
        .await;
    browser.says("#task-questions", "By all means").await;
    browser.says("#task-changes", "made.txt").await;
    browser.click("#task-changes a[href*='/diff']").await;
    browser.says("main", "by hand").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_task_is_cancelled_once_that_was_asked_about() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    task::submit_one(&stage.client, scripted("Run on", "say Working\nsleep 600000")).await;
    stage.open("/tasks/1").await;
    browser.says("#log-lines", "Working").await;
    let cancel = "#task-head form[action$='/cancel'] button";
    browser.click(cancel).await;
    browser.click("dialog button:not(.danger)").await;
    browser.until("the dialog to close", "!document.querySelector('dialog')").await;
    browser.says("#task-head .state", "running").await;
    browser.click(cancel).await;
    browser.click("dialog .danger").await;
    browser.says("#task-head .state", "cancelled").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_what_is_drawn_and_the_drawing_is_live() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    let diamond = [
        ("top", "ask: Begin?", &[][..]),
        ("left", "say l", &["top"]),
        ("right", "say r", &["top"]),
        ("bottom", "say b", &["left", "right"]),
    ];
    stage.submit_graph(&diamond).await;
    stage.open("/graph").await;
    browser.until("four boxes", "document.querySelectorAll('.dag-task').length === 4").await;
    browser.until("four lines", "document.querySelectorAll('.dag-line').length === 4").await;
    browser.until("what waits", "document.querySelectorAll('.dag-task.state-blocked').length === 3").await;
    stage.open("/questions").await;
    browser.write(".question textarea", "Yes").await;
    browser.click(".question .primary").await;
    // The answer's own page first: it would take the place of any that is opened before it.
    browser.says("main", "No agent waits for an answer").await;
    stage.open("/graph").await;
    browser.until("all done", "document.querySelectorAll('.dag-task.state-succeeded').length === 4").await;
    browser.click(".dag-task[href='/tasks/4']").await;
    browser.says("h1", "bottom").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_drained_and_taken_up_again() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    browser.says("#workers", "anvil").await;
    browser.click("form[action$='/drain'] button").await;
    browser.click("dialog .danger").await;
    browser.says("#workers .state", "drained").await;
    task::submit_one(&stage.client, scripted("Wait", "say at last")).await;
    browser.click("form[action$='/resume'] button").await;
    browser.until("it to be taken up", "document.querySelector(\"form[action$='/drain']\")").await;
    stage.open("/tasks/1").await;
    browser.says("#task-head .state", "succeeded").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_posted_in_one_window_arrives_in_another() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    stage.open("/messages").await;
    let first = soon("a window", browser.client.window()).await.expect("a window");
    let second = soon("a window", browser.client.new_window(false)).await.expect("another window");
    soon("a window", browser.client.switch_to_window(second.handle)).await.expect("it is there");
    stage.open("/messages").await;
    browser.click("details.post summary").await;
    browser.write("#post-content", "Freeze at noon").await;
    browser.click("details.post .primary").await;
    browser.says("#messages", "Freeze at noon").await;
    soon("a window", browser.client.switch_to_window(first)).await.expect("it is there");
    browser.says("#messages", "Freeze at noon").await;

    let message =
        NewMessage { to: "all".to_owned(), content: "And thaw at one".to_owned(), ..NewMessage::default() };
    let post =
        stage.client.request(PostMessageRequest { message: Some(message), ..PostMessageRequest::default() });
    soon("a message", stage.client.board().post_message(post)).await.expect("posted");
    browser.says("#messages", "And thaw at one").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}
