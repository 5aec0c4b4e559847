//! The session: says who this worker is and what it could take, and answers what it is offered.
//!
//! A lost stream loses nothing: attempts go on, and the next Hello names them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use factory_domain::{AttemptId, LeaseTerms, RepoSource};
use factory_proto::protocol::Versions;
use factory_proto::v1;
use factory_proto::v1::session_request::Message as Say;
use factory_proto::v1::session_response::Message as Heard;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::agent_host::{Shared, Standing};
use crate::attempt::assignment::Assignment;
use crate::attempt::{Cause, Order, Phase};
use crate::heartbeat;
use crate::roster::{self, Full, HeldAttempt};
use crate::uplink::{Trouble, Uplink};

/// For how long a worker that could not take a task is not offered it again.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// The same where only a slot was missing, which the next credits tell anyway.
const SHORT_COOL_DOWN: Duration = Duration::from_millis(200);
/// How long a coordinator may take to answer Hello.
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
/// Messages waiting to be sent; the stream takes them at once, so this is never reached.
const OUTGOING: usize = 256;

/// Keeps a session open until the token is cancelled.
pub async fn run(shared: Arc<Shared>, mut uplink: Uplink, token: CancellationToken) {
    loop {
        let ended = tokio::select! {
            () = token.cancelled() => return,
            ended = serve(&shared, &mut uplink) => ended,
        };
        match ended {
            Ok(()) => tracing::info!("session ended; connecting again"),
            Err(trouble) if trouble.is_refusal() && !shared.was_welcomed() => {
                shared.standing.send_replace(Standing::Refused(trouble.full()));
                return;
            }
            Err(trouble) => {
                tracing::warn!(url = shared.config.url, error = %trouble.full(), "no session; trying again");
            }
        }
        tokio::select! {
            () = token.cancelled() => return,
            () = uplink.pause() => {}
        }
    }
}

/// One session, from Hello to the stream's end.
async fn serve(shared: &Arc<Shared>, uplink: &mut Uplink) -> Result<(), Trouble> {
    let client = uplink.client().await?;
    // Before Hello, so that no change falls between.
    let (mut changes, mut crew) = (shared.roster.changes(), shared.crew.changes());
    let (say, sayings) = mpsc::channel(OUTGOING);
    let held = shared.roster.held();
    let announced = held.iter().filter(|held| held.started).map(|held| held.attempt).collect();
    let mut session = Session { shared: Arc::clone(shared), say, announced, credits: None };
    session.say(Say::Hello(session.hello(&held))).await?;
    let mut heard = client.worker().session(ReceiverStream::new(sayings)).await?.into_inner();
    let welcome = tokio::time::timeout(WELCOME_WITHIN, next(&mut heard)).await;
    let welcome = welcome.map_err(|_| Status::deadline_exceeded("no Welcome came"))?;
    let welcome = match welcome? {
        Some(Heard::Welcome(welcome)) => welcome,
        Some(_) => return Err(Status::internal("the coordinator did not answer Hello with Welcome").into()),
        None => return Ok(()),
    };
    session.welcomed(welcome).await?;
    uplink.worked();
    session.tell_changes().await?;
    loop {
        tokio::select! {
            message = next(&mut heard) => match message? {
                Some(message) => session.hear(message).await?,
                None => return Ok(()),
            },
            Ok(()) = changes.changed() => session.tell_changes().await?,
            // Only Hello tells which agents there are; a new session costs no attempt anything.
            Ok(()) = crew.changed() => return Ok(()),
        }
    }
}

/// The next message this release knows; `None`: the stream has ended.
async fn next(heard: &mut Streaming<v1::SessionResponse>) -> Result<Option<Heard>, Trouble> {
    while let Some(response) = heard.message().await? {
        if let Some(message) = response.message {
            return Ok(Some(message));
        }
        tracing::debug!("a message this release does not know, on the session");
    }
    Ok(None)
}

