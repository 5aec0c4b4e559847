//! A browser without scripts: asks for HTML, sends forms, follows nothing by itself.

use factory_coordinator::Coordinator;
use http::HeaderMap;
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, REFERER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};

use crate::setup::soon;

pub struct Browser {
    client: Client,
    url: String,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub html: String,
}

impl Browser {
    pub fn of(coordinator: &Coordinator) -> Self {
        // No TLS here; the client wants to know by what it would be made all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { client, url: coordinator.url() }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(self.client.get(format!("{}{path}", self.url))).await
    }

    /// Sends a form that stands on the page `from`.
    pub async fn post(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let request =
            self.client.post(format!("{}{path}", self.url)).header(REFERER, format!("{}{from}", self.url));
        let body = serde_urlencoded::to_string(fields).expect("fields of text");
        self.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)).await
    }

    pub fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub async fn send(&self, request: RequestBuilder) -> Page {
        let request = request.header(ACCEPT, "text/html,application/xhtml+xml");
        let response = soon(request.send()).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Page { status, headers, html: soon(response.text()).await.expect("its content") }
    }
}

impl Page {
    pub fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where it sends the browser.
    pub fn to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.html);
        self.header(LOCATION)
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        assert!(self.html.contains(text), "`{text}` is not in {}", self.html);
    }

    #[track_caller]
    pub fn lacks(&self, text: &str) {
        assert!(!self.html.contains(text), "`{text}` is in {}", self.html);
    }
}
