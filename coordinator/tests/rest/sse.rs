//! Live streams as server-sent events, as a browser reads them.

use std::time::Duration;

use factory_domain::Keep;
use factory_proto::v1;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::caller::{get, post, request, send};
use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};

/// One event, as it stands on the wire.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: Value,
    pub retry: Option<u64>,
}

pub struct Events {
    response: Response,
    read: Vec<u8>,
}

impl Events {
    /// Opens a stream, which begins with its place.
    pub async fn open(factory: &Factory, path: &str, last: Option<&str>) -> (Self, String) {
        let mut request = request(factory, Method::GET, path);
        if let Some(id) = last {
            request = request.header("Last-Event-ID", id);
        }
        let response = soon(request.send()).await.expect("an answer");
        let headers = response.headers().clone();
        let header = |name: &str| headers[name].to_str().expect("text").to_owned();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-store".into(), "no".into()));
        let mut events = Self { response, read: Vec::new() };
        let begin = events.next().await.expect("the place it begins at");
        assert_eq!((begin.retry, begin.data), (Some(2000), Value::Null));
        (events, begin.id.expect("an id"))
    }

    pub async fn next(&mut self) -> Option<Event> {
        let text: Vec<u8> = loop {
            match self.read.windows(2).position(|two| two == b"\n\n") {
                Some(end) => {
                    let text: Vec<u8> = self.read.drain(..end + 2).collect();
                    // A comment keeps the connection open, and says nothing.
                    if !text.starts_with(b":") {
                        break text;
                    }
                }
                None => self.read.extend_from_slice(&soon(self.response.chunk()).await.expect("it goes on")?),
            }
        };
        let mut event = Event::default();
        for line in std::str::from_utf8(&text).expect("UTF-8").lines().filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(": ").expect("a field");
            match field {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.name = value.to_owned(),
                "retry" => event.retry = Some(value.parse().expect("milliseconds")),
                "data" => event.data = serde_json::from_str(value).expect("JSON"),
                other => panic!("an unknown field {other}"),
            }
        }
        Some(event)
    }

    /// The lines of a log up to its end, each with its attempt.
    pub async fn lines(&mut self) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        loop {
            let event = self.next().await.expect("an end");
            if event.name == "end" {
                assert_eq!(self.next().await, None, "it ends with its end");
                return all;
            }
            assert_eq!(event.name, "lines", "{event:?}");
            let attempt = event.data["attempt"].as_u64().expect("a number");
            for line in event.data["lines"].as_array().expect("lines") {
                all.push((attempt, line["text"].as_str().expect("text").to_owned()));
            }
        }
    }
}

async fn running(factory: &Factory) -> (Worker, v1::Submitted, v1::Offer) {
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(v1::TaskSpec { max_attempts: Some(2), ..prompt("Work") }).await;
    let offer = worker.run().await;
    (worker, task, offer)
}

#[tokio::test]
async fn events_come_as_they_happen_and_say_what_is_so() {
    let factory = Factory::start().await;
    let (mut events, begin) = Events::open(&factory, "/api/events/sse", None).await;
    assert_eq!(begin, "0");
    let (worker, task, offer) = running(&factory).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "ended") {
        let event = events.next().await.expect("an event");
        let view = &event.data;
        assert_eq!((event.name.as_str(), event.id), ("task", Some(view["cursor"].to_string())));
        assert_eq!(
            (&view["task_id"], &view["task_number"]),
            (&Value::from(task.id.clone()), &Value::from(1))
        );
        if view["kind"] == "started" {
            assert_eq!((&view["state"], &view["status"]), (&"running".into(), &"in_progress".into()));
            assert_eq!((&view["worker"], &view["attempt"]), (&"hand".into(), &1.into()));
            worker.report(&offer, succeeded(0)).await;
        }
        kinds.push(view["kind"].as_str().expect("a kind").to_owned());
    }
    assert_eq!(kinds, ["submitted", "offered", "accepted", "started", "ended"]);
}