struct Session {
    shared: Arc<Shared>,
    say: mpsc::Sender<v1::SessionRequest>,
    /// Attempts whose start this session has told.
    announced: HashSet<AttemptId>,
    /// The credits last given.
    credits: Option<v1::Credits>,
}

impl Session {
    async fn say(&self, message: Say) -> Result<(), Trouble> {
        let sent = self.say.send(v1::SessionRequest { message: Some(message) }).await;
        sent.map_err(|_| Status::unavailable("the session's stream is closed").into())
    }

    fn hello(&self, held: &[HeldAttempt]) -> v1::Hello {
        let config = &self.shared.config;
        v1::Hello {
            worker_id: self.shared.worker.to_string(),
            session_id: self.shared.session.to_string(),
            name: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: Versions::SPOKEN.oldest,
            newest_protocol: Versions::SPOKEN.newest,
            labels: config.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            slots: config.slots,
            agents: self.shared.crew.readiness(),
            free_disk_bytes: self.shared.free_disk(),
            held: roster::on_the_wire(held),
        }
    }

    async fn welcomed(&self, welcome: v1::Welcome) -> Result<(), Trouble> {
        let Some(protocol) = Versions::SPOKEN.settled_by(&welcome) else {
            return Err(Trouble::Protocol { release: welcome.version, settled: welcome.protocol });
        };
        let millis = Duration::from_millis;
        let terms = LeaseTerms {
            heartbeat: millis(welcome.heartbeat_ms.max(1)),
            lease: millis(welcome.lease_ms),
            lost_after: millis(welcome.lost_after_ms),
            offer: millis(welcome.offer_ms),
        };
        tracing::info!(coordinator = welcome.version, protocol, ?terms, "session opened");
        self.shared.protocol.send_replace(protocol);
        self.shared.drain.told(welcome.draining, millis(welcome.hand_over_after_ms));
        self.accept_again(&welcome.verdicts).await?;
        heartbeat::obey(&self.shared, welcome.verdicts);
        self.shared.standing.send_replace(Standing::Welcomed(terms));
        self.shared.welcomed.send_modify(|sessions| *sessions += 1);
        Ok(())
    }

    /// An acceptance may have been lost with the stream before it, or its confirmation. Said
    /// again, it is answered again; to carry on alone does not tell that it was heard.
    async fn accept_again(&self, verdicts: &[v1::HeldVerdict]) -> Result<(), Trouble> {
        let carry_on = verdicts.iter().filter(|verdict| verdict.verdict() == v1::Verdict::CarryOn);
        let carry_on: HashSet<&str> = carry_on.map(|verdict| verdict.attempt_id.as_str()).collect();
        for held in self.shared.roster.held() {
            let (task_id, attempt_id) = (held.task.to_string(), held.attempt.to_string());
            if held.phase == Phase::Accepted && carry_on.contains(attempt_id.as_str()) {
                self.say(Say::Accept(v1::Accept { task_id, attempt_id })).await?;
            }
        }
        Ok(())
    }

    /// Credits that changed, and agents that have started.
    async fn tell_changes(&mut self) -> Result<(), Trouble> {
        let roster = &self.shared.roster;
        let credits = v1::Credits { free_slots: roster.free_slots(), stopping: roster.is_draining() };
        if self.credits.replace(credits) != Some(credits) {
            self.say(Say::Credits(credits)).await?;
        }
        for held in self.shared.roster.held() {
            if held.started && self.announced.insert(held.attempt) {
                let (task_id, attempt_id) = (held.task.to_string(), held.attempt.to_string());
                self.say(Say::Started(v1::Started { task_id, attempt_id })).await?;
            }
        }
        Ok(())
    }

