//! The ticket in a cookie, for old clients that send it so. Off unless the operator switches it on: browsers send cookies by
//! themselves, also with what a page of another site makes them ask for, so it counts only where that cannot be.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as Age;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use url::Url;

use super::bearer::{Door, Refusal};
use super::caller::authorization;
use crate::config::Config;
use crate::oauth::bearer::{NotSent, SentToken};
use crate::oauth::header::Header;
use crate::service::token::IssuedToken;

/// What application servers call it.
const NAME: &str = "FlexiCaptureTmpPrn";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// Where proxies say with which method their client asked. A page of another site cannot make a browser send these.
const METHODS: [&str; 2] = ["x-forwarded-method", "x-original-method"];

/// The ticket that a request brings in the cookie, where that is switched on. Nothing of it is proved yet.
///
/// # Errors
/// When there are two tokens, the cookie holds none, or a page of another site may have made the request.
pub(super) fn read(config: &Config, request: &HttpRequest, door: Door<'_>) -> Result<Option<String>, Refusal> {
    if !config.ticket_cookie {
        return Ok(None);
    }
    let mut tickets = all(request).into_iter();
    let Some(ticket) = tickets.next() else { return Ok(None) };
    let malformed = |why| Err(Refusal::NotSent(NotSent::Malformed(why)));
    if authorization(request) != Header::None {
        return malformed("Send one token: in the Authorization header or in the cookie, not in both.");
    }
    if tickets.next().is_some() {
        return malformed("The cookie with the ticket came more than once.");
    }
    if SentToken::bare(&ticket).is_err() {
        return malformed("The cookie holds no ticket.");
    }
    if !only_reads(request, door) && !comes_from_here(config, request) {
        return Err(Refusal::ForeignSite);
    }
    Ok(Some(ticket))
}

fn all(request: &HttpRequest) -> Vec<String> {
    let Ok(cookies) = request.cookies() else { return Vec::new() };
    cookies.iter().filter(|cookie| cookie.name() == NAME).map(|cookie| cookie.value().to_owned()).collect()
}

/// Whether what the client asked for changes nothing, as far as it can be known.
fn only_reads(request: &HttpRequest, door: Door<'_>) -> bool {
    let reads = |method: &[u8]| matches!(method, b"GET" | b"HEAD");
    let by_method = match door {
        Door::Own { .. } => reads(request.method().as_str().as_bytes()),
        // Proxies ask with a method of their own: without their word it is not known.
        Door::Proxied { .. } => {
            let mut said = METHODS.iter().flat_map(|name| request.headers().get_all(*name)).peekable();
            said.peek().is_some() && said.all(|method| reads(method.as_bytes()))
        }
    };
    let is_plain = match door {
        Door::Own { .. } => true,
        // What is behind the proxy may be less careful than we are with what other hosts of the same site ask for.
        Door::Proxied { .. } => !comes_from_elsewhere(request) || is_navigation(request),
    };
    by_method && is_plain && !begins_something_else(request)
}

/// Whether the connection becomes another one, such as a WebSocket: that begins with GET and may change anything. Proxies drop
/// or blank `Upgrade` when they ask whether a request is allowed, so each of its companions counts as well.
fn begins_something_else(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(UPGRADE)
        || headers.contains_key(SEC_WEBSOCKET_KEY)
        || headers.contains_key(SEC_WEBSOCKET_VERSION)
        || headers.get_all(SEC_FETCH_MODE).any(|mode| mode == "websocket")
}

/// Whether the browser says that a page of another host, or we cannot tell which, makes it ask.
fn comes_from_elsewhere(request: &HttpRequest) -> bool {
    let here = |site: &HeaderValue| site == "same-origin" || site == "none";
    !request.headers().get_all(SEC_FETCH_SITE).all(here)
}

/// Whether the browser says that it goes to another page, which everybody sees; not that a page has something fetched, or
/// shown within itself.
fn is_navigation(request: &HttpRequest) -> bool {
    only(request, SEC_FETCH_MODE) == Some("navigate") && only(request, SEC_FETCH_DEST) == Some("document")
}

/// A header that came once, as text.
fn only(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    match Header::of(request.headers().get_all(name).map(HeaderValue::as_bytes)) {
        Header::One(value) => std::str::from_utf8(value).ok(),
        Header::None | Header::Several => None,
    }
}

/// Whether the browser says that the page which asks is of the site that is asked, or the issuer's.
fn comes_from_here(config: &Config, request: &HttpRequest) -> bool {
    let ours = || Url::parse(&config.issuer).map(|url| url.origin().ascii_serialization());
    matches!(only(request, SEC_FETCH_SITE), Some("same-origin" | "none"))
        || only(request, ORIGIN).is_some_and(|origin| ours().is_ok_and(|ours| ours == origin))
}

/// The cookie that goes with a ticket. None for a page of another site: it would sign its visitor in as somebody else.
pub(super) fn make(config: &Config, request: &HttpRequest, issued: &IssuedToken) -> Option<Cookie<'static>> {
    let says_nothing = !request.headers().contains_key(SEC_FETCH_SITE) && !request.headers().contains_key(ORIGIN);
    if !config.ticket_cookie || !(says_nothing || comes_from_here(config, request)) {
        return None;
    }
    let lives = i64::try_from(issued.lifetime.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build(NAME, issued.jwt.clone())
        .path("/")
        .http_only(true)
        .secure(config.issuer.starts_with("https://"))
        .same_site(SameSite::Strict)
        .max_age(Age::seconds(lives));
    Some(cookie.finish())
}