#[tokio::test]
async fn whoever_comes_back_after_a_restart_misses_nothing_and_sees_nothing_twice() {
    let factory = Factory::start().await;
    let (mut events, _) = Events::open(&factory, "/api/events/sse?after=0", None).await;
    let (mut quiet, place) = Events::open(&factory, "/api/events/sse", None).await;
    for text in ["one", "two"] {
        factory.submit(prompt(text)).await;
    }
    let first = events.next().await.expect("an event").id.expect("an id");
    assert_eq!(quiet.next().await.expect("an event").data["task_number"], 1);

    let url = factory.coordinator.url();
    let factory = factory.restart().await;
    assert_ne!(factory.coordinator.url(), url);
    while events.next().await.is_some() {}
    factory.submit(prompt("three")).await;
    // What was seen goes before the URL, which a browser does not change.
    let (mut events, begin) = Events::open(&factory, "/api/events/sse?after=0", Some(&first)).await;
    assert_eq!(begin, first);
    for number in [2, 3] {
        assert_eq!(events.next().await.expect("an event").data["task_number"], number);
    }
    // One that had seen nothing yet but its place.
    let (mut quiet, _) = Events::open(&factory, "/api/events/sse?task=3&task=2", Some(&place)).await;
    for number in [2, 3] {
        assert_eq!(quiet.next().await.expect("an event").data["task_number"], number);
    }
}

#[tokio::test]
async fn a_place_that_is_none_is_refused_before_the_stream_begins() {
    let factory = Factory::start().await;
    let (worker, ..) = running(&factory).await;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const MISSING: StatusCode = StatusCode::NOT_FOUND;
    for (path, last, status, said) in [
        ("/api/events/sse?after=1000", None, BAD, "the feed ends at"),
        ("/api/events/sse?after=18446744073709551615", None, BAD, "the feed ends at"),
        ("/api/events/sse?after=-1", None, BAD, "after"),
        ("/api/events/sse?afterwards=1", None, BAD, "unknown field"),
        ("/api/events/sse?after=0", Some("1:2"), BAD, "Last-Event-ID"),
        ("/api/events/sse?task=77", None, MISSING, "no task `77`"),
        ("/api/tasks/77/logs/sse", None, MISSING, "no task `77`"),
        ("/api/tasks/1/logs/sse?attempt=2", None, MISSING, "no attempt 2"),
        ("/api/tasks/1/logs/sse?after=7", None, BAD, "<attempt>:<offset>"),
        ("/api/tasks/1/logs/sse?after=1:1", None, BAD, "ends at 0"),
        ("/api/tasks/1/logs/sse?after=2:0", None, BAD, "no place 2:0"),
        ("/api/tasks/1/logs/sse", Some("x"), BAD, "Last-Event-ID"),
        ("/api/messages/stream/sse?after=9", None, BAD, "newest message is 0"),
        ("/api/messages/stream/sse", Some("1:1"), BAD, "Last-Event-ID"),
        ("/api/messages/stream/sse?message_type=gossip", None, BAD, "gossip"),
        ("/api/messages/stream/sse?task_id=77", None, MISSING, "no task `77`"),
    ] {
        let mut request = request(&factory, Method::GET, path);
        if let Some(id) = last {
            request = request.header("Last-Event-ID", id);
        }
        send(request).await.assert_problem(status, said);
    }
    drop(worker);
}

#[tokio::test]
async fn a_log_is_followed_over_its_attempts_and_resumed_anywhere() {
    let factory = Factory::start_with(|config| config.rules.backoff.base = Duration::from_millis(5)).await;
    let (mut worker, _, first) = running(&factory).await;
    let (mut log, begin) = Events::open(&factory, "/api/tasks/1/logs/sse", None).await;
    assert_eq!(begin, "1:0");
    worker.push(&first, 0, &["first"]).await;
    let lines = log.next().await.expect("lines");
    assert_eq!((lines.id.as_deref(), &lines.data["lines"][0]["stream"]), (Some("1:1"), &"stdout".into()));
    worker.report(&first, failed("agent_error", 1)).await;
    let second = worker.run().await;
    worker.push(&second, 0, &["second", "last"]).await;
    worker.report(&second, succeeded(2)).await;
    assert_eq!(log.lines().await, [(2, "second".to_owned()), (2, "last".to_owned())]);

    let factory = factory.restart().await;
    let (mut rest, _) = Events::open(&factory, "/api/tasks/1/logs/sse?after=1:0", Some("2:1")).await;
    assert_eq!(rest.lines().await, [(2, "last".to_owned())]);
    let (mut over, _) = Events::open(&factory, "/api/tasks/1/logs/sse", Some("2:2")).await;
    assert!(over.lines().await.is_empty());
    let (mut one, _) = Events::open(&factory, "/api/tasks/1/logs/sse?attempt=1", None).await;
    assert_eq!(one.lines().await, [(1, "first".to_owned())]);
}

