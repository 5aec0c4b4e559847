//! Workers of other releases.
//!
//! The messages of a worker of protocol 1 are written here as its release wrote them, and are never
//! changed with the others: what is encoded with them is what such a worker sends, byte for byte,
//! and what is decoded with them is what it understands.

use std::collections::HashMap;

use factory_proto::v1;
use factory_proto::v1::session_request::Message as Say;
use factory_proto::v1::session_response::Message as Heard;
use prost::Message;
use tonic::Code;
use uuid::Uuid;

use crate::setup::{Factory, Worker, hello, prompt, succeeded};

#[derive(Clone, PartialEq, Message)]
struct HelloOf1 {
    #[prost(string, tag = "1")]
    worker_id: String,
    #[prost(string, tag = "2")]
    session_id: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(uint32, tag = "5")]
    protocol: u32,
    #[prost(map = "string, string", tag = "6")]
    labels: HashMap<String, String>,
    #[prost(uint32, tag = "7")]
    slots: u32,
    #[prost(message, repeated, tag = "8")]
    agents: Vec<AgentOf1>,
    #[prost(uint64, tag = "9")]
    free_disk_bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
struct AgentOf1 {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct WelcomeOf1 {
    #[prost(uint64, tag = "1")]
    heartbeat_ms: u64,
    #[prost(uint64, tag = "2")]
    lease_ms: u64,
    #[prost(uint64, tag = "3")]
    lost_after_ms: u64,
    #[prost(uint64, tag = "4")]
    offer_ms: u64,
    #[prost(string, tag = "6")]
    version: String,
    #[prost(bool, tag = "7")]
    draining: bool,
}

#[derive(Clone, PartialEq, Message)]
struct OfferOf1 {
    #[prost(string, tag = "1")]
    task_id: String,
    #[prost(uint64, tag = "2")]
    task_number: u64,
    #[prost(string, tag = "3")]
    attempt_id: String,
    #[prost(uint32, tag = "4")]
    attempt_number: u32,
    #[prost(message, optional, tag = "5")]
    spec: Option<SpecOf1>,
}

/// The part of a task that this suite's have.
#[derive(Clone, PartialEq, Message)]
struct SpecOf1 {
    #[prost(string, tag = "2")]
    prompt: String,
    #[prost(string, tag = "3")]
    agent: String,
}

fn hello_of_1() -> HelloOf1 {
    HelloOf1 {
        worker_id: Uuid::now_v7().to_string(),
        session_id: Uuid::now_v7().to_string(),
        name: "old".to_owned(),
        version: "0.1.0".to_owned(),
        protocol: 1,
        labels: HashMap::new(),
        slots: 2,
        agents: vec![AgentOf1 { name: "scripted".to_owned(), version: "1".to_owned() }],
        free_disk_bytes: 1 << 40,
    }
}

/// What one release sent, as another reads it.
fn read<T: Message + Default>(sent: &impl Message) -> T {
    T::decode(sent.encode_to_vec().as_slice()).expect("a message")
}

#[tokio::test]
async fn a_worker_of_protocol_1_runs_tasks() {
    let factory = Factory::start().await;
    let task = factory.submit(prompt("x")).await;
    let hello: v1::Hello = read(&hello_of_1());
    let mut worker = Worker::connect_as(&factory.client, hello).await.expect("welcome");
    let welcome: WelcomeOf1 = read(&worker.welcome);
    assert!(welcome.heartbeat_ms > 0 && welcome.lease_ms > 0 && welcome.lost_after_ms > 0);
    assert!(welcome.offer_ms > 0 && !welcome.draining);
    assert_eq!(worker.welcome.protocol, 1);

    worker.credits(1).await;
    let offer = worker.offer().await;
    let understood: OfferOf1 = read(&offer);
    assert_eq!((understood.task_id.as_str(), understood.task_number), (task.id.as_str(), task.number));
    assert_eq!(understood.spec.map(|spec| spec.prompt).as_deref(), Some("x"));
    assert!(matches!(worker.accept(&offer).await, Heard::Confirm(_)));
    let (task_id, attempt_id) = (understood.task_id, understood.attempt_id);
    worker.say(Say::Started(v1::Started { task_id, attempt_id })).await;
    assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Succeeded);
}

#[tokio::test]
async fn what_is_spoken_is_the_newest_that_both_speak() {
    let factory = Factory::start().await;
    let later = v1::Hello { protocol: 1, newest_protocol: 99, ..hello(Uuid::now_v7()) };
    let worker = Worker::connect_as(&factory.client, later).await.expect("welcome");
    assert_eq!(worker.welcome.protocol, factory_proto::PROTOCOL_VERSION);
}

#[tokio::test]
async fn a_worker_too_far_away_is_told_which_to_upgrade() {
    let factory = Factory::start().await;
    for (oldest, newest, step) in [(98, 99, "upgrade the coordinator"), (0, 0, "upgrade the worker")] {
        let versions = v1::Hello { protocol: oldest, newest_protocol: newest, ..hello(Uuid::now_v7()) };
        let stranger = v1::Hello { version: "7.7.7".to_owned(), ..versions };
        let refused = Worker::connect_as(&factory.client, stranger).await.err().expect("refused");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let why = refused.message();
        let both = why.contains("7.7.7") && why.contains(env!("CARGO_PKG_VERSION"));
        assert!(both && why.contains(step), "{why}");
    }
}

#[tokio::test]
async fn what_a_later_worker_says_beyond_is_passed_over() {
    let factory = Factory::start().await;
    let task = factory.submit(prompt("x")).await;
    let mut worker = Worker::connect(&factory.client).await;
    // How a message of an unknown kind is read.
    worker.say_something_of_later().await;
    let offer = worker.run().await;
    assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Succeeded);
}
