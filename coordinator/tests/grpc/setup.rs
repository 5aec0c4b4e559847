//! A coordinator on a root of its own, and a worker whose every word the test says.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use factory_coordinator::{Config, Coordinator};
use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1::repo_job_done_request::Outcome;
use factory_proto::v1::session_request::Message as Say;
use factory_proto::v1::session_response::Message as Heard;
use factory_proto::{PROTOCOL_VERSION, v1};
use prost::Message;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use uuid::Uuid;

/// No wait in these tests takes a noticeable part of this, unless it would take for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it did not happen in time")
}

pub fn config(root: &Path) -> Config {
    Config::new(root, "127.0.0.1:0".parse().expect("an address"))
}

pub struct Factory {
    pub root: TempDir,
    pub coordinator: Coordinator,
    pub client: Client,
}

impl Factory {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let root = tempfile::tempdir().expect("a root");
        let mut config = config(root.path());
        change(&mut config);
        Self::on(root, config).await
    }

    async fn on(root: TempDir, config: Config) -> Self {
        let coordinator = soon(Coordinator::start(config)).await.expect("it starts");
        let client = connect(&coordinator).await;
        Self { root, coordinator, client }
    }

    /// Ends this coordinator and starts another on the same root.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    pub async fn restart_with(self, change: impl FnOnce(&mut Config)) -> Self {
        soon(self.coordinator.shutdown()).await;
        let mut config = config(self.root.path());
        change(&mut config);
        Self::on(self.root, config).await
    }

    pub async fn submit(&self, spec: v1::TaskSpec) -> v1::Submitted {
        self.try_submit(vec![spec]).await.expect("accepted").remove(0)
    }

    pub async fn try_submit(&self, specs: Vec<v1::TaskSpec>) -> Result<Vec<v1::Submitted>, Status> {
        let tasks = specs.into_iter().map(|spec| v1::NewTask { spec: Some(spec), ..Default::default() });
        let request = v1::SubmitRequest { tasks: tasks.collect() };
        Ok(soon(self.client.tasks().submit(request)).await?.into_inner().tasks)
    }

    pub async fn get(&self, task: &str) -> v1::GetResponse {
        let request = v1::GetRequest { task: task.to_owned() };
        soon(self.client.tasks().get(request)).await.expect("it is there").into_inner()
    }

    pub async fn state(&self, task: &str) -> v1::TaskState {
        self.get(task).await.task.expect("a task").state()
    }
}

pub async fn connect(coordinator: &Coordinator) -> Client {
    soon(Client::connect(ClientConfig::new(coordinator.url(), None))).await.expect("it answers")
}

/// A task for any worker of this suite.
pub fn prompt(text: &str) -> v1::TaskSpec {
    v1::TaskSpec { prompt: text.to_owned(), agent: "scripted".to_owned(), ..Default::default() }
}

pub fn succeeded(log_records: u64) -> v1::Report {
    v1::Report {
        outcome: v1::OutcomeKind::Succeeded.into(),
        result_text: "Done".to_owned(),
        log_records,
        ..Default::default()
    }
}

pub fn failed(reason: &str, log_records: u64) -> v1::Report {
    v1::Report {
        outcome: v1::OutcomeKind::Failed.into(),
        failure: Some(v1::Failure { reason: reason.to_owned(), message: "It broke".to_owned() }),
        log_records,
        ..Default::default()
    }
}

pub struct Worker {
    pub id: Uuid,
    client: Client,
    say: mpsc::Sender<v1::SessionRequest>,
    heard: Streaming<v1::SessionResponse>,
    pub welcome: v1::Welcome,
    session: String,
}

