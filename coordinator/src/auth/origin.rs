//! Requests that a page from elsewhere sends through its reader's browser. A browser says where they come from, in
//! headers that no page can set; other programs send none of them.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri};

/// Newer than the types of the `http` crate, and sent by every browser in use, over TLS and to this host itself.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What the caller called us by.
pub fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(Authority::as_str).or(host)
}

/// Whether it is called by an address or a name that nobody else's name server could have given it.
///
/// A page can have its own name lead to this host after it was loaded. Its requests are then of one origin to the
/// browser, but name the page's host.
pub fn is_this_host(authority: &str, bound: IpAddr) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) => address.to_canonical().is_loopback() || address == bound,
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Whether the request changes nothing, or was not sent by a page of another origin. Other ports of this host are
/// other origins: what serves there is not ours.
pub fn may_change(method: &Method, headers: &HeaderMap, authority: Option<&str>) -> bool {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return true;
    }
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
    host.zip(authority).is_some_and(|(origin, authority)| origin.eq_ignore_ascii_case(authority))
}

/// Whether a link on a page of another origin led here.
pub fn is_elsewhere(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_its_own_names_and_addresses() {
        let bound = IpAddr::from([127, 0, 0, 1]);
        for ours in [
            "localhost",
            "LOCALHOST:8100",
            "localhost.:8100",
            "a.localhost:1",
            "127.0.0.1:8100",
            "127.8.8.8",
            "[::1]:8100",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_this_host(ours, bound), "{ours}");
        }
        for strange in [
            "evil.example",
            "evil.example:8100",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "0.0.0.0:8100",
            "192.0.2.1",
            "[2001:db8::1]:8100",
            "",
            "a b",
        ] {
            assert!(!is_this_host(strange, bound), "{strange}");
        }
        assert!(is_this_host("192.0.2.1:8100", IpAddr::from([192, 0, 2, 1])));
    }

    #[test]
    fn only_pages_of_the_same_origin_change_anything() {
        let may = |method: Method, sent: &[(&'static str, &str)]| {
            let pairs = sent
                .iter()
                .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("text")));
            may_change(&method, &pairs.collect(), Some("127.0.0.1:8100"))
        };
        let site = |site| [("sec-fetch-site", site), ("origin", "http://127.0.0.1:8100")];
        assert!(may(Method::POST, &[]), "a program");
        assert!(may(Method::POST, &site("same-origin")) && may(Method::DELETE, &site("none")));
        for other in ["same-site", "cross-site", "anything"] {
            assert!(!may(Method::POST, &site(other)) && !may(Method::DELETE, &site(other)), "{other}");
            assert!(may(Method::GET, &site(other)), "a link leads here: {other}");
        }
        assert!(may(Method::POST, &[("origin", "http://127.0.0.1:8100")]));
        assert!(may(Method::POST, &[("origin", "https://127.0.0.1:8100")]), "through a proxy with TLS");
        for other in
            ["null", "http://127.0.0.1:8101", "http://127.0.0.1", "http://evil.example", "127.0.0.1:8100"]
        {
            assert!(!may(Method::POST, &[("origin", other)]), "{other}");
        }
    }
}
