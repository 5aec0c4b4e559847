//! `/login`: a browser presents the token once. `/logout`: it is forgotten there.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, FromRequestParts};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::page::Frame;
use crate::app::App;
use crate::auth::{Auth, SignIn};
use crate::http::extract::Query;
use crate::http::problem::Problem;

/// Bytes of the form: a token, and where to go on.
const MAX_FORM: usize = 32 * 1024;

/// Where to go once signed in.
#[derive(Deserialize)]
struct Destination {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Presented {
    token: String,
    next: Option<String>,
}

#[derive(Serialize)]
struct SignInForm {
    next: String,
    /// Why the last try failed.
    refused: Option<String>,
}

/// What stands around the form, which nothing is read for.
struct Around(Frame);

impl FromRequestParts<Arc<App>> for Around {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self(Frame::around(parts, app)))
    }
}

pub fn routes(auth: Arc<Auth>) -> Router<Arc<App>> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .route("/logout", post(sign_out))
        .layer(Extension(auth))
        .layer(DefaultBodyLimit::max(MAX_FORM))
}

async fn show(
    around: Around,
    Extension(auth): Extension<Arc<Auth>>,
    headers: HeaderMap,
    Query(destination): Query<Destination>,
) -> Result<Response, Problem> {
    let next = local(destination.next);
    if auth.is_signed_in(&headers) {
        return Ok(Redirect::to(&next).into_response());
    }
    around.form(StatusCode::OK, next, None)
}

async fn sign_in(
    around: Around,
    Extension(auth): Extension<Arc<Auth>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    presented: Result<Form<Presented>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(presented) = presented?;
    let next = local(presented.next);
    match auth.sign_in(presented.token.trim(), &headers, peer.ip()) {
        SignIn::Done(cookie) => Ok((cookie, Redirect::to(&next)).into_response()),
        SignIn::Wrong => {
            tracing::warn!(%peer, "a browser presented a wrong token");
            let why = "This is not the coordinator's token.".to_owned();
            let page = around.form(StatusCode::UNAUTHORIZED, next, Some(why))?;
            Ok(([(WWW_AUTHENTICATE, "Bearer")], page).into_response())
        }
        SignIn::TooMany(wait) => {
            let seconds = wait.as_secs() + 1;
            let why = format!("Too many wrong tokens. Try again in {seconds} s.");
            let page = around.form(StatusCode::TOO_MANY_REQUESTS, next, Some(why))?;
            Ok(([(RETRY_AFTER, seconds.to_string())], page).into_response())
        }
    }
}

async fn sign_out(Extension(auth): Extension<Arc<Auth>>, headers: HeaderMap) -> impl IntoResponse {
    (auth.sign_out(&headers), Redirect::to("/login"))
}

impl Around {
    fn form(&self, status: StatusCode, next: String, refused: Option<String>) -> Result<Response, Problem> {
        self.0.page_as(status, "login.html", "Sign in", SignInForm { next, refused })
    }
}

/// A path on this host, or the first page. Browsers take `//host` and `/\host` for another host, and leave out tabs
/// and line breaks before they look.
fn local(next: Option<String>) -> String {
    let is_local = |next: &String| {
        next.starts_with('/')
            && !next.starts_with("//")
            && !next.contains('\\')
            && next.bytes().all(|byte| byte.is_ascii_graphic())
            && next.parse::<PathAndQuery>().is_ok()
    };
    next.filter(is_local).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for stays in ["/", "/tasks?state=queued&search=a%20b", "/tasks/7#log", "/a//b"] {
            assert_eq!(local(Some(stays.to_owned())), stays);
        }
        for leads_away in [
            "",
            "tasks",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/\r\nSet-Cookie: a=b",
            "https://evil.example",
            "javascript:alert(1)",
            "/tasks/ü",
        ] {
            assert_eq!(local(Some(leads_away.to_owned())), "/", "{leads_away:?}");
        }
        assert_eq!(local(None), "/");
    }
}
