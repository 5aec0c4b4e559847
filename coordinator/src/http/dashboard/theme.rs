//! Light or dark: as the system has it, or as someone chose for this browser, in a cookie.

use axum::response::Redirect;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use super::back::Back;

/// `theme.js` sets the same.
const COOKIE: &str = "factory_theme";
const NAMES: [&str; 2] = ["dark", "light"];

pub fn chosen(cookies: &CookieJar) -> Option<&'static str> {
    let chosen = cookies.get(COOKIE)?.value();
    NAMES.into_iter().find(|name| *name == chosen)
}

/// To the other one; who has not chosen yet most likely wants what their system does not show: dark.
pub async fn switch(back: Back, cookies: CookieJar) -> (CookieJar, Redirect) {
    let other = if chosen(&cookies) == Some("dark") { "light" } else { "dark" };
    let mut cookie = Cookie::new(COOKIE, other);
    cookie.set_path("/");
    cookie.set_same_site(SameSite::Lax);
    cookie.make_permanent();
    (cookies.add(cookie), back.or("/"))
}
