//! A factory with a token, and a browser before it.

use factory_proto::client::Client;
use factory_proto::v1::{NewTask, SubmitRequest, TaskSpec};
use factory_tests::harness::browser::Browser;
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::soon;
use factory_tests::harness::worker::{Worker, WorkerSetup};

pub const TOKEN: &str = "s3cret-of-the-fleet";

/// What is first is ended first.
pub struct Stage {
    pub browser: Browser,
    _worker: Worker,
    pub client: Client,
    pub origin: Origin,
    pub coordinator: Coordinator,
    _host: Host,
}

impl Stage {
    /// `None` where there is no browser, which was said.
    pub async fn set() -> Option<Self> {
        let host = Host::new();
        let browser = Browser::start(&host).await?;
        let setup = CoordinatorSetup { token: Some(TOKEN.to_owned()), ..CoordinatorSetup::new(&host) };
        let coordinator = Coordinator::try_start(&host, setup).await.expect("the coordinator starts");
        let worker = WorkerSetup { token: Some(TOKEN.to_owned()), ..WorkerSetup::named("anvil", 2) };
        let worker = Worker::start(&host, &coordinator, worker).await;
        let client = coordinator.client().await;
        let origin = Origin::new(&host, "app");
        Some(Self { browser, _worker: worker, client, origin, coordinator, _host: host })
    }

    /// The same, signed in.
    pub async fn signed_in() -> Option<Self> {
        let stage = Self::set().await?;
        stage.open("/").await;
        stage.sign_in(TOKEN).await;
        stage.browser.find(".top").await;
        Some(stage)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.coordinator.url())
    }

    pub async fn open(&self, path: &str) {
        self.browser.goto(&self.url(path)).await;
    }

    /// Fills in the form, wherever it leads.
    pub async fn sign_in(&self, token: &str) {
        self.browser.write("#token", token).await;
        self.browser.click("button").await;
    }
}

impl Stage {
    /// Tasks that wait for others of the same call, by title.
    pub async fn submit_graph(&self, tasks: &[(&str, &str, &[&str])]) {
        let tasks = tasks.iter().map(|(name, script, after)| NewTask {
            spec: Some(scripted(name, script)),
            name: (*name).to_owned(),
            after: after.iter().map(|needed| format!("@{needed}")).collect(),
            ..NewTask::default()
        });
        let request = self.client.request(SubmitRequest { tasks: tasks.collect() });
        soon("a submit", self.client.tasks().submit(request)).await.expect("accepted");
    }
}

/// A task for the scripted agent, without a repository.
pub fn scripted(title: &str, script: &str) -> TaskSpec {
    TaskSpec {
        title: title.to_owned(),
        prompt: script.to_owned(),
        agent: "scripted".to_owned(),
        max_attempts: Some(1),
        ..TaskSpec::default()
    }
}
