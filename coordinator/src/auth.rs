//! Who may call, and from where. Only a request's head is looked at: nothing of a stranger's body is read.
//!
//! | room | what |
//! |---|---|
//! | `session` | the cookie by which a browser that was signed in is known again |
//! | `attempts` | how often a token may be guessed |
//! | `origin` | requests that a page from elsewhere sends through its reader's browser |
//!
//! Programs present the token in the `authorization` header of every request. Browsers present it once, in the form
//! of `/login`, and get a cookie. Where no token is set, whoever reaches the listener may call; so that this is not
//! every page that somebody on this host has open, such a listener answers only to the names of this host.

mod attempts;
mod origin;
mod session;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::SignedCookieJar;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tonic::Status;

use crate::clock::Clock;
use crate::config::AuthToken;
use crate::http::dashboard::back::Back;
use crate::http::dashboard::errors::wants_a_page;
use crate::http::problem::Problem;
use attempts::Attempts;
use session::Sessions;

pub struct Auth {
    clock: Clock,
    access: Access,
}

enum Access {
    Token {
        token: AuthToken,
        sessions: Sessions,
        attempts: Box<Attempts>,
    },
    /// Anyone who calls it by a name of this host; the address is the one bound.
    ThisHost(IpAddr),
    /// Anyone: the network itself keeps strangers out, as its owner said.
    Everyone,
}

/// What came of a token that was presented for a session.
pub enum SignIn {
    /// With the cookie, where one is needed.
    Done(Option<SignedCookieJar>),
    Wrong,
    /// Too many were wrong; this long, none is looked at.
    TooMany(Duration),
}

/// Why a request goes no further.
enum Refusal {
    NotSignedIn(&'static str),
    OtherOrigin,
    OtherHost(String),
}

impl Auth {
    /// `anyone`: without a token, whatever name the listener is called by.
    pub fn new(token: Option<AuthToken>, address: SocketAddr, anyone: bool, clock: Clock) -> Self {
        let access = match token {
            Some(token) => {
                let sessions = Sessions::of(&token);
                Access::Token { token, sessions, attempts: Box::default() }
            }
            None if address.ip().is_loopback() && !anyone => Access::ThisHost(address.ip()),
            None => Access::Everyone,
        };
        Self { clock, access }
    }

    /// Whether a browser that sends these headers needs no signing in, or no more of it.
    pub fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        match &self.access {
            Access::Token { sessions, .. } => sessions.has(headers, self.clock.now()),
            Access::ThisHost(_) | Access::Everyone => true,
        }
    }

    /// Signs the browser at `peer` in, where it has the token.
    pub fn sign_in(&self, presented: &str, headers: &HeaderMap, peer: IpAddr) -> SignIn {
        let Access::Token { token, sessions, attempts } = &self.access else {
            return SignIn::Done(None);
        };
        let now = self.clock.now();
        if let Err(wait) = attempts.begin(peer, now) {
            return SignIn::TooMany(wait);
        }
        if !token.matches(presented.as_bytes()) {
            return SignIn::Wrong;
        }
        attempts.forget(peer);
        SignIn::Done(Some(sessions.begin(headers, now)))
    }

    /// Takes the cookie back, where there is one.
    pub fn sign_out(&self, headers: &HeaderMap) -> Option<SignedCookieJar> {
        match &self.access {
            Access::Token { sessions, .. } => Some(sessions.end(headers)),
            Access::ThisHost(_) | Access::Everyone => None,
        }
    }

