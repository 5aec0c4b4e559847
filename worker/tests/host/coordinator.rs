//! A coordinator of the tests' own: says what it is told to say, and keeps what it hears.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factory_proto::v1::agent_service_server::AgentServiceServer;
use factory_proto::v1::session_request::Message as Said;
use factory_proto::v1::session_response::Message as Say;
use factory_proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use factory_proto::{PROTOCOL_VERSION, v1};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::agents::{self, Agents};

/// Longer than anything a test waits for takes; a test that comes here has failed.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct State {
    pub hellos: Vec<v1::Hello>,
    /// Everything said in sessions after Hello, in order.
    pub said: Vec<Said>,
    pub heartbeats: Vec<v1::HeartbeatRequest>,
    /// By attempt.
    pub logs: BTreeMap<String, Vec<v1::LogRecord>>,
    /// Attempts whose log went back at least once.
    pub rewound: BTreeSet<String>,
    pub reports: Vec<v1::ReportRequest>,
    pub checkpoints: Vec<v1::CheckpointRequest>,
    pub inventories: Vec<v1::InventoryRequest>,
    pub jobs_done: Vec<v1::RepoJobDoneRequest>,
    /// The task of each attempt offered.
    tasks: BTreeMap<String, String>,
    /// By attempt and name; a checkpoint's are `work N` and `transcript N`.
    pub files: BTreeMap<(String, String), Vec<u8>>,
    session: Option<mpsc::Sender<Result<v1::SessionResponse, Status>>>,
    /// What it does from here on.
    pub plan: Plan,
    /// What agents do through their workers.
    pub agents: Agents,
}

impl State {
    /// What has come so far, for a test that waited in vain.
    fn summary(&self) -> String {
        let held = self.heartbeats.iter().filter(|heartbeat| !heartbeat.held.is_empty()).count();
        let (hellos, heartbeats, reports) = (self.hellos.len(), self.heartbeats.len(), self.reports.len());
        let last = self.said.last();
        format!(
            "{hellos} hellos, {heartbeats} heartbeats ({held} name attempts), {reports} reports, last said {last:?}"
        )
    }

    pub fn newest_checkpoint(&self, attempt: &str) -> Option<v1::Checkpoint> {
        let own = self.checkpoints.iter().filter(|request| request.attempt_id == attempt);
        own.filter_map(|request| request.checkpoint.clone()).max_by_key(|checkpoint| checkpoint.number)
    }
}

pub struct Plan {
    pub terms: v1::Welcome,
    /// Verdicts, of Welcome and of heartbeats; carry on where an attempt is not named.
    pub verdicts: BTreeMap<String, v1::Verdict>,
    /// Verdicts are ones that only a later release knows.
    pub verdicts_of_later: bool,
    pub confirm: bool,
    /// Reports still to be turned away.
    pub refuse_reports: u32,
    /// Tasks outlive their attempts: they are tried again.
    pub tried_again: bool,
    /// Answers to jobs still to be turned away.
    pub refuse_answers: u32,
    pub refuse_heartbeats: bool,
    pub refuse_sessions: Option<Status>,
}

impl Default for Plan {
    fn default() -> Self {
        let terms = v1::Welcome {
            heartbeat_ms: 200,
            lease_ms: 10_000,
            lost_after_ms: 60_000,
            offer_ms: 5_000,
            protocol: PROTOCOL_VERSION,
            ..v1::Welcome::default()
        };
        Self {
            terms,
            verdicts: BTreeMap::new(),
            verdicts_of_later: false,
            confirm: true,
            refuse_reports: 0,
            tried_again: false,
            refuse_answers: 0,
            refuse_heartbeats: false,
            refuse_sessions: None,
        }
    }
}

impl Plan {
    fn verdicts(&self, held: &[v1::HeldAttempt]) -> Vec<v1::HeldVerdict> {
        held.iter()
            .map(|held| {
                let verdict = self.verdicts.get(&held.attempt_id).copied().unwrap_or(v1::Verdict::CarryOn);
                let verdict = if self.verdicts_of_later { 99 } else { verdict.into() };
                v1::HeldVerdict { attempt_id: held.attempt_id.clone(), verdict }
            })
            .collect()
    }
}

pub struct Service {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

impl Service {
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Reads without waking anyone.
    pub fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().expect("no test panics with it"))
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().expect("no test panics with it"));
        self.changes.send_replace(());
        result
    }
}