pub fn hello(id: Uuid) -> v1::Hello {
    v1::Hello {
        worker_id: id.to_string(),
        session_id: Uuid::now_v7().to_string(),
        name: "hand".to_owned(),
        version: "test".to_owned(),
        protocol: PROTOCOL_VERSION,
        slots: 8,
        agents: vec![v1::AgentReadiness {
            name: "scripted".to_owned(),
            version: "1".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

impl Worker {
    /// Connects a worker that offers the agent `scripted`.
    pub async fn connect(client: &Client) -> Self {
        Self::connect_as(client, hello(Uuid::now_v7())).await.expect("welcome")
    }

    pub async fn connect_as(client: &Client, hello: v1::Hello) -> Result<Self, Status> {
        let (id, session) = (hello.worker_id.parse().expect("an id"), hello.session_id.clone());
        let (say, sayings) = mpsc::channel(64);
        let first = v1::SessionRequest { message: Some(Say::Hello(hello)) };
        say.send(first).await.expect("there is room");
        let mut heard = soon(client.worker().session(ReceiverStream::new(sayings))).await?.into_inner();
        match soon(heard.message()).await?.and_then(|response| response.message) {
            Some(Heard::Welcome(welcome)) => {
                Ok(Self { id, client: client.clone(), say, heard, welcome, session })
            }
            other => panic!("instead of a welcome: {other:?}"),
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn say(&self, message: Say) {
        let request = v1::SessionRequest { message: Some(message) };
        self.say.send(request).await.expect("the session is open");
    }

    pub async fn say_something_of_later(&self) {
        self.say.send(v1::SessionRequest { message: None }).await.expect("the session is open");
    }

    pub async fn credits(&self, free_slots: u32) {
        self.say(Say::Credits(v1::Credits { free_slots, stopping: false })).await;
    }

    pub async fn hear(&mut self) -> Result<Option<Heard>, Status> {
        Ok(soon(self.heard.message()).await?.and_then(|response| response.message))
    }

    pub async fn offer(&mut self) -> v1::Offer {
        match self.hear().await {
            Ok(Some(Heard::Offer(offer))) => offer,
            other => panic!("instead of an offer: {other:?}"),
        }
    }

    pub async fn repo_job(&mut self) -> v1::RepoJob {
        match self.hear().await {
            Ok(Some(Heard::RepoJob(job))) => job,
            other => panic!("instead of a job: {other:?}"),
        }
    }

    pub async fn repo_job_done(&self, job: &v1::RepoJob, outcome: Outcome) {
        let outcome = Some(outcome);
        let (worker_id, job_id) = (self.id.to_string(), job.id.clone());
        let request = v1::RepoJobDoneRequest { worker_id, job_id, outcome };
        soon(self.client.worker().repo_job_done(request)).await.expect("taken");
    }

    pub async fn inventory(
        &self,
        copies: Vec<v1::RepoCopy>,
        worktrees: Vec<v1::Worktree>,
    ) -> Result<(), Status> {
        let (worker_id, session_id) = (self.id.to_string(), self.session.clone());
        let request = v1::InventoryRequest { worker_id, session_id, copies, worktrees };
        soon(self.client.worker().inventory(request)).await.map(drop)
    }

    pub async fn accept(&mut self, offer: &v1::Offer) -> Heard {
        let (task_id, attempt_id) = (offer.task_id.clone(), offer.attempt_id.clone());
        self.say(Say::Accept(v1::Accept { task_id, attempt_id })).await;
        self.hear().await.expect("an answer").expect("the stream goes on")
    }

    /// Takes one task and no more, and says that its agent runs.
    pub async fn run(&mut self) -> v1::Offer {
        self.credits(1).await;
        let offer = self.offer().await;
        self.credits(0).await;
        let answer = self.accept(&offer).await;
        assert!(matches!(answer, Heard::Confirm(_)), "{answer:?}");
        let (task_id, attempt_id) = (offer.task_id.clone(), offer.attempt_id.clone());
        self.say(Say::Started(v1::Started { task_id, attempt_id })).await;
        offer
    }

    pub async fn report(&self, offer: &v1::Offer, report: v1::Report) -> v1::ReportVerdict {
        self.report_in_full(offer, report).await.verdict()
    }

    pub async fn report_in_full(&self, offer: &v1::Offer, report: v1::Report) -> v1::ReportResponse {
        let request = v1::ReportRequest {
            worker_id: self.id.to_string(),
            task_id: offer.task_id.clone(),
            attempt_id: offer.attempt_id.clone(),
            digest: Sha256::digest(report.encode_to_vec()).to_vec(),
            report: Some(report),
        };
        soon(self.client.worker().report(request)).await.expect("an answer").into_inner()
    }

    pub async fn push(&self, offer: &v1::Offer, from: u64, lines: &[&str]) -> v1::LogAck {
        let records = (from..).zip(lines).map(|(offset, line)| v1::LogRecord {
            offset,
            at_ms: 1,
            stream: v1::LogStream::Stdout.into(),
            data: line.as_bytes().to_vec().into(),
            continues: false,
        });
        self.push_records(offer, records.collect()).await
    }

    pub async fn push_records(&self, offer: &v1::Offer, records: Vec<v1::LogRecord>) -> v1::LogAck {
        let (task_id, attempt_id) = (offer.task_id.clone(), offer.attempt_id.clone());
        let batch = v1::LogBatch { task_id, attempt_id, records };
        let request = v1::PushLogsRequest { worker_id: self.id.to_string(), batches: vec![batch] };
        let reply = soon(self.client.worker().push_logs(request)).await.expect("an answer");
        reply.into_inner().acks.remove(0)
    }

    pub async fn heartbeat(&self, session: &str, held: Vec<v1::HeldAttempt>) -> Vec<v1::HeldVerdict> {
        let request = v1::HeartbeatRequest {
            worker_id: self.id.to_string(),
            session_id: session.to_owned(),
            held,
            free_disk_bytes: 1,
            load: None,
        };
        soon(self.client.worker().heartbeat(request)).await.expect("an answer").into_inner().verdicts
    }
}