    /// Who it is that calls, where they may: a session of a browser, or a program.
    fn check(&self, request: &Parts) -> Result<Option<Session>, Refusal> {
        let authority = origin::authority(&request.uri, &request.headers);
        if let (Access::ThisHost(bound), Some(authority)) = (&self.access, authority)
            && !origin::is_this_host(authority, *bound)
        {
            return Err(Refusal::OtherHost(authority.to_owned()));
        }
        if !origin::may_change(&request.method, &request.headers, authority) {
            return Err(Refusal::OtherOrigin);
        }
        if is_open(request.uri.path()) { Ok(None) } else { self.check_token(&request.headers) }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<Option<Session>, Refusal> {
        let Access::Token { token, .. } = &self.access else { return Ok(None) };
        match headers.get(AUTHORIZATION) {
            Some(header) => bearer(token, header).map(|()| None),
            None if self.is_signed_in(headers) => Ok(Some(Session)),
            None => Err(
                "this coordinator asks for its token, and none was sent; set FACTORY_AUTH_TOKEN for factoryctl \
                 and workers, send `Authorization: Bearer TOKEN` from other programs, and sign in at /login \
                 with a browser",
            ),
        }
        .map_err(Refusal::NotSignedIn)
    }
}

/// What everyone may ask: load balancers and supervisors whether we are here, browsers for the form to sign in with
/// and what it is drawn with. None of it tells more.
fn is_open(path: &str) -> bool {
    path == "/health"
        || path == "/login"
        || path.starts_with("/assets/")
        || path.starts_with("/grpc.health.v1.Health/")
}

fn bearer(token: &AuthToken, header: &HeaderValue) -> Result<(), &'static str> {
    let presented = match header.as_bytes().split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => rest,
        _ => return Err("the authorization header is not of the form `Bearer TOKEN`"),
    };
    if token.matches(presented) {
        Ok(())
    } else {
        Err("the token is not this coordinator's; check FACTORY_AUTH_TOKEN")
    }
}

/// With every request of a browser that was signed in.
#[derive(Clone, Copy)]
pub struct Session;

/// Lets those requests through that may be made.
pub async fn guard(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match auth.check(&parts) {
        Ok(session) => {
            if let Some(session) = session {
                parts.extensions.insert(session);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.answer(&parts),
    }
}

impl Refusal {
    fn answer(self, request: &Parts) -> Response {
        let headers = &request.headers;
        if headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            return match self {
                Self::NotSignedIn(why) => Status::unauthenticated(why),
                Self::OtherOrigin | Self::OtherHost(_) => Status::permission_denied(self.why()),
            }
            .into_http();
        }
        match self {
            Self::NotSignedIn(_) if wants_a_page(headers) => to_sign_in(request),
            Self::NotSignedIn(_) => {
                let problem = Problem::new(StatusCode::UNAUTHORIZED, self.why());
                ([(WWW_AUTHENTICATE, "Bearer")], problem).into_response()
            }
            Self::OtherOrigin => Problem::new(StatusCode::FORBIDDEN, self.why()).into_response(),
            Self::OtherHost(_) => Problem::new(StatusCode::MISDIRECTED_REQUEST, self.why()).into_response(),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::NotSignedIn(why) => (*why).to_owned(),
            Self::OtherOrigin => "a page of another origin may not change anything here; \
                                  use this coordinator's own pages, or a program"
                .to_owned(),
            Self::OtherHost(host) => format!(
                "`{host}` is no name of this host, and without a token this coordinator answers to no other; call it \
                 by `localhost` or its address, or start it with a token (or --insecure, where the network itself \
                 keeps strangers out)"
            ),
        }
    }
}

/// To the form, and from there back to what was asked for. What a page sent is not sent again: that is back to the page.
fn to_sign_in(request: &Parts) -> Response {
    let back = Back::of(request);
    let asked = match request.method {
        Method::GET | Method::HEAD => request.uri.path_and_query().map_or("/", PathAndQuery::as_str),
        _ => back.place_or("/"),
    };
    let form = "/login?".to_owned();
    let query = form.len();
    let form = form_urlencoded::Serializer::for_suffix(form, query).append_pair("next", asked).finish();
    if !origin::is_elsewhere(&request.headers) {
        return Redirect::to(&form).into_response();
    }
    // A browser keeps the cookie back where a link on another site leads here, and where that is redirected. It
    // sends it with what one of our own pages leads to, so that nobody signs in again because of a link.
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta http-equiv=\"refresh\" content=\"0;url={form}\">\n\
         <title>factory</title>\n<p><a href=\"{form}\">On to the factory</a></p>\n</html>\n"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(header: &str) -> Result<(), &'static str> {
        bearer(&AuthToken::new("s3cret").expect("a token"), &header.parse().expect("a header"))
    }

    #[test]
    fn only_the_whole_token_passes() {
        assert!(with("Bearer s3cret").is_ok() && with("bearer s3cret").is_ok());
        for bad in ["Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }
}
