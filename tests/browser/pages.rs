//! Every page: nothing is refused or fails on it, it can be read and used by all, and hostile words stay words.

use factory_proto::v1::{NewMessage, PostMessageRequest};
use factory_tests::harness::browser::{Browser, Theme};
use factory_tests::harness::{soon, task};
use serde_json::json;

use crate::stage::{Stage, scripted};

/// Harmless where it is shown, and seen by the test where it runs.
const HOSTILE: &str = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>";

const AUDIT: &str = include_str!("audit.js");

const PAGES: &[(&str, &str)] = &[
    ("fleet", "/"),
    ("tasks", "/tasks"),
    ("tasks-as-trees", "/tasks?tree=on"),
    ("submit", "/tasks/new"),
    ("task-succeeded", "/tasks/1"),
    ("task-failed", "/tasks/2"),
    ("task-asking", "/tasks/3"),
    ("diff", "/tasks/1/diff"),
    ("graph", "/graph"),
    ("questions", "/questions"),
    ("messages", "/messages"),
    ("thread", "/messages/1"),
    ("handoffs", "/handoffs"),
    ("workflows", "/workflows"),
    ("repos", "/repos"),
];

impl Stage {
    /// One task of each kind, with hostile words wherever words go.
    async fn people(&self) {
        let done = format!(
            "say I look at **it**:\\n- one\\n- two\\n\\n{HOSTILE}\nwrite src/a.rs fn a() {{\\n    1\\n}}\nrun git status -s\n\
             append README.md {HOSTILE}\ncommit Add {HOSTILE}\ncost 0.42\ntokens 1200\nprogress: {HOSTILE}\nsay {HOSTILE}"
        );
        let mut done = scripted(&format!("Add a limit {HOSTILE}"), &done);
        done.repo = self.origin.source();
        let fails = scripted("Fix the login", &format!("say no\nfail {HOSTILE}"));
        let asks = scripted("Choose a cache", &format!("say Which?\nask: Redis {HOSTILE}?"));
        for spec in [done, fails, asks] {
            task::submit_one(&self.client, spec).await;
        }
        self.submit_graph(&[("first", "say 1", &[]), ("second", "say 2", &["first"])]).await;
        let message =
            NewMessage { to: "all".to_owned(), content: HOSTILE.to_owned(), ..NewMessage::default() };
        let post = self
            .client
            .request(PostMessageRequest { message: Some(message), ..PostMessageRequest::default() });
        soon("a message", self.client.board().post_message(post)).await.expect("posted");
        for (task, state) in [("1", "succeeded"), ("2", "failed"), ("5", "succeeded")] {
            self.open(&format!("/tasks/{task}")).await;
            self.browser.says("#task-head .state", state).await;
        }
        self.open("/questions").await;
        self.browser.says(".question", "Redis").await;
    }
}

/// In every theme and width.
async fn audit(browser: &Browser, page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for width in [1280, 390] {
        browser.resize(width, 900).await;
        for theme in [Theme::Light, Theme::Dark] {
            browser.prefer(theme).await;
            let problems = browser.eval(AUDIT).await;
            let problems = problems.as_array().expect("a list").iter();
            found.extend(problems.map(|problem| format!("{page}, {width} px, {theme:?}: {problem}")));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_read_and_used_and_runs_nothing_of_others() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    stage.people().await;
    browser.complaints().await;
    let mut found = Vec::new();
    for (name, path) in PAGES {
        stage.open(path).await;
        browser.find("main h1").await;
        browser.until("what the scripts do at first", "document.readyState === 'complete'").await;
        browser.take_pictures(name).await;
        found.extend(audit(browser, path).await);
        found.extend(browser.complaints().await);
        assert_eq!(browser.eval("return window.pwned ?? null").await, json!(null), "{path}");
    }
    assert_eq!(found, [""; 0]);
    stage.open("/tasks/1").await;
    browser.says("#log-lines", "window.pwned").await;
    assert_eq!(browser.eval("return window.pwned ?? null").await, json!(null), "in the log");

    // The measure itself: it sees what is wrong.
    let spoil = "document.querySelector('main').innerHTML += '<h5>Deep</h5><input id=\"log\"><a href=\"/\"></a>';\
                 document.querySelector('main h1').style.color = getComputedStyle(document.documentElement).backgroundColor";
    browser.eval(spoil).await;
    let seen = browser.eval(AUDIT).await.to_string();
    for fault in
        ["contrast 1.00 of bdi", "a heading 5", "no label: input#log", "no name: a", "an id twice: log"]
    {
        assert!(seen.contains(fault), "{fault}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_reached_by_keys() {
    let Some(stage) = Stage::signed_in().await else { return };
    let browser = &stage.browser;
    task::submit_one(&stage.client, scripted("First", "say 1")).await;
    task::submit_one(&stage.client, scripted("Second", "say 2")).await;
    browser.press("gt").await;
    browser.is_at("/tasks").await;
    browser.says("#list", "Second").await;
    browser.press("j").await;
    browser.press("j").await;
    browser.says("[data-chosen]", "First").await;
    browser.press("\u{E007}").await;
    browser.is_at("/tasks/1").await;
    browser.press("?").await;
    browser.says("dialog#keys", "Go to tasks").await;
    browser.press("\u{E00C}").await;
    browser.until("the help to close", "!document.querySelector('dialog')").await;
    browser.press("gf").await;
    browser.is_at("/").await;
    // The first thing a tab leads to is past the links that all pages have.
    browser.press("\u{E004}").await;
    browser.until("the focus", "document.activeElement.matches('.skip')").await;
    browser.press("\u{E007}").await;
    browser.until("the content", "location.hash === '#main'").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}
