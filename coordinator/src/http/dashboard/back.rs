//! Back to the page that a form was sent from.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::Redirect;
use http::Uri;
use http::header::{HOST, REFERER};
use http::request::Parts;

/// Path and query of the page of this dashboard that a request came from, where it says so.
pub struct Back(Option<String>);

impl Back {
    pub fn or(&self, place: &str) -> Redirect {
        Redirect::to(self.place_or(place))
    }

    pub fn place_or<'a>(&'a self, place: &'a str) -> &'a str {
        self.0.as_deref().unwrap_or(place)
    }

    pub fn of(parts: &Parts) -> Self {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        // HTTP/2 has the host in the URI.
        let host = text(HOST).or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
        Self(text(REFERER).zip(host).and_then(|(referer, host)| local(referer, host)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Back {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// Path and query, where the page is one of this host's.
fn local(referer: &str, host: &str) -> Option<String> {
    let page: Uri = referer.parse().ok()?;
    let place = page.path_and_query()?.as_str();
    // Two slashes begin another host.
    let ours = page.authority()?.as_str() == host && place.starts_with('/') && !place.starts_with("//");
    ours.then(|| place.to_owned())
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn only_pages_of_this_host_are_gone_back_to() {
        let local = |referer| local(referer, "factory:8100");
        assert_eq!(local("http://factory:8100/tasks?state=failed").as_deref(), Some("/tasks?state=failed"));
        for elsewhere in [
            "http://other:8100/tasks",
            "http://factory/tasks",
            "/tasks",
            "",
            "http://factory:8100//other/x",
            "no uri",
        ] {
            assert_eq!(local(elsewhere), None, "{elsewhere}");
        }
    }
}
