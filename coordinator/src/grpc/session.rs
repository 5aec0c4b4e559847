//! What is said on a worker's session.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use factory_domain::{AgentKind, AttemptId, Labels};
use factory_proto::convert;
use factory_proto::protocol::Versions;
use factory_proto::v1;
use factory_proto::v1::session_request::Message as Said;
use factory_proto::v1::session_response::Message as Told;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tonic::Streaming;

use super::repo_jobs;
use super::worker::{read_held, verdict};
use crate::app::{Answer, App, Drain, Error, Hello, Offered, OpenSession, Outbox, ToWorker, Welcome};
use crate::store::{AgentFound, WorkerEntry};

const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Characters.
const MAX_NAME: usize = 100;

/// Serves one stream to its end. An error is the last thing the worker is told.
pub async fn serve(app: Arc<App>, mut said: Streaming<v1::SessionRequest>, outbox: Outbox) {
    if let Err(error) = converse(&app, &mut said, &outbox).await {
        tracing::info!(%error, "session ended");
        // A worker that does not read its session learns it from the stream's end.
        let _ = outbox.try_send(Err(error));
    }
}

async fn converse(app: &App, said: &mut Streaming<v1::SessionRequest>, outbox: &Outbox) -> Result<(), Error> {
    let hello = tokio::select! {
        () = app.stopping.cancelled() => return Err(Error::Stopping),
        first = tokio::time::timeout(HELLO_WITHIN, said.message()) => match first {
            Ok(Ok(Some(v1::SessionRequest { message: Some(Said::Hello(hello)) }))) => read_hello(hello)?,
            Ok(Ok(Some(_))) => return Err(Error::invalid("hello", "must come first")),
            Ok(Ok(None) | Err(_)) => return Ok(()),
            Err(_) => return Err(Error::Silent("hello in time")),
        },
    };
    let session = app.open_session(hello, outbox.clone()).await?;
    let end = listen(app, &session, said, outbox).await;
    app.close_session(&session);
    end
}

async fn listen(
    app: &App,
    session: &OpenSession,
    said: &mut Streaming<v1::SessionRequest>,
    outbox: &Outbox,
) -> Result<(), Error> {
    let mut answers = Answers::default();
    let end = loop {
        let message = tokio::select! {
            () = app.stopping.cancelled() => break Err(Error::Stopping),
            () = session.over.cancelled() => break Err(Error::SessionOver),
            () = outbox.closed() => break Ok(()),
            Some(answered) = answers.next() => match answered {
                Ok(()) => continue,
                Err(error) => break Err(error),
            },
            message = said.message(), if answers.have_room() => message,
        };
        match message {
            Ok(Some(v1::SessionRequest { message: Some(message) })) => {
                if let Err(error) = hear(app, session, message, outbox, &mut answers).await {
                    break Err(error);
                }
            }
            Ok(Some(v1::SessionRequest { message: None })) => {
                tracing::debug!("a message this release does not know, on a session");
            }
            Ok(None) => break Ok(()),
            Err(status) => {
                tracing::debug!(%status, "the session's stream broke");
                break Ok(());
            }
        }
    };
    // What has been heard is heard to its end: its write may be in the store's queue already.
    while let Some(answered) = answers.next().await {
        if let Err(error) = answered {
            tracing::debug!(%error, "a message heard as its session ended");
        }
    }
    end
}

/// What was said and is not answered yet. Messages about several attempts are answered side by side,
/// so that the store commits them as one group; those about one attempt in the order they came in.
#[derive(Default)]
struct Answers<'s> {
    under_way: FuturesUnordered<BoxFuture<'s, (AttemptId, Result<(), Error>)>>,
    attempts: HashSet<AttemptId>,
}

impl<'s> Answers<'s> {
    /// Past this the worker's next message waits to be read.
    const MOST: usize = 64;

    fn have_room(&self) -> bool {
        self.attempts.len() < Self::MOST
    }

    async fn begin(
        &mut self,
        attempt: AttemptId,
        answer: impl Future<Output = Result<(), Error>> + Send + 's,
    ) -> Result<(), Error> {
        while self.attempts.contains(&attempt) {
            self.next().await.transpose()?;
        }
        self.attempts.insert(attempt);
        self.under_way.push(async move { (attempt, answer.await) }.boxed());
        Ok(())
    }

    /// `None` where nothing is under way.
    async fn next(&mut self) -> Option<Result<(), Error>> {
        let (attempt, answered) = self.under_way.next().await?;
        self.attempts.remove(&attempt);
        Some(answered)
    }
}

