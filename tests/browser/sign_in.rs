//! Signing in and out.

use factory_tests::harness::soon;
use serde_json::Value;

use crate::stage::{Stage, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_with_the_token_and_out_again() {
    let Some(stage) = Stage::set().await else { return };
    let browser = &stage.browser;
    stage.open("/?from=a-bookmark").await;
    browser.is_at("/login?next=%2F%3Ffrom%3Da-bookmark").await;
    browser.take_pictures("login").await;
    stage.sign_in("not-the-token").await;
    browser.says("[role=alert]", "not the coordinator's token").await;
    browser.take_pictures("login-refused").await;
    browser.complaints().await;

    stage.sign_in(TOKEN).await;
    browser.is_at("/?from=a-bookmark").await;
    let cookies = soon("cookies", browser.client.get_all_cookies()).await.expect("cookies");
    let session =
        cookies.iter().find(|cookie| cookie.name().starts_with("factory_session_")).expect("a session");
    assert_eq!(session.http_only(), Some(true), "{session}");
    assert!(!session.value().contains(TOKEN), "{session}");
    let seen = browser.eval("return document.cookie").await;
    assert!(!seen.as_str().unwrap_or_default().contains("session"), "a script sees {seen}");
    assert_eq!(browser.complaints().await, [""; 0]);

    // From another site: the browser keeps the cookie back at first, and nobody signs in again.
    let elsewhere = stage.coordinator.url().replace("127.0.0.1", "localhost");
    browser.goto(&format!("{elsewhere}/health")).await;
    let link = Value::from(stage.url("/?from=a-link"));
    browser.eval(&format!("location.assign({link})")).await;
    browser.is_at("/?from=a-link").await;
    browser.find(".top").await;

    browser.click("form[action='/logout'] button").await;
    browser.is_at("/login").await;
    stage.open("/").await;
    browser.is_at("/login?next=%2F").await;
}
