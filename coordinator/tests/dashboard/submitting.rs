//! `/tasks/new`.

use factory_proto::v1;
use reqwest::StatusCode;

use crate::browser::{Browser, Page};
use crate::setup::Factory;

fn key(page: &Page) -> String {
    let rest = page.html.split("name=\"idempotency_key\" value=\"").nth(1).expect("a key");
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_form_becomes_one_task_however_often_it_is_sent() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let key = key(&browser.get("/tasks/new").await);
    let fields = [
        ("idempotency_key", key.as_str()),
        ("prompt", "Tidy up\r\nall of it"),
        ("agent", "scripted"),
        ("repo", "/srv/repo"),
        ("priority", "5"),
        ("timeout", "1h 30m"),
        ("budget_usd", "1.50"),
        ("touches", "src/**\r\ndocs"),
        ("labels", "gpu=yes"),
    ];
    for _ in 0..2 {
        assert_eq!(browser.post("/tasks/new", "/tasks/new", &fields).await.to(), "/tasks/1");
    }
    let task = factory.get("1").await.task.expect("a task");
    let spec = task.spec.expect("a spec");
    assert_eq!((spec.prompt.as_str(), spec.title.as_str()), ("Tidy up\nall of it", "Tidy up"));
    assert_eq!(
        (spec.priority, spec.timeout_ms, spec.budget_micro_usd),
        (5, Some(5_400_000), Some(1_500_000))
    );
    assert_eq!(spec.touches, ["src/**", "docs"]);
    assert_eq!(spec.labels.get("gpu").map(String::as_str), Some("yes"));
    // The same form with something else in it is another wish; it is asked about.
    let again =
        browser.post("/tasks/new", "/tasks/new", &[("idempotency_key", &key), ("prompt", "Other")]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    again.shows("this form was sent before");
    assert_ne!(self::key(&again), key);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn errors_stand_at_their_fields_and_what_was_typed_is_kept() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    for (fields, shown) in [
        (&[("prompt", " ")][..], &["say what the agent is to do", "id=\"prompt-error-1\""][..]),
        (
            &[("prompt", "<b>Go</b>"), ("timeout", "soon"), ("priority", "high")],
            &[
                "&lt;b&gt;Go",
                "value=\"soon\"",
                "id=\"timeout-error-1\"",
                "id=\"priority-error-1\"",
                "2 fields",
            ],
        ),
        (&[("prompt", "Go"), ("after", "9")], &["id=\"after-error-1\"", "names no task", "value=\"9\""]),
        (&[("prompt", "Go"), ("base", "main")], &["id=\"base-error-1\"", "needs a repository"]),
        (&[("prompt", "Go"), ("role", "wizard")], &["wizard", "aria-invalid"]),
    ] {
        let page = browser.post("/tasks/new", "/tasks/new", fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}: {}", page.html);
        shown.iter().for_each(|text| page.shows(text));
    }
    let list = factory.client.tasks().list(v1::ListRequest::default()).await.expect("an answer");
    assert!(list.into_inner().tasks.is_empty(), "nothing was submitted");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_link_can_fill_in_the_form_but_not_send_it() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let page = browser.get("/tasks/new?repo=/srv/repo&after=3&idempotency_key=mine").await;
    page.shows("value=\"&#x2f;srv&#x2f;repo\"");
    page.shows("value=\"3\"");
    assert_ne!(key(&page), "mine");
    factory.coordinator.shutdown().await;
}