pub struct Coordinator {
    pub url: String,
    service: Arc<Service>,
    _server: JoinSet<()>,
}

impl Coordinator {
    pub async fn start() -> Self {
        Self::listen(([127, 0, 0, 1], 0).into()).await
    }

    pub async fn listen(address: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let service = Arc::new(Service { state: Mutex::default(), changes: watch::Sender::new(()) });
        let server = tonic::transport::Server::builder()
            .add_service(WorkerServiceServer::new(Handle(Arc::clone(&service))))
            .add_service(AgentServiceServer::new(agents::Handle(Arc::clone(&service))))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let mut tasks = JoinSet::new();
        tasks.spawn(async { server.await.expect("served") });
        Self { url, service, _server: tasks }
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.service.change(change)
    }

    /// Waits until the state answers with something.
    pub async fn until<T>(&self, what: &str, mut find: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.service.changes.subscribe();
        let found = async {
            loop {
                if let Some(found) = find(&self.service.state.lock().expect("no test panics with it")) {
                    return found;
                }
                changes.changed().await.expect("the service lives");
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain for {what}; {}", self.with(|state| state.summary())),
        }
    }

    pub async fn say(&self, message: Say) {
        let session = self.with(|state| state.session.clone()).expect("a session");
        session.send(Ok(v1::SessionResponse { message: Some(message) })).await.expect("an open session");
    }

    /// Says what only a later release knows.
    pub async fn say_something_of_later(&self) {
        let session = self.with(|state| state.session.clone()).expect("a session");
        // How a message of an unknown kind is read.
        session.send(Ok(v1::SessionResponse { message: None })).await.expect("an open session");
    }

    /// Ends the session's stream, as a restart would.
    pub fn hang_up(&self) {
        self.with(|state| state.session = None);
    }

    /// Offers a task and returns its attempt's id.
    pub async fn offer(&self, spec: v1::TaskSpec) -> String {
        self.offer_attempt(Uuid::now_v7().to_string(), 1, spec, None).await
    }

    /// Offers the next attempt of a task, to go on from one before it.
    pub async fn offer_next(&self, spec: v1::TaskSpec, from: &str, conversation: v1::Conversation) -> String {
        let task = self.with(|state| state.tasks[from].clone());
        let continues = v1::Continuation {
            attempt_id: from.to_owned(),
            worker_id: Uuid::now_v7().to_string(),
            conversation: conversation.into(),
            because: "its worker was struck by lightning".into(),
            of_another_task: false,
        };
        self.offer_attempt(task, 2, spec, Some(continues)).await
    }

    async fn offer_attempt(
        &self,
        task_id: String,
        attempt_number: u32,
        spec: v1::TaskSpec,
        continues: Option<v1::Continuation>,
    ) -> String {
        let attempt_id = Uuid::now_v7().to_string();
        self.with(|state| state.tasks.insert(attempt_id.clone(), task_id.clone()));
        let offer = v1::Offer {
            task_id,
            task_number: 1,
            attempt_id: attempt_id.clone(),
            attempt_number,
            spec: Some(spec),
            traceparent: String::new(),
            continues,
            ..v1::Offer::default()
        };
        self.say(Say::Offer(offer)).await;
        attempt_id
    }

    /// Asks for a job about a repository, and gives its id.
    pub async fn ask(&self, repo: &str, job: v1::repo_job::Job) -> String {
        self.ask_within(repo, job, PATIENCE).await
    }

    pub async fn ask_within(&self, repo: &str, job: v1::repo_job::Job, within: Duration) -> String {
        let id = Uuid::now_v7().to_string();
        let (within_ms, job) = (within.as_millis().try_into().expect("short"), Some(job));
        let job = v1::RepoJob { id: id.clone(), repo: repo.to_owned(), within_ms, job };
        self.say(Say::RepoJob(job)).await;
        id
    }

    /// What came of a job.
    pub async fn done(&self, job: &str) -> v1::repo_job_done_request::Outcome {
        self.until("an answer to a job", |state| {
            let mut done = state.jobs_done.iter();
            done.find(|done| done.job_id == job).map(|done| done.outcome.clone().expect("an outcome"))
        })
        .await
    }

    pub async fn report(&self, attempt: &str) -> v1::Report {
        let report = self
            .until("a report", |state| {
                let mut reports = state.reports.iter();
                reports.find(|report| report.attempt_id == attempt).map(|report| report.report.clone())
            })
            .await;
        report.expect("a report has content")
    }

    /// Why an attempt's offer was declined.
    pub async fn declined(&self, attempt: &str) -> String {
        self.until("a decline", |state| {
            state.said.iter().find_map(|said| match said {
                Said::Decline(decline) if decline.attempt_id == attempt => Some(decline.why.clone()),
                _ => None,
            })
        })
        .await
    }

    pub async fn started(&self, attempt: &str) {
        self.until("a start", |state| {
            state.said.iter().find_map(|said| match said {
                Said::Started(started) if started.attempt_id == attempt => Some(()),
                _ => None,
            })
        })
        .await
    }

    /// Waits for a line of the agent's in an attempt's log.
    pub async fn line(&self, attempt: &str, line: &str) {
        self.until(line, |state| {
            let log = state.logs.get(attempt)?;
            log.iter().find(|record| record.data == line.as_bytes()).map(|_| ())
        })
        .await
    }

    /// What the agent printed, as the log has it now.
    pub fn output(&self, attempt: &str) -> Vec<String> {
        self.with(|state| {
            let log = state.logs.get(attempt).cloned().unwrap_or_default();
            for (offset, record) in log.iter().enumerate() {
                assert_eq!(record.offset, offset as u64, "no gap and nothing twice");
            }
            let agents = log.into_iter().filter(|record| record.stream() == v1::LogStream::Stdout);
            agents.map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect()
        })
    }
}

/// What tonic serves.
struct Handle(Arc<Service>);

type Responses = Pin<Box<dyn Stream<Item = Result<v1::SessionResponse, Status>> + Send>>;

#[tonic::async_trait]
impl WorkerService for Handle {
    type SessionStream = Responses;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Responses>, Status> {
        if let Some(status) = self.0.change(|state| state.plan.refuse_sessions.clone()) {
            return Err(status);
        }
        let (say, responses) = mpsc::channel(64);
        self.0.change(|state| state.session = Some(say.clone()));
        // The stream owns the task that hears the worker: when one ends, so does the other.
        let mut hearing = JoinSet::new();
        hearing.spawn(hear(Arc::clone(&self.0), request.into_inner(), say.downgrade()));
        let stream = ReceiverStream::new(responses).map(move |response| {
            let _owned = &hearing;
            response
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        self.0.change(|state| {
            if state.plan.refuse_heartbeats {
                return Err(Status::unavailable("not now"));
            }
            let verdicts = state.plan.verdicts(&request.held);
            state.heartbeats.push(request);
            Ok(Response::new(v1::HeartbeatResponse { verdicts }))
        })
    }

    async fn push_logs(
        &self,
        request: Request<v1::PushLogsRequest>,
    ) -> Result<Response<v1::PushLogsResponse>, Status> {
        let batches = request.into_inner().batches;
        let acks = self.0.change(|state| batches.into_iter().map(|batch| append(state, batch)).collect());
        Ok(Response::new(v1::PushLogsResponse { acks }))
    }

    async fn upload_artifact(
        &self,
        request: Request<Streaming<v1::UploadArtifactRequest>>,
    ) -> Result<Response<v1::UploadArtifactResponse>, Status> {
        let mut parts = request.into_inner();
        let (mut header, mut content) = (None, Vec::new());
        while let Some(part) = parts.message().await? {
            match part.part {
                Some(v1::upload_artifact_request::Part::Header(first)) => header = Some(first),
                Some(v1::upload_artifact_request::Part::Data(data)) => content.extend_from_slice(&data),
                None => {}
            }
        }
        let header = header.ok_or_else(|| Status::invalid_argument("no header"))?;
        let artifact = header.artifact.ok_or_else(|| Status::invalid_argument("no artifact"))?;
        assert_eq!(artifact.bytes, content.len() as u64);
        let name = match artifact.kind() {
            v1::ArtifactKind::CheckpointWork => format!("work {}", artifact.name),
            v1::ArtifactKind::CheckpointTranscript => format!("transcript {}", artifact.name),
            _ => artifact.name,
        };
        self.0.change(|state| state.files.insert((header.attempt_id, name), content));
        Ok(Response::new(v1::UploadArtifactResponse {}))
    }

    async fn checkpoint(
        &self,
        request: Request<v1::CheckpointRequest>,
    ) -> Result<Response<v1::CheckpointResponse>, Status> {
        self.0.change(|state| state.checkpoints.push(request.into_inner()));
        Ok(Response::new(v1::CheckpointResponse {}))
    }

    type FetchCheckpointStream =
        Pin<Box<dyn Stream<Item = Result<v1::FetchCheckpointResponse, Status>> + Send>>;

    async fn fetch_checkpoint(
        &self,
        request: Request<v1::FetchCheckpointRequest>,
    ) -> Result<Response<Self::FetchCheckpointStream>, Status> {
        use v1::fetch_checkpoint_response::Part;
        let from = request.into_inner().from_attempt_id;
        let parts = self.0.change(|state| {
            let checkpoint = state.newest_checkpoint(&from)?;
            let file = |kind: &str| state.files.get(&(from.clone(), format!("{kind} {}", checkpoint.number)));
            let (work, transcript) = (file("work").cloned(), file("transcript").cloned());
            let parts =
                [Some(Part::Checkpoint(checkpoint)), work.map(Part::Work), transcript.map(Part::Transcript)];
            Some(parts.into_iter().flatten().map(|part| Ok(v1::FetchCheckpointResponse { part: Some(part) })))
        });
        let parts = parts.ok_or_else(|| Status::not_found("no checkpoint was kept of this attempt"))?;
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }

    async fn inventory(
        &self,
        request: Request<v1::InventoryRequest>,
    ) -> Result<Response<v1::InventoryResponse>, Status> {
        self.0.change(|state| state.inventories.push(request.into_inner()));
        Ok(Response::new(v1::InventoryResponse {}))
    }

    async fn repo_job_done(
        &self,
        request: Request<v1::RepoJobDoneRequest>,
    ) -> Result<Response<v1::RepoJobDoneResponse>, Status> {
        self.0.change(|state| {
            if state.plan.refuse_answers > 0 {
                state.plan.refuse_answers -= 1;
                return Err(Status::unavailable("not now"));
            }
            state.jobs_done.push(request.into_inner());
            Ok(())
        })?;
        Ok(Response::new(v1::RepoJobDoneResponse {}))
    }

    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let request = request.into_inner();
        self.0.change(|state| {
            if state.plan.refuse_reports > 0 {
                state.plan.refuse_reports -= 1;
                return Err(Status::unavailable("not now"));
            }
            let unwanted = state.plan.verdicts.get(&request.attempt_id) == Some(&v1::Verdict::Superseded);
            let known = state.reports.iter().find(|report| report.attempt_id == request.attempt_id);
            let verdict = match known {
                _ if unwanted => v1::ReportVerdict::Superseded,
                Some(known) if known.digest == request.digest => v1::ReportVerdict::Duplicate,
                Some(_) => v1::ReportVerdict::Superseded,
                None => v1::ReportVerdict::Accepted,
            };
            state.reports.push(request);
            let task_ended = !state.plan.tried_again;
            Ok(Response::new(v1::ReportResponse { verdict: verdict.into(), task_ended }))
        })
    }
}

async fn hear(
    service: Arc<Service>,
    mut said: Streaming<v1::SessionRequest>,
    say: mpsc::WeakSender<Result<v1::SessionResponse, Status>>,
) {
    while let Ok(Some(request)) = said.message().await {
        let Some(message) = request.message else { continue };
        let answer = service.change(|state| match message {
            Said::Hello(hello) => {
                let verdicts = state.plan.verdicts(&hello.held);
                state.hellos.push(hello);
                Some(Say::Welcome(v1::Welcome { verdicts, ..state.plan.terms.clone() }))
            }
            Said::Accept(accept) => {
                let confirm = Say::Confirm(v1::Confirm { attempt_id: accept.attempt_id.clone() });
                state.said.push(Said::Accept(accept));
                state.plan.confirm.then_some(confirm)
            }
            other => {
                state.said.push(other);
                None
            }
        });
        if let (Some(answer), Some(say)) = (answer, say.upgrade()) {
            // A session that is gone needs no answer.
            let _ = say.send(Ok(v1::SessionResponse { message: Some(answer) })).await;
        }
    }
}

/// Takes what continues the log, and answers where it ends.
fn append(state: &mut State, batch: v1::LogBatch) -> v1::LogAck {
    let log = state.logs.entry(batch.attempt_id.clone()).or_default();
    for record in batch.records {
        match record.offset.cmp(&(log.len() as u64)) {
            std::cmp::Ordering::Equal => log.push(record),
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Greater => {
                state.rewound.insert(batch.attempt_id.clone());
            }
        }
    }
    v1::LogAck { attempt_id: batch.attempt_id, next_offset: log.len() as u64, closed: false }
}