async fn hear<'s>(
    app: &'s App,
    session: &'s OpenSession,
    message: Said,
    outbox: &'s Outbox,
    answers: &mut Answers<'s>,
) -> Result<(), Error> {
    match message {
        Said::Hello(_) => Err(Error::invalid("hello", "was said before")),
        Said::Credits(credits) => {
            app.set_credits(session, credits.free_slots, credits.stopping);
            Ok(())
        }
        Said::Accept(accept) => {
            let task = convert::task_id(&accept.task_id)?;
            let attempt = convert::attempt_id(&accept.attempt_id)?;
            let answer = async move {
                let answer = match app.accept(session, task, attempt).await? {
                    Answer::Confirm => ToWorker::Confirm(attempt),
                    Answer::Withdraw { why } => ToWorker::Withdraw { attempt, why },
                };
                outbox.try_send(Ok(answer)).map_err(|_| Error::SessionOver)
            };
            answers.begin(attempt, answer).await
        }
        Said::Decline(decline) => {
            let task = convert::task_id(&decline.task_id)?;
            let attempt = convert::attempt_id(&decline.attempt_id)?;
            let cool_down = Duration::from_millis(decline.cool_down_ms);
            answers.begin(attempt, app.decline(session, task, attempt, decline.why, cool_down)).await
        }
        Said::Started(started) => {
            let task = convert::task_id(&started.task_id)?;
            let attempt = convert::attempt_id(&started.attempt_id)?;
            answers.begin(attempt, app.started(session, task, attempt)).await
        }
    }
}

fn read_hello(hello: v1::Hello) -> Result<Hello, Error> {
    let protocol = Versions::of(&hello);
    let mut labels = Labels::default();
    for (key, value) in hello.labels {
        labels.insert(key, value).map_err(|error| Error::invalid("hello.labels", error))?;
    }
    if hello.name.is_empty() || hello.name.chars().count() > MAX_NAME || hello.name.contains(char::is_control)
    {
        return Err(Error::invalid("hello.name", format!("must be one line of 1 to {MAX_NAME} characters")));
    }
    Ok(Hello {
        worker: WorkerEntry {
            id: convert::worker_id(&hello.worker_id)?,
            session: convert::session_id(&hello.session_id)?,
            name: hello.name,
            version: hello.version,
            labels,
            agents: hello.agents.into_iter().filter_map(known_agent).collect(),
            slots: hello.slots,
            free_disk: hello.free_disk_bytes,
        },
        protocol,
        held: hello.held.iter().map(read_held).collect::<Result<_, _>>()?,
    })
}

/// A newer worker may drive agents this release has never heard of; nobody can ask for them here.
fn known_agent(agent: v1::AgentReadiness) -> Option<AgentFound> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    match agent.name.parse::<AgentKind>() {
        Ok(kind) => Some(AgentFound {
            kind,
            version: agent.version,
            warning: some(agent.warning),
            unusable: some(agent.unusable_because),
        }),
        Err(error) => {
            tracing::warn!(%error, "a worker has an agent that is left aside");
            None
        }
    }
}

/// A message to the worker, as the wire has it.
pub fn to_wire(message: ToWorker) -> v1::SessionResponse {
    let message = match message {
        ToWorker::Welcome(words) => Told::Welcome(welcome(words)),
        ToWorker::Offer(offered) => Told::Offer(offer(*offered)),
        ToWorker::Confirm(attempt) => Told::Confirm(v1::Confirm { attempt_id: attempt.to_string() }),
        ToWorker::Withdraw { attempt, why } => {
            Told::Withdraw(v1::Withdraw { attempt_id: attempt.to_string(), why })
        }
        ToWorker::Drain(drain) => {
            Told::Drain(v1::Drain { draining: drain.is_some(), hand_over_after_ms: hand_over_after(drain) })
        }
        ToWorker::RepoJob(job) => Told::RepoJob(repo_jobs::to_wire(job)),
        ToWorker::Stop(attempt) => Told::Stop(v1::Stop { attempt_id: attempt.to_string() }),
    };
    v1::SessionResponse { message: Some(message) }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A deadline that is past is as good as one that passes now; zero would say that there is none.
fn hand_over_after(drain: Option<Drain>) -> u64 {
    drain.and_then(|drain| drain.hand_over_after).map_or(0, |span| millis(span).max(1))
}

fn welcome(Welcome { protocol, terms, verdicts, drain }: Welcome) -> v1::Welcome {
    v1::Welcome {
        heartbeat_ms: millis(terms.heartbeat),
        lease_ms: millis(terms.lease),
        lost_after_ms: millis(terms.lost_after),
        offer_ms: millis(terms.offer),
        verdicts: verdicts.into_iter().map(verdict).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        draining: drain.is_some(),
        hand_over_after_ms: hand_over_after(drain),
        protocol,
    }
}

fn offer(offered: Offered) -> v1::Offer {
    let Offered { claimed, equipment } = offered;
    v1::Offer {
        task_id: claimed.task.to_string(),
        task_number: claimed.number,
        attempt_id: claimed.attempt.to_string(),
        attempt_number: claimed.attempt_number,
        spec: Some(claimed.spec.into()),
        traceparent: claimed.traceparent,
        continues: claimed.continues.map(Into::into),
        brief: Some(convert::brief_to_wire(claimed.brief, equipment.notices)),
        upstreams: equipment.upstreams.into_iter().map(Into::into).collect(),
    }
}
