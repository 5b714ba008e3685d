//! The cookies of the dashboard: who is signed in, and which browser a form was made for.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as Age;
use actix_web::cookie::{Cookie, SameSite};

use crate::config::Config;
use crate::secret::{Secret, SecretKind, is_generated_secret};
use crate::service::links::is_link_secret;
use crate::service::sign_in_elsewhere::AWAY_FOR;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CookieKind {
    /// The secret of a session.
    Session,
    /// Tells one browser that nobody is signed in to from the next, so that its forms can be told from forged ones.
    Visit,
}

impl CookieKind {
    /// Browsers take `__Host-` only over HTTPS, from the host itself and for all its paths: no other host can plant one.
    const fn name(self, is_https: bool) -> &'static str {
        match (self, is_https) {
            (Self::Session, true) => "__Host-brevet-session",
            (Self::Session, false) => "brevet-session",
            (Self::Visit, true) => "__Host-brevet-visit",
            (Self::Visit, false) => "brevet-visit",
        }
    }
}

fn is_https(config: &Config) -> bool {
    config.issuer.starts_with("https://")
}

/// What the browser sent: nothing unless it has the form of what we make.
pub(super) fn read(config: &Config, request: &HttpRequest, kind: CookieKind) -> Option<Secret> {
    let cookie = request.cookie(kind.name(is_https(config)))?;
    is_generated_secret(SecretKind::Session, cookie.value()).then(|| Secret::new(cookie.value()))
}

/// How much longer than a session its cookie lives: by it a form is known that was filled in when the session ended.
const LONGER: Duration = Duration::from_secs(86_400);

/// A cookie that holds this secret as long as a session lives, and some time after it.
pub(super) fn make(config: &Config, kind: CookieKind, secret: &Secret) -> Cookie<'static> {
    let lives = i64::try_from(config.session_ttl.saturating_add(LONGER).as_secs()).unwrap_or(i64::MAX);
    build(config, kind, secret.reveal().to_owned(), Age::seconds(lives))
}

/// Takes the cookie away from the browser.
pub(super) fn forget(config: &Config, kind: CookieKind) -> Cookie<'static> {
    build(config, kind, String::new(), Age::ZERO)
}

fn build(config: &Config, kind: CookieKind, value: String, lives: Age) -> Cookie<'static> {
    build_named(config, kind.name(is_https(config)), value, lives)
}

fn build_named(config: &Config, name: &'static str, value: String, lives: Age) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .secure(is_https(config))
        .same_site(SameSite::Lax)
        .max_age(lives)
        .finish()
}

/// What the browser keeps while somebody is away to sign in elsewhere; sealed, so that nobody reads or changes it.
const fn sealed_name(is_https: bool) -> &'static str {
    if is_https { "__Host-brevet-elsewhere" } else { "brevet-elsewhere" }
}

/// In octets: browsers keep no more.
const LONGEST_SEALED: usize = 4_000;

/// What was sealed for this browser, if it shows something.
pub(super) fn read_sealed(config: &Config, request: &HttpRequest) -> Option<Secret> {
    let cookie = request.cookie(sealed_name(is_https(config)))?;
    (1..=LONGEST_SEALED).contains(&cookie.value().len()).then(|| Secret::new(cookie.value()))
}

/// A cookie for as long as somebody may be away.
pub(super) fn make_sealed(config: &Config, sealed: &Secret) -> Cookie<'static> {
    let lives = i64::try_from(AWAY_FOR.as_secs()).unwrap_or_default();
    build_named(config, sealed_name(is_https(config)), sealed.reveal().to_owned(), Age::seconds(lives))
}

/// Takes that cookie away.
pub(super) fn forget_sealed(config: &Config) -> Cookie<'static> {
    build_named(config, sealed_name(is_https(config)), String::new(), Age::ZERO)
}

/// The invitation that somebody comes back to after signing in: in an address it would stand in logs and histories.
const fn invitation_name(is_https: bool) -> &'static str {
    if is_https { "__Host-brevet-invitation" } else { "brevet-invitation" }
}

/// For so long somebody may sign in and come back to an invitation; later its link is opened again.
const INVITATION_KEPT: Age = Age::hours(1);

/// The secret of the invitation that the browser keeps, if it keeps one.
pub(super) fn read_invitation(config: &Config, request: &HttpRequest) -> Option<Secret> {
    let cookie = request.cookie(invitation_name(is_https(config)))?;
    Some(Secret::new(cookie.value())).filter(is_link_secret)
}

/// A cookie that keeps an invitation.
pub(super) fn make_invitation(config: &Config, secret: &Secret) -> Cookie<'static> {
    build_named(config, invitation_name(is_https(config)), secret.reveal().to_owned(), INVITATION_KEPT)
}

/// Takes that cookie away.
pub(super) fn forget_invitation(config: &Config) -> Cookie<'static> {
    build_named(config, invitation_name(is_https(config)), String::new(), Age::ZERO)
}

/// The look that the person chose, which the page's script keeps in a cookie; nothing else depends on it.
pub(super) fn theme(request: &HttpRequest) -> &'static str {
    match request.cookie("brevet-theme").as_ref().map(Cookie::value) {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "auto",
    }
}