    async fn hear(&mut self, message: Heard) -> Result<(), Trouble> {
        match message {
            Heard::Offer(offer) => self.answer(offer).await?,
            Heard::Confirm(confirm) => self.order(&confirm.attempt_id, Order::Confirmed),
            Heard::Withdraw(withdraw) => {
                tracing::info!(attempt = withdraw.attempt_id, why = withdraw.why, "attempt withdrawn");
                self.order(&withdraw.attempt_id, Order::End(Cause::Superseded));
            }
            Heard::Stop(stop) => self.order(&stop.attempt_id, Order::End(Cause::Cancelled)),
            Heard::Drain(drain) => {
                self.shared.drain.told(drain.draining, Duration::from_millis(drain.hand_over_after_ms));
            }
            Heard::RepoJob(job) => self.shared.repo_jobs.ask(job),
            Heard::Welcome(_) => tracing::warn!("the coordinator said Welcome twice"),
        }
        Ok(())
    }

    fn order(&self, attempt: &str, order: Order) {
        match attempt.parse() {
            Ok(attempt) => self.shared.roster.order(attempt, order),
            Err(error) => tracing::warn!(%error, "the coordinator's order names no attempt"),
        }
    }

    async fn answer(&mut self, offer: v1::Offer) -> Result<(), Trouble> {
        let (task_id, attempt_id) = (offer.task_id.clone(), offer.attempt_id.clone());
        match self.take_on(offer).await {
            Ok(()) => {
                // Fewer credits first: once the acceptance is read, the slot counts as free otherwise.
                self.tell_changes().await?;
                self.say(Say::Accept(v1::Accept { task_id, attempt_id })).await
            }
            Err(Refusal { why, cool_down }) => {
                tracing::info!(task = task_id, attempt = attempt_id, why, "offer declined");
                let cool_down_ms = u64::try_from(cool_down.as_millis()).unwrap_or(u64::MAX);
                self.say(Say::Decline(v1::Decline { task_id, attempt_id, why, cool_down_ms })).await
            }
        }
    }

    /// Checks an offer, takes a slot for it and puts it on disk; its attempt then waits for the confirmation.
    async fn take_on(&self, offer: v1::Offer) -> Result<(), Refusal> {
        let assignment = Assignment::from_offer(offer).map_err(Refusal::new)?;
        check(&self.shared, &assignment)?;
        let (task, attempt) = (assignment.task, assignment.attempt);
        let orders = match self.shared.roster.reserve(task, attempt) {
            Ok(orders) => orders,
            // The offer came twice: accepting it twice changes nothing.
            Err(Full::Held) => return Ok(()),
            Err(Full::NoSlot) => return Err(Refusal::soon("all slots of this worker are taken")),
            Err(Full::Draining) => return Err(Refusal::new("the worker is draining")),
        };
        let agent = assignment.spec.agent;
        if let Err(why) = self.shared.crew.take(agent, attempt) {
            self.shared.roster.remove(attempt);
            return Err(Refusal::soon(&why));
        }
        self.shared.begin(assignment, orders).await.map_err(|error| {
            self.shared.roster.remove(attempt);
            self.shared.crew.give_back(agent, attempt);
            Refusal::new(format!("the worker's disk failed: {error}"))
        })
    }
}

/// Why an offer is declined, for people, and for how long.
#[derive(Debug)]
struct Refusal {
    why: String,
    cool_down: Duration,
}

impl Refusal {
    fn new(why: impl ToString) -> Self {
        Self { why: why.to_string(), cool_down: COOL_DOWN }
    }

    fn soon(why: &str) -> Self {
        Self { why: why.to_owned(), cool_down: SHORT_COOL_DOWN }
    }
}

/// What can be known before any work is done.
fn check(shared: &Shared, assignment: &Assignment) -> Result<(), Refusal> {
    if let Err(why) = shared.crew.offers(assignment.spec.agent) {
        return Err(Refusal::new(why));
    }
    if let Some(why) = shared.disk_shortage() {
        return Err(Refusal::new(why));
    }
    if let Some(RepoSource::Path(path)) = &assignment.spec.repo
        && !std::path::Path::new(path).exists()
    {
        return Err(Refusal::new(format!("the repository {path} is not on this worker's host")));
    }
    Ok(())
}
