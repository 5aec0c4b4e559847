//! The coordinator goes away while a page is open.

use factory_tests::harness::task;
use serde_json::Value;

use crate::stage::{Stage, scripted};

const LINES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_it_is_disconnected_and_goes_on_without_a_gap() {
    let Some(mut stage) = Stage::signed_in().await else { return };
    let script: String = (1..=LINES).map(|line| format!("say spoken {line}.\nsleep 100\n")).collect();
    task::submit_one(&stage.client, scripted("Talk", &script)).await;
    stage.open("/tasks/1").await;
    stage.browser.says("#log-lines", "spoken 5.").await;
    stage.coordinator.kill9().await;
    stage.browser.says("#connection[data-state='lost']", "disconnected").await;
    stage
        .browser
        .until("the log to say so too", "document.querySelector('#log-state').dataset.state === 'lost'")
        .await;
    stage.coordinator.start_again().await;
    let browser = &stage.browser;
    browser.until("the connection", "document.querySelector('#connection').dataset.state === 'live'").await;
    browser.says("#task-head .state", "succeeded").await;
    browser.says("#log-lines", &format!("spoken {LINES}.")).await;
    let spoken = "return document.querySelector('#log-lines').textContent.match(/spoken \\d+\\./g)";
    let wanted: Vec<_> = (1..=LINES).map(|line| format!("spoken {line}.")).collect();
    assert_eq!(browser.eval(spoken).await, Value::from(wanted));
}
