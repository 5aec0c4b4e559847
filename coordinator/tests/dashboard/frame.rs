//! What stands around all pages.

use reqwest::StatusCode;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, ETAG, IF_NONE_MATCH, SET_COOKIE,
};

use crate::browser::{Browser, Page};
use crate::setup::{Factory, soon};

/// Every page there is.
const PAGES: &[&str] = &[
    "/",
    "/tasks",
    "/tasks?tree=1",
    "/tasks/new",
    "/graph",
    "/messages",
    "/questions",
    "/handoffs",
    "/workflows",
    "/repos",
];

fn is_strict(page: &Page) {
    let policy = page.header(CONTENT_SECURITY_POLICY);
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header(CACHE_CONTROL), "no-store");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    for inline in ["<style", " style=", " onclick=", " onload=", "javascript:", "<script>"] {
        page.lacks(inline);
    }
}

#[tokio::test]
async fn every_page_is_strict_and_loads_nothing_that_is_not_there() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    for path in PAGES {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.html);
        is_strict(&page);
        page.shows("<meta name=\"factory-cursor\" content=\"0\">");
        for asset in page.html.split("/assets/").skip(1).filter_map(|rest| rest.split('"').next()) {
            let asset = browser.get(&format!("/assets/{asset}")).await;
            assert_eq!(asset.status, StatusCode::OK);
        }
    }
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn scripts_import_only_what_is_there_and_are_asked_for_once() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let frame = browser.get("/assets/frame.js").await;
    assert!(frame.header(CONTENT_TYPE).starts_with("text/javascript"));
    let imported: Vec<_> =
        frame.html.split("from './").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
    assert!(imported.contains(&"live.js"), "{imported:?}");
    for name in imported {
        assert_eq!(browser.get(&format!("/assets/{name}")).await.status, StatusCode::OK, "{name}");
    }
    let again = browser.request("/assets/frame.js").header(IF_NONE_MATCH, frame.header(ETAG));
    assert_eq!(browser.send(again).await.status, StatusCode::NOT_MODIFIED);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn light_or_dark_is_chosen_and_kept() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    browser.get("/").await.lacks("data-theme");
    let switched = browser.post("/?a=b", "/theme", &[]).await;
    assert_eq!(switched.to(), "/?a=b");
    let cookie = switched.header(SET_COOKIE).split(';').next().unwrap_or_default().to_owned();
    browser.send(browser.request("/").header(COOKIE, &cookie)).await.shows("data-theme=\"dark\"");
    let hostile = browser.request("/").header(COOKIE, "factory_theme=\"><script>");
    browser.send(hostile).await.lacks("data-theme");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_as_it_was_asked_for() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let page = browser.get("/<b>nonsense").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    is_strict(&page);
    page.shows("Go back</a>");
    page.lacks("<b>");
    let wrong = browser.post("/", "/tasks", &[]).await;
    assert_eq!((wrong.status, wrong.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    wrong.shows("Go back</a>");
    // Programs get a problem, and those of gRPC a status.
    let program = reqwest::Client::new().get(format!("{}/nonsense", factory.coordinator.url()));
    let program = soon(program.send()).await.expect("an answer");
    assert_eq!(program.status(), StatusCode::NOT_FOUND);
    assert_eq!(program.headers()[CONTENT_TYPE], "application/problem+json");
    let grpc = browser.request("/factory.v1.TaskService/Nonsense").header(CONTENT_TYPE, "application/grpc");
    let grpc = soon(grpc.send()).await.expect("an answer");
    assert_eq!((grpc.status(), grpc.headers()["grpc-status"].as_bytes()), (StatusCode::OK, &b"12"[..]));
    factory.coordinator.shutdown().await;
}
