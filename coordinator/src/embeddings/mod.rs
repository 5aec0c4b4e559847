//! Texts as vectors, by an endpoint that speaks OpenAI's embeddings API, its own or another's.
//!
//! It is asked for the vectors of memories in the background, and for that of a query while
//! somebody waits. A query does without where the endpoint has failed lately: words still find.

mod error;
mod wire;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use error::EmbedError;

use crate::store::Embedding;

/// Bytes of one text that are sent: models read some 8,000 tokens at most, and what a memory is
/// about stands at its beginning.
const MAX_TEXT: usize = 8 * 1024;
/// For texts that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long queries do without the endpoint after it has failed one.
const REST: Duration = Duration::from_secs(30);

/// Where vectors come from.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// What `/embeddings` is added to, such as `https://api.openai.com/v1`.
    pub url: String,
    pub model: String,
    pub key: Option<ApiKey>,
}

/// A key of the endpoint's. It does not print itself.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// `None` where `text` could not be sent in a header.
    pub fn new(text: &str) -> Option<Self> {
        let sendable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        sendable.then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

pub struct Embedder {
    client: reqwest::Client,
    config: EndpointConfig,
    /// Until when no query is sent.
    rests_until: Mutex<Option<Instant>>,
}

impl Embedder {
    pub fn new(config: EndpointConfig) -> Result<Self, EmbedError> {
        // Another part of this program may have chosen one before: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // The key goes where it was meant to go, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(EmbedError::setup)?;
        Ok(Self { client, config, rests_until: Mutex::default() })
    }

    pub fn model(&self) -> &str {
        &self.config.model
    }

    /// The vectors of `texts`, in their order.
    pub async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>, EmbedError> {
        self.ask(texts, PATIENCE).await
    }

    /// The vector of a query that somebody waits for, where it comes within `patience`.
    pub async fn embed_query(&self, query: &str, patience: Duration) -> Option<Embedding> {
        if self.rests() {
            return None;
        }
        match self.ask(&[query], patience).await {
            Ok(mut found) => found.pop(),
            Err(error) => {
                self.rest();
                let error = anyhow::Error::new(error);
                tracing::warn!(%error, "queries go by words alone for a while: the embeddings endpoint failed");
                None
            }
        }
    }

    async fn ask(&self, texts: &[&str], patience: Duration) -> Result<Vec<Embedding>, EmbedError> {
        let input: Vec<&str> = texts.iter().map(|text| &text[..text.floor_char_boundary(MAX_TEXT)]).collect();
        let request = wire::Request { model: &self.config.model, input: &input, encoding_format: "float" };
        let url = format!("{}/embeddings", self.config.url.trim_end_matches('/'));
        let mut call = self.client.post(url).timeout(patience).json(&request);
        if let Some(ApiKey(key)) = &self.config.key {
            call = call.bearer_auth(key);
        }
        let response = call.send().await?;
        wire::read(response, &self.config.model, input.len()).await
    }

    fn rests(&self) -> bool {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }
}
