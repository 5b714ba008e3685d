//! Pages that everybody may see, and the start page of who is signed in.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::error::{PageError, PageResult};
use super::page::{Section, View};
use super::scene::Scene;
use crate::http::problem::KINDS;
use crate::http::site::Site;
use crate::oauth::OAuthErrorCode;
use crate::oauth::metadata::path;

/// What runs here and where to begin, for whoever is not signed in.
#[derive(Serialize)]
struct WelcomeView {
    token_endpoint: String,
    jwks: String,
    discovery: String,
    whoami: String,
}

impl View for WelcomeView {
    const TEMPLATE: &'static str = "welcome";
    const SECTION: Section = Section::Home;

    fn title(&self) -> String {
        "Tokens for programs".to_owned()
    }
}

impl WelcomeView {
    fn new(issuer: &str) -> Self {
        let under = |path: &str| format!("{issuer}{path}");
        Self {
            token_endpoint: under(path::TOKEN),
            jwks: under(path::JWKS),
            discovery: under(path::OPENID_CONFIGURATION),
            whoami: format!("{issuer}{}/whoami", path::API),
        }
    }
}

/// What every error means, where `error_uri` leads to.
#[derive(Serialize)]
struct ErrorsView {
    errors: Vec<ErrorAdvice>,
    problems: Vec<ErrorAdvice>,
}

#[derive(Serialize)]
struct ErrorAdvice {
    code: &'static str,
    advice: &'static str,
    /// The same code of the management API: both lead to one place on the page.
    of_management: Option<&'static str>,
}

impl View for ErrorsView {
    const TEMPLATE: &'static str = "errors";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Errors and what to do".to_owned()
    }
}

impl ErrorsView {
    fn new() -> Self {
        let of_tokens = OAuthErrorCode::ALL.iter();
        Self {
            errors: of_tokens
                .map(|code| ErrorAdvice {
                    code: code.name(),
                    advice: code.advice(),
                    of_management: KINDS.iter().find(|kind| kind.code == code.name()).map(|kind| kind.advice),
                })
                .collect(),
            problems: KINDS
                .iter()
                .filter(|kind| OAuthErrorCode::ALL.iter().all(|code| code.name() != kind.code))
                .map(|kind| ErrorAdvice { code: kind.code, advice: kind.advice, of_management: None })
                .collect(),
        }
    }
}

/// For who came to the authorization endpoint.
#[derive(Serialize)]
struct AuthorizeView {
    token_endpoint: String,
}

impl View for AuthorizeView {
    const TEMPLATE: &'static str = "authorize";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Nobody signs in here".to_owned()
    }
}

/// The start page.
pub(super) async fn home(site: Data<Site>, request: HttpRequest) -> PageResult {
    let scene = Scene::set(&site, &request).await?;
    if let Some(signed_in) = scene.signed_in().cloned() {
        return super::start::show(&scene, &signed_in).await;
    }
    if scene.unprotected().is_some() {
        return Ok(scene.to_protection());
    }
    scene.page(&WelcomeView::new(site.authority.issuer()))
}

/// The page that `error_uri` leads to.
pub(super) async fn errors(site: Data<Site>, request: HttpRequest) -> PageResult {
    Scene::set(&site, &request).await?.page(&ErrorsView::new())
}

/// Says that nobody signs in at the authorization endpoint.
pub(in crate::http) fn nobody_signs_in(site: &Data<Site>, request: &HttpRequest) -> PageResult {
    let view = AuthorizeView { token_endpoint: format!("{}{}", site.authority.issuer(), path::TOKEN) };
    Scene::public(site, request).page_with(StatusCode::BAD_REQUEST, &view)
}

/// There is nothing at that address: said on a page.
pub(in crate::http) async fn missing(site: &Data<Site>, request: &HttpRequest) -> HttpResponse {
    error_page(site, request, PageError::not_found).await
}

/// There is something at that address, but not for that method: said on a page.
pub(in crate::http) async fn not_for_method(site: &Data<Site>, request: &HttpRequest) -> HttpResponse {
    error_page(site, request, PageError::not_for_method).await
}

async fn error_page(site: &Data<Site>, request: &HttpRequest, error: fn(&Scene) -> PageError) -> HttpResponse {
    let error = match Scene::set(site, request).await {
        Ok(scene) => error(&scene),
        Err(error) => error,
    };
    actix_web::ResponseError::error_response(&error)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let issuer = "https://id.example.com";
        vec![
            sample(WelcomeView::new(issuer)),
            sample(ErrorsView::new()),
            sample(AuthorizeView { token_endpoint: format!("{issuer}{}", path::TOKEN) }),
        ]
    }
}
