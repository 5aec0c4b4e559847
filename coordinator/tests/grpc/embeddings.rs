//! Memories by meaning, with an embeddings endpoint whose every vector the test decides.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use factory_coordinator::Config;
use factory_coordinator::embeddings::{ApiKey, EndpointConfig};
use factory_proto::v1;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::setup::{Factory, Worker, prompt, soon};

/// Words that mean the same have the same place; every text has a little of something else.
const MEANINGS: [&[&str]; 2] = [&["cat", "feline", "lion"], &["car", "vehicle", "truck"]];

#[derive(Default)]
struct Seen {
    /// The bodies of all requests, and what they were authorised by.
    requests: Mutex<Vec<(Value, String)>>,
    down: Mutex<bool>,
}

impl Seen {
    /// The texts that vectors of this model were asked for.
    fn texts(&self, model: &str) -> Vec<String> {
        let requests = self.requests.lock().expect("not poisoned");
        let of_model = requests.iter().filter(|(body, _)| body["model"] == model);
        of_model
            .flat_map(|(body, _)| body["input"].as_array().cloned().unwrap_or_default())
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    }
}

/// The endpoint; it ends when dropped.
struct Endpoint {
    url: String,
    seen: Arc<Seen>,
    _server: JoinSet<std::io::Result<()>>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1/", listener.local_addr().expect("an address"));
        let seen = Arc::new(Seen::default());
        let routes = Router::new().route("/v1/embeddings", post(embed)).with_state(Arc::clone(&seen));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await });
        Self { url, seen, _server: server }
    }

    /// Lets a coordinator ask this for vectors of `model`.
    fn configure(&self, model: &str) -> impl FnOnce(&mut Config) + use<> {
        let key = ApiKey::new("s3cret");
        let endpoint = EndpointConfig { url: self.url.clone(), model: model.to_owned(), key };
        move |config| config.embeddings = Some(endpoint)
    }

    fn go_down(&self) {
        *self.seen.down.lock().expect("not poisoned") = true;
    }
}

async fn embed(State(seen): State<Arc<Seen>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if *seen.down.lock().expect("not poisoned") {
        return (StatusCode::SERVICE_UNAVAILABLE, "out of order").into_response();
    }
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let texts = body["input"].as_array().cloned().unwrap_or_default();
    seen.requests.lock().expect("not poisoned").push((body, authorization.to_owned()));
    let vectors = texts.iter().enumerate().map(|(index, text)| {
        let text = text.as_str().unwrap_or_default().to_lowercase();
        let share = |words: &&[&str]| if words.iter().any(|word| text.contains(word)) { 1.0 } else { 0.0 };
        let mut vector: Vec<f64> = MEANINGS.iter().map(share).collect();
        vector.push(0.1);
        json!({ "object": "embedding", "index": index, "embedding": vector })
    });
    Json(json!({ "object": "list", "data": vectors.collect::<Vec<_>>(), "model": "any" })).into_response()
}

async fn save(factory: &Factory, content: &str) {
    let memory = v1::NewMemory {
        content: content.to_owned(),
        repo: "octo/app".to_owned(),
        ..v1::NewMemory::default()
    };
    let request = v1::SaveMemoryRequest { memory: Some(memory), idempotency_key: String::new() };
    soon(factory.client.memory().save(request)).await.expect("saved");
}

async fn search(factory: &Factory, query: &str) -> (String, Vec<String>) {
    let request = v1::SearchMemoryRequest { query: query.to_owned(), ..Default::default() };
    let found = soon(factory.client.memory().search(request)).await.expect("found").into_inner();
    let contents = found.hits.into_iter().filter_map(|hit| Some(hit.memory?.content));
    (found.ranking, contents.collect())
}

/// Searches until so many are found by meaning: vectors come in the background.
async fn found_by_meaning(factory: &Factory, query: &str, count: usize) -> Vec<String> {
    soon(async {
        loop {
            let (ranking, found) = search(factory, query).await;
            if ranking == "hybrid" && found.len() == count {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn what_means_the_same_is_found_and_told_without_a_word_in_common() {
    let endpoint = Endpoint::start().await;
    let factory = Factory::start_with(endpoint.configure("m1")).await;
    save(&factory, "The feline sleeps all day").await;
    save(&factory, "Every vehicle needs fuel").await;
    assert_eq!(found_by_meaning(&factory, "cat", 1).await, ["The feline sleeps all day"]);
    assert_eq!(found_by_meaning(&factory, "truck", 1).await, ["Every vehicle needs fuel"]);

    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(v1::TaskSpec { repo: "octo/app".to_owned(), ..prompt("Buy a truck") }).await;
    let brief = worker.run().await.brief.expect("a brief");
    let told = &brief.notices[0].text;
    assert!(told.contains("Every vehicle needs fuel") && !told.contains("feline"), "{told}");

    let requests = endpoint.seen.requests.lock().expect("not poisoned");
    assert!(requests.iter().all(|(_, authorization)| authorization == "Bearer s3cret"));
}

#[tokio::test]
async fn where_the_endpoint_is_down_words_still_find() {
    let endpoint = Endpoint::start().await;
    endpoint.go_down();
    let factory = Factory::start_with(endpoint.configure("m1")).await;
    save(&factory, "The feline sleeps all day").await;
    assert_eq!(search(&factory, "feline").await, ("bm25".into(), vec!["The feline sleeps all day".into()]));
    assert_eq!(search(&factory, "cat").await, ("bm25".into(), Vec::new()));
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(v1::TaskSpec { repo: "octo/app".to_owned(), ..prompt("Wake the feline") }).await;
    assert_eq!(worker.run().await.brief.expect("a brief").notices.len(), 1);
}

#[tokio::test]
async fn another_model_makes_all_vectors_anew() {
    let endpoint = Endpoint::start().await;
    let factory = Factory::start_with(endpoint.configure("m1")).await;
    save(&factory, "The feline sleeps all day").await;
    found_by_meaning(&factory, "cat", 1).await;

    // As before: nothing is sent again.
    let factory = factory.restart_with(endpoint.configure("m1")).await;
    save(&factory, "The lion sleeps at night").await;
    found_by_meaning(&factory, "cat", 2).await;
    let sent = endpoint.seen.texts("m1").into_iter().filter(|text| text.contains("feline"));
    assert_eq!(sent.count(), 1);

    let factory = factory.restart_with(endpoint.configure("m2")).await;
    found_by_meaning(&factory, "cat", 2).await;
    let sent = endpoint.seen.texts("m2");
    assert!(sent.iter().any(|text| text.contains("feline")) && sent.iter().any(|text| text.contains("lion")));
}
