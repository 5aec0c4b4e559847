//! Someone who calls over HTTP.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::setup::{Factory, soon};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// Null where the content is no JSON.
    pub json: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// It is a problem with this status, about this.
    #[track_caller]
    pub fn assert_problem(&self, status: StatusCode, about: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header(CONTENT_TYPE.as_str()), "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], status.as_u16(), "{self:?}");
        assert!(self.json["detail"].as_str().is_some_and(|detail| detail.contains(about)), "{self:?}");
    }

    #[track_caller]
    pub fn assert_ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json
    }
}

pub fn request(factory: &Factory, method: Method, path: &str) -> RequestBuilder {
    // No TLS here; the client wants to know by what it would be made all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new().request(method, format!("{}{path}", factory.coordinator.url()))
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = soon(request.send()).await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = soon(response.text()).await.expect("its content");
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, text, json }
}

pub async fn get(factory: &Factory, path: &str) -> Answer {
    send(request(factory, Method::GET, path)).await
}

pub async fn post(factory: &Factory, path: &str, body: &Value) -> Answer {
    send(request(factory, Method::POST, path).json(body)).await
}

/// A POST that says all there is to say in its path.
pub async fn act(factory: &Factory, path: &str) -> Answer {
    send(request(factory, Method::POST, path)).await
}
