//! Pages for people: rendered at start, because they follow from the settings alone.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use handlebars::Handlebars;
use rust_embed::RustEmbed;
use serde::Serialize;

use super::answer::cacheable;
use super::error::ApiError;
use super::problem::KINDS;
use super::site::Site;
use crate::oauth::OAuthErrorCode;
use crate::oauth::metadata::path;

#[derive(RustEmbed)]
#[folder = "templates"]
struct Templates;

#[derive(RustEmbed)]
#[folder = "static"]
struct Assets;

const STYLESHEET: &str = "brevet.css";
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Pages ready to be sent.
pub(super) struct Pages {
    pub(super) home: Bytes,
    pub(super) errors: Bytes,
    pub(super) authorize: Bytes,
    /// The stylesheet under a name that changes with its content.
    stylesheet: (String, Bytes),
}

#[derive(Serialize)]
struct Context<'a> {
    title: &'a str,
    issuer: &'a str,
    version: &'a str,
    stylesheet: &'a str,
    token_endpoint: &'a str,
    jwks: &'a str,
    discovery: &'a str,
    whoami: &'a str,
    errors_page: &'a str,
    errors: &'a [ErrorAdvice],
    problems: &'a [ErrorAdvice],
}

#[derive(Serialize)]
struct ErrorAdvice {
    code: &'static str,
    advice: &'static str,
}

impl Pages {
    pub(super) fn new(issuer: &str) -> Result<Self, handlebars::RenderError> {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars
            .register_embed_templates_with_extension::<Templates>(".hbs")
            .map_err(|error| handlebars::RenderErrorReason::Other(error.to_string()))?;
        let asset = Assets::get(STYLESHEET)
            .ok_or_else(|| handlebars::RenderErrorReason::Other(format!("{STYLESHEET} is missing")))?;
        let digest: String = asset.metadata.sha256_hash().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("brevet.{digest}.css");
        let errors: Vec<ErrorAdvice> =
            OAuthErrorCode::ALL.iter().map(|code| ErrorAdvice { code: code.name(), advice: code.advice() }).collect();
        let problems: Vec<ErrorAdvice> =
            KINDS.iter().map(|kind| ErrorAdvice { code: kind.code, advice: kind.advice }).collect();
        let under = |path: &str| format!("{issuer}{path}");
        let (token_endpoint, jwks, discovery) =
            (under(path::TOKEN), under(path::JWKS), under(path::OPENID_CONFIGURATION));
        let (whoami, errors_page, stylesheet) =
            (format!("{issuer}{}/whoami", path::API), under(path::ERRORS), format!("{issuer}/static/{name}"));
        let render = |template: &str, title: &str| {
            let context = Context {
                title,
                issuer,
                version: env!("CARGO_PKG_VERSION"),
                stylesheet: &stylesheet,
                token_endpoint: &token_endpoint,
                jwks: &jwks,
                discovery: &discovery,
                whoami: &whoami,
                errors_page: &errors_page,
                errors: &errors,
                problems: &problems,
            };
            handlebars.render(template, &context).map(Bytes::from)
        };
        Ok(Self {
            home: render("home", "Brevet")?,
            errors: render("errors", "Errors")?,
            authorize: render("authorize", "Nobody signs in here")?,
            stylesheet: (name, Bytes::from(asset.data.into_owned())),
        })
    }
}

/// Whether the asker would rather have a page than JSON.
pub(super) fn wants_html(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// A page with the headers that keep it safe.
pub(super) fn html(status: StatusCode, page: Bytes) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((OPENER_POLICY, "same-origin"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(page)
}

/// What runs here and where to begin.
pub(super) async fn home(site: Data<Site>) -> HttpResponse {
    html(StatusCode::OK, site.pages.home.clone())
}

/// The page that `error_uri` leads to.
pub(super) async fn errors(site: Data<Site>) -> HttpResponse {
    html(StatusCode::OK, site.pages.errors.clone())
}

/// The stylesheet, under its present name only.
pub(super) async fn asset(
    site: Data<Site>,
    request: HttpRequest,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (present, body) = &site.pages.stylesheet;
    if *name != *present {
        return Err(ApiError::not_found(&request));
    }
    let etag = format!("\"{present}\"");
    Ok(cacheable(&request, "text/css; charset=utf-8", "public, max-age=31536000, immutable", &etag, body.clone()))
}
