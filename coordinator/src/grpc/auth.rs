//! Who may call. Only headers are looked at: nothing of a stranger's body is read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use tonic::Status;

use crate::config::AuthToken;

/// What load balancers and supervisors ask without a token; it tells nothing but that we are here.
fn is_open(path: &str) -> bool {
    path == "/health" || path.starts_with("/grpc.health.v1.Health/")
}

/// Lets a request through where no token is set, where it presents the token, or where it asks for health.
pub async fn require_token(
    State(token): State<Option<Arc<AuthToken>>>,
    request: Request,
    next: Next,
) -> Response {
    let open = is_open(request.uri().path());
    match token.filter(|_| !open).map(|token| check(&token, request.headers())) {
        None | Some(Ok(())) => next.run(request).await,
        Some(Err(why)) => refuse(request.headers(), why),
    }
}

fn check(token: &AuthToken, headers: &HeaderMap) -> Result<(), &'static str> {
    let header = headers.get(AUTHORIZATION).ok_or(
        "this coordinator asks for a token, and none was sent; set FACTORY_AUTH_TOKEN to the coordinator's token",
    )?;
    let bytes = header.as_bytes();
    let presented = match bytes.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => rest,
        _ => return Err("the authorization header is not of the form `Bearer TOKEN`"),
    };
    if token.matches(presented) {
        Ok(())
    } else {
        Err("the token is not this coordinator's; check FACTORY_AUTH_TOKEN")
    }
}

fn refuse(headers: &HeaderMap, why: &'static str) -> Response {
    let grpc = headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        return Status::unauthenticated(why).into_http();
    }
    let mut response = Response::new(Body::from(why));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(header: &str) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().expect("a header"));
        check(&AuthToken::new("s3cret").expect("a token"), &headers)
    }

    #[test]
    fn only_the_whole_token_passes() {
        assert!(with("Bearer s3cret").is_ok() && with("bearer s3cret").is_ok());
        for bad in ["Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret"] {
            assert!(with(bad).is_err(), "{bad}");
        }
        assert!(check(&AuthToken::new("s3cret").expect("a token"), &HeaderMap::new()).is_err());
    }
}
