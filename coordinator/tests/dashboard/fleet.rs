//! `/`: workers, what they run, and that they drain.

use factory_proto::v1;
use uuid::Uuid;

use crate::browser::Browser;
use crate::setup::{Factory, Worker, hello, prompt};

#[tokio::test]
async fn a_worker_is_shown_with_what_it_runs_and_what_is_wrong_with_it() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    browser.get("/").await.shows("factory-worker --slots 4");
    let mut hello = hello(Uuid::now_v7());
    hello.name = "<i>anvil</i>".to_owned();
    hello.labels.insert("gpu".to_owned(), "yes".to_owned());
    hello.agents.push(v1::AgentReadiness {
        name: "claude".to_owned(),
        unusable_because: "is not logged in; run `claude login`".to_owned(),
        ..v1::AgentReadiness::default()
    });
    let mut worker = Worker::connect_as(&factory.client, hello).await.expect("welcome");
    factory.submit(v1::TaskSpec { title: "<b>Bold</b>".to_owned(), ..prompt("Go") }).await;
    worker.run().await;

    let page = browser.get("/").await;
    for shown in [
        "&lt;i&gt;anvil",
        "&lt;b&gt;Bold",
        "gpu=yes",
        "is not logged in; run `claude login`",
        "release test",
        "1 <small>of 8</small>",
        "href=\"/tasks/1\"",
        "factory-every",
    ] {
        page.shows(shown);
    }
    for hidden in ["<i>anvil", "<b>Bold", "No worker is connected"] {
        page.lacks(hidden);
    }
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_worker_is_drained_and_resumed_by_its_buttons() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let worker = Worker::connect(&factory.client).await;
    for (verb, next, state) in [
        ("drain", "resume", "state-drained"),
        ("resume", "drain", "state-connected"),
        ("drain", "resume", "state-drained"),
    ] {
        let path = format!("/workers/{}/{verb}", worker.id);
        browser.get("/").await.shows(&format!("action=\"{path}\""));
        assert_eq!(browser.post("/", &path, &[]).await.to(), "/");
        let page = browser.get("/").await;
        page.shows(&format!("action=\"/workers/{}/{next}\"", worker.id));
        page.shows(state);
    }
    let nobody = browser.post("/", "/workers/nobody/drain", &[]).await;
    assert_eq!(nobody.status, 404);
    nobody.shows("there is no worker `nobody`");
    factory.coordinator.shutdown().await;
}