#[tokio::test]
async fn whatever_an_agent_prints_arrives() {
    let factory = Factory::start().await;
    let (worker, _, offer) = running(&factory).await;
    let long = "long line ж ".repeat(1024 * 1024 / 12);
    let mut records = vec![v1::LogRecord {
        offset: 0,
        at_ms: 1,
        stream: v1::LogStream::Stderr.into(),
        data: (&b"\xffno text\r\n\0: \xe2\x82"[..]).into(),
        continues: false,
    }];
    let line = long.clone().into_bytes().into();
    records.extend(factory_proto::record::split_line(1, 2, v1::LogStream::Stdout, line));
    let count = records.len() as u64;
    worker.push_records(&offer, records).await;
    worker.report(&offer, succeeded(count)).await;

    let (mut log, _) = Events::open(&factory, "/api/tasks/1/logs/sse", None).await;
    let odd = log.next().await.expect("lines").data["lines"][0].clone();
    assert_eq!((&odd["text"], &odd["lossy"]), (&"\u{fffd}no text\r\n\0: \u{fffd}".into(), &true.into()));
    let (mut log, _) = Events::open(&factory, "/api/tasks/1/logs/sse", Some("1:1")).await;
    let pieces = log.lines().await;
    assert_eq!(pieces.into_iter().map(|(_, piece)| piece).collect::<String>(), long);
}

#[tokio::test]
async fn a_stop_ends_every_stream_as_one_ends() {
    let factory = Factory::start().await;
    running(&factory).await;
    let mut open = Vec::new();
    for path in ["/api/events/sse", "/api/tasks/1/logs/sse", "/api/messages/stream/sse"] {
        open.push(Events::open(&factory, path, None).await.0);
    }
    soon(factory.coordinator.shutdown()).await;
    for events in &mut open {
        while let Some(event) = events.next().await {
            assert_ne!(event.name, "problem", "{event:?}");
        }
    }
}

#[tokio::test]
async fn messages_come_as_they_are_posted_and_are_resumed_by_number() {
    let factory = Factory::start().await;
    let say = |content: &str, kind: &str| json!({ "content": content, "message_type": kind });
    post(&factory, "/api/messages", &say("before", "info")).await.assert_ok();
    let (mut all, begin) = Events::open(&factory, "/api/messages/stream/sse", None).await;
    assert_eq!(begin, "1");
    let path = "/api/messages/stream/sse?after=0&message_type=error&message_type=question";
    let (mut some, _) = Events::open(&factory, path, None).await;
    for (content, kind) in [("one", "info"), ("two", "error"), ("three", "status"), ("four", "question")] {
        post(&factory, "/api/messages", &say(content, kind)).await.assert_ok();
    }
    let first = all.next().await.expect("a message");
    assert_eq!((first.name.as_str(), first.id.as_deref()), ("message", Some("2")));
    assert_eq!(first.data, get(&factory, "/api/messages/2").await.assert_ok());
    for content in ["two", "four"] {
        assert_eq!(some.next().await.expect("a message").data["content"], content);
    }

    let factory = factory.restart().await;
    let (mut rest, _) = Events::open(&factory, "/api/messages/stream/sse?after=0", Some("2")).await;
    for content in ["two", "three", "four"] {
        assert_eq!(rest.next().await.expect("a message").data["content"], content);
    }
}

#[tokio::test]
async fn a_log_that_was_removed_is_not_found() {
    let factory = Factory::start().await;
    let (worker, _, offer) = running(&factory).await;
    worker.push(&offer, 0, &["one", "two"]).await;
    worker.report(&offer, succeeded(2)).await;
    drop(worker);
    let at_once = Keep { age: Some(Duration::from_nanos(1)), bytes: None };
    let factory = factory.restart_with(|config| config.retention.logs = at_once).await;
    // The first round begins with the start, beside all else.
    let gone = soon(async {
        loop {
            let answer = send(request(&factory, Method::GET, "/api/tasks/1/logs/sse?after=1:2")).await;
            if answer.status != StatusCode::OK {
                return answer;
            }
        }
    });
    gone.await.assert_problem(StatusCode::NOT_FOUND, "the log of attempt 1 was removed on");
}
