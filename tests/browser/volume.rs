//! How much the pages can take: 10,000 tasks, a log of 100,000 lines, and one that grows by 1,000 lines a second.
//! Prints figures; what it holds them to is generous, since they are a matter of the machine.

use std::time::Instant;

use factory_proto::v1::{NewTask, SubmitRequest, TaskSpec};
use factory_tests::harness::browser::Browser;
use factory_tests::harness::{soon, task};
use serde_json::{Value, json};

use crate::stage::{Stage, scripted};

const TASKS: usize = 10_000;
const LINES: usize = 100_000;
const LIVE_SECONDS: usize = 20;
/// Rows of a log that a page holds at once, and some that are about to go.
const MOST_ROWS: u64 = 4000;

/// Watches frames and long tasks for so many milliseconds.
const WATCH: &str = "
    const [span, done] = [20000, arguments[arguments.length - 1]];
    const frames = [], long = [];
    let rows = 0, last = performance.now();
    const observer = new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => entry.duration)));
    observer.observe({ entryTypes: ['longtask'] });
    const begin = last;
    const frame = (now) => {
      frames.push(now - last);
      last = now;
      rows = Math.max(rows, document.querySelectorAll('#log-lines .line').length);
      if (now - begin < span) return requestAnimationFrame(frame);
      observer.disconnect();
      frames.sort((a, b) => a - b);
      const at = (part) => Math.round(frames[Math.floor((frames.length - 1) * part)]);
      done({ frames: frames.length, median_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), longest_ms: at(1), rows,
        long_tasks: long.length, long_tasks_ms: Math.round(long.reduce((sum, each) => sum + each, 0)) });
    };
    requestAnimationFrame(frame);";

/// Opens a page, and says how long it took and how big it is.
async fn timed(stage: &Stage, path: &str) {
    let begun = Instant::now();
    stage.open(path).await;
    let whole = begun.elapsed();
    let script = "const [page] = performance.getEntriesByType('navigation');
        return { answered_ms: Math.round(page.responseEnd), shown_ms: Math.round(page.domContentLoadedEventEnd),
                 kilobytes: Math.round(page.decodedBodySize / 1024), elements: document.querySelectorAll('*').length }";
    println!("{path}: {} ms in all, {}", whole.as_millis(), stage.browser.eval(script).await);
}

async fn memory(browser: &Browser) -> Value {
    browser.devtools("HeapProfiler.collectGarbage", json!({})).await;
    let heap = browser.devtools("Runtime.getHeapUsage", json!({})).await;
    let nodes = browser.devtools("Memory.getDOMCounters", json!({})).await;
    json!({ "heap_kilobytes": heap["usedSize"].as_f64().unwrap_or_default() / 1024.0, "nodes": nodes["nodes"] })
}

async fn submit_many(stage: &Stage) {
    let begun = Instant::now();
    for first in (0..TASKS).step_by(1000) {
        let tasks = (first..first + 1000).map(|number| NewTask {
            // Nobody takes them.
            spec: Some(TaskSpec {
                labels: [("nobody".to_owned(), "has".to_owned())].into(),
                role: ["coder", "reviewer", "test"][number % 3].to_owned(),
                ..scripted(&format!("Task number-{number} of many"), "say nothing")
            }),
            ..NewTask::default()
        });
        let request = stage.client.request(SubmitRequest { tasks: tasks.collect() });
        soon("a submit", stage.client.tasks().submit(request)).await.expect("accepted");
    }
    println!("{TASKS} tasks submitted in {} ms", begun.elapsed().as_millis());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures, and takes some minutes"]
async fn ten_thousand_tasks_are_listed_and_filtered() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    submit_many(&stage).await;
    for path in ["/", "/tasks", "/tasks?tree=on", "/tasks?role=test", "/tasks?status=queued", "/graph"] {
        timed(&stage, path).await;
    }
    stage.open("/tasks?role=test").await;
    browser.says("#list", "Task number-9998 of many").await;
    let others =
        browser.eval("return /number-(9999|9997) /.test(document.querySelector('#list').textContent)").await;
    assert_eq!(others, false, "what is filtered for alone");
    stage.open("/tasks").await;
    for page in 1..=10 {
        let begun = Instant::now();
        let first = browser.eval("return document.querySelector('#list tbody tr').id").await;
        browser.click("a[rel=next]").await;
        let other = format!("document.querySelector('#list tbody tr')?.id !== {first}");
        browser.until("the next page", &other).await;
        println!("page {page} to the next: {} ms", begun.elapsed().as_millis());
    }
    println!("{}", memory(browser).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures, and takes some minutes"]
async fn a_long_log_is_shown_from_its_end_and_a_fast_one_is_kept_up_with() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    let rows = "document.querySelectorAll('#log-lines .line').length";
    let begun = Instant::now();
    task::submit_one(&stage.client, scripted("Long", &format!("lines {LINES}\nsay The end"))).await;
    stage.open("/tasks/1").await;
    browser.says("#task-head .state", "succeeded").await;
    browser.says("#log-lines", "The end").await;
    println!("{LINES} lines printed and shown in {} ms", begun.elapsed().as_millis());

    timed(&stage, "/tasks/1").await;
    let begun = Instant::now();
    browser.says("#log-lines", "The end").await;
    println!("its end is there {} ms later; {}", begun.elapsed().as_millis(), memory(browser).await);
    let begun = Instant::now();
    stage.open("/tasks/1#L1:50000").await;
    browser.until("a line in the middle", "document.getElementById('L1:50000')").await;
    println!("a line in the middle: {} ms", begun.elapsed().as_millis());
    for _ in 0..20 {
        let first = browser.eval("return document.querySelector('#log-lines .line').id").await;
        browser.eval("document.querySelector('#log-lines').scrollTop = 0").await;
        browser
            .until("what is above", &format!("document.querySelector('#log-lines .line').id !== {first}"))
            .await;
    }
    println!(
        "scrolled up 20 times: {}, {}",
        browser.eval(&format!("return {rows}")).await,
        memory(browser).await
    );

    let script = "lines 100\nsleep 98\n".repeat(LIVE_SECONDS * 10 + 100);
    task::submit_one(&stage.client, scripted("Fast", &script)).await;
    stage.open("/tasks/2").await;
    browser.says("#log-lines", "line 100 of 100").await;
    let before = memory(browser).await;
    let last = "[...document.querySelectorAll('#log-lines .line')].at(-1).id.split(':')[1]";
    let from = browser.eval(&format!("return Number({last})")).await;
    let watched = browser.eval_async(WATCH).await;
    let until = browser.eval(&format!("return Number({last})")).await;
    let shown = until.as_u64().zip(from.as_u64()).map_or(0, |(until, from)| until - from);
    println!("live, {LIVE_SECONDS} s: {shown} lines shown, {watched}");
    println!("before {before}, after {}", memory(browser).await);
    assert!(watched["rows"].as_u64().is_some_and(|rows| rows <= MOST_ROWS), "{watched}");
    assert!(shown > 5000, "{shown} lines in {LIVE_SECONDS} s");
    assert_eq!(browser.complaints().await, [""; 0]);
}
