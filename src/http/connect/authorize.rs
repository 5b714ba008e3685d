//! `GET /connect/authorize`: there because discovery clients insist on the field. It says that nobody signs in here.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde_json::json;

use crate::http::answer::private_json;
use crate::http::dashboard::home::nobody_signs_in;
use crate::http::pages::wants_html;
use crate::http::site::Site;

/// A page for people, JSON for programs.
pub(in crate::http) async fn authorize(site: Data<Site>, request: HttpRequest) -> HttpResponse {
    if wants_html(&request) {
        return nobody_signs_in(&site, &request).unwrap_or_else(|error| error.error_response());
    }
    private_json(
        StatusCode::BAD_REQUEST,
        &json!({
            "error": "unsupported_response_type",
            "error_description": "This server issues tokens to programs only: use the token endpoint with grant_type=client_credentials.",
        }),
    )
}
