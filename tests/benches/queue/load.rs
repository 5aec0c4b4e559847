//! What is asked of a server.

use std::time::{Duration, Instant};

use factory_proto::{PROTOCOL_VERSION, v1};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::servers::Server;

pub struct Submits {
    pub name: &'static str,
    pub clients: usize,
    /// Of each client, one after the other.
    pub calls: usize,
    /// Tasks in each call.
    pub batch: usize,
    /// The share of the limit that is aimed at.
    pub target: f64,
}

impl Submits {
    /// Tasks accepted in a second.
    pub async fn run(&self, server: &Server) -> f64 {
        // One connection, as one program would have; the calls are its tasks'.
        let client = server.client().await;
        submit(&client, self.batch).await;
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..self.clients {
            let (client, calls, batch) = (client.clone(), self.calls, self.batch);
            callers.spawn(async move {
                for _ in 0..calls {
                    submit(&client, batch).await;
                }
            });
        }
        while let Some(done) = callers.join_next().await {
            done.expect("a caller that does not panic");
        }
        let tasks = self.clients * self.calls * self.batch;
        tasks as f64 / start.elapsed().as_secs_f64()
    }
}

async fn submit(client: &factory_proto::client::Client, batch: usize) {
    let tasks = (0..batch).map(|_| task()).collect();
    let reply = client.tasks().submit(v1::SubmitRequest { tasks }).await.expect("accepted");
    assert_eq!(reply.into_inner().tasks.len(), batch);
}

fn task() -> v1::NewTask {
    let spec =
        v1::TaskSpec { prompt: "say hello".to_owned(), agent: "scripted".to_owned(), ..Default::default() };
    v1::NewTask { spec: Some(spec), idempotency_key: String::new() }
}

/// From a submit to the offer in a waiting worker's hands, on an idle coordinator; sorted.
pub async fn offer_latency(server: Server) -> Vec<Duration> {
    const SAMPLES: usize = 500;
    let client = server.client().await;
    let (speak, spoken) = mpsc::channel(16);
    let hello = v1::Hello {
        worker_id: Uuid::now_v7().to_string(),
        session_id: Uuid::now_v7().to_string(),
        name: "bench".to_owned(),
        version: "0".to_owned(),
        protocol: PROTOCOL_VERSION,
        slots: SAMPLES as u32,
        agents: vec![v1::AgentReadiness { name: "scripted".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    say(&speak, v1::session_request::Message::Hello(hello)).await;
    let session = server.client().await.worker().session(ReceiverStream::new(spoken)).await;
    let mut heard = session.expect("a session").into_inner();
    heard.next().await.expect("a welcome").expect("a welcome");
    say(&speak, v1::session_request::Message::Credits(v1::Credits { free_slots: SAMPLES as u32 })).await;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        submit(&client, 1).await;
        loop {
            let message = heard.next().await.expect("an offer").expect("an offer").message;
            if matches!(message, Some(v1::session_response::Message::Offer(_))) {
                break;
            }
        }
        times.push(start.elapsed());
    }
    times.sort();
    times
}

async fn say(speak: &mpsc::Sender<v1::SessionRequest>, message: v1::session_request::Message) {
    speak.send(v1::SessionRequest { message: Some(message) }).await.expect("the session is open");
}
