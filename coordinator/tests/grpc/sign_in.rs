//! Browsers before the token: signing in and out, and what pages from elsewhere may not do.

use factory_coordinator::config::AuthToken;
use reqwest::header::{COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

use crate::setup::{Factory, soon};

const TOKEN: &str = "s3cret";
const PAGES: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const OWN_FORM: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A factory, and a browser that shows every redirect.
struct Stage {
    factory: Factory,
    browser: Client,
}

impl Stage {
    async fn set(token: Option<&str>) -> Self {
        // No TLS here; the client wants to know by what it would be made all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let browser = Client::builder().redirect(Policy::none()).build().expect("a client");
        let factory = Factory::start_with(|config| config.token = token.and_then(AuthToken::new)).await;
        Self { factory, browser }
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> RequestBuilder {
        let request = self.browser.request(method, format!("{}{path}", self.factory.coordinator.url()));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        soon(self.request(Method::GET, path, headers).send()).await.expect("an answer")
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &'static str) -> Response {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let request = self.request(Method::POST, path, headers).header(form.0, form.1).body(body);
        soon(request.send()).await.expect("an answer")
    }
}

fn header(response: &Response, name: impl reqwest::header::AsHeaderName) -> &str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The pair that a browser sends back.
fn cookie(response: &Response) -> String {
    header(response, SET_COOKIE).split(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_browser_signs_in_once_and_out_again() {
    let stage = Stage::set(Some(TOKEN)).await;
    let turned_away = stage.get("/tasks?state=queued&search=a%26b", &[PAGES]).await;
    assert_eq!(turned_away.status(), StatusCode::SEE_OTHER);
    let login = header(&turned_away, LOCATION).to_owned();
    assert_eq!(login, "/login?next=%2Ftasks%3Fstate%3Dqueued%26search%3Da%2526b");
    let form = stage.get(&login, &[PAGES]).await;
    assert_eq!(form.status(), StatusCode::OK);
    let form = soon(form.text()).await.expect("a page");
    assert!(form.contains("name=\"next\" value=\"&#x2f;tasks?state=queued&amp;search=a%26b\""), "{form}");

    let body = "token=s3cret&next=%2Ftasks%3Fstate%3Dqueued";
    let signed_in = stage.post("/login", &[PAGES, OWN_FORM], body).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(&signed_in, LOCATION), "/tasks?state=queued");
    let set = header(&signed_in, SET_COOKIE);
    for part in ["factory_session_", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"] {
        assert!(set.contains(part), "{part}: {set}");
    }
    assert!(!set.contains("Secure") && !set.contains(TOKEN), "{set}");

    let cookie = cookie(&signed_in);
    let with_cookie = [PAGES, (COOKIE.as_str(), &cookie)];
    let page = stage.get("/", &with_cookie).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(soon(page.text()).await.expect("a page").contains("action=\"/logout\""));
    let by_header = stage.get("/", &[PAGES, ("authorization", "Bearer s3cret")]).await;
    assert!(!soon(by_header.text()).await.expect("a page").contains("/logout"), "there is no session");
    assert_eq!(header(&stage.get("/login?next=/", &with_cookie).await, LOCATION), "/", "needs no form");

    let signed_out = stage.post("/logout", &[PAGES, OWN_FORM, with_cookie[1]], "").await;
    assert_eq!((signed_out.status(), header(&signed_out, LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    let set = header(&signed_out, SET_COOKIE);
    let name = cookie.split('=').next().expect("a name");
    assert!(set.starts_with(&format!("{name}=;")) && set.contains("Max-Age=0"), "{set}");
    stage.factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_session_holds_through_a_restart_and_ends_with_its_token() {
    let stage = Stage::set(Some(TOKEN)).await;
    let proxied = [OWN_FORM, ("x-forwarded-proto", "https")];
    let signed_in = stage.post("/login", &proxied, "token=+s3cret%0A&next=/").await;
    assert!(header(&signed_in, SET_COOKIE).contains("Secure"), "{signed_in:?}");
    let cookie = cookie(&signed_in);
    let (browser, mut factory) = (stage.browser, stage.factory);
    for (token, wanted) in [(TOKEN, StatusCode::OK), ("an0ther", StatusCode::SEE_OTHER)] {
        factory = factory.restart_with(|config| config.token = AuthToken::new(token)).await;
        let stage = Stage { browser: browser.clone(), factory };
        assert_eq!(stage.get("/", &[PAGES, (COOKIE.as_str(), &cookie)]).await.status(), wanted, "{token}");
        factory = stage.factory;
    }
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_told_in_their_own_way() {
    let stage = Stage::set(Some(TOKEN)).await;
    let program = stage.get("/api/openapi.json", &[("accept", "*/*")]).await;
    assert_eq!(program.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(header(&program, WWW_AUTHENTICATE), "Bearer");
    assert_eq!(header(&program, "content-type"), "application/problem+json");
    assert!(soon(program.text()).await.expect("text").contains("FACTORY_AUTH_TOKEN"));
    let wrong = [PAGES, ("authorization", "Bearer s3cre")];
    assert_eq!(stage.get("/", &wrong).await.status(), StatusCode::SEE_OTHER);
    let wrong = [("authorization", "Bearer s3cre")];
    assert_eq!(stage.get("/", &wrong).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(stage.get("/", &[("authorization", "Bearer s3cret")]).await.status(), StatusCode::OK);
    let query = stage.get("/api/openapi.json?token=s3cret&access_token=s3cret", &[]).await;
    assert_eq!(query.status(), StatusCode::UNAUTHORIZED, "a token is not taken from a URL");
    for open in ["/health", "/login", "/assets/factory.css"] {
        assert_eq!(stage.get(open, &[]).await.status(), StatusCode::OK, "{open}");
    }
    // What was sent with a session that has ended is not sent again: that is back to its page.
    let page = format!("{}/tasks?state=queued", stage.factory.coordinator.url());
    for (came_from, back) in [(page.as_str(), "%2Ftasks%3Fstate%3Dqueued"), ("http://evil.example/a", "%2F")]
    {
        let sent = stage.post("/tasks/1/cancel", &[PAGES, OWN_FORM, ("referer", came_from)], "").await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
        assert_eq!(header(&sent, LOCATION), format!("/login?next={back}"), "{came_from}");
    }
    // A link on another site: the browser kept the cookie back, and sends it with what our own page leads to.
    let link = stage.get("/tasks/1?a=\"<b>", &[PAGES, ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(link.status(), StatusCode::OK);
    let page = soon(link.text()).await.expect("a page");
    assert!(page.contains("content=\"0;url=/login?next=%2Ftasks%2F1%3Fa%3D%2522%253Cb%253E\""), "{page}");
    stage.factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_guessing_ends() {
    let stage = Stage::set(Some(TOKEN)).await;
    for _ in 0..10 {
        let refused = stage.post("/login", &[PAGES, OWN_FORM], "token=s3cre&next=%2F%2Fevil.example").await;
        assert_eq!((refused.status(), header(&refused, SET_COOKIE)), (StatusCode::UNAUTHORIZED, ""));
        let page = soon(refused.text()).await.expect("a page");
        assert!(
            page.contains("role=\"alert\"") && !page.contains("s3cre") && !page.contains("evil"),
            "{page}"
        );
    }
    let refused = stage.post("/login", &[PAGES, OWN_FORM], "token=s3cret&next=/").await;
    assert_eq!((refused.status(), header(&refused, SET_COOKIE)), (StatusCode::TOO_MANY_REQUESTS, ""));
    let wait: u64 = header(&refused, RETRY_AFTER).parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    let program = stage.get("/api/openapi.json", &[("authorization", "Bearer s3cret")]).await;
    assert_eq!(program.status(), StatusCode::OK, "it costs nobody else");
    for (body, wanted) in
        [("", StatusCode::UNPROCESSABLE_ENTITY), ("next=/", StatusCode::UNPROCESSABLE_ENTITY)]
    {
        assert_eq!(stage.post("/login", &[OWN_FORM], body).await.status(), wanted, "{body:?}");
    }
    stage.factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing_with_or_without_a_token() {
    for token in [Some(TOKEN), None] {
        let stage = Stage::set(token).await;
        let signed_in = stage.post("/login", &[OWN_FORM], "token=s3cret").await;
        assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
        let cookie = cookie(&signed_in);
        let own = stage.factory.coordinator.url();
        let cancel = async |headers: &[(&str, &str)]| {
            let headers = [&[(COOKIE.as_str(), cookie.as_str())], headers].concat();
            stage.post("/logout", &headers, "").await
        };
        for elsewhere in [
            [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")],
            [("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:1")],
            [("accept", "text/html"), ("origin", "http://evil.example")],
            [("accept", "text/html"), ("origin", "null")],
        ] {
            let refused = cancel(&elsewhere).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{elsewhere:?}");
            assert_eq!(header(&refused, "content-type"), "application/problem+json");
        }
        for ours in [&[OWN_FORM][..], &[("origin", own.as_str())], &[]] {
            assert_eq!(cancel(ours).await.status(), StatusCode::SEE_OTHER, "{ours:?}");
        }
        stage.factory.coordinator.shutdown().await;
    }
}

#[tokio::test]
async fn without_a_token_only_the_names_of_this_host_are_answered() {
    let stage = Stage::set(None).await;
    for ours in ["localhost:8100", "127.0.0.1", "[::1]:8100"] {
        assert_eq!(stage.get("/", &[("host", ours)]).await.status(), StatusCode::OK, "{ours}");
    }
    for rebound in ["evil.example:8100", "evil.example"] {
        let refused = stage.get("/", &[PAGES, ("host", rebound)]).await;
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{rebound}");
        let why = soon(refused.text()).await.expect("text");
        assert!(why.contains("evil.example") && why.contains("--insecure"), "{why}");
    }
    assert_eq!(header(&stage.get("/login?next=/tasks", &[PAGES]).await, LOCATION), "/tasks", "asks for none");
    stage.factory.coordinator.shutdown().await;

    let open = Factory::start_with(|config| config.insecure = true).await;
    let stage = Stage { factory: open, ..stage };
    assert_eq!(stage.get("/", &[("host", "factory.example")]).await.status(), StatusCode::OK);
    stage.factory.coordinator.shutdown().await;

    let guarded = Stage::set(Some(TOKEN)).await;
    let named = [("host", "factory.example"), ("authorization", "Bearer s3cret")];
    assert_eq!(guarded.get("/", &named).await.status(), StatusCode::OK, "a token is proof enough");
    guarded.factory.coordinator.shutdown().await;
}
