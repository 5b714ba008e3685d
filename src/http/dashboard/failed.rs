//! What a person sees after a handler panicked. Of the request nothing is left then, so the page has nothing of a
//! [`super::scene::Scene`] around it: no person, no navigation.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use serde::Serialize;

use super::error::PageError;
#[cfg(test)]
use super::page::{Section, View};
use super::scene::safe;
use crate::http::site::Site;
use crate::oauth::error::FAILED;

const TEMPLATE: &str = "failed";

#[derive(Serialize)]
struct FailedView<'a> {
    base: &'a str,
    stylesheet: &'a str,
    text: String,
    request_id: &'a str,
}

/// The page of a fault.
pub(in crate::http) fn failed(site: &Site, request_id: &str) -> PageError {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let view = FailedView {
        base: &site.pages.base,
        stylesheet: site.pages.asset("brevet.css"),
        text: format!("{FAILED} Try again; if it goes on, tell whoever runs this server the request id below."),
        request_id,
    };
    let mut builder = HttpResponse::build(status);
    safe(&mut builder, site.authority.issuer()).insert_header((CACHE_CONTROL, "no-store"));
    PageError::of(match site.pages.render(TEMPLATE, &view) {
        Ok(body) => builder.content_type("text/html; charset=utf-8").body(body),
        Err(_broken) => builder.finish(),
    })
    .logged("server_error", &"a handler panicked")
}

#[cfg(test)]
impl View for FailedView<'static> {
    const TEMPLATE: &'static str = TEMPLATE;
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        String::new()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        vec![sample(FailedView { base: "", stylesheet: "/x.css", text: String::new(), request_id: "a-1" })]
    }
}
