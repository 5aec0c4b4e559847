//! What is asked of a server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use factory_proto::client::Client;
use factory_proto::v1::session_request::Message as Say;
use factory_proto::{PROTOCOL_VERSION, v1};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
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

pub async fn submit(client: &Client, batch: usize) {
    let tasks = (0..batch).map(|_| task()).collect();
    let reply = client.tasks().submit(v1::SubmitRequest { tasks }).await.expect("accepted");
    assert_eq!(reply.into_inner().tasks.len(), batch);
}

fn task() -> v1::NewTask {
    let spec =
        v1::TaskSpec { prompt: "say hello".to_owned(), agent: "scripted".to_owned(), ..Default::default() };
    v1::NewTask { spec: Some(spec), ..v1::NewTask::default() }
}

/// A worker's open session.
pub struct Seat {
    pub client: Client,
    pub worker: String,
    pub heard: Streaming<v1::SessionResponse>,
    /// Tasks offered and not confirmed yet, by attempt.
    pub tasks: HashMap<String, String>,
    speak: mpsc::Sender<v1::SessionRequest>,
}

impl Seat {
    /// Connects a worker and hears its welcome.
    pub async fn take(server: &Server, slots: u32) -> Self {
        let client = server.client().await;
        let (speak, spoken) = mpsc::channel(128);
        let worker = Uuid::now_v7().to_string();
        let hello = v1::Hello {
            worker_id: worker.clone(),
            session_id: Uuid::now_v7().to_string(),
            name: "bench".to_owned(),
            version: "0".to_owned(),
            protocol: PROTOCOL_VERSION,
            slots,
            agents: vec![v1::AgentReadiness { name: "scripted".to_owned(), ..Default::default() }],
            ..Default::default()
        };
        let hello = v1::SessionRequest { message: Some(Say::Hello(hello)) };
        speak.send(hello).await.expect("there is room");
        let session = client.worker().session(ReceiverStream::new(spoken)).await;
        let mut heard = session.expect("a session").into_inner();
        heard.next().await.expect("a welcome").expect("a welcome");
        Self { client, worker, heard, tasks: HashMap::new(), speak }
    }

    pub async fn say(&self, message: Say) {
        self.speak.send(v1::SessionRequest { message: Some(message) }).await.expect("the session is open");
    }
}

/// From a submit to the offer in a waiting worker's hands, on an idle coordinator; sorted.
pub async fn offer_latency(server: Server) -> Vec<Duration> {
    const SAMPLES: usize = 500;
    let client = server.client().await;
    let mut seat = Seat::take(&server, SAMPLES as u32).await;
    seat.say(Say::Credits(v1::Credits { free_slots: SAMPLES as u32, stopping: false })).await;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        submit(&client, 1).await;
        loop {
            let message = seat.heard.next().await.expect("an offer").expect("an offer").message;
            if matches!(message, Some(v1::session_response::Message::Offer(_))) {
                break;
            }
        }
        times.push(start.elapsed());
    }
    times.sort();
    times
}
