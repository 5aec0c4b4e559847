//! Browsers that were signed in. Nothing is kept of them: the cookie says until when it holds, and is signed.
//!
//! The key is made from the token, so that a session holds through restarts and ends when the token is changed.

use std::time::Duration;

use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use factory_domain::Timestamp;
use http::HeaderMap;

use crate::config::AuthToken;

/// From when the token was presented. Use does not lengthen it, so that a cookie that was copied ends too.
const LASTS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub struct Sessions {
    key: Key,
    /// Cookies know hosts, not ports: at the end of tunnels, several factories are one host to a browser. Each has its
    /// cookie by another name, and a session in one ends none in another.
    cookie: String,
}

impl Sessions {
    pub fn of(token: &AuthToken) -> Self {
        let name = hex::encode(&token.key_for("the name of the session cookie")[..4]);
        let key = Key::from(&token.key_for("the signature of the session cookie"));
        Self { key, cookie: format!("factory_session_{name}") }
    }

    pub fn has(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        let cookie = SignedCookieJar::from_headers(headers, self.key.clone()).get(&self.cookie);
        let until = cookie.and_then(|cookie| cookie.value().parse().ok()).map(Timestamp::from_millis);
        until.is_some_and(|until| now < until)
    }

    pub fn begin(&self, headers: &HeaderMap, now: Timestamp) -> SignedCookieJar {
        let until = now.after(LASTS).as_millis().to_string();
        let age = time::Duration::try_from(LASTS).unwrap_or(time::Duration::ZERO);
        let cookie = self.bare(until, headers);
        SignedCookieJar::new(self.key.clone()).add(Cookie::build(cookie).max_age(age))
    }

    pub fn end(&self, headers: &HeaderMap) -> SignedCookieJar {
        let jar = SignedCookieJar::from_headers(headers, self.key.clone());
        jar.remove(self.bare(String::new(), headers))
    }

    fn bare(&self, value: String, headers: &HeaderMap) -> Cookie<'static> {
        // A listener without TLS is reached by plain HTTP, or through a proxy that has it and says so.
        let secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        Cookie::build((self.cookie.clone(), value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(secure)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::header::{COOKIE, SET_COOKIE};

    use super::*;

    fn sessions(token: &str) -> Sessions {
        Sessions::of(&AuthToken::new(token).expect("a token"))
    }

    /// What a browser sends after it was sent this.
    fn headers(jar: SignedCookieJar) -> HeaderMap {
        let response = (jar, ()).into_response();
        let set = response.headers()[SET_COOKIE].to_str().expect("text");
        let pair = set.split(';').next().expect("a pair").to_owned();
        HeaderMap::from_iter([(COOKIE, pair.parse().expect("a header"))])
    }

    #[test]
    fn a_session_holds_until_its_time_and_for_its_token_alone() {
        let ours = sessions("s3cret");
        let now = Timestamp::from_millis(1_700_000_000_000);
        let signed_in = headers(ours.begin(&HeaderMap::new(), now));
        assert!(ours.has(&signed_in, now) && sessions("s3cret").has(&signed_in, now), "through a restart");
        let last = now.after(LASTS - Duration::from_millis(1));
        assert!(ours.has(&signed_in, last) && !ours.has(&signed_in, now.after(LASTS)));
        assert!(!sessions("an0ther").has(&signed_in, now) && !ours.has(&HeaderMap::new(), now));
    }

    #[test]
    fn what_was_signed_cannot_be_changed() {
        let ours = sessions("s3cret");
        let now = Timestamp::from_millis(1_700_000_000_000);
        let signed_in = headers(ours.begin(&HeaderMap::new(), now));
        let pair = signed_in[COOKIE].to_str().expect("text");
        let until = now.after(LASTS).as_millis().to_string();
        assert!(pair.ends_with(&until), "{pair}");
        let longer = pair.replace(&until, &now.after(LASTS * 2).as_millis().to_string());
        for forged in [longer, format!("{}={until}", ours.cookie), format!("{}=", ours.cookie)] {
            let forged = HeaderMap::from_iter([(COOKIE, forged.parse().expect("a header"))]);
            assert!(!ours.has(&forged, now), "{forged:?}");
        }
    }

    #[test]
    fn another_token_has_another_name_for_its_cookie() {
        assert_ne!(sessions("s3cret").cookie, sessions("an0ther").cookie);
    }
}
